"""What may stand in the place of the word that is typed, by what stands before it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gravurekit.cli import VERBS
from gravurekit.completion import values
from gravurekit.completion.shells import Found

TABLE = Path(__file__).parent / "flags.json"
WORK_IN = "-C"
Parameter = Mapping[str, Any]


@dataclass
class Line:
    """A command line as far as it is typed: its verb, what was said by which name, which flag waits for its value."""

    parameters: Sequence[Parameter]
    verb: str = ""
    said: dict[str, str] = field(default_factory=dict)
    waits: Parameter | None = None
    count: int = 0  # of the verb's arguments
    only_words: bool = False  # after --


def complete(words: Sequence[str], current: str) -> Found:
    """What may be put in the place of `current` after `words`."""
    table = json.loads(TABLE.read_text("utf-8"))
    line = _read(table, words)
    if line is None:
        return Found()
    if line.waits:
        return _value(table, line, line.waits, current)
    if current.startswith("-") and not line.only_words:
        name, equals, begun = current.partition("=")
        if not equals:
            return Found([item for item in _flags(line) if item[0].startswith(current)])
        flag = _flag(line, name)
        return _after(_value(table, line, flag, begun), f"{name}=") if flag and flag["value"] else Found()
    if not line.verb:
        return Found([(verb, said) for verb, said in VERBS.items() if verb.startswith(current)])
    arguments = [parameter for parameter in line.parameters if not parameter["flags"]]
    if line.count < len(arguments):
        return _value(table, line, arguments[line.count], current)
    return _value(table, line, arguments[-1], current) if arguments and arguments[-1]["many"] else Found()


def _read(table: Mapping[str, Any], words: Sequence[str]) -> Line | None:
    """None if there is no such verb."""
    line = Line(table["verbs"][""])
    for word in words:
        if line.waits:
            line.said[_key(line.waits)] = word
            line.waits = None
        elif word == "--" and line.verb:
            line.only_words = True
        elif word.startswith("-") and word != "-" and not line.only_words:
            name, equals, value = word.partition("=")
            if flag := _flag(line, name):
                line.said[_key(flag)] = value
                line.waits = flag if flag["value"] and not equals else None
        elif not line.verb:
            if word not in VERBS:
                return None
            line.verb, line.parameters = word, table["verbs"][word]
        else:
            line.count += 1
    return line


def _flag(line: Line, name: str) -> Parameter | None:
    return next((parameter for parameter in line.parameters if name in parameter["flags"]), None)


def _key(flag: Parameter) -> str:
    """What a flag's value is kept by: -C isn't the `folder` of a verb."""
    return WORK_IN if WORK_IN in flag["flags"] else str(flag["name"])


def _flags(line: Line) -> list[tuple[str, str]]:
    """The flags that may still come, by their long names."""
    left = (item for item in line.parameters if item["many"] or _key(item) not in line.said)
    return [(name, item["help"]) for item in left for name in item["flags"] if name.startswith("--")]


def _value(table: Mapping[str, Any], line: Line, parameter: Parameter, current: str) -> Found:
    root = line.said.get(WORK_IN, "") if WORK_IN not in parameter["flags"] else ""
    asked = values.Asked(table, line.verb, line.said, Path(root).expanduser(), current)
    found = values.of(parameter, asked)
    items = [item for item in found.items if item[0].startswith(current)]
    return replace(found, items=items, root=root if found.files else "")


def _after(found: Found, prefix: str) -> Found:
    """The same behind `--flag=`."""
    items = [(prefix + value, said) for value, said in found.items]
    defaults = {prefix + value: default for value, default in found.defaults.items()}
    return replace(found, items=items, defaults=defaults, prefix=prefix + found.prefix)
