"""Colours by name, and the palettes and hints that are made of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit import color, swatches
from gravurekit.errors import UsageError
from gravurekit.shards import palette
from gravurekit.swatches import Hint

COLOURS = st.tuples(*[st.integers(0, 255)] * 3)
CENTRES = (np.arange(palette.SIDE) - palette.EDGE) * palette.STEP


def hue_of(histogram: np.ndarray) -> float:
    a, b = CENTRES @ histogram.sum(1), CENTRES @ histogram.sum(0)
    return float(np.degrees(np.arctan2(b, a)))


def turned(one: float, other: float) -> float:
    return abs((one - other + 180) % 360 - 180)


@pytest.mark.parametrize(
    "text, found",
    [
        ("#a01828", [(160, 24, 40)]),
        ("#A01828,#e0b088", [(160, 24, 40), (224, 176, 136)]),
        ("a01828 , #fc0", [(160, 24, 40), (255, 204, 0)]),
        ("teal,Teal", [(0, 128, 128), (0, 128, 128)]),
        ("light sea green", [(32, 178, 170)]),
        (" Ochre ", [swatches.PIGMENTS["ochre"]]),
        ("#0000ff", [(0, 0, 255)]),
        ("blue", [swatches.PIGMENTS["blue"]]),
    ],
)
def test_colours_have_numbers_and_names(text: str, found: list[swatches.Colour]) -> None:
    assert swatches.colours(text) == found


@pytest.mark.parametrize(
    "text, said",
    [
        ("reed", "did you mean 'red'"),
        ("red, ochr", "did you mean 'ochre'"),
        ("", "names no colours"),
        ("red,,blue", "names no colours"),
        ("#12345", "write #rrggbb"),
        ("#a0182880", "write #rrggbb"),
        ("#gggggg", "write #rrggbb"),
        ("rgb(1", "write #rrggbb"),
        ("\0", "write #rrggbb"),
        (",".join(["red"] * 65), "at most 64"),
    ],
)
def test_what_is_no_colour_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        swatches.colours(text)


@settings(deadline=None)
@given(COLOURS)
def test_a_wash_is_light_keeps_its_hue_and_can_be_shown(rgb: swatches.Colour) -> None:
    wash = swatches.as_wash(rgb)
    assert wash[0] > 50
    oklab = [color.linear_to_oklab(color.srgb_to_linear(np.array([[pixel]], np.uint8)))[0, 0]
             for pixel in (rgb, color.lab_to_rgb(wash[None, None])[0, 0])]  # fmt: skip
    if min(np.hypot(*lab[1:]) for lab in oklab) > 0.05:  # of greys the hue is noise
        assert turned(*[float(np.degrees(np.arctan2(lab[2], lab[1]))) for lab in oklab]) < 6


@settings(deadline=None, max_examples=50)
@given(st.lists(COLOURS, min_size=1, max_size=5), st.randoms())
def test_a_palette_is_a_count_that_no_order_changes(asked: list[swatches.Colour], random: object) -> None:
    found = swatches.histogram(asked)
    assert found.dtype == np.int64 and found.shape == (palette.SIDE, palette.SIDE)
    assert found.min() >= 0 and abs(found.sum() - swatches.TOTAL) < 1000
    assert found[palette.EDGE, palette.EDGE] >= swatches.NEUTRAL * swatches.TOTAL * 0.99  # the paper
    random.shuffle(asked)  # type: ignore[attr-defined]
    assert abs(swatches.histogram(asked) - found).max() <= 1
    assert np.array_equal(palette.from_text(palette.to_text(found)), found)


@settings(deadline=None)
@given(COLOURS)
def test_a_palette_of_one_colour_has_its_hue(rgb: swatches.Colour) -> None:
    wash = swatches.as_wash(rgb)[1:]
    if np.hypot(*wash) > 12:
        assert turned(hue_of(swatches.histogram([rgb])), float(np.degrees(np.arctan2(wash[1], wash[0])))) < 4


def test_red_and_blue_are_far_apart_and_a_colour_said_twice_counts_twice() -> None:
    red, blue = (swatches.histogram(swatches.colours(name)) for name in ("red", "blue"))
    assert turned(hue_of(red), hue_of(blue)) >= 120
    twice = swatches.histogram(swatches.colours("red,red,blue"))
    assert abs(twice - (2 * red + blue) / 3).max() <= 2


@pytest.mark.parametrize(
    "word, rgb",
    [("navy", (0, 0, 128)), ("Navy  Blue", (0, 17, 70)), ("dark green", (0, 100, 0)), ("wine red", (123, 3, 35))],
)
def test_what_people_call_colours_is_known_but_css_comes_first(word: str, rgb: tuple[int, int, int]) -> None:
    assert swatches.colour(word) == rgb


def test_greys_are_paper() -> None:
    found = swatches.histogram(swatches.colours("white,black,gray"))
    reach = slice(palette.EDGE - 2, palette.EDGE + 3)
    assert found[reach, reach].sum() > 0.999 * found.sum()


@pytest.mark.parametrize(
    "text, shares",
    [
        ("red", [1.0]),
        ("red,vermilion", [1.0]),
        ("white", [1.0]),
        ("red,blue", [0.5, 0.5]),
        ("red,red,blue", [2 / 3, 1 / 3]),
        ("red,teal,gold", [1 / 3] * 3),
    ],
)
def test_a_palette_comes_apart_into_its_colours(text: str, shares: list[float]) -> None:
    whole = swatches.histogram(swatches.colours(text))
    found = swatches.parts(whole)
    assert [share for _, share in found] == pytest.approx(shares, abs=0.04)
    assert sum(share for _, share in found) == pytest.approx(1)
    for part, _ in found:
        assert part.min() >= 0 and abs(part.sum() - whole.sum()) < 1000
    if len(found) > 1:
        hues = [hue_of(part) for part, _ in found]
        for word in set(text.split(",")):
            wash = swatches.as_wash(swatches.colour(word))
            assert min(turned(hue, float(np.degrees(np.arctan2(wash[2], wash[1])))) for hue in hues) < 8


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.tuples(*[st.integers(0, palette.SIDE - 1)] * 2), st.integers(1, 10**9), max_size=20))
def test_any_count_comes_apart(cells: dict[tuple[int, int], int]) -> None:
    whole = np.zeros((palette.SIDE, palette.SIDE), np.int64)
    for cell, count in cells.items():
        whole[cell] = count
    found = swatches.parts(whole)
    assert 1 <= len(found) <= swatches.MOST_PARTS and sum(share for _, share in found) == pytest.approx(1)
    assert all(part.min() >= 0 and part.dtype == np.int64 for part, _ in found)


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (120, 80)])
def test_a_picture_has_the_palette_that_a_wash_of_it_would_have(size: tuple[int, int]) -> None:
    found = swatches.histogram_of_picture(np.full((*size, 3), (200, 60, 60), np.uint8))
    a, b = color.rgb_to_lab(np.array([[(200, 60, 60)]], np.uint8))[0, 0, 1:]
    cell = round(a / 10) + palette.EDGE, round(b / 10) + palette.EDGE
    assert found[cell] == found.sum() > 0


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.data())
def test_a_hint_becomes_a_square_at_its_place(width: int, height: int, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    place = slice(16, 112), slice(32, 96)  # of a sheet of 128 × 128
    planes = swatches.hint_planes([Hint(x, y, (200, 40, 40))], (width, height), (128, 128), place)
    there = np.argwhere(planes[..., 2] == 1)
    assert len(there) == 16 and np.ptp(there, axis=0).tolist() == [3, 3] and not (there[0] % 2).any()
    middle = there.mean(0) + 0.5
    wanted = 16 + (y + 0.5) * 96 / height, 32 + (x + 0.5) * 64 / width
    assert abs(middle - wanted).max() <= 1.01
    assert np.allclose(planes[tuple(there[0])][:2], swatches.as_wash((200, 40, 40))[1:])
    assert not planes[planes[..., 2] == 0].any()


def test_of_hints_that_meet_the_later_one_counts_and_borders_cut() -> None:
    whole = slice(0, 8), slice(0, 8)
    hints = [Hint(0, 0, (200, 40, 40)), Hint(0, 0, (40, 40, 200)), Hint(7, 7, (40, 200, 40))]
    planes = swatches.hint_planes(hints, (8, 8), (8, 8), whole)
    assert np.allclose(planes[0, 0, :2], swatches.as_wash((40, 40, 200))[1:])
    assert np.allclose(planes[7, 7, :2], swatches.as_wash((40, 200, 40))[1:])
