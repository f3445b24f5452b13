"""Bins of ab: which there are, what counts at which, and what a colour weighs."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2lab
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from gravurekit.model import bins
from gravurekit.shards import palette as counted

quick = settings(max_examples=40, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**31)
Cells = set[tuple[int, int]]


@pytest.fixture(scope="module")
def srgb() -> np.ndarray:
    """(n, 2) a and b of the six faces of the sRGB cube, every 8-bit value: all others lie between them."""
    axis = np.arange(256, dtype=np.uint8)
    u, v = (plane.ravel() for plane in np.meshgrid(axis, axis))
    faces = [np.stack(np.roll([np.full_like(u, end), u, v], turn, axis=0), -1) for end in (0, 255) for turn in range(3)]
    return rgb2lab(np.concatenate(faces)[None])[0, :, 1:]


def grid(points: np.ndarray) -> Cells:
    return {(int(a), int(b)) for a, b in np.unique(points, axis=0)}


def test_the_bins_are_the_papers_313(srgb: np.ndarray) -> None:
    """The four grid points around each colour, and four that are named; 261 are the nearest of a colour."""
    ours = grid(bins.CENTRES.numpy())
    corners = np.floor(srgb / 10) * 10
    around: Cells = set().union(*(grid(corners + shift) for shift in ((0, 0), (0, 10), (10, 0), (10, 10))))
    assert len(around) == 309 and around < ours
    assert ours - around == {(40, 90), (100, -90), (100, -10), (100, 0)}
    assert len(ours) == bins.COUNT == len(bins.CENTRES) == 313 and bins.CENTRES.dtype == torch.float32
    nearest = grid(np.rint(srgb / 10) * 10)
    assert len(nearest) == 261 and nearest < ours
    assert bins.CENTRES.tolist() == sorted(bins.CENTRES.tolist())


# ---- soft codes ----------------------------------------------------------------------------------------


def planes(ab: np.ndarray) -> Tensor:
    """(n, 2) → (1, 2, 1, n)."""
    return torch.from_numpy(np.ascontiguousarray(ab.T, np.float32))[None, :, None]


def by_hand(ab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the distances to all bins the five smallest: (n, 5) squared, ascending, and the weights."""
    a, b = bins.CENTRES.numpy().T
    squared = (ab[:, :1].astype(np.float32) - a) ** 2 + (ab[:, 1:].astype(np.float32) - b) ** 2
    nearest = np.sort(np.partition(squared, 5, axis=1)[:, :5], axis=1)
    weights = np.exp(-(nearest - nearest[:, :1]) / 50)
    return nearest, weights / weights.sum(1, keepdims=True)


def check(ab: np.ndarray) -> None:
    indices, weights = (t[0, :, 0].T.numpy() for t in bins.soft(planes(ab)))
    assert indices.dtype == np.int64 and weights.dtype == np.float32
    assert np.diff(np.sort(indices, axis=1), axis=1).min() > 0  # all different
    squared, expected = by_hand(ab)
    found = ((ab[:, None] - bins.CENTRES.numpy()[indices]) ** 2).sum(-1)
    assert found == pytest.approx(squared, rel=1e-4, abs=0.01)
    assert weights == pytest.approx(expected, abs=1e-4)


@quick
@given(SEEDS)
def test_a_colour_counts_at_the_five_nearest_bins(seed: int) -> None:
    check(np.random.default_rng(seed).uniform(-135, 135, (300, 2)))


def test_so_do_those_equally_far_from_several_and_all_of_srgb_and_what_is_beyond(srgb: np.ndarray) -> None:
    every, tied = np.arange(-128, 128, 3), np.arange(-125, 126, 5)
    for axes in ((every, tied), (tied, every)):
        check(np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(np.float64))
    check(srgb[::37])


def test_grey_counts_mostly_at_the_grey_bin_and_at_the_same_others_always() -> None:
    indices, weights = bins.soft(torch.zeros(1, 2, 2, 2))
    found = {tuple(bins.CENTRES[i].tolist()): float(w) for i, w in zip(indices[0, :, 0, 0], weights[0, :, 0, 0])}  # noqa: B905
    assert set(found) == {(0, 0), (-10, 0), (10, 0), (0, -10), (0, 10)}
    assert found[0, 0] == pytest.approx(1 / (1 + 4 * np.exp(-2)), abs=1e-6)
    tied = torch.full((1, 2, 1, 1), 5.0)  # four at the same distance, then eight
    assert all(
        torch.equal(bins.soft(tied)[0], bins.soft(tied.expand(3, 2, 4, 5))[0][n : n + 1, :, :1, :1]) for n in (0, 2)
    )


@quick
@given(SEEDS, st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_cross_entropy_is_that_of_the_full_target(seed: int, count: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, bins.COUNT, height, width, generator=generator, requires_grad=True)
    ab = torch.rand(count, 2, height, width, generator=generator) * 200 - 100
    indices, weights = bins.soft(ab)
    target = torch.zeros_like(logits).scatter(1, indices, weights)
    expected = -(target * torch.log_softmax(logits, 1)).sum(1, keepdim=True)
    found = bins.cross_entropy(logits, ab)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    one, other = (torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0] for loss in (found, expected))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


# ---- annealed mean -------------------------------------------------------------------------------------


def odds_of(shares: dict[int, float]) -> Tensor:
    logits = torch.full((1, bins.COUNT, 1, 1), -1e4)
    for number, share in shares.items():
        logits[0, number] = np.log(share)
    return logits


