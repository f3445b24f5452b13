"""What toning gives is no colour; a garment of one colour before a plain ground is."""

import colorsys
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit import images, toning
from gravurekit.color import linear_to_srgb, rgb_to_lab, srgb_to_linear
from gravurekit.filters import monochrome

Draw = Callable[..., np.ndarray]
Color = tuple[float, float, float]
CUT = monochrome.Settings().min_residual
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
TONINGS: dict[str, tuple[Color, ...]] = {  # colours of black, … and white
    "grey": ((0, 0, 0), (255, 255, 255)),
    "cyanotype": ((0, 20, 80), (20, 90, 170), (235, 245, 255)),
    "blueprint": ((20, 40, 120), (255, 255, 255)),
    "selenium": ((24, 15, 26), (122, 100, 114), (247, 241, 241)),
    "gold": ((28, 18, 10), (158, 128, 76), (252, 240, 208)),
    "split": ((12, 19, 35), (112, 114, 117), (255, 245, 222)),
    "cream paper": ((30, 25, 20), (240, 225, 190)),
    "brown paper": ((60, 40, 30), (215, 190, 140)),
    "faded": ((85, 62, 45), (238, 222, 190)),
}
GROUNDS: dict[str, Color] = {
    "white": (250, 250, 250),
    "grey": (150, 150, 150),
    "black": (25, 25, 25),
    "beige": (222, 204, 176),
    "pink": (240, 205, 215),
    "pale blue": (200, 215, 240),
}


def residual(pixels: np.ndarray) -> float:
    small = images.resize(pixels, 128, 128)
    return toning.chroma_residual(small, rgb_to_lab(small))


def saved(pixels: np.ndarray) -> np.ndarray:
    """Through JPEG, as pictures come from the web."""
    return images.decode(images.encode_jpeg(pixels, 70, subsampling=2)).pixels


def toned(pixels: np.ndarray, name: str, strength: float = 1.0) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → the same: its tones in another tint, mixed with grey."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(float)[..., None].repeat(3, axis=2)
    if name == "sepia":
        tint = np.clip(grey @ SEPIA.T, 0, 255)
    else:
        stops = np.array(TONINGS[name])
        places = np.linspace(0, 255, len(stops))
        tint = np.stack([np.interp(grey[..., c], places, stops[:, c]) for c in range(3)], axis=2)
    return np.rint(grey + strength * (tint - grey)).astype(np.uint8)


