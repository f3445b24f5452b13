"""Bins of ab, for a network that says how likely each colour is, and weights that keep grey from winning.

After Zhang, Isola and Efros, "Colorful Image Colorization", 2016: points of a grid of 10 ab units over what sRGB can
reach, 313 of them, and the same here: the four grid points around each colour of sRGB (D65), so that every colour lies
between bins, which makes 309, and (40, 90), (100, −90), (100, −10), (100, 0). Only 261 are the nearest of any colour.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

STEP = 10
NEAREST, SIGMA = 5, 5.0  # a colour counts at so many bins, by a Gaussian of so many ab units
EDGE = 13  # cells on each side of the middle one, of histograms and of the table below: −130 to 130
SIDE = 2 * EDGE + 1
TEMPERATURE = 0.38  # of `annealed_mean`, the paper's
_SPANS = {  # a: the first and the last b
    -90: (50, 90), -80: (20, 90), -70: (0, 90), -60: (-20, 90), -50: (-30, 100), -40: (-40, 100), -30: (-50, 100),
    -20: (-50, 100), -10: (-60, 100), 0: (-70, 100), 10: (-80, 90), 20: (-80, 90), 30: (-90, 90), 40: (-100, 90),
    50: (-100, 80), 60: (-110, 80), 70: (-110, 80), 80: (-110, 70), 90: (-110, 70), 100: (-90, 0),
}  # fmt: skip
CENTRES = torch.tensor(
    [(a, b) for a, (first, last) in _SPANS.items() for b in range(first, last + 1, STEP)], dtype=torch.float32
)  # (COUNT, 2), ab units, in ascending order of a, then b
COUNT = len(CENTRES)
_MOST = 9  # bins that can be among the NEAREST of a colour of one cell


# ---- colours and bins ----------------------------------------------------------------------------------


def soft(ab: Tensor) -> tuple[Tensor, Tensor]:
    """Which bins a colour counts at, and how much at each.

    ab       (B, 2, h, w) float32, ab units
    returns  the NEAREST bins (B, NEAREST, h, w) int64, nearest first, all different; their weights, the same shape,
             float32, positive sums of 1: a Gaussian of the distance
    """
    bins, a, b = _candidates(ab.device)
    cell = _cell(ab)
    distance = (a[cell] - ab[:, 0, ..., None]).square_().add_((b[cell] - ab[:, 1, ..., None]).square_())
    # Of equals the first, on every device: colours of 8 bits have many bins that are equally far.
    order = torch.arange(_MOST, device=ab.device) * 1e-4
    chosen = (distance + order).topk(NEAREST, dim=-1, largest=False).indices
    weights = torch.softmax(distance.gather(-1, chosen) / (-2 * SIGMA**2), dim=-1)
    return bins[cell].gather(-1, chosen).movedim(-1, 1), weights.movedim(-1, 1)


def cross_entropy(logits: Tensor, ab: Tensor) -> Tensor:
    """How far the odds are from a colour's: logits (B, COUNT, h, w) float32, ab (B, 2, h, w) → (B, 1, h, w) float32.
    The same as with a full target, of which all but NEAREST numbers would be 0, and which is never made."""
    indices, weights = soft(ab)
    hit = (logits.gather(1, indices) * weights).sum(1, keepdim=True)
    return logits.logsumexp(1, keepdim=True) - hit


def annealed_mean(logits: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """One colour of many odds: their mean after the odds are sharpened.

    logits       (B, COUNT, h, w) float32
    temperature  at 1 it is the mean itself, dull; towards 0 the likeliest bin, vivid but patchy; the paper takes 0.38
    returns      (B, 2, h, w) float32, ab units
    """
    with torch.autocast("cpu" if logits.device.type == "meta" else logits.device.type, enabled=False):
        odds = torch.softmax(logits.float() / temperature, dim=1)
        return torch.einsum("bqhw,qc->bchw", odds, _centres(logits.device))


@cache
def _centres(device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return CENTRES.to(device)


@cache
def _candidates(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each cell of the grid (SIDE², a's in rows) the bins that can be among the NEAREST of a colour in it:
    their numbers, int64, their a and their b, float32, (cells, _MOST) each.

    A bin that NEAREST others are nearer than, at all four corners of a cell, is farther than these all over the cell.
    """
    axis = STEP * np.arange(-EDGE, EDGE + 1)
    cells = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    centres = CENTRES.numpy().astype(np.int64)
    near = ((centres - cells) ** 2).sum(-1).argsort(axis=1, kind="stable")[:, : 3 * _MOST]
    corners = cells + STEP // 2 * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    distance = ((centres[near][:, :, None] - corners[:, None]) ** 2).sum(-1)  # (cells, bins, corners)
    nearer = (distance[:, None] <= distance[:, :, None]).all(-1).sum(-1)
    bins = np.take_along_axis(near, nearer.argsort(axis=1, kind="stable")[:, :_MOST], axis=1)
    with torch.inference_mode(False):
        a, b = CENTRES[torch.from_numpy(bins)].unbind(-1)
        return torch.from_numpy(bins).to(device), a.contiguous().to(device), b.contiguous().to(device)


