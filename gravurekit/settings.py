"""Settings: one class a stage, one line a knob. That line is the flag, the key in gravurekit.toml, and the entry in
the receipt. Defaults lose to the file, the file to flags.
"""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from gravurekit.errors import UsageError


class Settings(BaseModel):
    """The knobs of one stage or one craft: immutable, closed (an unknown key is an error), strict in types. A number is
    finite: TOML has inf and nan, the JSON of a receipt doesn't."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Range:
    """Makes a knob of type tuple[float, float] a range from which a value is drawn: [low, high] within limits, or one
    number for both. `x: Annotated[tuple[float, float], Range(ge=0, le=1)]`."""

    ge: float
    le: float

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        pair = core_schema.no_info_before_validator_function(self._pair, handler(source))
        return core_schema.no_info_after_validator_function(self._checked, pair)

    @staticmethod
    def _pair(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(value)  # what TOML and JSON have in the place of tuples
        one = isinstance(value, int | float) and not isinstance(value, bool)
        return (value, value) if one else value

    def _checked(self, value: tuple[float, float]) -> tuple[float, float]:
        low, high = value
        if not self.ge <= low <= high <= self.le:
            raise ValueError(f"must be one number, or [low, high], the lower one first, from {self.ge} to {self.le}")
        return value


Kind = TypeVar("Kind", bound=Settings)


def flag_of(name: str, field: FieldInfo) -> str:
    """How a knob is said on the command line: `--per-keyword`, `--photo/--no-photo`, or as its own line has it."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    flag = str(extra.get("flag", f"--{name.replace('_', '-')}"))
    return f"{flag}/--no-{flag[2:]}" if field.annotation is bool else flag


def bounds_of(field: FieldInfo) -> dict[str, Any]:
    """The limits of a knob by their rule: ge, gt, le, lt."""
    rules = ("ge", "gt", "le", "lt")
    return {rule: getattr(item, rule) for item in field.metadata for rule in rules if hasattr(item, rule)}


def digest(value: Any) -> str:
    """The sha256 of `value` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def layered(kind: type[Kind], table: str, *layers: Mapping[str, Any]) -> Kind:
    """Settings of `kind` from its defaults and `layers`, later ones winning, in a table of texts key by key; None means
    "not said".

    Raises UsageError that names the table, the key, the nearest valid key and the limit that was broken.
    """
    said: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(said.get(key), dict)
            if value is not None:
                said[key] = said[key] | value if both else value
    try:
        return kind.model_validate_json(json.dumps(said))
    except ValidationError as error:
        raise UsageError("\n".join(_complaint(kind, table, item) for item in error.errors())) from None
    except (TypeError, ValueError, RecursionError) as error:
        # what TOML has and JSON hasn't: dates and times, numbers of thousands of digits, tables a thousand deep
        raise UsageError(f"[{table}] {error}") from None


def _complaint(kind: type[Settings], table: str, item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"[{table}] unknown key {key!r}{did_you_mean(key, kind.model_fields)}"
    fault = item["msg"].removeprefix("Value error, ")
    return f"[{table}] {key} = {item['input']!r}: {fault[0].lower()}{fault[1:]}"


def did_you_mean(word: str, known: Any) -> str:
    """'; did you mean …?' or, when nothing is near, '; known: …'."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names) or 'none'}"


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a gravurekit.toml. Raises UsageError if it is missing, not UTF-8, or not TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such settings file") from None
    except (ValueError, RecursionError, OSError) as error:  # not UTF-8, not TOML, thousands of digits or brackets
        raise UsageError(f"{path} can't be read as TOML: {error}") from None


def parse_assignments(assignments: list[str]) -> dict[str, dict[str, Any]]:
    """`["cartoon.median=5"]` → `{"cartoon": {"median": 5}}`: what `--set` said, as TOML values, else text."""
    tables: dict[str, dict[str, Any]] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        craft, dot, key = name.strip().partition(".")
        if not (equals and dot and craft and key):
            raise UsageError(f"--set {text}: write it as CRAFT.KNOB=VALUE, for example --set cartoon.median=5")
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):  # as in read_toml
            parsed = value
        tables.setdefault(craft, {})[key] = parsed
    return tables
