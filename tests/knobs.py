"""The knobs of all tables of a gravurekit.toml, values for them, and the two ways to say them: in a file, as a flag."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st

from gravurekit import crafts, pipeline, reference
from gravurekit.errors import UsageError
from gravurekit.reference import literal
from gravurekit.settings import Range, Settings, flag_of, layered
from gravurekit.stages import train

CLASSES = reference.classes()
SIZES = ("128", "32", "1024", "192x288", "64x32")
KNOBS = [(table, key) for table, kind in CLASSES.items() for key in kind.model_fields]


def limits(kind: type[Settings], key: str) -> dict[type, float]:
    """The limits of a knob: {Ge: 64, Le: 4096}."""
    metadata = kind.model_fields[key].metadata
    if ranges := [item for item in metadata if isinstance(item, Range)]:
        return {Ge: ranges[0].ge, Le: ranges[0].le}
    found = [limit for limit in metadata if isinstance(limit, (Ge, Gt, Le, Lt))]
    return {type(limit): getattr(limit, type(limit).__name__.lower()) for limit in found}


def is_valid(kind: type[Settings], key: str, value: Any) -> bool:
    try:
        layered(kind, "table", {key: value})
    except UsageError:
        return False
    return True


def values(kind: type[Settings], key: str) -> list[Any]:
    """Two valid values of a knob, neither of them its default; the same twice if there is but one."""
    about = kind.model_fields[key]
    bounds = limits(kind, key)
    choices: list[Any]
    if get_origin(about.annotation) is Literal:
        choices = list(get_args(about.annotation))
    elif about.annotation is bool:
        choices = [not about.default]
    elif about.annotation is int:
        low = int(bounds.get(Ge, 0))
        choices = [low, low + 1, low + 2, *range(-(-low // 8) * 8, low + 64, 8)]
    elif about.annotation is float:
        choices = [bounds.get(Ge, bounds.get(Gt, 0)) + step for step in (0.125, 0.25, 0.5)]
    elif about.annotation is str:
        choices = ["large", "small", "failed", "failed:timeout", *SIZES]
    elif get_origin(about.annotation) is dict:
        choices = [{"bing": "http://127.0.0.1:1"}, {"bing": "http://127.0.0.1:2", "x y": ""}]
    elif about.annotation == tuple[float, float]:
        low, high = float(bounds[Ge]), float(bounds[Le])
        choices = [(low, high), (low, (low + high) / 2), (high, high)]
    else:
        assert about.annotation == tuple[str, ...], f"teach this function the type of {key}"
        choices = [("too_small",), ("too_small", "monochrome")]
    valid = [choice for choice in choices if choice != about.default and is_valid(kind, key, choice)]
    return (valid * 2)[:2]


def alone(table: str, said: Mapping[str, Any]) -> Settings:
    """The Settings of a table of which only this is `said`: other knobs have their defaults, or what a word of these
    implies."""
    implied = train.PAPER if table == "train" and said.get("recipe") == "paper" else {}
    return CLASSES[table]().model_copy(update={**implied, **said})


@cache
def any_value(kind: type[Settings], key: str) -> st.SearchStrategy[Any]:
    """All valid values of a knob, by its type, its limits and its validator."""
    about = kind.model_fields[key]
    bounds = limits(kind, key)
    if get_origin(about.annotation) is Literal:
        return st.sampled_from(get_args(about.annotation))
    if about.annotation is bool:
        return st.booleans()
    if about.annotation is int:
        low, high = bounds.get(Ge), bounds.get(Le, bounds[Lt] - 1 if Lt in bounds else None)
        if any(key in item.info.fields for item in kind.__pydantic_decorators__.field_validators.values()):
            assert low is not None and high is not None
            return st.sampled_from([n for n in range(int(low), int(high) + 1) if is_valid(kind, key, n)])
        return st.integers(low, high)  # type: ignore[arg-type]
    if about.annotation is float:
        low, high = bounds.get(Ge, bounds.get(Gt)), bounds.get(Le, bounds.get(Lt))
        return st.floats(
            low, high, exclude_min=Gt in bounds, exclude_max=Lt in bounds, allow_nan=False, allow_infinity=False
        )
    if about.annotation is str:
        if "size" in key and is_valid(kind, key, SIZES[0]) and not is_valid(kind, key, "?"):
            return st.sampled_from(SIZES)
        patterns = [item.pattern for item in about.metadata if getattr(item, "pattern", None)]
        # the "$" of Python lets a newline follow, that of pydantic doesn't
        return st.from_regex(patterns[0]).filter(lambda text: text[-1:] != "\n") if patterns else st.text()
    if get_origin(about.annotation) is dict:
        return st.dictionaries(st.text(), st.text())
    if about.annotation == tuple[float, float]:
        ends = st.floats(float(bounds[Ge]), float(bounds[Le]))
        return st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))
    assert about.annotation == tuple[str, ...], f"teach this function the type of {key}"
    return st.lists(st.text()).map(tuple)


def in_a_file(table: str, knobs: Mapping[str, Any]) -> str:
    """A gravurekit.toml in which one table says `knobs`."""
    return "\n".join([f"[{table}]", *(f"{literal(key)} = {literal(value)}" for key, value in knobs.items())]) + "\n"


def on_the_command_line(table: str, key: str, value: Any) -> list[str]:
    """The words that say a knob of a stage, of [machine], or of a craft."""
    if craft := table.partition(".")[2]:
        return ["--set", f"{craft}.{key}={literal(value)}"]
    field = CLASSES[table].model_fields[key]
    if isinstance(value, bool):
        return [flag_of(key, field).split("/")[not value]]
    items = value if isinstance(value, tuple) else [value]
    return [word for item in items for word in (flag_of(key, field), str(item))]


def wishes(table: str, file: Mapping[str, Any], flags: Mapping[str, Any]) -> pipeline.Wishes:
    """What a file and flags say of one table."""
    stage, _, craft = table.partition(".")
    if craft:
        return pipeline.Wishes(file={stage: {craft: file}}, crafts={craft: flags})
    return pipeline.Wishes(file={stage: file}, flags={stage: flags})


def settings_of(table: str, said: pipeline.Wishes) -> Settings:
    """The Settings of a table as the stages get them."""
    stage, _, craft = table.partition(".")
    if craft:
        return crafts.settings_of(pipeline.ROOMS[stage], stage, craft, said.tables(stage))
    found: Settings = said.settings(stage)
    return found
