"""Palettes that the network is given: how much of a picture has which colour, whatever the place.

A palette is a histogram of a and b on a grid of 20 ab units, coarse enough that two pictures of the same colours have
nearly the same one. A colour between the nodes of the grid counts at the four around it, by its nearness (bilinearly),
so that a palette changes smoothly with the colours. Of the shares the square root is taken: a small spot of a strong
colour, which is what tells most, would be lost beside the paper. A last number, 1, says that there is a palette at all.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

STEP = 20  # ab units between nodes
REACH = 120  # the outermost nodes; colours beyond count there
SIDE = 13
CELLS = SIDE * SIDE  # a palette has one number more
COUNTED_STEP = 10  # ab units, of the histograms that shards keep
_EXACT = 2**24 // (4 * STEP**2)  # places whose counts add up exactly in float32


def of(ab: Tensor, inside: Tensor) -> Tensor:
    """Palettes of pictures, on their device. Sums of whole numbers by a matrix product, nothing scattered: the same
    bits on any device, and in any batch.

    ab       (B, 2, h, w) float, ab units; they are rounded to whole ones
    inside   (B, 1, h, w) float32, 0, ¼, ½, ¾ or 1, how much a place counts
    returns  (B, CELLS + 1) float32 0..1: the square root of the shares of the nodes, a's in rows, then 1;
             all zeros for a picture in which nothing counts
    """
    count, places = len(ab), ab.shape[2] * ab.shape[3]
    parts = 1
    while places // parts > _EXACT and places % (2 * parts) == 0:
        parts *= 2
    a, b = (_passed(axis.reshape(count * parts, -1)) for axis in ab.float().unbind(1))
    passed = torch.bmm(a.mul_(4 * inside.reshape(count * parts, 1, -1)), b.transpose(1, 2))
    # What passes a node less what passes the next is what counts there: see `_passed`
    passed = passed - F.pad(passed[:, 1:], (0, 0, 0, 1))
    counts = (passed - F.pad(passed[:, :, 1:], (0, 1))).reshape(count, parts, CELLS).sum(1)
    return _shares(counts)


def _passed(values: Tensor) -> Tensor:
    """(B, n) ab units → (B, SIDE, n), how far, in 0..STEP ab units, each value passes beyond the node before each node.
    Less the next row's, this is how much it counts at the node: STEP there, and less by each unit that it is away.
    The difference is left to be taken after the sums, of a few numbers in place of millions."""
    before = torch.arange(-STEP, SIDE * STEP - STEP, STEP, device=values.device, dtype=values.dtype)[:, None]
    return ((values.clamp(-REACH, REACH) + REACH).round()[:, None] - before).clamp_(0, STEP)


def _shares(counts: Tensor) -> Tensor:
    """(B, CELLS) ≥ 0 → (B, CELLS + 1), a palette."""
    total = counts.sum(1, keepdim=True)
    return torch.cat([(counts / total.clamp(min=1)).sqrt(), (total > 0).to(counts.dtype)], dim=1)


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
    passed = np.append(_passed(centres)[0].numpy(), np.zeros((1, len(counts))), axis=0)
    nearness = -np.diff(passed, axis=0)
    return _shares(torch.from_numpy(nearness @ counts @ nearness.T).reshape(1, CELLS))[0].float().numpy()
