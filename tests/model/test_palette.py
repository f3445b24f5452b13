"""Palettes for the network: how much of a picture has which colour."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gravurekit.model import palette
from gravurekit.shards import palette as counted

quick = settings(max_examples=50, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**31)


def of_one(a: float, b: float, inside: Tensor | None = None) -> np.ndarray:
    ab = torch.tensor([a, b])[:, None, None].expand(2, 3, 4)[None]
    found = palette.of(ab, torch.ones(1, 1, 3, 4) if inside is None else inside)
    assert found.shape == (1, palette.CELLS + 1) and found.dtype == torch.float32
    return found[0].numpy()


def at(a: float, b: float) -> int:
    return round((a + 120) / 20) * palette.SIDE + round((b + 120) / 20)


@pytest.mark.parametrize(
    "colour, shares",
    [
        ((0, 0), {(0, 0): 1}),
        ((40, -20), {(40, -20): 1}),
        ((-120, 120), {(-120, 120): 1}),
        ((10, 0), {(0, 0): 0.5, (20, 0): 0.5}),
        ((5, 10), {(0, 0): 0.375, (0, 20): 0.375, (20, 0): 0.125, (20, 20): 0.125}),
        ((-128, 127), {(-120, 120): 1}),  # beyond the outermost nodes
    ],
)
def test_the_palette_of_one_colour_is_at_the_nodes_around_it(
    colour: tuple[float, float], shares: dict[tuple[float, float], float]
) -> None:
    expected = np.zeros(palette.CELLS + 1)
    expected[[at(*node) for node in shares]] = np.sqrt(list(shares.values()))
    expected[-1] = 1
    assert of_one(*colour) == pytest.approx(expected, abs=1e-6)


def random_picture(seed: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ab = torch.rand(1, 2, height, width, generator=generator) * 256 - 128
    return ab, (torch.rand(1, 1, height, width, generator=generator) * 5).floor() / 4


@quick
@given(SEEDS, st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_what_counts_is_the_picture_not_the_padding_nor_the_place(
    seed: int, height: int, width: int, above: int, beside: int
) -> None:
    ab, inside = random_picture(seed, height, width)
    alone = palette.of(ab, inside)
    assert torch.isfinite(alone).all() and alone.min() >= 0
    assert float(alone[0, :-1].square().sum()) == pytest.approx(float(inside.any()), abs=1e-5)
    white = torch.full((1, 2, height + above, width + beside), 99.0)
    padded, share = white, torch.zeros(1, 1, height + above, width + beside)
    padded[..., above:, beside:], share[..., above:, beside:] = ab, inside
    assert torch.equal(palette.of(padded, share), alone)
    assert torch.equal(palette.of(ab.flip(-1), inside.flip(-1)), alone)
    company = palette.of(torch.cat([ab.flip(1), ab]), torch.cat([inside, inside]))
    assert torch.equal(company[1], alone[0])


@pytest.mark.parametrize("side", [112, 128, 256])
def test_large_pictures_are_counted_as_exactly_as_small_ones(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places of another colour on paper: nothing of them is lost among thousands, and nowhere else is anything."""
    ab = torch.zeros(1, 2, side, side)
    ab[0, :, 3, 4:6] = torch.tensor([60.0, -100.0])[:, None]
    found = palette.of(ab, torch.ones(1, 1, side, side))[0]
    expected = torch.zeros(palette.CELLS + 1)
    expected[at(60, -100)], expected[at(0, 0)], expected[-1] = (2 / side**2) ** 0.5, (1 - 2 / side**2) ** 0.5, 1
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    monkeypatch.setattr(palette, "_EXACT", 100)
    assert torch.equal(palette.of(ab, torch.ones(1, 1, side, side))[0], found)


@quick
@given(st.integers(-130, 130), st.integers(-130, 130))
def test_a_colour_counts_by_its_nearness(a: int, b: int) -> None:
    """Bilinear, worked out node by node."""
    nodes = np.arange(-120, 121, 20)
    rows, columns = (np.maximum(0, 1 - np.abs(np.clip(v, -120, 120) - nodes) / 20) for v in (a, b))
    assert of_one(a, b)[:-1] == pytest.approx(np.sqrt(np.outer(rows, columns)).ravel(), abs=1e-6)


@quick
@given(SEEDS, st.integers(1, 9), st.integers(1, 9))
def test_histograms_of_shards_say_the_same(seed: int, height: int, width: int) -> None:
    """Of pictures whose colours are multiples of 10, which is where the cells of shards have their centres."""
    lab = np.random.default_rng(seed).integers(-12, 13, (3, height, width)) * 10 + 128
    box = (0, 0, height, width)
    ab = torch.from_numpy(lab[None, 1:] - 128.0).float()
    found = palette.from_histogram(counted.counted(lab.astype(np.uint8), box))
    assert found.dtype == np.float32 and found.shape == (palette.CELLS + 1,)
    assert found == pytest.approx(palette.of(ab, torch.ones(1, 1, height, width))[0].numpy(), abs=1e-5)


def test_the_most_vivid_colours_count_as_much_as_others() -> None:
    ab = torch.tensor([[-128.0, 0.0, 127.0, 127.0], [0.0, 0.0, -128.0, -128.0]])[None, :, None]
    found = palette.of(ab, torch.ones(1, 1, 1, 4))[0].square()
    shares = {at(-120, 0): 0.25, at(0, 0): 0.25, at(120, -120): 0.5}
    assert {n: float(found[n]) for n in found[:-1].nonzero().flatten().tolist()} == pytest.approx(shares)


def test_of_nothing_nothing_is_told() -> None:
    assert not of_one(30, 40, torch.zeros(1, 1, 3, 4)).any()
    assert not palette.from_histogram(np.zeros((27, 27), np.int64)).any()


def test_a_palette_changes_little_where_a_colour_does() -> None:
    near, far = (np.linalg.norm(of_one(20, 0) - of_one(20 + d, 0)) for d in (2, 40))
    assert near < far / 2


@pytest.mark.parametrize("shape", [(26, 26), (27, 25), (27,)])
def test_other_shapes_are_no_histograms(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="square with an odd side"):
        palette.from_histogram(np.ones(shape))
