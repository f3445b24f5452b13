"""The report's cartoon filter against its recipe, written down once more."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from gravurekit import crafts
from gravurekit.errors import UsageError
from gravurekit.styles import cartoon

Draw = Callable[..., np.ndarray]
SIZES = [(64, 64), (65, 64), (67, 131), (200, 333), (512, 384), (101, 99)]


def recipe(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines, colours and their combination, as the report's listing makes them."""
    height, width = photo.shape[:2]
    colours = cv2.pyrDown(cv2.pyrDown(photo))
    for _ in range(7):
        colours = cv2.bilateralFilter(colours, 9, 9, 7)
    colours = cv2.pyrUp(cv2.pyrUp(colours))[:height, :width]
    grey = cv2.medianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), 7)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 2)
    return lines, colours, cv2.bitwise_and(colours, cv2.cvtColor(lines, cv2.COLOR_GRAY2RGB))


def drawn(photo: np.ndarray, **knobs: object) -> cartoon.Layers:
    return cartoon.draw(photo, cartoon.Settings(**knobs), np.random.default_rng(0))  # type: ignore[arg-type]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_default_cartoon_is_the_reports(height: int, width: int, draw: Draw) -> None:
    photo = draw(4, height, width)
    before = photo.copy()
    lines, colours, both = recipe(photo)
    layers = drawn(photo)
    assert np.array_equal(layers.plain, lines) and np.array_equal(layers.wash, colours)
    assert np.array_equal(layers.print, both)
    assert np.array_equal(photo, before)
    assert 0.01 < (layers.plain == 0).mean() < 0.5


@pytest.mark.parametrize("height", range(1, 9))
@pytest.mark.parametrize("width", range(1, 9))
def test_the_smallest_pictures_can_be_drawn(height: int, width: int) -> None:
    noise = np.random.default_rng(height * 9 + width).integers(0, 256, (height, width, 3), np.uint8)
    for knobs in ({}, {"downscalings": 6}, {"downscalings": 0, "median": 31, "threshold_block": 99}):
        layers = drawn(noise, **knobs)
        assert layers.plain.shape == (height, width) and set(np.unique(layers.plain)) <= {0, 255}
        assert layers.wash.shape == layers.print.shape == (height, width, 3) and layers.wash.dtype == np.uint8


def test_layers_can_be_written_and_sent(draw: Draw) -> None:
    layers = drawn(draw(1, 65, 67))
    for layer in (layers.plain, layers.wash, layers.print):
        assert layer.flags.c_contiguous and layer.dtype == np.uint8


def test_the_same_photograph_gives_the_same_cartoon_whatever_the_chance(draw: Draw) -> None:
    photo = draw(1, 80, 90)
    one, other = (cartoon.draw(photo, cartoon.Settings(), np.random.default_rng(seed)) for seed in (1, 2))
    assert np.array_equal(one.plain, other.plain) and np.array_equal(one.wash, other.wash)


@pytest.mark.parametrize(
    ("knobs", "key"),
    [({"median": 4}, "median"), ({"threshold_block": 10}, "threshold_block"), ({"median": 33}, "median"),
     ({"downscalings": 7}, "downscalings"), ({"bilateral_color": 0}, "bilateral_color"), ({"median": 2.5}, "median")],
)  # fmt: skip
def test_a_knob_beyond_its_limit_is_refused(knobs: dict, key: str) -> None:
    with pytest.raises(UsageError, match=rf"\[stylize\.cartoon\] {key} = "):
        crafts.settings_of("styles", "stylize", "cartoon", {"cartoon": knobs})


@pytest.mark.parametrize("name", [n for n in crafts.names("styles") if hasattr(crafts.load("styles", n), "draw")])
@pytest.mark.parametrize("shape", [(64, 64), (65, 97)])
def test_every_style_keeps_its_promises(name: str, shape: tuple[int, int], draw: Draw) -> None:
    style = crafts.load("styles", name)
    settings = crafts.settings_of("styles", "stylize", name, {})
    assert isinstance(style.REVISION, int) and style.__doc__
    assert all(about.description for about in style.Settings.model_fields.values())
    photo = draw(3, *shape)
    one, other = (style.draw(photo.copy(), settings, np.random.default_rng(5)) for _ in range(2))
    assert (one.plain.shape, one.wash.shape) == (shape, (*shape, 3))
    assert one.plain.dtype == one.wash.dtype == np.uint8
    assert np.array_equal(one.plain, other.plain) and np.array_equal(one.wash, other.wash)


def test_hatching_melts_into_tone_and_outlines_stay_when_a_print_is_drawn_anew() -> None:
    page = np.full((300, 300), 255, np.uint8)
    page[60:240:4, 60:240] = 0  # a hatched square: lines of 1 px, 4 px apart
    hatched = cartoon.redraw(page, cartoon.Settings())
    assert (hatched[80:220, 80:220] == 255).mean() > 0.98
    outline = np.full((300, 300), 255, np.uint8)
    outline[60:64, 60:240] = 0
    assert (cartoon.redraw(outline, cartoon.Settings())[58:66, 80:220] == 0).any(axis=0).mean() > 0.98


def test_fast_is_nearly_the_same(draw: Draw) -> None:
    photo = draw(4, 200, 333)
    exact, fast = drawn(photo), drawn(photo, fast=True)
    assert np.abs(exact.wash.astype(int) - fast.wash).mean() < 4
    assert (exact.plain == fast.plain).mean() > 0.8
    assert not np.array_equal(exact.plain, fast.plain)
