"""Palettes and the statistics of the manifest, against counts by other means."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import sample

from gravurekit.shards import palette
from gravurekit.shards.tally import Tally

PALETTES = st.dictionaries(
    st.tuples(st.integers(0, palette.SIDE - 1), st.integers(0, palette.SIDE - 1)), st.integers(1, 10**12), max_size=30
)


def brute(wash: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    y0, x0, y1, x1 = box
    edges = (np.arange(palette.SIDE + 1) - palette.EDGE - 0.5) * palette.STEP
    a, b = wash[1:, y0:y1, x0:x1].astype(float) - 128
    # the middle between two cells goes to the even one, as numpy rounds
    a, b = (np.rint(values / palette.STEP) * palette.STEP for values in (a, b))
    return np.histogram2d(a.ravel(), b.ravel(), bins=(edges, edges))[0].astype(int)


@pytest.mark.parametrize("seed", range(8))
def test_a_palette_counts_what_lies_in_the_box(seed: int) -> None:
    item = sample(seed, 16, 32)
    found = palette.counted(item.planes["wash"], item.box)
    assert np.array_equal(found, brute(item.planes["wash"], item.box))
    y0, x0, y1, x1 = item.box
    assert found.sum() == (y1 - y0) * (x1 - x0)


def test_grey_lies_in_the_middle_and_no_value_is_lost() -> None:
    grey = np.full((3, 4, 4), 128, np.uint8)
    assert palette.to_text(palette.counted(grey, (0, 0, 4, 4))) == "0,0:16"
    ends = np.array([[[0, 255]], [[0, 255]], [[255, 0]]], np.uint8)
    assert palette.to_text(palette.counted(ends, (0, 0, 1, 2))) == "-130,130:1 130,-130:1"


@given(PALETTES)
@settings(max_examples=60, derandomize=True)
def test_a_palette_comes_back_from_text(cells: dict[tuple[int, int], int]) -> None:
    whole = np.zeros((palette.SIDE, palette.SIDE), np.int64)
    for place, count in cells.items():
        whole[place] = count
    assert np.array_equal(palette.from_text(palette.to_text(whole)), whole)


@pytest.mark.parametrize("text", ["1", "0,0", "0,0:x", "140,0:1", "0,-140:1", "0:1", "a,b:1"])
def test_what_is_no_palette_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        palette.from_text(text)


NAMES = [(["coat"], ["red coat", "coat"]), (["dress", "coat"], ["dress"]), ([], []), (["dress"], ["red coat"])]


def tally(seeds: list[int]) -> Tally:
    sums = Tally()
    assert len(list(sums.watching([sample(n) for n in seeds], [NAMES[n % 4] for n in seeds]))) == len(seeds)
    return sums


@given(st.lists(st.integers(0, 3), min_size=12, max_size=12), st.randoms())
@settings(max_examples=30, derandomize=True, deadline=None)
def test_sums_are_the_same_however_samples_are_spread(homes: list[int], chance: object) -> None:
    """Over files, in any order of these, and through JSON."""
    shares = [[n for n in range(12) if homes[n] == home] for home in range(4)]
    chance.shuffle(shares)
    merged = Tally()
    for share in shares:
        merged.merge(Tally.from_json(json.loads(json.dumps(tally(share).to_json()))))
    assert merged.told() == tally(list(range(12))).told()


def test_statistics_are_those_of_numpy() -> None:
    items = [sample(n, 16, 16) for n in range(9)]
    sums = Tally()
    list(sums.watching(items, [NAMES[n % 4] for n in range(9)]))
    inside = [item.planes["wash"][1:, item.box[0] : item.box[2], item.box[1] : item.box[3]] for item in items]
    ab = np.concatenate([part.reshape(2, -1) for part in inside], axis=1).astype(float) - 128
    told = sums.told()
    assert told["ab"]["mean"] == pytest.approx(ab.mean(1), abs=1e-4)
    assert told["ab"]["std"] == pytest.approx(ab.std(1), abs=1e-4)
    assert told["ab"]["pixels"] == ab.shape[1]
    assert told["L_mean"] == pytest.approx(np.mean([item.planes["L"] for item in items]) / 255, abs=1e-6)
    palettes = [palette.counted(item.planes["wash"], item.box) for item in items]
    assert np.array_equal(palette.from_text(told["ab_histogram"]), sum(palettes))
    coats = [n for n in range(9) if "coat" in NAMES[n % 4][0]]
    assert told["palettes"]["labels"]["coat"] == {
        "samples": len(coats), "ab": palette.to_text(sum(palettes[n] for n in coats)),
    }  # fmt: skip
    assert set(told["palettes"]["keywords"]) == {"coat", "dress", "red coat"}
