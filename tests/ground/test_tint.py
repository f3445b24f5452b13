"""Colour under ink: the margin stays paper, enclosed paper takes the wash, large pictures are composed like small."""

import cv2
import numpy as np
import pytest

from gravurekit import color, tint

RED = np.array([45.0, 25.0], np.float32)


def drawing(side: int = 400, gap: int = 0) -> np.ndarray:
    """A ring of ink on white paper, (side, side) uint8; `gap` px of it are missing."""
    page = np.full((side, side), 255, np.uint8)
    cv2.circle(page, (side // 2, side // 2), side // 4, 0, 3, cv2.LINE_AA)
    page[: side // 2, side // 2 : side // 2 + gap] = 255
    return page


def coloured(page: np.ndarray) -> np.ndarray:
    """The drawing with one red wash over everything."""
    L = tint.grey_lightness(page)
    return tint.under_ink(np.repeat(page[..., None], 3, axis=2), L, np.broadcast_to(RED, (*page.shape, 2)))


def test_a_blank_page_is_all_margin_and_stays_blank() -> None:
    page = np.full((60, 90), 255, np.uint8)
    assert tint.margin(tint.grey_lightness(page)).min() == pytest.approx(1, abs=1e-6)
    assert (coloured(page) == 255).all()


@pytest.mark.parametrize("gap", [0, 4])
def test_paper_that_lines_enclose_is_coloured_and_the_margin_isnt(gap: int) -> None:
    out = coloured(drawing(gap=gap))
    assert (out[:60] == 255).all() and (out[:, :60] == 255).all()
    inside = color.rgb_to_lab(out[190:210, 190:210]).reshape(-1, 3).mean(axis=0)
    assert np.arctan2(inside[2], inside[1]) == pytest.approx(np.arctan2(25, 45), abs=0.06)  # the hue that was asked for
    assert inside[0] < 90 and np.hypot(*inside[1:]) > 20  # darker than paper, or it couldn't be seen


def test_a_wide_opening_lets_the_margin_in() -> None:
    assert (coloured(drawing(gap=90))[195:205, 195:205] == 255).all()


def test_ink_is_as_black_as_before() -> None:
    page = drawing()
    assert coloured(page)[page == 0].max() == 0


def test_the_wash_is_as_dark_as_the_network_says_but_for_the_margin() -> None:
    page = drawing()
    pixels, L = np.repeat(page[..., None], 3, axis=2), tint.grey_lightness(page)
    none = np.zeros((*page.shape, 2), np.float32)
    dark = tint.under_ink(pixels, L, none, np.full(page.shape, 40, np.float32))
    assert color.rgb_to_lab(dark)[195:205, 195:205, 0] == pytest.approx(40, abs=1.5)
    assert (dark[:60] == 255).all()
    # never lighter than its chroma allows: it couldn't be seen
    red = np.broadcast_to(RED, (*page.shape, 2))
    assert np.array_equal(tint.under_ink(pixels, L, red, np.full(page.shape, 100, np.float32)), coloured(page))


def test_the_papers_own_tone_stays() -> None:
    page = np.repeat(drawing()[..., None], 3, axis=2)
    toned = color.multiply(page, np.full(page.shape, (240, 225, 190), np.uint8))
    ink = tint.print_ink(toned)
    assert np.abs(ink.astype(int) - drawing()).max() <= 2  # brought to white for the network
    out = tint.under_ink(toned, tint.grey_lightness(ink), np.broadcast_to(RED, (*ink.shape, 2)))
    assert (out[:60] == toned[:60]).all()


def test_bands_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    page = drawing(700)
    whole = coloured(page)
    monkeypatch.setattr(tint, "BAND", 100_000)
    assert (coloured(page) == whole).all()


def test_a_print_larger_than_the_working_size_keeps_its_size() -> None:
    page = np.repeat(cv2.resize(drawing(), (1500, 1300))[..., None], 3, axis=2)
    ink = tint.print_ink(page)
    assert max(ink.shape) == tint.WORK_SIDE
    assert tint.under_ink(page, tint.grey_lightness(ink), np.zeros((*ink.shape, 2), np.float32)).shape == page.shape
    assert (tint.under_ink(page, tint.grey_lightness(ink), np.zeros((*ink.shape, 2), np.float32)) == page).all()
