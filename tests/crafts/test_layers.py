"""Ink, wash and paper: their product, and what it is at another size."""

import numpy as np
import pytest

from gravurekit import color
from gravurekit.layers import Layers


def layers(height: int = 40, width: int = 60, paper: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Layers:
    rng = np.random.default_rng(3)
    plain = rng.integers(0, 256, (height, width), np.uint8)
    return Layers(plain, rng.integers(0, 256, (height, width, 3), np.uint8), paper)


def test_on_white_paper_the_print_is_the_product_of_ink_and_wash() -> None:
    drawn = layers()
    assert np.array_equal(drawn.print, color.multiply(drawn.wash, drawn.plain))


@pytest.mark.parametrize("paper", [(0.9, 0.85, 0.7), (1.0, 1.0, 0.5), (0.0, 0.5, 1.0)])
def test_the_paper_takes_its_share_of_each_channels_light(paper: tuple[float, float, float]) -> None:
    drawn = layers(paper=paper)
    bare = color.srgb_to_linear(color.multiply(drawn.wash, drawn.plain)) * np.array(paper, np.float32)
    assert np.abs(drawn.print.astype(int) - color.linear_to_srgb(bare).astype(int)).max() <= 3  # of two roundings
    blank = Layers(np.full((2, 2), 255, np.uint8), np.full((2, 2, 3), 255, np.uint8), paper)
    assert np.abs(color.srgb_to_linear(blank.print)[0, 0] - paper).max() < 0.005


def test_at_another_size_ink_and_wash_keep_their_means_and_the_paper() -> None:
    drawn = layers(40, 60, (0.9, 0.8, 0.7))
    small = drawn.resized(30, 20)
    assert small.plain.shape == (20, 30) and small.wash.shape == (20, 30, 3) and small.paper == drawn.paper
    for before, after in ((drawn.plain, small.plain), (drawn.wash, small.wash)):
        assert after.dtype == np.uint8 and abs(before.mean() - after.mean()) < 0.5
    same = drawn.resized(60, 40)
    assert same.plain is drawn.plain and same.wash is drawn.wash
