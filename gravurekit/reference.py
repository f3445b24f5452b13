"""The Settings as text: a commented gravurekit.toml, the page docs/settings.md, and the values in force.

All of it is made from the Settings classes, so it can't say anything that the code doesn't do. `python -m
gravurekit.reference` in the repository writes docs/settings.md and the example gravurekit.toml anew.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from gravurekit import crafts, pipeline, storage
from gravurekit.errors import UsageError
from gravurekit.pipeline import ROOMS
from gravurekit.settings import Settings, bounds_of, did_you_mean, flag_of, layered

# What the example workspace says. That it names some defaults is on purpose: they are what one changes first. The cut
# is for keywords that ask for dressed people (experiments/fit_figure.py); a garment on a hanger falls below it.
EXAMPLE: Mapping[str, Mapping[str, Any]] = {
    "paths": {"keywords": ["keywords/dresses.txt"], "sources": ["bing"]},
    "crawl": {"per_keyword": 100, "bing": {"type": "photo"}},
    "filter": {"min_figure": 0.5},
}

TOML_HEAD = """\
# The settings of this workspace: `gravurekit run` goes through the tables in this order.
# Every knob is here. One with a "#" before it shows its default: take the "#" away to change it.
# A flag wins over this file; `gravurekit settings` prints what is in force, and where it comes from.
"""

PAGE_HEAD = """\
# Settings

Every knob, made from the code by `make reference`. A default loses to `gravurekit.toml`, and the file loses to flags:
default < `gravurekit.toml` < flags. `gravurekit init` writes a `gravurekit.toml` with a line for each knob,
`gravurekit settings` prints the values in force and where each comes from. A key that no table has is an error.
"""

NO_FLAGS = """\
The verbs take these as arguments and flags of their own: `gravurekit VERB --help` names them.
"""

WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def classes() -> dict[str, type[Settings]]:
    """The class of each table of a gravurekit.toml, in the order of the chain: `stylize`, then `stylize.cartoon`."""
    found: dict[str, type[Settings]] = {}
    for table, kind in pipeline.TABLES.items():
        found[table] = kind
        if room := ROOMS.get(table):
            found |= {f"{table}.{name}": crafts.load(room, name).Settings for name in crafts.names(room)}
    return found


# ---- the values in force -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Knob:
    """What a knob is set to, and who said so."""

    table: str
    key: str
    value: Any
    origin: Literal["default", "preset", "file", "flag"]


def in_force(wishes: pipeline.Wishes, tables: Sequence[str] = ()) -> list[Knob]:
    """The knobs of `tables`, or of all, in the order of the chain; a stage brings its crafts with it.

    Raises UsageError for a table that there isn't, and for whatever is wrong in `wishes`, in other tables too.
    """
    known = classes()
    for name in tables:
        if name not in known:
            raise UsageError(f"no table is called [{name}]{did_you_mean(name, known)}")
    _check_tables(wishes)
    found = [knob for table, kind in known.items() for knob in _knobs(wishes, table, kind)]
    return [knob for knob in found if not tables or {knob.table, knob.table.partition(".")[0]} & set(tables)]


def shown(knobs: Sequence[Knob]) -> str:
    """`knobs` as a gravurekit.toml that says them all, the origin of each in a comment."""
    parts = []
    for table in dict.fromkeys(knob.table for knob in knobs):
        lines = {f"{knob.key} = {literal(knob.value)}": knob.origin for knob in knobs if knob.table == table}
        width = min(40, max(map(len, lines)))
        parts.append("\n".join([f"[{table}]", *(f"{line:{width}}  # {origin}" for line, origin in lines.items())]))
    return "\n\n".join(parts) + "\n" if parts else ""


def _knobs(wishes: pipeline.Wishes, table: str, kind: type[Settings]) -> Iterator[Knob]:
    """The knobs of one table. A stage's table comes before those of its crafts, and so do its complaints."""
    stage, _, craft = table.partition(".")
    file, flags = wishes.file.get(stage, {}), wishes.flags.get(stage, {})
    values: Settings
    preset: Mapping[str, Any] = {}
    if craft:
        file, flags = file.get(craft, {}), wishes.crafts.get(craft, {})
        preset = pipeline.preset_of(wishes, table)
        values = crafts.settings_of(ROOMS[stage], stage, craft, {craft: {**preset, **file, **flags}})
    elif stage in ROOMS:
        values = wishes.settings(stage)
    else:
        values = layered(kind, stage, file, flags)  # a table inside is no craft's, but a mistake
    for key in kind.model_fields:
        said_by: Literal["default", "preset", "file", "flag"] = "default"
        for layer, name in ((preset, "preset"), (file, "file"), (flags, "flag")):
            said_by = name if layer.get(key) is not None else said_by  # type: ignore[assignment]
        yield Knob(table, key, getattr(values, key), said_by)


def _check_tables(wishes: pipeline.Wishes) -> None:
    """Raises UsageError for a table that no stage or craft has, and for `--set` of no craft."""
    for table, said in wishes.file.items():
        if table not in pipeline.TABLES:
            raise UsageError(f"unknown table [{table}]{did_you_mean(table, pipeline.TABLES)}")
        if not isinstance(said, Mapping):
            raise UsageError(f"[{table}] isn't a table: write [{table}] once, and its keys below it")
        if table in ROOMS:
            inner = {name: knobs for name, knobs in said.items() if isinstance(knobs, Mapping)}
            crafts.check_tables(ROOMS[table], table, inner)
    everyone = {name for room in ROOMS.values() for name in crafts.names(room)}
    for craft in wishes.crafts:
        if craft not in everyone:
            raise UsageError(
                f"--set {craft}: no source, filter, style or export has this name{did_you_mean(craft, everyone)}"
            )