def of_hue(degrees: float, saturation: float, value: float) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(degrees / 360, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def garment(cloth: Color, ground: Color, seed: int = 0) -> np.ndarray:
    """(480, 360, 3) uint8: a dress of one colour with folds, lit unevenly, its shadow on the ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:480, :360] / 480
    shape = cv2.fillPoly(
        np.zeros((480, 360), np.float32),
        [np.array([(130, 50), (230, 50), (215, 200), (290, 430), (70, 430), (145, 200)], np.int32)],
        1.0,
        cv2.LINE_AA,
    )[..., None]
    shadow = np.roll(cv2.GaussianBlur(shape, (0, 0), 12), (8, 10), (0, 1))[..., None]
    folds = 0.7 + 0.3 * np.sin(40 * x + 6 * y + seed) * np.cos(7 * y + seed)
    light = (0.75 + 0.25 * np.cos(2 * (x - 0.3) + seed))[..., None]
    inside, outside = (srgb_to_linear(np.rint(color).astype(np.uint8)) for color in (np.array(cloth), np.array(ground)))
    seen = inside * folds[..., None] * light * shape + outside * light * (1 - 0.4 * shadow) * (1 - shape)
    return np.clip(linear_to_srgb(seen) + rng.normal(0, 1.5, (480, 360, 3)), 0, 255).astype(np.uint8)


# ---- toned -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("name", ["sepia", *TONINGS])
def test_a_toned_picture_has_no_colour(name: str, strength: float, draw: Draw) -> None:
    for seed in range(4):
        picture = toned(draw(seed, 480, 400), name, strength)
        assert residual(picture) < CUT
        assert residual(saved(picture)) < CUT


@pytest.mark.parametrize("name", ["sepia", *TONINGS])
def test_a_toned_garment_before_a_plain_ground_has_no_colour(name: str) -> None:
    """At middling strength: the strongest blue, on a page that is mostly white, lies at the cut."""
    for hue in range(0, 360, 90):
        assert residual(saved(toned(garment(of_hue(hue, 0.8, 0.6), GROUNDS["white"]), name, 0.6))) < CUT


def test_paper_may_have_yellowed_from_its_edges(draw: Draw) -> None:
    y, x = np.mgrid[-1:1:300j, -1:1:240j]
    share = np.clip((x**2 + y**2) / 2, 0, 1)[..., None]
    for seed in range(4):
        middle, edge = (toned(draw(seed), name).astype(float) for name in ("cream paper", "brown paper"))
        assert residual(np.rint(middle + 0.6 * share * (edge - middle)).astype(np.uint8)) < CUT


@settings(max_examples=25, deadline=None)
@given(
    black=st.tuples(*[st.integers(0, 70)] * 3), white=st.tuples(*[st.integers(190, 255)] * 3), seed=st.integers(0, 5)
)
def test_two_inks_of_little_colour_are_a_toning(black: Color, white: Color, seed: int, draw: Draw) -> None:
    """A curve from any dark colour to any light one, as far as it lies within what toning gives."""
    ends = rgb_to_lab(np.array([[black, white]], np.uint8))[0, :, 1:]
    within = (ends >= np.array(toning.TINTS[0]) + 3).all() and (ends <= np.array(toning.TINTS[1]) - 3).all()
    share = cv2.cvtColor(draw(seed), cv2.COLOR_RGB2GRAY)[..., None] / 255
    duotone = np.rint(np.array(black) + share * np.subtract(white, black)).astype(np.uint8)
    assert residual(duotone) < CUT or not within


# ---- coloured --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize(
    "hue", [pytest.param(hue, marks=[pytest.mark.slow] if hue % 60 else []) for hue in range(0, 360, 15)]
)
def test_a_loud_garment_before_a_plain_ground_is_coloured(hue: int, ground: str) -> None:
    for value in (0.6, 0.9):
        picture = garment(of_hue(hue, 0.85, value), GROUNDS[ground], seed=hue)
        assert residual(picture) > CUT
        assert residual(saved(picture)) > CUT


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 360), st.floats(0.85, 1), st.floats(0.75, 1), st.sampled_from(list(GROUNDS)), st.integers(0, 99))
def test_whatever_its_hue_and_folds(hue: float, saturation: float, value: float, ground: str, seed: int) -> None:
    assert residual(saved(garment(of_hue(hue, saturation, value), GROUNDS[ground], seed))) > CUT


def test_brown_cloth_before_cream_cant_be_told_from_sepia() -> None:
    """The limit of it: docs/filter.md warns of this."""
    assert residual(garment(of_hue(35, 0.45, 0.5), (235, 220, 190))) < CUT


@pytest.mark.parametrize("seed", range(6))
def test_a_picture_of_many_colours_is_coloured(seed: int, draw: Draw) -> None:
    assert residual(draw(seed)) > 5


@pytest.mark.parametrize(("color", "coloured"), [((120, 120, 120), False), ((255, 0, 255), True), ((0, 255, 0), True)])
def test_a_flat_picture_is_coloured_if_no_toner_makes_that(color: Color, coloured: bool) -> None:
    assert (residual(np.full((30, 40, 3), color, np.uint8)) > CUT) == coloured


# ---- the figure itself -----------------------------------------------------------------------------------


def leftover(rgb: np.ndarray) -> float:
    """`chroma_residual` step by step, in double precision, by ordinary least squares."""
    side, knots = toning.SIDE, toning.KNOTS
    lab = rgb_to_lab(rgb)[..., 1:].astype(float)
    colors = lab.reshape(side, 8, side, 8, 2).mean(axis=(1, 3)).reshape(-1, 2)
    tones = np.rint(rgb.astype(float).mean(axis=2)) / 255
    hats = np.maximum(0, 1 - abs(tones[..., None] * (knots - 1) - np.arange(knots)))
    shares = hats.reshape(side, 8, side, 8, knots).mean(axis=(1, 3)).reshape(-1, knots)
    y, x = np.divmod(np.arange(side * side), side) * np.array(2 / side)[None] + (1 / side - 1)
    drift = np.stack([x, y, x * x - 1 / 3, y * y - 1 / 3, x * y], axis=1)
    known = np.hstack([shares, drift])
    bends = np.diff(np.eye(knots), 2, axis=0)[: int(toning.BRIGHT * (knots - 1))] * (knots - 1) ** 1.5
    rows = [known / side, *(np.zeros((n, knots + 5)) for n in (len(bends), knots, 5))]
    rows[1][:, :knots] = bends * toning.STIFFNESS**0.5
    rows[2][:, :knots] = np.eye(knots) * toning.LOOSE**0.5
    rows[3][:, knots:] = np.eye(5) * toning.TETHER**0.5
    wanted = np.vstack([colors / side, np.zeros((len(bends) + knots + 5, 2))])
    fitted = np.linalg.lstsq(np.vstack(rows), wanted, rcond=None)[0]
    fitted[:knots] = np.clip(fitted[:knots], *toning.TINTS)
    rest = ((colors - known @ fitted) ** 2).sum(axis=1)
    chroma = np.quantile(np.hypot(*colors.T), 0.5, method="higher")
    return float(np.sqrt(rest.mean()) / (1 + chroma / toning.TINT))


@pytest.mark.parametrize("seed", range(4))
def test_the_residual_is_what_a_least_squares_fit_leaves(seed: int, draw: Draw) -> None:
    for pixels in (draw(seed), toned(draw(seed), "sepia"), garment(of_hue(90 * seed, 0.8, 0.7), GROUNDS["white"])):
        rgb = images.resize(pixels, 128, 128)
        assert residual(pixels) == pytest.approx(leftover(rgb), rel=0.02, abs=0.005)


@pytest.mark.parametrize("turned", [np.flipud, np.fliplr, lambda pixels: pixels.swapaxes(0, 1)])
def test_it_is_the_same_for_a_mirror_image(turned: Callable[[np.ndarray], np.ndarray], draw: Draw) -> None:
    rgb = images.resize(draw(3), 128, 128)
    assert residual(np.ascontiguousarray(turned(rgb))) == pytest.approx(residual(rgb), rel=1e-3)
