"""Colours: what the figures say of who says the truth, grey, one colour, too much, too soft."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit import color
from gravurekit.measures import colours, colours_sheet
from gravurekit.measures.colours import Look, Truth, bleeding, colourfulness, gains, look, point, row

SIDE = 64


def wash(seed: int = 0) -> np.ndarray:
    """(SIDE, SIDE, 3) float32 Lab, within gamut: a ground, and two rectangles of other colours."""
    rng = np.random.default_rng(seed)
    lab = np.zeros((SIDE, SIDE, 3), np.float32) + np.array([70, 2, 8], np.float32)
    for top, left in ((8, 10), (30, 28)):
        lab[top : top + 24, left : left + 28] = [rng.uniform(50, 65), *rng.uniform(15, 32, 2) * rng.choice((-1, 1), 2)]
    return color.rgb_to_lab(color.lab_to_rgb(lab))


def said(lab: np.ndarray, truth: np.ndarray) -> Look:
    return look(lab[..., 1:], color.lab_to_rgb(lab), Truth(truth, color.lab_to_rgb(truth)))


def with_chroma(lab: np.ndarray, factor: float) -> np.ndarray:
    return lab * np.array([1, factor, factor], np.float32)


# ---- one picture ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_truth_is_no_way_off(seed: int) -> None:
    found = said(wash(seed), wash(seed))
    off = (found.delta_e, found.p95, found.seen_delta_e, found.seen_p95, found.ab_square, found.rgb_square)
    assert off == (0,) * 6
    assert found.chroma == found.true_chroma and found.colourfulness == found.true_colourfulness > 0


def test_grey_has_no_colour_and_nothing_that_bleeds() -> None:
    found = said(with_chroma(wash(), 0), wash())
    assert (found.chroma, found.colourfulness, found.grey, found.bleeding) == (0, 0, 1, None)
    assert found.delta_e > 5 and found.true_colourfulness > 10


def test_darkness_counts_as_seen_and_not_alone() -> None:
    darker = wash() - np.array([20, 0, 0], np.float32)
    found = said(darker, wash())
    assert found.delta_e == 0 and found.ab_square == 0
    assert found.seen_delta_e > 10 and found.rgb_square > 1000


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_less_chroma_is_farther_off_and_less_colourful(seed: int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    duller, nearer = (said(with_chroma(wash(seed), factor), wash(seed)) for factor in (less, more))
    assert duller.delta_e >= nearer.delta_e and duller.ab_square >= nearer.ab_square
    assert duller.chroma <= nearer.chroma and duller.grey >= nearer.grey
    assert duller.colourfulness <= nearer.colourfulness + 1  # 8 bits


def test_the_tail_is_where_the_few_wrong_places_are() -> None:
    lab = wash()
    lab[:8] += np.array([0, 40, 0], np.float32)  # an eighth of the places
    found = said(lab, wash())
    assert found.p95 > 10 > found.delta_e > 0
    lab = wash()
    lab[:2] += np.array([0, 40, 0], np.float32)  # less than a twentieth
    assert said(lab, wash()).p95 == 0


def test_colourfulness_is_what_its_authors_wrote_down() -> None:
    halves = np.zeros((2, 4, 3), np.uint8)
    halves[0], halves[1] = (255, 0, 0), (0, 0, 255)
    # red-green: 255 and 0; yellow-blue: 127.5 and −255
    assert colourfulness(halves) == pytest.approx(np.hypot(127.5, 191.25) + 0.3 * np.hypot(127.5, 63.75))
    assert colourfulness(np.full((3, 5, 3), 90, np.uint8)) == 0
    scattered = np.random.default_rng(0).permutation(halves.reshape(-1, 3)).reshape(halves.shape)
    assert colourfulness(scattered) == pytest.approx(colourfulness(halves))


def test_a_soft_wash_bleeds_more_the_softer_it_is_and_so_does_one_that_has_slipped() -> None:
    true = wash()
    sharp = bleeding(true[..., 1:], true)
    soft = [bleeding(cv2.GaussianBlur(true[..., 1:], (0, 0), sigma), true) for sigma in (1, 3, 6)]
    slipped = bleeding(np.roll(true[..., 1:], 8, axis=1), true)
    assert sharp is not None and slipped is not None and None not in soft
    assert sharp < 0.02 < soft[0] < soft[1] < soft[2] < 1  # type: ignore[operator]
    assert slipped > 0.3


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 2)])
def test_the_smallest_pictures_have_figures_too(shape: tuple[int, int]) -> None:
    lab = np.ascontiguousarray(wash()[: shape[0], : shape[1]])
    assert np.isfinite(said(with_chroma(lab, 0.5), lab).delta_e)


# ---- rows ----------------------------------------------------------------------------------------------


def a_look(**values: Any) -> Look:
    numbers = dict.fromkeys(Look.__dataclass_fields__, 1.0)
    return Look(**(numbers | values))  # type: ignore[arg-type]


def test_a_row_has_the_mean_of_the_pictures_within_its_interval() -> None:
    looks = [a_look(delta_e=float(n), colourfulness=n / 2, true_colourfulness=1.0) for n in range(10)]
    found = row("x", looks, 200, 0)
    assert found.pictures == 10 and found.delta_e is not None and found.colourfulness_ratio is not None
    assert found.delta_e.value == 4.5 and found.delta_e.low < 4.5 < found.delta_e.high
    assert found.colourfulness_ratio.value == 2.25
    assert found.colourfulness_change is not None and found.colourfulness_change.value == 1.25
    assert row("x", looks, 200, 0) == found


@given(st.floats(0.5, 100))
def test_psnr_is_of_the_peak_of_eight_bits(off: float) -> None:
    found = row("x", [a_look(ab_square=off**2, rgb_square=0.0)] * 3, 10, 0)
    assert found.ab_psnr is not None and found.rgb_psnr is not None
    assert found.ab_psnr.value == pytest.approx(20 * np.log10(255 / off))
    assert 80 < found.rgb_psnr.value < 100  # the very same picture has no infinite one, which JSON can't say


def test_pictures_that_are_grey_in_truth_are_left_out_of_ratios() -> None:
    grey = a_look(true_colourfulness=0.0, true_chroma=0.0)
    found = row("x", [grey, a_look(colourfulness=0.5), grey], 50, 0)
    assert found.colourfulness_ratio is not None and found.colourfulness_ratio.value == 0.5
    assert row("x", [grey], 50, 0).colourfulness_ratio is None and row("x", [grey], 50, 0).chroma_ratio is None


def test_what_nobody_can_say_isnt_said() -> None:
    looks = [a_look(bleeding=None), a_look(bleeding=0.5)]
    assert row("x", looks, 10, 0).bleeding == colours.Figure(0.5, 0.5, 0.5)
    assert row("x", looks[:1], 10, 0).bleeding is None


def test_gains_are_taken_picture_by_picture() -> None:
    """Pictures differ much more than rows do: only so is a small gain told from none."""
    mine = [a_look(delta_e=float(n)) for n in (2, 9, 25)]
    theirs = [a_look(delta_e=n + 0.5, seen_delta_e=0.25) for n in (2, 9, 25)]
    found = gains(mine, {"grey": theirs}, 100, 0)["grey"]
    assert found == {"delta_e": colours.Figure(0.5, 0.5, 0.5), "seen_delta_e": colours.Figure(-0.75, -0.75, -0.75)}


# ---- the sheet -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 5000])
def test_a_few_out_of_the_whole_may_come_on_the_sheet(count: int) -> None:
    found = colours_sheet.candidates(count)
    assert len(found) == min(count, colours_sheet.CANDIDATES) and {0, count - 1} <= found <= set(range(count))


def test_the_sheet_shows_the_best_and_the_worst_whatever_they_are_called() -> None:
    names = ("truth", "grey")
    pictures = [np.full((30 + n, 20, 3), 20 * n, np.uint8) for n in range(12)]
    shown = [
        colours_sheet.Shown("\x1b[2J\u202eشلوار" * 99, {name: pixels for name in names}, {"grey": n / 2})
        for n, pixels in enumerate(pictures)
    ]
    curve = {"network": [point(factor, [a_look(delta_e=factor)], 10, 0) for factor in (0.0, 1.0, 2.0)]}
    table = [("", "ΔE"), ("grey", "1.00 (0.50–2.00)")]
    sheet = colours_sheet.sheet("run", [("test", table, shown), ("prints", table, shown[:1])], curve, (*names, "none"))
    assert sheet.shape[1:] == (colours_sheet.WIDTH, 3) and sheet.dtype == np.uint8
    levels = set(sheet[:, colours_sheet.MARGIN + colours_sheet.CELL // 2, 0].tolist())
    assert {0, 220} <= levels  # the first and the last
    empty = colours_sheet.sheet("run", [("test", table, shown[:1])], {}, names)
    assert empty.shape[0] < sheet.shape[0]