# ---- gravurekit.toml -----------------------------------------------------------------------------------


def toml(active: Mapping[str, Mapping[str, Any]]) -> str:
    """A gravurekit.toml with every knob, its meaning and its limits: what `active` says (in the form of such a file) is
    said, the others are comments with their defaults. Raises UsageError if `active` isn't valid."""
    in_force(pipeline.Wishes(active))
    parts = [TOML_HEAD]
    for table, kind in classes().items():
        if kind.model_fields:
            parts.append("\n".join([f"[{table}]", *_comment(_doc(kind))]) + "\n")
            stage, _, craft = table.partition(".")
            said = active.get(stage, {})
            said = said.get(craft, {}) if craft else said
            parts += [_entry(key, field, said) for key, field in kind.model_fields.items()]
    return "\n".join(parts)


def _entry(key: str, field: FieldInfo, said: Mapping[str, Any]) -> str:
    """A knob of a gravurekit.toml: its comment, then `key = value`, or `# key = default` if nothing was said."""
    words = choices(field)
    notes = [str(field.description), f"One of {', '.join(words)}." if words else "", _sentence(limits(field))]
    if key not in said:
        line = f"# {key} = {literal(field.default)}"
    else:
        line = f"{key} = {literal(said[key])}"
        if literal(said[key]) != literal(field.default):
            notes.append(f"Default: {literal(field.default)}.")
    return "\n".join([*_comment(" ".join(note for note in notes if note)), line]) + "\n"


def _comment(text: str) -> list[str]:
    """`text` as lines of comment."""
    return textwrap.wrap(
        text, 100, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )


def literal(value: Any) -> str:
    """`value` as TOML. Raises TypeError for what TOML doesn't have, None among it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            # JSON's strings are TOML's, but for the control characters that JSON lets stand
            text = json.dumps(value, ensure_ascii=False)
            return re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)
        case list() | tuple():
            return f"[{', '.join(literal(item) for item in value)}]"
        case Mapping():
            pairs = [f"{_key(str(key))} = {literal(item)}" for key, item in value.items()]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else literal(name)


# ---- docs/settings.md ----------------------------------------------------------------------------------


def markdown() -> str:
    """The page docs/settings.md: a table for each Settings class that has knobs."""
    parts = [PAGE_HEAD]
    for table, kind in classes().items():
        if kind.model_fields:
            parts += [f"## [{table}]\n", _doc(kind) + "\n"]
            parts += [NO_FLAGS] if table == "paths" else []
            parts.append("\n".join(_rows(table, kind)) + "\n")
    return "\n".join(parts)


def _rows(table: str, kind: type[Settings]) -> Iterator[str]:
    """The lines of one table."""
    flags = _flags(table, kind)
    head = ["key", *(["flag"] if flags else []), "value", "default", "limits", "meaning"]
    yield row(head)
    yield row(["---"] * len(head))
    for key, field in kind.model_fields.items():
        value = ", ".join(code(choice) for choice in choices(field)) or in_words(field.annotation)
        about = [value, code(literal(field.default)), limits(field), str(field.description).replace("<", "&lt;")]
        yield row([code(key), *([code(flags[key])] if flags else []), *about])


def _flags(table: str, kind: type[Settings]) -> dict[str, str]:
    """The flag of each knob as it is written on the command line; none for paths, which the verbs name themselves."""
    if table == "paths":
        return {}
    if craft := table.partition(".")[2]:
        return {key: f"--set {craft}.{key}=VALUE" for key in kind.model_fields}
    return {key: flag_of(key, field) for key, field in kind.model_fields.items()}


def row(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def code(text: str) -> str:
    """`text` as code in Markdown."""
    return f"`{text}`"


# ---- a field in words ----------------------------------------------------------------------------------


def _doc(kind: type[Settings]) -> str:
    return " ".join((kind.__doc__ or "").split())


def choices(field: FieldInfo) -> list[str]:
    """The words of a Literal, as TOML."""
    return [literal(item) for item in get_args(field.annotation)] if get_origin(field.annotation) is Literal else []


def in_words(annotation: Any) -> str:
    """`whole number`, `list of texts`, …"""
    if get_origin(annotation) is tuple:
        return f"list of {in_words(get_args(annotation)[0])}s"
    if get_origin(annotation) is dict:
        return f"table of {in_words(get_args(annotation)[1])}s"
    return WORDS[annotation]


def limits(field: FieldInfo) -> str:
    """`1 to 64`, `at least 0, below 1`, … or nothing."""
    bounds = bounds_of(field)
    if {"ge", "le"} <= set(bounds):
        return f"{bounds['ge']} to {bounds['le']}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return ", ".join(f"{words[rule]} {bound}" for rule, bound in bounds.items())


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}." if words else ""


def main(root: Path = Path()) -> None:
    """Write docs/settings.md and gravurekit.toml of the repository whose root is `root`."""
    if not (root / "pyproject.toml").is_file():
        raise UsageError(f"{root.absolute()} isn't the root of the repository; for a workspace: gravurekit init")
    storage.write_text(root / "docs" / "settings.md", markdown())
    storage.write_text(root / "gravurekit.toml", toml(EXAMPLE))


if __name__ == "__main__":
    main()
