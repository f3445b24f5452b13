"""Copies go, look-alikes stay; and of copies the best one stays."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from copies import GREY, Opening, found, kept, unproven

from gravurekit import edits, images
from gravurekit.filters import Compare
from gravurekit.probe import FIGURES, Probes
from gravurekit.record import Record

Draw = Callable[..., np.ndarray]
ProbeOf = Callable[..., Probes]
Together = Callable[..., Probes]


# ---- copies go -------------------------------------------------------------------------------------------

SEEDS = range(3)


@pytest.mark.parametrize("name", edits.EDITS)
def test_an_edited_copy_is_a_copy(name: str, scene: Draw, judged: Callable) -> None:
    missed = []
    for seed in SEEDS:
        original = scene(seed)
        goes, _ = judged(name in edits.THOROUGH, a=original, b=edits.edited(original, name, str(seed)))
        missed += [seed] * (len(goes) != 1)
    assert not missed


def test_a_mirror_image_is_only_looked_for_if_one_is_thorough(scene: Draw, judged: Callable) -> None:
    for seed in SEEDS:
        goes, opening = judged(a=scene(seed), b=edits.edited(scene(seed), "mirror", "x"))
        assert not goes and not opening.asked


OTHER_EDITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the same": lambda pixels: pixels.copy(),
    "darker": lambda pixels: (pixels * 0.8).astype(np.uint8),
    "a wide border": lambda pixels: cv2.copyMakeBorder(pixels, *[60] * 4, cv2.BORDER_CONSTANT, value=(255,) * 3),
    "a page": lambda pixels: cv2.copyMakeBorder(pixels, 20, 300, 10, 120, cv2.BORDER_CONSTANT, value=(0,) * 3),
    "grey, small, jpeg": lambda pixels: (
        images.decode(images.encode_jpeg(images.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), 96, 120), 40)).pixels
    ),
}


@pytest.mark.parametrize("name", OTHER_EDITS)
def test_other_edits_too(name: str, draw: Draw, judged: Callable) -> None:
    for seed in SEEDS:
        goes, opening = judged(a=draw(seed), b=OTHER_EDITS[name](draw(seed)))
        assert len(goes) == 1 and not opening.asked, seed


def test_two_copies_on_different_pages_are_copies(draw: Draw, judged: Callable) -> None:
    pixels = draw(4)
    pages = [
        cv2.copyMakeBorder(pixels, *sides, cv2.BORDER_CONSTANT, value=(shade,) * 3)
        for sides, shade in (((10, 200, 40, 0), 255), ((150, 0, 100, 100), 0))
    ]
    assert len(judged(a=pages[0], b=pages[1])[0]) == 1


# ---- look-alikes stay ------------------------------------------------------------------------------------


def recoloured(pixels: np.ndarray) -> np.ndarray:
    """The same lightness, other colours: what a grey hash can't tell apart."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 1:] = 255 - lab[..., 1:]
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def test_the_same_dress_in_another_colour_is_another_picture(scene: Draw, judged: Callable) -> None:
    for seed in SEEDS:
        for thorough in (False, True):
            assert not judged(thorough, a=scene(seed), b=recoloured(scene(seed)))[0], (seed, thorough)


def test_the_opening_sees_other_colours_too(scene: Draw, probe_of: ProbeOf, together: Together) -> None:
    """Of a detail whose mean colours are alike: what thumbs let through, pictures don't."""
    original = scene(1)
    captioned = edits.edited(original, "caption bar 10%", "1")
    for copy, goes in ((captioned, 1), (recoloured(captioned), 0)):
        opening = Opening(a=original, b=copy)
        probes = together(probe_of("a", original), probe_of("b", copy))
        probes.thumbs["ab"] = 128
        assert len(kept(probes, Compare(opening.proofs))) == goes and opening.asked


