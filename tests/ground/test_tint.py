"""Colour under ink: the margin stays paper, enclosed paper takes the wash, large pictures are composed like small."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit import color, paper, tint
from gravurekit.model.difference import delta_e_2000

RED = np.array([45.0, 25.0], np.float32)
INSIDE = slice(190, 210)


def drawing(side: int = 400, gap: int = 0) -> np.ndarray:
    """A ring of ink on white paper, (side, side, 3) uint8; `gap` px of it are missing."""
    page = np.full((side, side, 3), 255, np.uint8)
    cv2.circle(page, (side // 2, side // 2), side // 4, (0, 0, 0), 3, cv2.LINE_AA)
    page[: side // 2, side // 2 : side // 2 + gap] = 255
    return page


def toned(page: np.ndarray) -> np.ndarray:
    return color.multiply(page, np.full(page.shape, (240, 225, 190), np.uint8))


def washed(page: np.ndarray, ab: np.ndarray = RED, lightness: float | None = None, **knobs: object) -> np.ndarray:
    """The wash that a network of 32 × 32 px wants all over the drawing: (h, w, 3) float32 Lab."""
    said = np.broadcast_to(np.asarray(ab, np.float32), (32, 32, 2))
    dark = None if lightness is None else np.full((32, 32), lightness, np.float32)
    return tint.wash(said, dark, paper.apart(page), **knobs)  # type: ignore[arg-type]


def coloured(page: np.ndarray, to: tint.Paper = "keep", **knobs: object) -> np.ndarray:
    return tint.composed(page, paper.apart(page), washed(page, **knobs), to)  # type: ignore[arg-type]


def hue(lab: np.ndarray) -> float:
    return float(np.arctan2(lab[..., 2].mean(), lab[..., 1].mean()))


def test_a_blank_page_stays_blank() -> None:
    page = np.full((60, 90, 3), 255, np.uint8)
    assert (coloured(page, lightness=20) == 255).all()


@pytest.mark.parametrize("gap", [0, 4])
def test_paper_that_lines_enclose_is_coloured_and_the_margin_isnt(gap: int) -> None:
    out = coloured(drawing(gap=gap))
    assert (out[:60] == 255).all() and (out[:, :60] == 255).all()
    inside = color.rgb_to_lab(out[INSIDE, INSIDE]).reshape(-1, 3).mean(axis=0)
    assert hue(inside) == pytest.approx(np.arctan2(25, 45), abs=0.06)  # the hue that was asked for
    assert inside[0] < 90 and np.hypot(*inside[1:]) > 20  # darker than paper, or it couldn't be seen


def test_a_wide_opening_lets_the_margin_in() -> None:
    assert (coloured(drawing(gap=90))[195:205, 195:205] == 255).all()


def test_ink_is_as_black_as_before() -> None:
    page = drawing()
    assert coloured(page)[page == 0].max() == 0


def test_the_wash_is_as_dark_as_the_network_says_but_for_the_margin() -> None:
    page = drawing()
    dark = coloured(page, lightness=50)
    assert color.rgb_to_lab(dark)[195:205, 195:205, 0] == pytest.approx(50, abs=1.5)
    assert (dark[:60] == 255).all()
    # but darkness without colour is dirt
    assert np.array_equal(coloured(page, ab=(0, 0), lightness=40), page)
    # never lighter than its chroma allows: it couldn't be seen
    assert np.array_equal(coloured(page, lightness=100), coloured(page))


@pytest.mark.parametrize(
    ("to", "margin"), [("keep", (240, 225, 190)), ("white", (255,) * 3), ("tint", (248, 241, 225))]
)
def test_the_paper_is_what_was_asked_for(to: tint.Paper, margin: tuple[int, int, int]) -> None:
    page = toned(drawing())
    out = coloured(page, to)
    assert np.abs(out[:60].astype(int) - margin).max() <= 1
    assert out[page.max(2) == 0].max() == 0
    inside = color.rgb_to_lab(out)[INSIDE, INSIDE]
    assert np.hypot(*inside[..., 1:].reshape(-1, 2).mean(0)) > 20


@pytest.mark.parametrize("to", ["white", "tint"])
def test_an_uneven_paper_becomes_even(to: tint.Paper) -> None:
    page = drawing()
    fall = np.linspace(0.7, 1.0, 400, dtype=np.float32)[None, :, None] * np.array([1.0, 0.9, 0.7], np.float32)
    page = color.linear_to_srgb(color.srgb_to_linear(page) * fall)
    assert np.ptp(coloured(page, to)[:60].reshape(-1, 3), axis=0).max() <= 6


def test_where_there_is_no_wash_the_very_same_pixels_come_out() -> None:
    rng = np.random.default_rng(0)
    page = rng.integers(0, 256, (300, 200, 1), np.uint8).repeat(3, 2)
    assert np.array_equal(coloured(page, strength=0), page)
    assert np.array_equal(coloured(page, saturation=0), page)


def test_colours_of_a_print_that_was_coloured_give_way() -> None:
    page = drawing()
    page[150:250, 150:250] = (40, 160, 60)
    page[170:230, 120:150] = (60, 60, 200)
    apart = paper.apart(page)
    assert apart.coloured
    out = color.rgb_to_lab(tint.composed(page, apart, washed(page)))
    assert hue(out[INSIDE, INSIDE]) == pytest.approx(np.arctan2(25, 45), abs=0.1)


def test_strength_and_saturation_go_from_nothing_to_all() -> None:
    page = drawing()
    chroma = [np.hypot(*washed(page, saturation=n)[200, 200, 1:]) for n in (0, 0.5, 1, 1.5)]
    assert chroma == sorted(chroma) and chroma[0] == 0
    light = [float(washed(page, strength=n)[200, 200, 0]) for n in (0, 0.5, 1)]
    assert light == sorted(light, reverse=True) and light[0] == 100


@pytest.mark.parametrize("rgb", [(160, 24, 40), (36, 60, 140), (240, 200, 20), (255, 255, 255)])
def test_a_hint_is_met_at_its_place_and_stays_in_its_region(rgb: tuple[int, int, int]) -> None:
    page = drawing()
    wanted = color.rgb_to_lab(np.array([[rgb]], np.uint8))[0]
    found = washed(page, (-30, 10), places=np.array([[205.0, 195.0]]), colours=wanted, reach=1.0)
    assert delta_e_2000(found[195, 205], wanted[0]) < 1
    assert delta_e_2000(found[240, 240], wanted[0]) < 5  # the ring is one region
    assert (found[:60] == (100, 0, 0)).all()  # and the margin isn't


@pytest.mark.parametrize("share", [0.3, 0.45, 0.55, 0.7])
def test_a_hint_is_met_where_the_print_fades_into_the_paper(share: float) -> None:
    """At such a place the plate is neither 0 nor 1."""
    plate = np.tile(np.linspace(0, 1, 201, dtype=np.float32), (120, 1))
    apart = paper.Apart(np.ones_like(plate), np.ones((*plate.shape, 3), np.float32), plate)
    wanted = color.rgb_to_lab(np.array([[(160, 24, 40)]], np.uint8))[0]
    x = round(200 * share)
    found = tint.wash(
        np.zeros((*plate.shape, 2), np.float32), None, apart, places=np.array([[x, 60.0]]), colours=wanted
    )
    assert delta_e_2000(found[60, x], wanted[0]) < 1


def test_a_hint_on_bare_paper_colours_it() -> None:
    page = drawing()
    wanted = color.rgb_to_lab(np.array([[(160, 24, 40)]], np.uint8))[0]
    found = washed(page, (0, 0), places=np.array([[40.0, 40.0]]), colours=wanted, reach=0.2)
    assert delta_e_2000(found[40, 40], wanted[0]) < 1
    assert np.hypot(*found[200, 200, 1:]) < 1 and np.hypot(*found[390, 390, 1:]) < 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100), st.integers(-120, 120), st.integers(-120, 120))
def test_every_wash_can_be_shown(L: int, a: int, b: int) -> None:
    lab = washed(drawing(120), (a, b), L)
    linear = color.lab_to_linear(lab)
    assert linear.min() > -0.003 and linear.max() < 1.003


def test_into_gamut_is_that_of_color() -> None:
    rng = np.random.default_rng(0)
    lab = np.dstack([rng.uniform(0, 100, (60, 70, 1)), rng.uniform(-120, 120, (60, 70, 2))]).astype(np.float32)
    lab[:20, :, 1:] *= 0.05
    assert np.abs(tint.into_gamut(lab) - color.into_gamut(lab)).max() < 0.3
    assert np.abs(tint.lab_to_linear(lab) - np.clip(color.lab_to_linear(lab), 0, 1)).max() < 1e-4


def test_bands_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    page = cv2.resize(drawing(), (1500, 1300))
    apart = paper.apart(page)
    wash = tint.wash(np.broadcast_to(RED, (32, 32, 2)), None, apart)
    cut = [tint.composed(page, apart, wash, to) for to in ("keep", "white", "tint")]
    monkeypatch.setattr(tint, "BAND", 100_000)
    assert all(map(np.array_equal, cut, [tint.composed(page, apart, wash, to) for to in ("keep", "white", "tint")]))


def test_a_print_larger_than_the_working_size_keeps_its_size() -> None:
    page = cv2.resize(drawing(), (1500, 1300))
    apart = paper.apart(page)
    assert max(apart.ink.shape) == tint.WORK_SIDE
    assert np.array_equal(tint.composed(page, apart, washed(page, (0, 0))), page)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (30_000, 200), (7, 3000), (17, 16)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_any_shape_is_coloured(shape: tuple[int, int], value: int) -> None:
    page = np.full((*shape, 3), value, np.uint8)
    out = coloured(page, lightness=50)
    assert out.shape == page.shape and out.dtype == np.uint8


def test_the_layers_make_the_print() -> None:
    page = toned(drawing())
    apart = paper.apart(page)
    wash = washed(page)
    ink, colours, ground = tint.layers(page, apart, wash)
    again = color.multiply(color.multiply(colours, ink), ground)
    assert np.abs(again.astype(int) - tint.composed(page, apart, wash)).max() <= 3
    assert ink.shape == page.shape[:2] and ink.max() == 255 and ink.min() == 0


def test_a_photograph_keeps_its_lightness() -> None:
    photo = cv2.GaussianBlur(np.random.default_rng(0).integers(60, 200, (300, 200, 3), np.uint8), (0, 0), 9)
    out = tint.on_photo(photo, np.broadcast_to(np.float32([12, 9]), (150, 100, 2)))
    assert np.abs(color.rgb_to_lab(out)[..., 0] - color.rgb_to_lab(photo)[..., 0]).max() < 1
    assert np.abs(color.rgb_to_lab(out)[..., 1:] - (12, 9)).max() < 2


def test_a_hint_in_the_print_leaves_the_margin_and_one_in_the_margin_the_print() -> None:
    page = drawing(gap=4)  # the outline has a gap that a hint could leak through
    red, blue = color.rgb_to_lab(np.array([[(160, 24, 40), (36, 60, 140)]], np.uint8))[0]
    both = washed(
        page, (0, 0), places=np.array([[200.0, 110.0], [200.0, 80.0]]), colours=np.stack([red, blue]), reach=1
    )
    assert delta_e_2000(both[110, 200], red) < 1 and delta_e_2000(both[80, 200], blue) < 1
    assert hue(both[150:250, 150:250]) == pytest.approx(hue(red[None]), abs=0.05)
    assert hue(both[20:60, 20:60]) == pytest.approx(hue(blue[None]), abs=0.05)


@pytest.mark.parametrize("hue", range(0, 360, 30))
@pytest.mark.parametrize("chroma", [0, 10, 30, 50])
def test_the_lightest_of_a_colour_lies_at_the_edge_of_the_gamut(hue: int, chroma: int) -> None:
    ab = chroma * np.array([[[np.cos(np.radians(hue)), np.sin(np.radians(hue))]]], np.float32)
    L = float(tint.lightest(ab)[0, 0])

    def is_there(lightness: float) -> bool:
        linear = color.lab_to_linear(np.dstack([[[lightness]], ab]).astype(np.float32))
        return bool(((linear > -5e-3) & (linear < 1 + 5e-3)).all())

    assert L > 55
    if any(map(is_there, range(0, 100, 2))):
        assert is_there(L - 1) and (L >= 99.5 or not is_there(L + 3))
