"""CIEDE2000 against the pairs of those who found the usual mistakes, and against scikit-image."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000

from gravurekit.model.difference import delta_e_2000

# Sharma, Wu and Dalal (2005), table 1: L, a, b of one, of the other, their difference to four digits
PAIRS = np.array([
    [50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425],
    [50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615],
    [50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412],
    [50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000],
    [50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000],
    [50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000],
    [50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669],
    [50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669],
    [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792],
    [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792],
    [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195],
    [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195],
    [50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045],
    [50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045],
    [50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461],
    [50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065],
    [50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492],
    [50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977],
    [50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030],
    [50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535],
    [50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000],
    [50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000],
    [50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000],
    [50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000],
    [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
    [63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630],
    [61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731],
    [35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645],
    [22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373],
    [36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146],
    [90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441],
    [90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381],
    [6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377],
    [2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082],
])  # fmt: skip
ONE, OTHER, TRUTH = PAIRS[:, :3], PAIRS[:, 3:6], PAIRS[:, 6]
TIES = (9, 13)  # opposite hues to the last digit: both ways around are as long, and float32 may take either


def test_the_pairs_of_the_paper() -> None:
    assert np.abs(delta_e_2000(ONE, OTHER) - TRUTH).max() < 0.5e-4 + 1e-9
    assert np.abs(delta_e_2000(OTHER, ONE) - TRUTH).max() < 0.5e-4 + 1e-9


@pytest.mark.parametrize("axis", [-1, 1])
def test_torch_says_the_same_in_float32(axis: int) -> None:
    one, other = (torch.from_numpy(np.moveaxis(lab[:, None], -1, axis)).float() for lab in (ONE, OTHER))
    found = delta_e_2000(one, other, axis)
    assert found.dtype == torch.float32 and found.shape == (34, 1)
    off = np.abs(found[:, 0].numpy() - TRUTH)
    assert np.delete(off, TIES).max() < 2e-4


def lab() -> st.SearchStrategy[np.ndarray]:
    """(8, 3) float64, of values that float32 has as well."""
    planes = [st.floats(low, high, width=32) for low, high in ((0, 100), (-128, 128), (-128, 128))]
    return st.lists(st.tuples(*planes), min_size=8, max_size=8).map(np.array)


def opposite(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where hues lie so nearly opposite that rounding decides which way around is the shorter."""
    # `a` is stretched alike in both, so what is opposite with it is opposite without
    cross = one[:, 1] * other[:, 2] - one[:, 2] * other[:, 1]
    dot = one[:, 1] * other[:, 1] + one[:, 2] * other[:, 2]
    return np.asarray((dot <= 0) & (np.abs(cross) <= 1e-4 * np.abs(dot) + 1e-30))


@given(lab(), lab())
def test_it_is_what_others_compute(one: np.ndarray, other: np.ndarray) -> None:
    ours, theirs, decided = delta_e_2000(one, other), deltaE_ciede2000(one, other), ~opposite(one, other)
    assert np.isfinite(ours).all() and (ours >= 0).all()
    assert np.abs(ours - theirs)[decided].max(initial=0) < 1e-9
    in_torch = delta_e_2000(torch.from_numpy(one).float(), torch.from_numpy(other).float()).numpy()
    assert np.isfinite(in_torch).all()
    assert (np.abs(in_torch - ours) <= 1e-3 + 1e-4 * ours)[decided].all()


@given(lab(), lab())
def test_it_is_a_difference(one: np.ndarray, other: np.ndarray) -> None:
    assert (delta_e_2000(one, one) == 0).all()
    assert np.allclose(delta_e_2000(one, other), delta_e_2000(other, one), rtol=1e-9, atol=1e-9)


def test_greys_differ_in_lightness_alone() -> None:
    greys = torch.zeros(101, 3)
    greys[:, 0] = torch.arange(101.0)
    found = delta_e_2000(greys[:-1], greys[1:])
    assert torch.isfinite(found).all() and (found > 0.5).all() and (found < 1.01).all()


def test_shapes_broadcast() -> None:
    pixels = np.random.default_rng(0).uniform(0, 90, (5, 4, 3)).astype(np.float32)
    found = delta_e_2000(pixels, pixels[2, 1])
    assert found.shape == (5, 4) and found.dtype == np.float32 and found[2, 1] == 0