def test_a_grey_copy_of_one_colour_has_no_colours_to_differ(scene: Draw, judged: Callable) -> None:
    original = scene(2)
    grey = edits.edited(recoloured(original), "grey", "")
    assert judged(a=original, b=grey)[0] == {"b": "a"}


@pytest.mark.parametrize("thorough", [False, True])
def test_different_pictures_all_stay(thorough: bool, draw: Draw, scene: Draw, judged: Callable) -> None:
    for kind in (draw, scene):
        assert not judged(thorough, **{f"{seed:02d}": kind(seed) for seed in range(60)})[0]


@pytest.mark.parametrize("thorough", [False, True])
def test_flat_pictures_make_no_cluster(thorough: bool, judged: Callable) -> None:
    rng = np.random.default_rng(7)
    flat = {}
    for n in range(40):
        shade = rng.integers(0, 255, 3)
        flat[f"{n:02d}"] = np.clip(shade + rng.normal(0, 1.5, (220, 220, 3)), 0, 255).astype(np.uint8)
    assert not judged(thorough, **flat)[0]


@pytest.mark.parametrize("thorough", [False, True])
def test_white_pages_with_different_small_figures_stay(thorough: bool, draw: Draw, judged: Callable) -> None:
    pages = {}
    for n in range(12):
        page = np.full((400, 400, 3), 255, np.uint8)
        page[140:260, 150:246] = draw(n, 120, 96)
        pages[f"{n:02d}"] = page
    assert not judged(thorough, **pages)[0]


# ---- of copies the best stays ----------------------------------------------------------------------------

PLAIN = {"chroma_residual": 20.0, "frame": (0, 0, 100, 100), "width": 100, "height": 100, "bytes": 1000, "rank": 3}
POOR = {"chroma_residual": GREY, "frame": (0, 0, 50, 50), "width": 50, "height": 50, "bytes": 10, "rank": 0}
# fmt: off
RULES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [  # why, what the better one has, what the worse one has
    ("earlier", {"key": "z", "earlier": True} | POOR, {"key": "a", "bytes": 9000, "rank": 1}),
    ("colour", {"key": "z", "frame": (0, 0, 50, 50), "bytes": 10, "rank": 0}, {"key": "a", "chroma_residual": GREY}),
    ("pixels", {"key": "z", "bytes": 10, "rank": 0}, {"key": "a", "frame": (0, 0, 100, 99), "bytes": 9000, "rank": 1}),
    (
        "without margin",
        {"key": "z"},
        {"key": "a", "width": 900, "height": 900, "frame": (9, 9, 90, 90), "bytes": 10**6},
    ),
    ("bits", {"key": "z", "bytes": 1001, "rank": 0}, {"key": "a", "bytes": 1000, "rank": 1}),
    ("bits a pixel", {"key": "z", "rank": 0}, {"key": "a", "width": 200, "height": 200, "bytes": 3000, "rank": 1}),
    ("rank", {"key": "z", "rank": 1}, {"key": "a", "rank": 2}),
    ("found by a search", {"key": "z", "rank": 900}, {"key": "a", "rank": 0}),
    ("key", {"key": "a"}, {"key": "b"}),
]
# fmt: on


@pytest.fixture(scope="module")
def copies(draw: Draw, probe_of: ProbeOf) -> Callable[..., Probes]:
    """`copies({"key": …, "bytes": …}, …)`: Probes of one picture with figures of our choice; those that are `earlier`
    must come first."""
    first = probe_of("first", draw(2))

    def made(*rows: dict[str, Any]) -> Probes:
        figures = np.repeat(first.figures, len(rows))
        records = []
        for n, row in enumerate(rows):
            figures["pixels_sha256"][n] = figures["sha256"][n] = n
            known = PLAIN | row
            for name in known.keys() & set(FIGURES.names):
                figures[name][n] = known[name]
            records.append(Record(key=known["key"], rank=known["rank"]))
        earlier = sum(row.get("earlier", False) for row in rows)
        return Probes(records, figures, first.thumbs, np.zeros(len(rows), np.int64), earlier=earlier)

    return made


