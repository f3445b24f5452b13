"""Hints: small squares whose colour is told to the network, as a user would by a click.

How many there are is drawn as in Zhang et al., "Real-Time User-Guided Image Colorization", 2017: mostly few,
often none.
"""

import numpy as np
import torch
from torch import Tensor

MOST = 16  # squares a picture
SIDES = 4  # a square has 1 to 4 places of the target a side
GO_ON = 0.8  # the chance of one more square
COLUMNS = MOST * 4  # for each square: 0 or 1, whether it is there; its place y, x in 0..1; its side


def drawn(dice: np.ndarray, share: float) -> np.ndarray:
    """Equal chances 0..1 (B, COLUMNS) → what `painted` takes; `share` 0..1 of the samples get any."""
    there, y, x, side = dice.reshape(-1, MOST, 4).transpose(2, 0, 1).copy()
    there = np.cumprod(there < np.where(np.arange(MOST) == 0, share, GO_ON), axis=1)
    return np.stack([there, y, x, 1 + np.floor(side * SIDES)], axis=2).reshape(-1, COLUMNS).astype(np.float32)


def painted(draws: Tensor, ab: Tensor, inside: Tensor, box: Tensor) -> Tensor:
    """Hints for pictures. A square's colour is the target's mean there; where squares meet, the mean of theirs.

    draws    (B, COLUMNS) float32, from `drawn`
    ab       (B, 2, h, w) float32, ab units
    inside   (B, 1, h, w) float32 0..1, the share of a place that is picture
    box      (B, 4) int64, y0, x0, y1, x1 of the pictures in places of the target, wholly inside
    returns  (B, 3, h, w) float32: a and b, 0 where no hint is; 1 where one is, else 0
    """
    there, y, x, side = draws.reshape(-1, MOST, 4).unbind(2)
    y0, x0, y1, x1 = box[:, :, None].unbind(1)
    rows = _band(y, side, y0, y1, ab.shape[2])
    columns = _band(x, side, x0, x1, ab.shape[3]) * there[:, :, None]
    # Sums over squares and over places are products of matrices: nothing is scattered, so the bits are always the same.
    weighted = torch.cat([ab * inside, inside], dim=1)
    sums = [(torch.bmm(rows, plane) * columns).sum(2) for plane in weighted.unbind(1)]
    means = [(plane / sums[2].clamp(min=1e-6))[:, :, None] for plane in sums[:2]]
    across = rows.transpose(1, 2)
    a, b = (torch.bmm(across, columns * mean) for mean in means)
    count = torch.bmm(across, columns)
    mask = (count > 0).to(ab.dtype)
    return torch.stack([a / count.clamp(min=1), b / count.clamp(min=1), mask], dim=1)


def _band(place: Tensor, side: Tensor, first: Tensor, end: Tensor, length: int) -> Tensor:
    """Which of the `length` places of an axis belong to each square: (B, MOST, length) float32, 0 or 1. `place` and
    `side` (B, MOST); it lies in first ≤ i < end (B, 1), and is cut where that is shorter."""
    room = (end - first - side + 1).clamp(min=1)
    start = (first + (place * room).floor())[:, :, None]
    i = torch.arange(length, device=place.device)
    within = (i >= start) & (i < start + side[:, :, None]) & (i < end[:, :, None])
    return within.to(place.dtype)
