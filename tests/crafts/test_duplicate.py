"""Copies go, look-alikes stay."""

from collections.abc import Callable
from itertools import permutations

import cv2
import numpy as np
import pytest

from gravurekit import images
from gravurekit.filters import duplicate
from gravurekit.probe import Probe

Draw = Callable[..., np.ndarray]
ProbeOf = Callable[..., Probe]
KNOBS = duplicate.Settings()


def dropped(probes: list[Probe], settings: duplicate.Settings = KNOBS) -> dict[str, str]:
    """What goes, and for which picture."""
    found = list(duplicate.drops(probes, settings))
    assert len({drop.key for drop in found}) == len(found) and all(drop.detail for drop in found)
    return {drop.key: drop.kept_key for drop in found}


def jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: images.decode(images.encode_jpeg(pixels, quality, 2)).pixels


def scale(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: images.resize(pixels, round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))


def gamma(power: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.rint(255 * (pixels / 255) ** power).astype(np.uint8)


def border(share: float, shade: int) -> Callable[[np.ndarray], np.ndarray]:
    def framed(pixels: np.ndarray) -> np.ndarray:
        wide = round(share * pixels.shape[1])
        return cv2.copyMakeBorder(pixels, wide, wide, wide, wide, cv2.BORDER_CONSTANT, value=(shade,) * 3)

    return framed


def grey(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


EDITS = {
    "the same": lambda pixels: pixels.copy(),
    **{f"jpeg {quality}": jpeg(quality) for quality in (10, 30, 60, 90)},
    **{f"scale {factor}": scale(factor) for factor in (0.3, 0.5, 0.77, 1.5, 2.0)},
    **{f"gamma {power}": gamma(power) for power in (0.7, 0.85, 1.2, 1.5)},
    **{f"border {share} of {shade}": border(share, shade) for share in (0.05, 0.2) for shade in (0, 255)},
    "grey": grey,
    "grey, small, jpeg": lambda pixels: jpeg(40)(scale(0.4)(grey(pixels))),
    "darker": lambda pixels: (pixels * 0.8).astype(np.uint8),
    "blurred": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 1.5),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_is_a_copy(edit: str, draw: Draw, probe_of: ProbeOf) -> None:
    for seed in range(4):
        original, copy = draw(seed), EDITS[edit](draw(seed))
        assert len(dropped([probe_of("a", original), probe_of("b", copy)])) == 1, seed


def recoloured(pixels: np.ndarray) -> np.ndarray:
    """The same lightness, other colours: what a grey hash can't tell apart."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 1:] = 255 - lab[..., 1:]
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def test_the_same_dress_in_another_colour_is_another_picture(draw: Draw, probe_of: ProbeOf) -> None:
    for seed in range(6):
        assert not dropped([probe_of("a", draw(seed)), probe_of("b", recoloured(draw(seed)))]), seed


def test_different_pictures_all_stay(draw: Draw, probe_of: ProbeOf) -> None:
    assert not dropped([probe_of(f"{seed:02d}", draw(seed)) for seed in range(60)])


def test_flat_pictures_make_no_cluster(probe_of: ProbeOf) -> None:
    rng = np.random.default_rng(7)
    flat = []
    for n in range(40):
        shade = rng.integers(0, 255, 3)
        noise = rng.normal(0, 1.5, (220, 220, 3))
        flat.append(probe_of(f"{n:02d}", np.clip(shade + noise, 0, 255).astype(np.uint8)))
    assert not dropped(flat)


def test_white_pages_with_different_small_figures_stay(draw: Draw, probe_of: ProbeOf) -> None:
    pages = []
    for n in range(12):
        page = np.full((400, 400, 3), 255, np.uint8)
        page[140:260, 150:246] = draw(n, 120, 96)
        pages.append(probe_of(f"{n:02d}", page))
    assert not dropped(pages)


def test_of_a_cluster_the_best_is_kept(draw: Draw, probe_of: ProbeOf) -> None:
    pixels = draw(2)
    large, small = scale(1.5)(pixels), scale(0.5)(pixels)
    # colour before grey, then pixels, then bytes, then the lowest key
    ranks = [
        (("a", grey(large), 900), ("b", small, 100)),
        (("a", small, 900), ("b", large, 100)),
        (("a", pixels, 100), ("b", jpeg(90)(pixels), 101)),
        (("b", pixels, 100), ("a", jpeg(90)(pixels), 100)),
    ]
    for worse, better in ranks:
        for order in permutations((worse, better)):
            probes = [probe_of(*picture) for picture in order]
            assert dropped(probes) == {worse[0]: better[0]}


def test_the_same_pixels_are_copies_however_flat(probe_of: ProbeOf) -> None:
    flat = np.full((220, 220, 3), 90, np.uint8)
    probes = [probe_of(key, flat, size) for key, size in (("a", 1), ("b", 3), ("c", 2))]
    assert dropped(probes) == {"a": "b", "c": "b"}


def bits(*positions: int) -> str:
    return f"{sum(1 << n for n in positions):064x}"


@pytest.fixture
def made(draw: Draw, probe_of: ProbeOf) -> Callable[..., Probe]:
    """`made(key, rank, hash, seed)`: a probe with a hash of our choice and a frame like no other seed's."""

    def probe(key: str, rank: int, hexadecimal: str, seed: int) -> Probe:
        changes = {"bytes": 1000 - rank, "phash_whole": hexadecimal, "phash_trimmed": hexadecimal, "ab": first.ab}
        return probe_of(key, draw(seed)).model_copy(update=changes)

    first = probe_of("first", draw(0))
    return probe


def test_a_copy_of_a_copy_isnt_chained_to_the_first(made: Callable[..., Probe]) -> None:
    chain = [made(f"{n}", n, bits(*range(30 * n)), n) for n in range(5)]
    # 1 goes for 0; 2 is too far from 0, so it leads; 3 goes for 2; 4 leads
    assert dropped(chain) == {"1": "0", "3": "2"}


@pytest.mark.parametrize(
    ("distance", "alike", "goes"),
    [(0, False, True), (32, False, True), (33, False, False), (33, True, True), (64, True, True), (65, True, False)],
)
def test_the_distances_are_where_they_say(distance: int, alike: bool, goes: bool, made: Callable[..., Probe]) -> None:
    one = made("a", 0, bits(), 1)
    other = made("b", 1, bits(*range(distance)), 1 if alike else 2).model_copy(update={"pixels_sha256": "other"})
    assert dropped([one, other]) == ({"b": "a"} if goes else {})


def test_the_verdict_doesnt_depend_on_the_order_of_arrival(draw: Draw, probe_of: ProbeOf) -> None:
    edits = [jpeg(50), scale(0.6), border(0.1, 255)]
    probes = [probe_of(f"{seed}{n}", edit(draw(seed))) for seed in range(3) for n, edit in enumerate(edits)]
    first = dropped(probes)
    assert len(first) == 6
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(probes))
        assert dropped([probes[n] for n in order]) == first
