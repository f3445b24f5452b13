"""Colour statistics that are carried over, and several colours that are shared out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit import recolour, swatches

SEEDS = st.integers(0, 2**32 - 1)


def colours(seed: int, dull: float = 1.0) -> np.ndarray:
    """(24, 32, 2) float32, as various as those of a vivid wash."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(2, 2)))[0]
    mix = turn @ np.diag(rng.uniform(12, 30, 2)) @ turn.T
    return ((rng.normal(size=(24, 32, 2)) @ mix + rng.normal(size=2) * 20) * dull).astype(np.float32)


def moments(ab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = ab.reshape(-1, 2).astype(float)
    return points.mean(0), np.cov(points.T, bias=True)


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.sampled_from(["red", "blue,ochre", "teal,gold,pink"]))
def test_colours_take_the_mean_and_nearly_the_spread_of_the_palette(seed: int, words: str) -> None:
    histogram = swatches.histogram(swatches.colours(words))
    mean, covariance = recolour._moments(*recolour._coloured(histogram))
    found_mean, found = moments(recolour.transferred(colours(seed), histogram))
    assert np.allclose(found_mean, mean, atol=0.05)
    assert np.trace(found) <= np.trace(covariance) * 1.001  # dull colours are stretched less, never more
    assert np.trace(found) >= np.trace(covariance) * 0.75


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_colours_that_are_those_of_the_palette_hardly_move(seed: int) -> None:
    """Of all maps that fit, Monge–Kantorovich's moves the least: its matrix is symmetric and turns nothing round."""
    rng = np.random.default_rng(seed)
    matrices = [rng.normal(size=(2, 2)) for _ in range(2)]
    one, other = (m @ m.T + np.eye(2) for m in matrices)
    move = recolour._monge_kantorovich(one, other)
    assert np.allclose(move @ one @ move.T, other) and np.allclose(move, move.T)
    assert np.linalg.eigvalsh(move).min() > 0
    assert np.allclose(recolour._monge_kantorovich(one, one), np.eye(2))


@pytest.mark.parametrize("dull", [0.0, 1e-6])
def test_a_grey_wash_takes_the_colour_evenly(dull: float) -> None:
    found = recolour.transferred(colours(3, dull), swatches.histogram([(204, 38, 44)]))
    assert np.isfinite(found).all() and np.ptp(found, axis=(0, 1)).max() < 1
    assert found[0, 0, 0] > 15


def test_what_isnt_painted_stays() -> None:
    ab, painted = colours(5), np.zeros((24, 32), np.float32)
    red = swatches.histogram([(204, 38, 44)])
    assert np.array_equal(recolour.transferred(ab, red, painted), ab)
    painted[:, :16] = 1
    found = recolour.transferred(ab, red, painted)
    assert np.array_equal(found[:, 16:], ab[:, 16:]) and not np.allclose(found[:, :16], ab[:, :16])


def test_a_palette_of_paper_alone_takes_the_colour_away() -> None:
    found = recolour.transferred(colours(7), swatches.histogram([(255, 255, 255)]))
    assert np.hypot(*found.mean((0, 1))) < 1


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.sampled_from([(0.5, 0.5), (0.8, 0.2), (0.2, 0.3, 0.5)]))
def test_each_colour_gets_its_amount_where_the_network_leans_to_it(seed: int, amounts: tuple[float, ...]) -> None:
    """However faintly it leans: here a hundredth of the way from the mean of the colours to one of them."""
    rng = np.random.default_rng(seed)
    single = np.broadcast_to(rng.normal(size=(len(amounts), 1, 1, 2)) * 30, (len(amounts), 24, 32, 2))
    bands = np.repeat(np.arange(len(amounts)), np.rint(np.array(amounts) * 32).astype(int))
    wish, dark = np.broadcast_to(bands, (24, len(bands))), np.zeros((24, 32), np.float32)
    dark[:, np.flatnonzero(np.diff(bands))] = 1  # a line between each two garments
    mean = single.mean(0)
    together = mean + 0.01 * (np.take_along_axis(single, wish[None, ..., None], 0)[0] - mean)
    shares = recolour.shared_out(together.astype(np.float32), single, amounts, np.ones((24, 32), np.float32), dark)
    assert np.allclose(shares.sum(0), 1, atol=1e-5)
    assert np.allclose(shares.mean((1, 2)), amounts, atol=0.05)  # two values alone: no softness to share finely
    if len(amounts) == 2:
        assert (shares.argmax(0) == wish).mean() > 0.9


def test_a_garment_has_one_colour_though_the_network_wavers_in_it() -> None:
    """What lies between the same lines leans alike; else its noise would be two colours, or the grey between them."""
    rng = np.random.default_rng(1)
    single = np.stack([np.full((96, 96, 2), value, np.float32) for value in (-30, 30)])
    lean = np.where(np.arange(96) < 48, -0.2, 0.2)[None, :, None] + rng.normal(size=(96, 96, 2))
    dark = np.zeros((96, 96), np.float32)
    dark[:, 48] = 1
    shares = recolour.shared_out(lean.astype(np.float32), single, (0.5, 0.5), np.ones((96, 96), np.float32), dark)
    assert shares[0, :, :40].mean() > 0.95 and shares[1, :, 56:].mean() > 0.95


@pytest.mark.parametrize("painted", [0.0, 1.0])
def test_a_network_that_leans_nowhere_gives_each_place_all_colours(painted: float) -> None:
    single = np.stack([np.full((8, 8, 2), value, np.float32) for value in (-20, 20)])
    plain = np.full((8, 8), painted, np.float32), np.zeros((8, 8), np.float32)
    shares = recolour.shared_out(np.zeros((8, 8, 2), np.float32), single, (0.25, 0.75), *plain)
    assert np.allclose(shares, np.array([0.25, 0.75])[:, None, None], atol=1e-3)


def test_what_is_bare_stays_as_the_network_said_it() -> None:
    together, painted = colours(1), np.zeros((24, 32), np.float32)
    single, shares = np.stack([colours(2), colours(3)]), np.zeros((2, 24, 32), np.float32)
    painted[:, 16:], shares[1] = 1, 1
    found = recolour.laid(together, single, shares, painted)
    assert np.array_equal(found[:, :16], together[:, :16])
    assert np.allclose(found[:, 16:], single[1][:, 16:], atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (128, 128)])
def test_white_is_bare_and_hatching_is_covered(size: tuple[int, int]) -> None:
    assert not recolour.covered(np.full(size, 100, np.float32)).any()
    hatched = np.full(size, 100, np.float32)
    hatched[::3] = 0
    assert recolour.covered(hatched).min() > 0.9
