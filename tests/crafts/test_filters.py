"""Filters that look at one picture: what lies just inside each limit stays, just outside goes with a figure."""

from collections.abc import Callable
from typing import Any

import pytest

from gravurekit import crafts
from gravurekit.errors import UsageError
from gravurekit.filters import Drop
from gravurekit.probe import Probe

LIMITS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    (
        "too_small",
        {},
        {"width": 200, "height": 900},
        {"width": 199, "height": 900},
        "199 × 900, shorter side below 200",
    ),
    (
        "too_small",
        {},
        {"width": 900, "height": 200},
        {"width": 900, "height": 199},
        "900 × 199, shorter side below 200",
    ),
    ("too_small", {"min_side": 1}, {"width": 1, "height": 1}, {}, ""),
    (
        "extreme_aspect",
        {},
        {"width": 600, "height": 200},
        {"width": 602, "height": 200},
        "602 × 200 is 1 : 3.0, above 3",
    ),
    (
        "extreme_aspect",
        {},
        {"width": 200, "height": 600},
        {"width": 200, "height": 601},
        "200 × 601 is 1 : 3.0, above 3",
    ),
    (
        "extreme_aspect",
        {"max_aspect": 1.25},
        {"width": 4, "height": 5},
        {"width": 4, "height": 6},
        "1 : 1.5, above 1.25",
    ),
    ("monochrome", {}, {"chroma_residual": 2.5}, {"chroma_residual": 2.49}, "chroma residual 2.49, below 2.5"),
    ("monochrome", {"min_residual": 0}, {"chroma_residual": 0.0}, {}, ""),
]


@pytest.fixture(scope="module")
def fine(draw: Callable, probe_of: Callable) -> Probe:
    """A picture that every filter keeps."""
    return probe_of("0" * 16, draw(1))


@pytest.mark.parametrize(("name", "knobs", "inside", "outside", "detail"), LIMITS)
def test_a_limit_is_where_it_says(
    name: str, knobs: dict, inside: dict, outside: dict, detail: str, fine: Probe
) -> None:
    craft = crafts.load("filters", name)
    settings = crafts.settings_of("filters", "filter", name, {name: knobs})
    probes = [fine, fine.model_copy(update={"key": "in"} | inside)]
    if outside:
        probes.append(fine.model_copy(update={"key": "out"} | outside))
    found = list(craft.drops(probes, settings))
    assert [drop.key for drop in found] == (["out"] if outside else [])
    assert all(detail in drop.detail and not drop.kept_key for drop in found)


@pytest.mark.parametrize("name", crafts.names("filters"))
def test_every_filter_keeps_its_promises(name: str, fine: Probe) -> None:
    craft = crafts.load("filters", name)
    settings = crafts.settings_of("filters", "filter", name, {})
    assert set(craft.SUBJECTS) <= {"photos", "prints"} and craft.SUBJECTS and isinstance(craft.COMPARES, bool)
    assert craft.__doc__ and craft.drops.__doc__
    assert all(about.description for about in craft.Settings.model_fields.values())
    assert list(craft.drops([], settings)) == list(craft.drops([fine], settings)) == []
    assert all(isinstance(drop, Drop) for drop in craft.drops([fine, fine.model_copy(update={"key": "b"})], settings))


@pytest.mark.parametrize("name", crafts.names("filters"))
def test_a_filter_refuses_a_knob_that_it_hasnt(name: str) -> None:
    with pytest.raises(UsageError, match=rf"\[filter\.{name}\] unknown key 'zzz'"):
        crafts.settings_of("filters", "filter", name, {name: {"zzz": 1}})


@pytest.mark.parametrize(
    ("room", "name", "meant"),
    [
        ("filters", "to_small", "too_small"), ("styles", "cartoons", "cartoon"), ("sources", "bink", "bing"),
        ("sources", "_bing", "bing"),
    ],
)  # fmt: skip
def test_a_craft_that_isnt_there_is_answered_with_the_nearest(room: str, name: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"{name}.*did you mean '{meant}'"):
        crafts.load(room, name)
    with pytest.raises(UsageError, match=f"{name}.*did you mean '{meant}'"):
        crafts.check_tables(room, "stage", {name: {}})


def test_prints_may_be_grey() -> None:
    assert crafts.load("filters", "monochrome").SUBJECTS == {"photos"}
