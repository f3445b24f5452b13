"""Filters that look at one picture: what lies just inside each limit stays, just outside goes with a figure. And
placeholders, which are known by the company they keep."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gravurekit import crafts
from gravurekit.errors import UsageError
from gravurekit.filters import Drop
from gravurekit.probe import Probes
from gravurekit.sample import oddments

Together = Callable[..., Probes]

FLAT = {"flat": 0.7, "vivid": 0.0, "ruled": 0.0}
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
    (
        "monochrome",
        {"min_residual": 2.5},
        {"chroma_residual": 2.5},
        {"chroma_residual": 2.49},
        "chroma residual 2.49, below 2.5",
    ),
    ("monochrome", {"min_residual": 0}, {"chroma_residual": 0.0}, {}, ""),
    ("too_dark", {}, {"dark": 0.32}, {"dark": 0.31}, "99 % are darker than 0.31, below 0.32"),
    ("too_dark", {"min_brightness": 0}, {"dark": 0.0}, {}, ""),
    ("too_light", {}, {"light": 0.95}, {"light": 0.96}, "95 % are lighter than 0.96, above 0.95"),
    ("too_light", {"max_brightness": 1}, {"light": 1.0}, {}, ""),
    ("low_entropy", {}, {"entropy": 1.5}, {"entropy": 1.49}, "grey levels hold 1.49 bits, below 1.5"),
    ("low_entropy", {"min_entropy": 0}, {"entropy": 0.0}, {}, ""),
    ("blank", {}, {"spread": 5.0}, {"spread": 4.94}, "grey spread 4.9, below 5"),
    ("blank", {}, {"drawn": 0.05}, {"drawn": 0.049}, "drawn on 4.9 % of the frame, below 5 %"),
    ("blank", {"min_spread": 0, "min_drawn": 0}, {"spread": 0.0, "drawn": 0.0}, {}, ""),
    ("blurred", {}, {"sharpness": 0.0}, {}, ""),
    ("blurred", {"min_sharpness": 4}, {"sharpness": 4.0}, {"sharpness": 3.9}, "sharpness 3.9, below 4"),
    ("graphic", {}, {"text": 0.39}, {"text": 0.41}, "41 % lines of writing, at least 40 %"),
    ("graphic", {}, FLAT | {"vivid": 0.19}, FLAT | {"vivid": 0.21}, "70 % perfectly flat, at least 60 %"),
    ("graphic", {}, FLAT | {"ruled": 0.19}, FLAT | {"ruled": 0.21}, "70 % perfectly flat, at least 60 %"),
    (
        "graphic",
        {},
        {"flat": 0.59, "vivid": 1.0, "ruled": 1.0},
        {"flat": 0.61, "vivid": 1.0, "ruled": 1.0},
        "61 % perfectly flat, at least 60 %",
    ),
    # a placeholder: found on so many hosts, and drawn on so small a part, written, or flat
    (
        "placeholder",
        {},
        {"drawn": 0.2, "hosts": 2},
        {"drawn": 0.2, "hosts": 3},
        "a graphic found on 3 hosts, at least 3",
    ),
    ("placeholder", {}, {"drawn": 0.3, "hosts": 9}, {"drawn": 0.29, "hosts": 9}, "a graphic found on 9 hosts"),
    ("placeholder", {}, {"text": 0.29, "hosts": 3}, {"text": 0.31, "hosts": 3}, "a graphic found on 3 hosts"),
    ("placeholder", {}, FLAT | {"hosts": 3}, FLAT | {"hosts": 3, "vivid": 0.5}, "a graphic found on 3 hosts"),
    ("placeholder", {"min_hosts": 5}, {"drawn": 0.2, "hosts": 4}, {"drawn": 0.2, "hosts": 5}, "5 hosts, at least 5"),
]
NAMES = [name for name in crafts.names("filters") if not crafts.load("filters", name).COMPARES]


def but(probes: Probes, key: str, values: dict[str, Any]) -> Probes:
    """A picture with another key and other figures; `hosts`: that many sent its bytes."""
    figures = probes.figures.copy()
    for name in values.keys() - {"hosts"}:
        figures[name] = values[name]
    hosts = {key: frozenset(f"host{n}.example" for n in range(values.get("hosts", 0)))}
    figures["codes"] += np.uint64(len(key))  # so that no two are the same to `placeholder`
    return replace(probes, records=[probes.records[0].but(key=key)], figures=figures, hosts=hosts)


def of_many(together: Together, *probes: Probes) -> Probes:
    return replace(together(*probes), hosts={key: some for one in probes for key, some in one.hosts.items()})


def dropped(name: str, probes: Probes, **knobs: Any) -> list[Drop]:
    settings = crafts.settings_of("filters", "filter", name, {name: knobs})
    return list(crafts.load("filters", name).drops(probes, settings))


@pytest.fixture(scope="module")
def fine(draw: Callable, probe_of: Callable) -> Probes:
    """A picture that every filter keeps."""
    return probe_of("0" * 16, draw(1))


@pytest.mark.parametrize(("name", "knobs", "inside", "outside", "detail"), LIMITS)
def test_a_limit_is_where_it_says(
    name: str, knobs: dict, inside: dict, outside: dict, detail: str, fine: Probes, together: Together
) -> None:
    probes = [fine, but(fine, "in", inside)]
    if outside:
        probes.append(but(fine, "out", outside))
    found = dropped(name, of_many(together, *probes), **knobs)
    assert [drop.key for drop in found] == (["out"] if outside else [])
    assert all(detail in drop.detail and not drop.kept_key for drop in found)


@pytest.mark.parametrize("name", crafts.names("filters"))
def test_every_filter_keeps_its_promises(name: str) -> None:
    craft = crafts.load("filters", name)
    assert set(craft.SUBJECTS) <= {"photos", "prints"} and craft.SUBJECTS and isinstance(craft.COMPARES, bool)
    assert craft.__doc__ and craft.drops.__doc__
    assert all(about.description.endswith(".") for about in craft.Settings.model_fields.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_takes_none_one_or_many(name: str, fine: Probes, together: Together) -> None:
    assert dropped(name, together()) == dropped(name, fine) == []
    assert dropped(name, together(fine, but(fine, "b", {}))) == []


def test_a_million_pictures_take_no_time(fine: Probes) -> None:
    """All filters together; nothing is dropped."""
    count = 1_000_000
    many = replace(fine, records=list(fine.records) * count, figures=np.repeat(fine.figures, count))
    began = time.perf_counter()
    assert not any(dropped(name, many) for name in NAMES)
    assert time.perf_counter() - began < 5


def urls(probe_of: Callable, together: Together, pixels: np.ndarray, *addresses: str) -> Probes:
    """One picture, found at several addresses."""
    return together(*(probe_of(f"{n:016}", pixels, url=url) for n, url in enumerate(addresses)))


THREE = ("https://a.example/x.png", "http://b.example/y.png", "https://c.example:8080/z.png")
CARD = oddments.draw_placeholder(300)


def test_a_graphic_on_three_hosts_goes_altogether(probe_of: Callable, together: Together, fine: Probes) -> None:
    found = dropped("placeholder", together(fine, urls(probe_of, together, CARD, *THREE, THREE[0])))
    assert [drop.key for drop in found] == [f"{n:016}" for n in range(4)]
    assert {drop.detail for drop in found} == {"a graphic found on 3 hosts, at least 3"}
    assert not any(drop.kept_key for drop in found)


@pytest.mark.parametrize(
    "addresses",
    [
        THREE[:2],
        (*THREE[:2], "https://www.a.example/w.png", "http://a.example:81/v.png"),  # hosts by another name
        (*THREE[:2], "folder:c/z.png", "", "http://[broken/z.png"),  # of no host
    ],
)
def test_a_graphic_on_two_hosts_stays(addresses: tuple[str, ...], probe_of: Callable, together: Together) -> None:
    assert dropped("placeholder", urls(probe_of, together, CARD, *addresses)) == []


def test_a_photograph_on_many_hosts_stays(draw: Callable, probe_of: Callable, together: Together) -> None:
    assert dropped("placeholder", urls(probe_of, together, draw(3), *THREE)) == []


def test_flat_pictures_are_the_same_by_pixels_only(probe_of: Callable, together: Together) -> None:
    """The codes of these are equal, and say nothing."""
    grounds = [np.full((300, 300, 3), tone, np.uint8) for tone in (250, 251, 252)]
    other = together(*(probe_of(f"{n}", p, url=u) for n, (p, u) in enumerate(zip(grounds, THREE, strict=True))))
    assert len({row.tobytes() for row in other.figures["codes"]}) == 1
    assert dropped("placeholder", other) == []
    assert len(dropped("placeholder", urls(probe_of, together, grounds[0], *THREE))) == 3


def test_hosts_of_the_record_count_as_well(probe_of: Callable, together: Together) -> None:
    card = probe_of("c", CARD, url=THREE[0])
    assert dropped("placeholder", card) == []
    hosts = {"c": frozenset({"b.example", "www.c.example"})}
    assert [drop.key for drop in dropped("placeholder", replace(card, hosts=hosts))] == ["c"]


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
