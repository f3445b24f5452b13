"""The drawn pictures: deterministic, of lawful size, in the colour asked for."""

import colorsys
import subprocess
import sys

import numpy as np
import pytest

from gravurekit.sample.figures import COLOURS, GARMENTS, MAIN, draw_engraving, draw_figure, figure
from gravurekit.sample.oddments import (
    caption,
    crop_edges,
    draw_landscape,
    draw_logo,
    draw_placeholder,
    draw_text_page,
)

CHROMATIC = [c for c in COLOURS if c != "black"]


def _hue(colour) -> float:
    return colorsys.rgb_to_hsv(*(float(c) / 255 for c in colour))[0] * 360


def _dominant_hue(picture: np.ndarray) -> float:
    """The commonest hue, where the garment is: the middle of the picture."""
    h, w = picture.shape[:2]
    middle = picture[int(h * 0.3) : int(h * 0.85) : 3, int(w * 0.3) : int(w * 0.7) : 3].reshape(-1, 3)
    chroma = (middle.max(1) - middle.min(1)).astype(int)
    lively = chroma > 60
    hues = [_hue(p) for p in middle[lively]]
    counts, _ = np.histogram(hues, bins=36, range=(0, 360))
    around = counts + 0.5 * (np.roll(counts, 1) + np.roll(counts, -1))
    return float(np.argmax(around) * 10 + 5)


def test_same_arguments_same_bytes_also_in_another_process():
    code = (
        "import sys; from gravurekit.sample.figures import draw_engraving, draw_figure;"
        "sys.stdout.buffer.write(draw_figure('kurk', 'blue', 5, 200).tobytes());"
        "sys.stdout.buffer.write(draw_engraving('kaftan', 5, 200).tobytes())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    for _ in range(2):
        here = draw_figure("kurk", "blue", 5, 200).tobytes() + draw_engraving("kaftan", 5, 200).tobytes()
        assert here == there


@pytest.mark.parametrize("garment", GARMENTS)
def test_size_and_type(garment):
    for seed, height in ((0, 96), (1, 240), (2, 333)):
        picture = draw_figure(garment, None, seed, height)
        assert picture.dtype == np.uint8 and picture.shape[0] == height and picture.shape[2] == 3
        assert 0.6 <= picture.shape[1] / height <= 0.8
        print_ = draw_engraving(garment, seed, height)
        assert print_.dtype == np.uint8 and print_.shape == picture.shape[:2]


@pytest.mark.parametrize("garment", GARMENTS)
@pytest.mark.parametrize("colour", CHROMATIC)
def test_the_garment_has_the_colour_asked_for(garment, colour):
    got = _dominant_hue(draw_figure(garment, colour, 3, 320))
    away = abs((got - _hue(MAIN[colour]) + 180) % 360 - 180)
    assert away <= 25, f"{garment}: hue {got} for {colour}"


@pytest.mark.parametrize("garment", GARMENTS)
def test_seeds_differ(garment):
    assert len({figure(garment, None, seed) for seed in range(6)}) == 6
    assert draw_figure(garment, None, 0, 120).tobytes() != draw_figure(garment, None, 1, 120).tobytes()


@pytest.mark.parametrize("garment", GARMENTS)
def test_an_engraving_is_mostly_paper(garment):
    sheet = draw_engraving(garment, 4, 480)
    assert (sheet > 200).mean() > 0.6
    assert (sheet < 100).mean() > 0.02


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="toga"):
        draw_figure("toga", None, 0)
    with pytest.raises(ValueError, match="mauve"):
        draw_figure("dress", "mauve", 0)


def test_oddments():
    for draw in (draw_landscape, draw_logo, draw_text_page):
        one = draw(3, 160)
        assert one.dtype == np.uint8 and one.shape[0] == 160 and one.shape[2] == 3
        assert one.tobytes() == draw(3, 160).tobytes() != draw(4, 160).tobytes()
    blank = draw_placeholder(160)
    assert blank.tobytes() == draw_placeholder(160).tobytes()
    assert caption(blank, "a long caption that must be made to fit").shape[0] > 160
    assert crop_edges(blank, 0.1).shape == (128, 128, 3)