def test_the_annealed_mean_lies_between_the_mean_and_the_likeliest() -> None:
    blue, red = (bins.CENTRES.tolist().index(c) for c in ([-10, -40], [60, 40]))
    logits = odds_of({blue: 0.3, red: 0.7})
    for temperature, share in ((1.0, 0.7), (0.5, 0.49 / 0.58), (0.01, 1.0)):
        expected = share * bins.CENTRES[red] + (1 - share) * bins.CENTRES[blue]
        torch.testing.assert_close(bins.annealed_mean(logits, temperature)[0, :, 0, 0], expected, rtol=0, atol=1e-3)
    default = bins.annealed_mean(logits)[0, 0, 0, 0]
    assert 39 < default < 60 and bins.TEMPERATURE == 0.38


def test_what_was_encoded_comes_back() -> None:
    """Where there are bins on all sides; nothing lies far off anywhere in sRGB."""
    inner = np.random.default_rng(0).uniform((-30, -20), (60, 60), (500, 2))
    indices, weights = bins.soft(planes(inner))
    logits = torch.full((1, bins.COUNT, 1, 500), -1e4).scatter(1, indices, weights.log())
    assert bins.annealed_mean(logits, 1.0)[0, :, 0].T.numpy() == pytest.approx(inner, abs=2.5)


def test_bfloat16_around_it_changes_nothing() -> None:
    logits = torch.randn(2, bins.COUNT, 3, 4, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = bins.annealed_mean(logits)
    assert found.dtype == torch.float32 and torch.equal(found, bins.annealed_mean(logits))
    assert bins.annealed_mean(logits.bfloat16()).dtype == torch.float32
    assert bins.annealed_mean(logits.to("meta")).shape == (2, 2, 3, 4)


# ---- what a colour weighs ------------------------------------------------------------------------------


def reachable() -> np.ndarray:
    cells = np.zeros((27, 27))
    a, b = bins.CENTRES.numpy().astype(int).T // 10 + 13
    cells[a, b] = 1
    return cells


@quick
@given(SEEDS, st.floats(0.01, 1), st.integers(1, 729))
def test_the_mean_weight_of_the_pixels_is_one(seed: int, uniform: float, occupied: int) -> None:
    chance = np.random.default_rng(seed)
    histogram = np.zeros(729, np.int64)
    histogram[chance.permutation(729)[:occupied]] = chance.integers(1, 10**9, occupied)
    histogram = histogram.reshape(27, 27)
    weights = bins.rebalancing(histogram, uniform)
    assert weights.dtype == np.float32 and weights.shape == (27, 27)
    assert np.isfinite(weights).all() and weights.min() > 0
    assert (weights * histogram).sum() / histogram.sum() == pytest.approx(1, rel=1e-4)
    cells = ((reachable() > 0) | (histogram > 0)).sum()
    assert weights.max() / weights.min() <= (1 + cells * (1 - uniform) / uniform) * 1.001  # nobody's beside everybody's


@pytest.mark.parametrize("flat", [np.full((27, 27), 7), 1000 * reachable()], ids=["all", "bins"])
def test_where_all_colours_are_as_frequent_all_weigh_the_same(flat: np.ndarray) -> None:
    weights = bins.rebalancing(flat)
    assert weights[flat > 0] == pytest.approx(1, abs=1e-5)


def test_where_most_is_grey_grey_weighs_least_and_rare_colours_most() -> None:
    histogram = reachable()
    histogram[12:15, 12:15] = 10_000
    histogram[13, 13], histogram[19, 17] = 1_000_000, 500
    weights = bins.rebalancing(histogram)
    assert weights.argmin() == 13 * 27 + 13 and weights[13, 13] < 1
    assert weights[13, 13] < weights[12, 13] < weights[19, 17] < weights[19, 13]
    even = bins.rebalancing(histogram, uniform=1)
    assert even == pytest.approx(1, abs=1e-6)
    mild = bins.rebalancing(histogram, uniform=0.9)
    assert weights[13, 13] < mild[13, 13] < 1 and weights.max() / weights.min() > mild.max() / mild.min()


def test_of_no_pictures_all_colours_weigh_the_same() -> None:
    assert (bins.rebalancing(np.zeros((27, 27), np.int64)) == 1).all()


@pytest.mark.parametrize("bad", [{"uniform": 0}, {"uniform": 1.5}, {"histogram": np.ones((13, 13))}])
def test_what_makes_no_weights_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be 27×27"):
        bins.rebalancing(**{"histogram": np.ones((27, 27)), **bad})


def test_places_are_looked_up_in_the_cells_that_shards_count() -> None:
    weights = torch.arange(729, dtype=torch.float32).reshape(27, 27)
    lab = np.random.default_rng(0).integers(0, 256, (3, 6, 7), np.uint8)
    found = bins.looked_up(weights, torch.from_numpy(lab[None, 1:] - 128.0).float())
    assert found.shape == (1, 1, 6, 7)
    histogram = counted.counted(lab, (0, 0, 6, 7))
    assert np.array_equal(np.bincount(found.flatten().long().numpy(), minlength=729).reshape(27, 27), histogram)


def test_nothing_is_asked_of_the_device() -> None:
    ab, logits = torch.zeros(2, 2, 3, 4), torch.zeros(2, bins.COUNT, 3, 4)
    bins.soft(ab), bins.annealed_mean(logits)  # the tables are there, as they are after one step
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        ab, logits = mode.from_tensor(ab), mode.from_tensor(logits)
        assert bins.cross_entropy(logits, ab).shape == (2, 1, 3, 4)
        assert bins.annealed_mean(logits).shape == (2, 2, 3, 4)
        assert bins.looked_up(torch.zeros(27, 27), ab).shape == (2, 1, 3, 4)
