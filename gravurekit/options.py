"""Command-line flags made from Settings: one field is one flag, with its help and limits."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from gravurekit.settings import Settings


def with_settings(kind: type[Settings]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a flag for each field of `kind`; what was said arrives as the keyword argument `flags`.

    A flag that wasn't given is None, "not said", so that gravurekit.toml can speak.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def wrapped(**values: Any) -> None:
            flags = {name: values.pop(name) for name in kind.model_fields}
            command(**values, flags={name: value for name, value in flags.items() if _was_said(value)})

        signature = inspect.signature(command)
        own = [parameter for parameter in signature.parameters.values() if parameter.name != "flags"]
        made = [_parameter(name, field) for name, field in kind.model_fields.items()]
        wrapped.__name__ = command.__name__
        wrapped.__doc__ = command.__doc__
        wrapped.__signature__ = inspect.Signature(own + made)  # type: ignore[attr-defined]
        return wrapped

    return decorate


def _was_said(value: Any) -> bool:
    return value is not None and value != [] and value != ()


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    limits = {
        key: getattr(item, rule)
        for item in field.metadata
        for rule, key in (("ge", "min"), ("le", "max"))
        if hasattr(item, rule)
    }
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    flag = str(extra.get("flag", f"--{name.replace('_', '-')}"))
    kind = _flag_type(field.annotation)
    names = (f"{flag}/--no-{flag[2:]}",) if kind is bool else (flag,)
    option = typer.Option(
        *names,
        help=f"{field.description} Default: {_shown(field.default)}.",
        show_default=False,
        **(limits if kind in (int, float) else {}),
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _flag_type(annotation: Any) -> Any:
    """The type that Typer reads: lists for tuples, the rest as it is."""
    if get_origin(annotation) is tuple:
        return list[get_args(annotation)[0]]  # type: ignore[misc]
    return annotation


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, float):
        return f"{default:.4g}"
    if default in ("", (), None):
        return "none"
    return str(default)
