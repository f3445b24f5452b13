"""Figures of one picture: what holds whatever the picture, and which side pages, logos, photographs and prints fall."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from skimage.measure import shannon_entropy

from gravurekit import images, quality
from gravurekit.filters import graphic
from gravurekit.sample import figures, oddments

Draw = Callable[..., np.ndarray]


def measured(pixels: np.ndarray) -> dict[str, float]:
    """The figures of (H, W, 3) uint8, reduced as the probe does it."""
    scale = min(1.0, 512 / max(pixels.shape))
    small = images.resize(pixels, max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return quality.measure(small, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def is_graphic(pixels: np.ndarray) -> bool:
    """Does the filter drop it, at its defaults?"""
    found, limits = measured(pixels), graphic.Settings()
    row = np.array([tuple(found.values())], [(name, "f4") for name in found])
    return bool(found["text"] >= limits.max_text or quality.is_graphic(row, limits.max_flat)[0])


def page(size: int, columns: int, turn: float = 0.0, grain: float = 0.0, seed: int = 0) -> np.ndarray:
    """(900, 700, 3) uint8 sRGB: columns of words on cream paper."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (700, 900), (240, 230, 205))
    draw, kind = ImageDraw.Draw(image), ImageFont.load_default(size)
    wide = 620 / columns
    for n in range(columns):
        for y in range(60, 840 - size, round(size * 1.4)):
            x = 40 + n * wide
            while True:
                word = "".join(chr(97 + c) for c in rng.integers(0, 26, rng.integers(2, 9)))
                if x + draw.textlength(word, kind) > 20 + (n + 1) * wide:
                    break
                draw.text((x, y), word, (40, 30, 25), kind)
                x += draw.textlength(word, kind) + size * 0.3
    turned = np.asarray(image.rotate(turn, Image.Resampling.BICUBIC, fillcolor=(240, 230, 205)), np.float32)
    return np.clip(turned + rng.normal(0, grain, turned.shape), 0, 255).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from(["black", "white", "noise", "step"]))
def test_every_shape_has_finite_figures(height: int, width: int, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    ramp = np.broadcast_to(np.where(np.arange(width) < width / 2, 0, 255)[None, :, None], noise.shape).astype(np.uint8)
    picture = {"black": noise * 0, "white": noise * 0 + 255, "noise": noise, "step": ramp}[kind]
    found = quality.measure(picture, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    assert set(found) == set(quality.FIGURES)
    assert all(type(value) is float and math.isfinite(value) and value >= 0 for value in found.values())
    assert all(found[name] <= 1 for name in ("dark", "light", "drawn", "flat", "ruled", "vivid", "text"))
    assert found["entropy"] <= 8 and found["spread"] <= 127.5 and found["light"] <= found["dark"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 512), (512, 1), (2, 2), (512, 512)])
@pytest.mark.parametrize("tone", [0, 128, 255])
def test_one_tone(shape: tuple[int, int], tone: int) -> None:
    found = measured(np.full((*shape, 3), tone, np.uint8))
    assert found["dark"] == found["light"] == pytest.approx(tone / 255)
    nothing = ("entropy", "spread", "sharpness", "drawn", "ruled", "vivid", "text")
    assert all(found[name] == pytest.approx(0, abs=1e-6) for name in nothing) and found["flat"] == 1


def test_the_histogram_says_what_others_say(draw: Draw) -> None:
    for seed in range(4):
        pixels = draw(seed, 512, 400)
        grey, found = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), measured(pixels)
        assert found["entropy"] == pytest.approx(shannon_entropy(grey), abs=1e-4)
        assert found["spread"] == pytest.approx(grey.std(), abs=1e-3)
        for name, share in (("dark", 0.99), ("light", 0.05)):
            expected = np.quantile(grey, share, method="inverted_cdf") / 255
            assert found[name] == pytest.approx(expected, abs=1e-6)


def test_sharpness_is_the_variance_of_the_laplacian(draw: Draw) -> None:
    pixels = draw(5, 512, 400)
    grey = np.pad(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float64), 1, mode="reflect")
    around = grey[2:, 1:-1] + grey[:-2, 1:-1] + grey[1:-1, 2:] + grey[1:-1, :-2]
    assert measured(pixels)["sharpness"] == pytest.approx((around - 4 * grey[1:-1, 1:-1]).var(), rel=1e-6)


