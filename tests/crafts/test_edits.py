"""Edits: each does what its name says, the same every time, to pictures of every shape."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from gravurekit import edits, images
from gravurekit.edits import EDITS, edited

Draw = Callable[..., np.ndarray]
BY_CHANCE = [name for name in EDITS if name.startswith(("crop", "caption", "turn"))]
SHAPES = [(1, 1), (3, 500), (500, 3), (7, 5), (120, 90)]


def test_the_table_has_what_is_to_be_measured() -> None:
    kinds = {re.sub(r"\W.*", "", name) for name in EDITS}
    assert kinds >= {"jpeg", "scale", "crop", "border", "letterbox", "caption", "watermark", "grey", "gamma", "blur"}
    assert kinds >= {"mirror", "turn", "squash", "thumbnail"}
    assert set(edits.THOROUGH) < set(EDITS)
    assert {re.sub(r"\W.*", "", name) for name in edits.THOROUGH} == {"crop", "mirror", "turn"}
    assert not {"crop 5%", "crop 10%"} & set(edits.THOROUGH)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_gives_a_picture_of_every_shape(name: str) -> None:
    for shape in SHAPES:
        noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
        before = noise.copy()
        changed = edited(noise, name, "key")
        assert changed.dtype == np.uint8 and changed.ndim == 3 and changed.shape[2] == 3 and changed.size, shape
        assert np.array_equal(noise, before), "the original is left alone"


@pytest.mark.parametrize("name", EDITS)
def test_chance_follows_from_key_and_name(name: str, draw: Draw) -> None:
    pixels = draw(1, 120, 96)
    first = edited(pixels, name, "a")
    assert np.array_equal(first, edited(pixels, name, "a"))
    others = [edited(pixels, name, key) for key in "bcdefgh"]
    differ = any(first.shape != other.shape or not np.array_equal(first, other) for other in others)
    assert differ == (name in BY_CHANCE)


def raw(pixels: np.ndarray, name: str, key: int = 0) -> np.ndarray:
    """Before it is saved as JPEG."""
    return EDITS[name](pixels, np.random.default_rng(key))


@pytest.mark.parametrize("name", [name for name in EDITS if name.startswith("crop")])
@pytest.mark.parametrize("shape", [(300, 240), (200, 333)])
def test_a_crop_is_a_piece_of_the_same_shape(name: str, shape: tuple[int, int]) -> None:
    area = float(name.removeprefix("crop ").removesuffix("%")) / 100
    rows, columns = np.indices(shape)
    pixels = np.dstack([rows, columns, rows + columns]).astype(np.uint16)  # each says where it was
    places = set()
    for key in range(20):
        piece = raw(pixels, name, key)
        height, width = piece.shape[:2]
        assert height * width == pytest.approx((1 - area) * shape[0] * shape[1], rel=0.01)
        assert width / height == pytest.approx(shape[1] / shape[0], rel=0.01)
        top, left = (int(n) for n in piece[0, 0, :2])
        assert np.array_equal(piece, pixels[top : top + height, left : left + width])
        places.add((top > (shape[0] - height) / 2, left > (shape[1] - width) / 2))
    assert len(places) == 4, "in all corners"


@pytest.mark.parametrize(("share", "shade"), [(s, c) for s in (5, 10) for c in ("white", "black")])
def test_a_border_goes_around_the_whole(share: int, shade: str, draw: Draw) -> None:
    pixels = draw(1)
    framed, wide = raw(pixels, f"border {share}% {shade}"), round(share / 100 * 300)
    assert framed.shape == (300 + 2 * wide, 240 + 2 * wide, 3)
    assert np.array_equal(framed[wide:-wide, wide:-wide], pixels)
    framed[wide:-wide, wide:-wide] = 255 * (shade == "white")
    assert (framed == 255 * (shade == "white")).all()


@pytest.mark.parametrize("shape", [(300, 240), (101, 200), (50, 50)])
def test_a_letterbox_is_a_black_square_around_it(shape: tuple[int, int], draw: Draw) -> None:
    pixels = np.maximum(draw(2, *shape), 1)
    boxed = raw(pixels, "letterbox")
    assert boxed.shape == (max(shape), max(shape), 3)
    rows, columns = (np.flatnonzero(boxed.any(axis=(axis, 2))) for axis in (1, 0))
    assert np.array_equal(boxed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], pixels)
    assert abs(rows[0] - (max(shape) - 1 - rows[-1])) <= 1 and abs(columns[0] - (max(shape) - 1 - columns[-1])) <= 1


@pytest.mark.parametrize("share", [6, 10, 14])
def test_a_caption_stands_below_the_picture(share: int, draw: Draw) -> None:
    pixels = draw(3)
    grounds = set()
    for key in range(12):
        captioned = raw(pixels, f"caption bar {share}%", key)
        assert captioned.shape == (300 + round(share / 100 * 300), 240, 3)
        assert np.array_equal(captioned[:300], pixels)
        bar = captioned[300:]
        ground = int(bar[0, 0, 0])
        grounds.add(ground)
        inked = np.abs(bar.astype(int) - ground) > 127
        assert 0.01 < inked.mean() < 0.5, "words"
    assert grounds == {0, 255}


def test_a_watermark_leaves_most_of_it_and_is_half_seen_through(draw: Draw) -> None:
    pixels = draw(4)
    marked = raw(pixels, "watermark").astype(int)
    changed = np.abs(marked - pixels).max(axis=2) > 1
    assert 0.01 < changed.mean() < 0.25 and changed[:90].sum() == changed[200:].sum() == 0
    full = np.abs(marked - (pixels.astype(int) + 255) / 2).max(axis=2) <= 1
    assert full[changed].mean() > 0.4


def test_sizes_are_what_the_names_say(draw: Draw) -> None:
    pixels = draw(5)
    sizes = {
        "scale 0.2": (60, 48), "scale 0.5": (150, 120), "scale 0.75": (225, 180), "scale 1.5": (450, 360),
        "scale 2": (600, 480), "thumbnail 200": (200, 160), "squash 0.8": (300, 192), "stretch 1.25": (300, 300),
    }  # fmt: skip
    assert {name: raw(pixels, name).shape[:2] for name in sizes} == sizes
    assert raw(draw(5, 100, 80), "thumbnail 200").shape[:2] == (100, 80), "nothing is enlarged"
    same = [name for name in EDITS if name.startswith(("jpeg", "grey", "gamma", "blur", "mirror", "turn"))]
    assert all(raw(pixels, name).shape == pixels.shape for name in same)


def test_tones_are_what_the_names_say(draw: Draw) -> None:
    pixels = draw(6)
    grey = raw(pixels, "grey")
    assert (grey == grey[..., :1]).all()
    for name, power in (("gamma 0.67", 0.67), ("gamma 1.5", 1.5)):
        assert np.abs(raw(pixels, name) - 255 * (pixels / 255) ** power).max() <= 0.5 + 1e-6
    assert np.array_equal(raw(pixels, "mirror"), np.fliplr(pixels))
    spreads = [np.diff(raw(pixels, name).astype(int), axis=0).std() for name in ("jpeg 90", "blur 1", "blur 2")]
    assert spreads[0] > spreads[1] > spreads[2]


@pytest.mark.parametrize("degrees", ["2", "3.5", "5"])
def test_a_turn_is_about_the_middle_to_either_side(degrees: str) -> None:
    line = np.zeros((301, 301, 3), np.uint8)
    line[149:152] = 255
    angles = set()
    for key in range(12):
        turned = raw(line, f"turn {degrees}°", key)[..., 0]
        rows = [float(np.average(np.arange(301), weights=turned[:, x].astype(float) + 1e-9)) for x in (50, 250)]
        angles.add(round(np.degrees(np.arctan2(rows[0] - rows[1], 200)), 1))
        assert sum(rows) / 2 == pytest.approx(150, abs=1.5)
    assert angles == {-float(degrees), float(degrees)}


def test_jpeg_is_as_coarse_as_its_name_says(draw: Draw) -> None:
    pixels = draw(7)
    for quality in (10, 30, 50, 75, 90):
        expected = images.decode(images.encode_jpeg(pixels, quality, 2)).pixels
        assert np.array_equal(edited(pixels, f"jpeg {quality}", "x"), expected)
    blurred = edited(pixels, "blur 1", "x")
    expected = images.decode(images.encode_jpeg(raw(pixels, "blur 1"), edits.QUALITY, 2)).pixels
    assert np.array_equal(blurred, expected)