# ---- how much a colour counts --------------------------------------------------------------------------


def rebalancing(histogram: np.ndarray, uniform: float = 0.5, sigma: float = SIGMA) -> np.ndarray:
    """What a place of each colour should count in the loss, so that the many grey ones don't win: the inverse of how
    frequent the colour is, 1 / ((1 − uniform)·p + uniform/Q), so that the mean over all pixels is 1.

    histogram  (27, 27), any number type, ≥ 0: the pixels of a data set in cells of 10 ab units whose centres are −130
               to 130, a's in rows
    uniform    0 < uniform ≤ 1, the part of an even distribution that is mixed in; 1: all count the same
    sigma      ab units, of a Gaussian that smooths the frequencies p; within the bins, over whose border nothing leaks
    returns    (27, 27) float32 above 0. Cells outside the bins that nobody has count like a colour that nobody has.
    """
    counts = np.asarray(histogram, np.float64)
    if counts.shape != (SIDE, SIDE) or not 0 < uniform <= 1:
        raise ValueError(f"a histogram must be {SIDE}×{SIDE} and uniform in 0 < … ≤ 1, not {counts.shape}, {uniform}")
    if not counts.any():
        return np.ones_like(counts, np.float32)
    known = (_reachable() | (counts > 0)).astype(np.float64)
    distance = STEP * (np.arange(SIDE)[:, None] - np.arange(SIDE))
    smooth = np.exp(-0.5 * (distance / sigma) ** 2)
    share = known * (smooth @ counts @ smooth) / np.maximum(smooth @ known @ smooth, 1e-12)
    weights = 1 / ((1 - uniform) * share / share.sum() + uniform / known.sum())
    return (weights * (counts.sum() / (weights * counts).sum())).astype(np.float32)


def _reachable() -> np.ndarray:
    """(27, 27) bool: the cells of the bins."""
    cells = np.zeros((SIDE, SIDE), bool)
    a, b = CENTRES.numpy().astype(np.int64).T // STEP + EDGE
    cells[a, b] = True
    return cells


def looked_up(weights: Tensor, ab: Tensor) -> Tensor:
    """What each place counts: weights (27, 27) on the device of ab (B, 2, h, w) → (B, 1, h, w)."""
    return weights.flatten()[_cell(ab)][:, None]


def _cell(ab: Tensor) -> Tensor:
    """(B, 2, h, w) ab units → (B, h, w) int64, the number of the nearest cell, of SIDE²."""
    a, b = ((ab / STEP).round().clamp(-EDGE, EDGE).long() + EDGE).unbind(1)
    return a * SIDE + b
