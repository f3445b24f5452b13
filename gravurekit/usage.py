"""How `--help` is laid out: flags under headings, words for their values, no line that breaks badly.

rich's boxes would double the time that `gravurekit --help` takes, so this is text, as wide as the terminal up to 120
columns.
"""

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args, get_origin

import typer

WIDEST = 120
NAMES = 30  # columns of flags
FOLDERS, OUTPUT, SOMETHING_ELSE = "Folders and files", "Settings and output", "Something else instead"
TIED = {" ": "\u00a0", "-": "\u2011"}  # a space and a hyphen at which no line is broken
LOOSE = {ord(tied): loose for loose, tied in TIED.items()}
VALUES = {int: "N", float: "X", str: "WORD", bool: ""}


class Verb(typer.core.TyperCommand):
    """A command whose help has its flags under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then flags: heading by heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            is_word = parameter.param_type_name == "argument"
            heading = "Arguments" if is_word else getattr(parameter, "rich_help_panel", None) or OUTPUT
            sections.setdefault(heading, []).append(row_of(parameter))
        for heading in sorted(sections, key=lambda name: name == OUTPUT):  # --help is the last one of them
            write_section(formatter, heading, sections[heading])


def write_section(formatter: Any, heading: str, rows: Sequence[tuple[str, str]]) -> None:
    """A heading, and below it a name and its explanation a row."""
    with formatter.section(heading):
        begun = len(formatter.buffer)
        formatter.write_dl([(name, _held(said)) for name, said in rows], col_max=NAMES)
        formatter.buffer[begun:] = [piece.translate(LOOSE) for piece in formatter.buffer[begun:]]


def _held(said: str) -> str:
    """`said` with what must stay on one line tied together: flags, names with hyphens, defaults, limits."""
    tied = said.replace("-", TIED["-"]).replace("default: ", f"default:{TIED[' ']}")
    return re.sub(
        r"(?:Default: \S+|\[[^]]{1,24}\])$|Default: \S+(?=  )", lambda it: it[0].replace(" ", TIED[" "]), tied
    )


def row_of(parameter: Any) -> tuple[str, str]:
    """A parameter as it is typed, and its help with limits and default."""
    return _name(parameter), _words(parameter)


def under(heading: str, parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    """These parameters of a verb, under a heading of its help; those that have one keep it."""
    found = list(parameters)
    for parameter in found:
        for item in getattr(parameter.annotation, "__metadata__", ()):
            item.rich_help_panel = item.rich_help_panel or heading
            if isinstance(item, typer.models.ArgumentInfo):
                item.metavar = item.metavar or parameter.name.upper()
            else:
                value = value_of(get_args(parameter.annotation)[0])
                item.metavar = item.metavar or ("PATH" if heading == FOLDERS and value == "WORD" else value) or None
    return found


def value_of(annotation: Any) -> str:
    """A word for the values of a flag of this type: N, X, WORD, PATH, or those that there are."""
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    inner = [kind for kind in get_args(annotation) if kind is not type(None)]  # of a list, or of "or None"
    return value_of(inner[0]) if inner else VALUES.get(annotation, "PATH")


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"{parameter.metavar or parameter.name.upper()}{'' if parameter.nargs == 1 else ' …'}"
    names = [*sorted(parameter.opts, key=len), *(f"/ {name}" for name in parameter.secondary_opts)]
    said = ", ".join(names).replace(", /", " /")
    return said if parameter.is_flag else f"{said} {parameter.metavar or 'WORD'}"


def _words(parameter: Any) -> str:
    """The help of a parameter, its limits, its default."""
    default = parameter.show_default if isinstance(getattr(parameter, "show_default", None), str) else ""
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    limits = f"{least} to {most}" if None not in (least, most) else ""
    limits = limits or (f"at least {least}" if least is not None else f"at most {most}" if most is not None else "")
    more = "; ".join(filter(None, (limits, default and f"default: {default}")))
    return f"{parameter.help or ''}{more and f'  [{more}]'}"