def test_blur_lowers_sharpness(draw: Draw) -> None:
    for seed in range(3):
        pixels = draw(seed, 500, 400)
        blurred = [pixels, *(cv2.GaussianBlur(pixels, (0, 0), sigma) for sigma in (0.7, 1.5, 3, 6))]
        found = [measured(one)["sharpness"] for one in blurred]
        assert found == sorted(found, reverse=True) and len(set(found)) == 5


def test_light_raises_dark_and_light(draw: Draw) -> None:
    pixels = draw(2).astype(np.float32)
    found = [measured(np.clip(pixels * gain, 0, 255).astype(np.uint8)) for gain in (0.1, 0.4, 1.0, 1.8)]
    for name in ("dark", "light"):
        values = [one[name] for one in found]
        assert values == sorted(values) and values[0] < values[-1]
    assert found[0]["dark"] < 0.32 < found[2]["dark"]


def test_twice_as_large_is_nearly_alike(draw: Draw) -> None:
    """What is larger than 512 is reduced; what is smaller counts as its enlargement."""
    for seed in range(4):
        large = cv2.GaussianBlur(draw(seed, 1024, 800), (0, 0), 1.5)
        one, two = measured(large), measured(images.resize(large, 1600, 2048))
        assert one["sharpness"] == pytest.approx(two["sharpness"], rel=0.1)
        assert one["entropy"] == pytest.approx(two["entropy"], abs=0.05)
        for name, allowed in (("dark", 0.01), ("light", 0.01), ("spread", 0.5), ("drawn", 0.02), ("flat", 0.02)):
            assert one[name] == pytest.approx(two[name], abs=allowed), name
        small = images.resize(large, 200, 256)
        enlarged = measured(images.resize(small, 400, 512))
        assert measured(small)["sharpness"] == pytest.approx(enlarged["sharpness"], rel=0.1, abs=1)


def test_mirrored_is_the_same(draw: Draw) -> None:
    one, two = measured(draw(1)), measured(np.ascontiguousarray(draw(1)[:, ::-1]))
    assert one["sharpness"] == pytest.approx(two["sharpness"], rel=0.02)
    for name in set(quality.FIGURES) - {"sharpness"}:  # `vivid` looks at every 16th pixel, and at others here
        assert one[name] == pytest.approx(two[name], abs=0.05 if name == "vivid" else 0.02), name


@pytest.mark.parametrize("size", [13, 18, 26])
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize(("turn", "grain"), [(0.0, 0.0), (1.5, 5.0), (-1.0, 2.0)])
def test_a_page_of_text_is_a_graphic(size: int, columns: int, turn: float, grain: float) -> None:
    pixels = page(size, columns, turn, grain)
    assert is_graphic(pixels) and measured(pixels)["text"] > 0.5
    assert is_graphic(255 - pixels)  # white on black


def test_what_a_search_also_brings_is_a_graphic() -> None:
    for seed in range(4):
        assert is_graphic(oddments.draw_text_page(seed, 640))
        assert measured(oddments.draw_logo(seed, 320))["flat"] > 0.8
    assert is_graphic(oddments.draw_placeholder(480))


def test_figures_and_prints_are_no_graphics(draw: Draw) -> None:
    assert not any(is_graphic(draw(seed)) for seed in range(12))
    for seed, garment in enumerate(sorted(figures.GARMENTS)[:8]):
        assert not is_graphic(figures.draw_figure(garment, None, seed))
        ink = figures.draw_engraving(garment, seed, outline=seed % 2 == 1)
        two_tones = np.where(ink > 128, 255, 0).astype(np.uint8)
        assert not is_graphic(np.repeat(ink[..., None], 3, axis=2))
        assert not is_graphic(np.repeat(two_tones[..., None], 3, axis=2)), garment


def test_a_dress_on_white_is_no_graphic(draw: Draw) -> None:
    for seed in range(6):
        mask = np.zeros((300, 240, 1), np.float32)
        cv2.ellipse(mask, (120, 150), (70, 120), 0, 0, 360, 1, -1, cv2.LINE_AA)
        shot = draw(seed) * mask + 255 * (1 - mask)
        assert not is_graphic(shot.astype(np.uint8))


def test_stripes_are_no_writing() -> None:
    """Level and upright ones, and a plaid: regular, but without strokes that stand in lines."""
    rows, columns = np.mgrid[:512, :384]
    level, upright = (np.sin(n / 2.5) * 100 + 128 for n in (rows, columns))
    for pattern in (level, upright, (level + upright) / 2):
        assert measured(np.repeat(pattern.astype(np.uint8)[..., None], 3, axis=2))["text"] < 0.4
