"""Command-line flags made from Settings: one field is one flag, with its help and limits."""

import inspect
from typing import Annotated, Any, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from gravurekit.settings import Settings, bounds_of, flag_of
from gravurekit.usage import value_of

KNOBS = "Knobs"


def flags_of(*kinds: type[Settings], heading: str = KNOBS) -> list[inspect.Parameter]:
    """A keyword parameter for each field of `kinds`, as Typer reads it, under a `heading` of the help; a field that
    several have is told as the first one has it. One that wasn't given is None, "not said", so that gravurekit.toml can
    speak."""
    fields = {name: field for kind in reversed(kinds) for name, field in kind.model_fields.items()}
    order = dict.fromkeys(name for kind in kinds for name in kind.model_fields)
    return [_parameter(name, fields[name], heading) for name in order]


def said(kind: type[Settings], values: dict[str, Any]) -> dict[str, Any]:
    """The fields of `kind` that were given on the command line."""
    return {name: values[name] for name in kind.model_fields if values[name] not in (None, [], ())}


def _parameter(name: str, field: FieldInfo, heading: str) -> inspect.Parameter:
    bounds = bounds_of(field)
    limits = {key: bounds[rule] for rule, key in (("ge", "min"), ("le", "max")) if rule in bounds}
    kind = _flag_type(field.annotation)
    option = typer.Option(
        flag_of(name, field),
        metavar=value_of(kind) or None,
        rich_help_panel=heading,
        help=f"{field.description} Default: {_shown(field.default)}.",
        show_default=False,
        **(limits if kind in (int, float) else {}),
    )
    return keyword(name, Annotated[kind | None, option])


def keyword(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    """A keyword parameter of a command."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _flag_type(annotation: Any) -> Any:
    """The type that Typer reads: lists for tuples, the rest as it is."""
    return list[get_args(annotation)[0]] if get_origin(annotation) is tuple else annotation  # type: ignore[misc]


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, float):
        return f"{default:.4g}"
    return "none" if default in ("", (), None) else str(default)