@pytest.mark.parametrize(("why", "better", "worse"), RULES)
def test_of_a_cluster_the_best_is_kept(
    why: str, better: dict[str, Any], worse: dict[str, Any], copies: Callable[..., Probes]
) -> None:
    expected = {worse["key"]: better["key"]}
    assert kept(copies(better, worse)) == expected
    assert better.get("earlier") or kept(copies(worse, better)) == expected
    # the same rule among pictures with the same pixels
    same = copies(better, worse)
    same.figures["pixels_sha256"] = 7
    assert kept(same) == expected


def test_the_verdict_doesnt_depend_on_the_order_of_arrival(draw: Draw, probe_of: ProbeOf, together: Together) -> None:
    names = ("jpeg 50", "scale 0.5", "border 10% white", "grey", "blur 1")
    probes = together(*(
        probe_of(f"{seed}{n}", edits.edited(draw(seed), name, "x")) for seed in range(3) for n, name in enumerate(names)
    ))  # fmt: skip
    first = kept(probes)
    assert len(first) == 12 and len(set(first.values())) == 3
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(probes))
        assert kept(probes.take(order)) == first


def test_details_tell_the_same_bytes_from_the_same_pixels(draw: Draw, probe_of: ProbeOf, together: Together) -> None:
    pixels = draw(1)
    probes = together(*(probe_of(key, pixels, size) for key, size in (("a", 9), ("b", 9), ("c", 8))))
    probes.figures["sha256"][1] = probes.figures["sha256"][0]
    drops = found(probes)
    assert {key: (drop.detail, drop.kept_key) for key, drop in drops.items()} == {
        "b": ("the same bytes", "a"),
        "c": ("the same pixels", "a"),
    }


def test_the_same_pixels_are_copies_however_flat(probe_of: ProbeOf, together: Together) -> None:
    flat = np.full((220, 220, 3), 90, np.uint8)
    probes = together(*(probe_of(key, flat, size) for key, size in (("a", 1), ("b", 3), ("c", 2))))
    assert kept(probes) == {"a": "b", "c": "b"}


def test_what_is_named_as_kept_is_kept(draw: Draw, probe_of: ProbeOf, together: Together) -> None:
    """Also for the twin of a copy: both go for the best one."""
    small = edits.edited(draw(1), "scale 0.5", "x")
    probes = together(probe_of("a", small), probe_of("b", small), probe_of("best", draw(1)))
    assert kept(probes) == {"a": "best", "b": "best"}


def test_earlier_pictures_stay_whatever_is_like_them(draw: Draw, probe_of: ProbeOf, together: Together) -> None:
    """Twice the same pixels, a near copy, a flat one; and later copies of each, all of them better."""
    small, flat = edits.edited(draw(1), "scale 0.5", "x"), np.full((50, 50, 3), 99, np.uint8)
    earlier = [probe_of("e1", small, 9), probe_of("e2", small, 9), probe_of("e3", draw(1), 1), probe_of("e4", flat)]
    later = [probe_of("n1", edits.edited(draw(1), "scale 2", "x"), 10**6), probe_of("n2", small), probe_of("n3", flat)]
    probes = replace(together(*earlier, *later, probe_of("n4", draw(5))), earlier=4)
    goes = kept(probes)
    assert goes.keys() == {"n1", "n2", "n3"} and goes["n3"] == "e4"
    assert goes["n2"] in ("e1", "e2") and goes["n1"] in ("e1", "e2", "e3")


@pytest.mark.parametrize("count", [0, 1])
def test_few_pictures_are_no_trouble(count: int, draw: Draw, probe_of: ProbeOf, together: Together) -> None:
    assert not kept(together(*(probe_of("a", draw(1)) for _ in range(count))), Compare(unproven, thorough=True))
