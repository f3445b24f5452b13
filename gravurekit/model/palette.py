"""Palettes that the network is given: how much of a picture has which colour, whatever the place.

A palette is a histogram of a and b on a grid of 20 ab units, coarse enough that two pictures of the same colours have
nearly the same one. A colour between the nodes of the grid counts at the four around it, by its nearness (bilinearly),
so that a palette changes smoothly with the colours. Of the shares the square root is taken: a small spot of a strong
colour, which is what tells most, would be lost beside the paper. A last number, 1, says that there is a palette at all.
"""

import numpy as np
import torch
from torch import Tensor

STEP = 20.0  # ab units between nodes
REACH = 120.0  # the outermost nodes; colours beyond count there
SIDE = 13
CELLS = SIDE * SIDE  # a palette has one number more
COUNTED_STEP = 10.0  # ab units, of the histograms that shards keep


def of(ab: Tensor, inside: Tensor) -> Tensor:
    """Palettes of pictures, on their device, the same bits every time (sums by a matrix product, nothing scattered).

    ab       (B, 2, h, w) float32, ab units
    inside   (B, 1, h, w) float32 0..1, how much a place counts
    returns  (B, CELLS + 1) float32 0..1: the square root of the shares of the nodes, a's in rows, then 1;
             all zeros for a picture in which nothing counts
    """
    a, b = (_nearness(axis) for axis in ab.flatten(2).unbind(1))
    counts = torch.bmm(a.mul_(inside.flatten(1)[:, None]), b.transpose(1, 2)).flatten(1)
    total = counts.sum(1, keepdim=True)
    shares = (counts / total.clamp(min=1e-12)).sqrt()
    return torch.cat([shares, (total > 0).to(shares.dtype)], dim=1)


def _nearness(values: Tensor) -> Tensor:
    """(B, n) ab units → (B, SIDE, n) 0..1, how much each value counts at each node of an axis: they add up to 1."""
    nodes = torch.arange(SIDE, device=values.device, dtype=values.dtype)[:, None]
    places = (values.clamp(-REACH, REACH) + REACH) / STEP
    return (places[:, None] - nodes).abs_().neg_().add_(1).relu_()


def from_histogram(histogram: np.ndarray) -> np.ndarray:
    """The palette of a histogram that shards keep, of a label or of a keyword, say.

    histogram  (27, 27), any number type, ≥ 0: pixels in cells of 10 ab units whose centres are −130 to 130, a's in rows
    returns    (CELLS + 1,) float32, as `of` gives it; each cell counts at its centre
    """
    counts = np.asarray(histogram, np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) % 2 == 0:
        raise ValueError(f"a histogram of a and b must be square with an odd side, not {counts.shape}")
    edge = len(counts) // 2
    centres = torch.arange(-edge, edge + 1, dtype=torch.float64)[None] * COUNTED_STEP
    nearness = _nearness(centres)[0].numpy()
    summed = nearness @ counts @ nearness.T
    total = summed.sum()
    shares = np.sqrt(summed / total) if total > 0 else np.zeros_like(summed)
    return np.append(shares.ravel(), total > 0).astype(np.float32)
