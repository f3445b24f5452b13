"""What a drawing keeps of its photograph; controls; intervals."""

import cv2
import numpy as np
import pytest

from gravurekit.color import linear_to_srgb
from gravurekit.measures import bootstrap, controls
from gravurekit.measures.kept import hue_error, kept


def photo(seed: int = 0) -> np.ndarray:
    """(280, 240, 3) uint8 sRGB: soft shapes and a cloth, in muted colours."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 215, (7, 6, 1)) + rng.uniform(-25, 25, (7, 6, 3))
    soft = cv2.resize(coarse.astype(np.float32), (240, 280), interpolation=cv2.INTER_CUBIC)
    cloth = cv2.GaussianBlur(rng.normal(0, 30, (280, 240)), (0, 0), 1.5)
    return np.clip(soft + cloth[..., None], 0, 255).astype(np.uint8)


def grey(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def test_a_photograph_keeps_itself() -> None:
    coloured = cv2.convertScaleAbs(photo()) // 2
    coloured[..., 2] += 90
    found = kept(photo(), grey(photo()), photo(), photo())
    blue = kept(coloured, grey(coloured), coloured, coloured)
    assert found.tone == pytest.approx(1, abs=0.02) and found.edges == pytest.approx(1, abs=0.05)
    assert blue.print_hue == pytest.approx(0, abs=1e-3) and blue.wash_hue == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("size", [(140, 120), (560, 480), (1300, 1100)])
def test_size_changes_little(size: tuple[int, int]) -> None:
    height, width = size
    found = kept(photo(), cv2.resize(grey(photo()), (width, height), interpolation=cv2.INTER_AREA))
    assert found.tone > 0.97 and found.edges > 0.9


def test_a_negative_and_a_blank_sheet_keep_nothing() -> None:
    negative = kept(photo(), 255 - grey(photo()))
    assert negative.tone < -0.9 and negative.edges < -0.9
    blank = kept(photo(), np.full((280, 240), 255, np.uint8))
    assert (blank.tone, blank.edges) == (0, 0)


@pytest.mark.parametrize("darker", [0.2, 0.5, 0.8])
def test_lines_fade_into_tone(darker: float) -> None:
    """Paper with lines as wide as the photograph is dark keeps its tones."""
    light = grey(photo()) / 255
    wave = np.abs(np.mgrid[:280, :240][1] % 4 - 1.5) / 2
    lines = np.where(wave < (1 - light) * (1 + darker) / 2 - 0.1, 20, 250).astype(np.uint8)
    found = kept(photo(), lines)
    assert found.tone > 0.8


def test_hue_errors_are_degrees() -> None:
    red, blue = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    red[...], blue[...] = (200, 40, 40), (40, 40, 200)
    away = hue_error(red, blue)
    assert away is not None and 90 < away <= 180
    assert hue_error(red, np.full_like(red, 128)) == pytest.approx(90)
    assert hue_error(np.full_like(red, 128), red) is None
    light = linear_to_srgb(0.3 + 0.7 * np.float32(red / 255.0) ** 2.2)
    lifted = hue_error(red, light)
    assert lifted is not None and lifted < 10


@pytest.mark.parametrize("name", [*controls.CONTROLS, *controls.OTHERS])
def test_controls_leave_the_photograph_alone_and_depend_on_the_seed(name: str) -> None:
    make = (controls.CONTROLS | controls.OTHERS)[name]
    picture = photo()
    one, again = (make(picture, np.random.default_rng(3)) for _ in range(2))
    assert one.shape == picture.shape[:2] and one.dtype == np.uint8
    assert np.array_equal(one, again) and np.array_equal(picture, photo())
    assert one.std() > 1


def test_intervals() -> None:
    values = np.random.default_rng(0).normal(5, 1, 60)

    def mean(rows: np.ndarray) -> float:
        return float(values[rows].mean())

    found = bootstrap.figure(60, mean, 300, 1)
    assert found.low < found.value < found.high and found == bootstrap.figure(60, mean, 300, 1)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(60), rel=0.4)
    alike = bootstrap.mean_figure([2.0, None, 2.0], 50, 0)
    assert alike == bootstrap.Figure(2.0, 2.0, 2.0)
    assert bootstrap.mean_figure([None], 50, 0) is None
