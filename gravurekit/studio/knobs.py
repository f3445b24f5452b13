"""Settings as controls of a page: each field is one, with its limits, its default and its help. Nothing is said of a
knob here that its own line doesn't say."""

import math
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from gravurekit.settings import Range, Settings, bounds_of

STEPS = 200  # that a slider has, about
FAR = 4.0  # times its default, where a slider ends whose knob has no limit


def form(kind: type[Settings], names: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """A control for each field, or for those of `names`, in their order."""
    fields = kind.model_fields
    return [_control(name, fields[name]) for name in (fields if names is None else names)]


def _control(name: str, field: FieldInfo) -> dict[str, Any]:
    """`kind`: range (two numbers), number, whole, flag, choice or text."""
    said = {"name": name, "title": name.replace("_", " "), "help": field.description or "", "default": field.default}
    span = next((item for item in field.metadata if isinstance(item, Range)), None)
    if span is not None:
        return said | {"kind": "range", **_slider(span.ge, span.le, whole=False)}
    if get_origin(field.annotation) is Literal:
        return said | {"kind": "choice", "choices": list(get_args(field.annotation))}
    if field.annotation is bool:
        return said | {"kind": "flag"}
    if field.annotation in (int, float):
        whole = field.annotation is int
        low, high, closed = _limits(field)
        slider = _slider(low, high, whole)
        if not closed:  # x > 0: the slider begins one step above
            slider["low"] = low + slider["step"]
        return said | {"kind": "whole" if whole else "number", **slider}
    return said | {"kind": "text"}


def _limits(field: FieldInfo) -> tuple[float, float, bool]:
    """Where a slider begins and ends, and whether the knob may be where it begins."""
    found = bounds_of(field)
    low = found.get("ge", found.get("gt", 0))
    high = found.get("le", max(FAR * float(field.default), low + 1))
    return float(low), float(high), "gt" not in found


def _slider(low: float, high: float, whole: bool) -> dict[str, Any]:
    step = 1.0 if whole else _round((high - low) / STEPS)
    return {"low": low, "high": high, "step": step}


def _round(step: float) -> float:
    """A step that people would choose: 1, 2 or 5 times a power of ten, not above `step`."""
    power = math.floor(math.log10(step))
    digit = next(digit for digit in (5, 2, 1) if digit <= step / 10**power * (1 + 1e-9))
    return float(f"{digit}e{power}")
