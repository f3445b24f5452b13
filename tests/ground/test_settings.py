"""Defaults lose to the file, the file to flags; whatever is wrong is named with its table and key."""

import math
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt

from gravurekit import pipeline
from gravurekit.errors import UsageError
from gravurekit.settings import Settings, did_you_mean, digest, layered, parse_assignments, read_toml

TEXTS = {"style": ["cartoon", "other"]}


def limits(kind: type[Settings], key: str) -> dict[type, float]:
    """The limits of a knob: {Ge: 64, Le: 4096}."""
    found = [limit for limit in kind.model_fields[key].metadata if isinstance(limit, (Ge, Gt, Le, Lt))]
    return {type(limit): getattr(limit, type(limit).__name__.lower()) for limit in found}


def values(kind: type[Settings], key: str) -> list[Any]:
    """Two valid values of a knob, neither of them its default."""
    about = kind.model_fields[key]
    if get_origin(about.annotation) is Literal:
        choices: list[Any] = list(get_args(about.annotation))
    elif about.annotation is bool:
        choices = [not about.default, about.default]
    elif about.annotation is int:
        bounds = limits(kind, key)
        low = bounds.get(Ge, 0)
        choices = list(range(-(-low // 8) * 8, low + 64, 8))
        choices = [choice for choice in [low, low + 1, *choices] if choice <= bounds.get(Le, math.inf)]
    elif about.annotation is float:
        bounds = limits(kind, key)
        choices = [bounds.get(Ge, bounds.get(Gt, 0)) + step for step in (0.125, 0.25, 0.5)]
    elif about.annotation is str:
        choices = TEXTS[key]
    else:
        assert about.annotation == tuple[str, ...], f"teach this test the type of {key}"
        choices = [("too_small",), ("too_small", "monochrome")]
    valid = [choice for choice in choices if choice != about.default and is_valid(kind, key, choice)]
    return (valid * 2)[:2]


def is_valid(kind: type[Settings], key: str, value: Any) -> bool:
    try:
        layered(kind, "table", {key: value})
    except UsageError:
        return False
    return True


KNOBS = [(table, key) for table, kind in pipeline.STAGE_SETTINGS.items() for key in kind.model_fields]


@pytest.mark.parametrize(("table", "key"), KNOBS)
def test_default_loses_to_file_and_file_to_flag(table: str, key: str) -> None:
    kind = pipeline.STAGE_SETTINGS[table]
    default, (one, other) = kind.model_fields[key].default, values(kind, key)
    cases = [({}, {}, default), ({key: one}, {}, one), ({}, {key: one}, one), ({key: one}, {key: other}, other),
             ({key: one}, {key: None}, one), ({key: one}, {key: default}, default)]  # fmt: skip
    for file, flags, expected in cases:
        wishes = pipeline.Wishes(file={table: file}, flags={table: flags})
        found = wishes.settings(table)
        assert getattr(found, key) == expected
        assert found.model_copy(update={key: default}) == kind()  # and no other knob has moved


@pytest.mark.parametrize(("table", "key"), KNOBS)
def test_beyond_a_limit_names_table_key_and_limit(table: str, key: str) -> None:
    kind = pipeline.STAGE_SETTINGS[table]
    step = {Ge: -1, Gt: 0, Le: 1, Lt: 0}
    for limit, bound in limits(kind, key).items():
        with pytest.raises(UsageError) as caught:
            layered(kind, table, {key: bound + step[limit]})
        assert f"[{table}] {key} = " in str(caught.value) and f"{bound:g}" in str(caught.value)


@pytest.mark.parametrize(("table", "key"), KNOBS)
def test_a_value_of_another_type_names_table_and_key(table: str, key: str) -> None:
    kind = pipeline.STAGE_SETTINGS[table]
    for wrong in ("no such value", 1.5, True, ["a", 7], {"a": 1}):
        expected = kind.model_fields[key].annotation
        fits = {str: str, float: float, bool: bool}.get(expected)  # type: ignore[call-overload]
        if fits is None or not isinstance(wrong, fits):
            with pytest.raises(UsageError, match=rf"\[{table}\] {key}"):
                layered(kind, table, {key: wrong})


@pytest.mark.parametrize(("table", "key"), [knob for knob in KNOBS if len(knob[1]) > 4])
def test_a_slip_of_the_pen_is_answered_with_the_right_key(table: str, key: str) -> None:
    slip = key[:2] + key[3:]
    with pytest.raises(UsageError) as caught:
        layered(pipeline.STAGE_SETTINGS[table], table, {slip: 1})
    assert str(caught.value) == f"[{table}] unknown key {slip!r}; did you mean {key!r}?"


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        layered(pipeline.STAGE_SETTINGS["train"], "train", {"steps": 0, "batch": "many", "zzz": 1})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and any("zzz" in line and "known: " in line for line in lines)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(("table", "key"), [("train", "learning_rate"), ("colorize", "saturation")])
def test_a_number_with_limits_is_a_number(table: str, key: str, value: str) -> None:
    with pytest.raises(UsageError, match=key):
        layered(pipeline.STAGE_SETTINGS[table], table, {key: float(value)})


def test_a_date_is_no_value(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[train]\nsteps = 1979-05-27\n")
    with pytest.raises(UsageError, match=r"\[train\]"):
        layered(pipeline.STAGE_SETTINGS["train"], "train", read_toml(tmp_path / "x.toml")["train"])


def test_settings_dont_change() -> None:
    knobs = pipeline.STAGE_SETTINGS["shard"]()
    with pytest.raises(ValueError, match="frozen"):
        knobs.size = 64  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("said", "parsed"),
    [
        (["cartoon.median=5"], {"cartoon": {"median": 5}}),
        (["cartoon.median = 5", "cartoon.x=1.5", "y.z=true"], {"cartoon": {"median": 5, "x": 1.5}, "y": {"z": True}}),
        (["a.b=word"], {"a": {"b": "word"}}),
        (["a.b='5'"], {"a": {"b": "5"}}),
        (["a.b=[1, 2]"], {"a": {"b": [1, 2]}}),
        (["a.b=x=y"], {"a": {"b": "x=y"}}),
        (["a.b="], {"a": {"b": ""}}),
        (["a.b=1", "a.b=2"], {"a": {"b": 2}}),
        ([], {}),
    ],
)
def test_assignments_are_toml_values_or_text(said: list[str], parsed: dict[str, Any]) -> None:
    assert parse_assignments(said) == parsed


@pytest.mark.parametrize("said", ["median=5", "cartoon.median", ".median=5", "cartoon.=5", "", "="])
def test_an_assignment_of_another_form_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="CRAFT.KNOB=VALUE"):
        parse_assignments([said])


@pytest.mark.parametrize("content", [None, b"[train\n", b"a = \xff\n", b"a = 1\na = 2\n"])
def test_a_settings_file_that_is_none_is_refused_by_name(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "gravurekit.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"gravurekit\.toml"):
        read_toml(path)


def test_an_unknown_table_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[stylise]\nshort_side = 64\n")
    with pytest.raises(UsageError, match=r"\[stylise\]; did you mean 'stylize'"):
        pipeline.read_wishes(tmp_path / "x.toml")


def test_the_nearest_word_is_meant_and_without_one_all_are_known() -> None:
    assert did_you_mean("shart", ["shard", "train"]) == "; did you mean 'shard'?"
    assert did_you_mean("zz", ["shard", "crawl"]) == "; known: crawl, shard"
    assert did_you_mean("zz", []) == "; known: none"


def test_a_digest_is_of_what_is_said_and_not_of_its_order() -> None:
    assert digest({"a": 1, "b": ["ı"]}) == digest({"b": ["ı"], "a": 1}) != digest({"a": 1, "b": ["i"]})
