"""The figures that filters judge by."""

import hashlib
import io
from collections.abc import Callable

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image

from gravurekit import images, probe
from gravurekit.color import rgb_to_lab
from gravurekit.probe import Probe

Draw = Callable[..., np.ndarray]
ProbeOf = Callable[..., Probe]
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


def grey(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def sepia(pixels: np.ndarray) -> np.ndarray:
    return np.clip(grey(pixels) @ SEPIA.T, 0, 255).astype(np.uint8)


def blueprint(pixels: np.ndarray) -> np.ndarray:
    share = grey(pixels) / 255
    return np.rint(np.array([20, 40, 120]) * (1 - share) + 255 * share).astype(np.uint8)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tone", [grey, sepia, blueprint])
def test_a_tint_that_follows_lightness_is_no_colour(tone: Callable, seed: int, draw: Draw) -> None:
    assert probe.chroma_residual(rgb_to_lab(tone(draw(seed)))) < 2.5


@pytest.mark.parametrize("seed", range(6))
def test_colour_that_lightness_doesnt_explain_is_colour(seed: int, draw: Draw) -> None:
    assert probe.chroma_residual(rgb_to_lab(draw(seed))) > 10


@pytest.mark.parametrize("shade", [0, 1, 128, 255])
def test_a_flat_picture_has_no_colour_and_no_spread(shade: int, probe_of: ProbeOf) -> None:
    found = probe_of("a", np.full((30, 40, 3), (shade, 255 - shade, shade), np.uint8))
    assert found.chroma_residual == pytest.approx(0, abs=0.2) and found.grey_spread == pytest.approx(0, abs=0.1)


def test_chroma_residual_is_the_rms_of_what_a_cubic_leaves(draw: Draw) -> None:
    lab = rgb_to_lab(draw(3)).astype(np.float64)
    lightness, ab = lab[..., 0].ravel(), lab[..., 1:].reshape(-1, 2)
    rest = [column - np.polyval(np.polyfit(lightness, column, 3), lightness) for column in ab.T]
    assert probe.chroma_residual(lab.astype(np.float32)) == pytest.approx(
        np.sqrt((np.square(rest)).sum(0).mean()), 0.01
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_stored_hash_is_imagehashs(seed: int, draw: Draw, probe_of: ProbeOf) -> None:
    data = images.encode_png(draw(seed))
    found = probe_of("a", images.decode(data).pixels)
    assert found.phash == str(imagehash.phash(Image.open(io.BytesIO(data)))) and len(found.phash) == 16
    assert len(found.phash_whole) == len(found.phash_trimmed) == 64


def test_a_probe_tells_size_and_pixels(draw: Draw, probe_of: ProbeOf) -> None:
    pixels = draw(1, 100, 80)
    found = probe_of("a", pixels, 77)
    assert (found.width, found.height, found.bytes, found.extension, found.private) == (80, 100, 77, "png", False)
    assert found.pixels_sha256 == hashlib.sha256(pixels.tobytes() + b"(100, 80, 3)").hexdigest()
    assert found.pixels_sha256 != probe_of("a", pixels.reshape(80, 100, 3)).pixels_sha256
    assert probe.unpack(found.luma, 64, 64).std() > 10 and probe.unpack(found.ab, 8, 8, 2).shape == (8, 8, 2)
    assert Probe.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 500), (1, 4000), (5000, 2)])
def test_pictures_of_every_shape_can_be_measured(shape: tuple[int, int], probe_of: ProbeOf) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    for pixels in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        found = probe_of("a", pixels)
        assert np.isfinite([found.chroma_residual, found.grey_spread]).all()


@pytest.mark.parametrize("margins", [(0, 0, 0, 0), (20, 20, 20, 20), (60, 0, 0, 0), (0, 50, 30, 0)])
@pytest.mark.parametrize("shade", [0, 255, 128])
def test_a_flat_margin_is_trimmed_and_the_picture_stays(
    margins: tuple[int, int, int, int], shade: int, draw: Draw
) -> None:
    busy = np.random.default_rng(2).integers(0, 255, (100, 120), np.uint8)
    framed = cv2.copyMakeBorder(busy, *margins, cv2.BORDER_CONSTANT, value=shade)
    assert np.array_equal(framed[probe.margins(framed)], busy)


def test_a_flat_picture_is_all_margin_and_stays() -> None:
    flat = np.full((40, 50), 200, np.uint8)
    assert flat[probe.margins(flat)].shape == flat.shape
    flat[20, 25] = 0
    assert flat[probe.margins(flat)].shape == flat.shape
