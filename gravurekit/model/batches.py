"""From samples to batches on the device: which pictures a step takes, which are mirrored, and how they are scaled.

Order and mirroring are functions of (seed, epoch) and (seed, step), so that a resumed run needs no random generator.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gravurekit.errors import TrainingError


class Samples(Protocol):
    """Training pictures. A batch holds

    L      (B, 1, H, W) uint8, lightness of the plain print in OpenCV's 8-bit scale: L·255/100
    wash   (B, 3, H, W) uint8, Lab of the colours without ink: L·255/100, a + 128, b + 128
    label  (B,) int64, index of the class, −1 for none
    box    (B, 4) int, y0, x0, y1, x1 of the picture within the padded square
    """

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class Batch:
    """On the device, float32: L (B, 1, H, W) 0..100; at half size ab (B, 2, h, w) in ab units and
    inside (B, 1, h, w), the share 0..1 of a place that is picture; label (B,) int64."""

    L: Tensor
    ab: Tensor
    inside: Tensor
    label: Tensor


def batch_indices(step: int, count: int, batch: int, seed: int) -> np.ndarray:
    """Which of `count` pictures step 0, 1, … takes: (batch,) int64. An epoch's incomplete rest waits."""
    epoch, place = divmod(step, count // batch)
    order = np.random.default_rng([seed, epoch, 0]).permutation(count)
    return order[place * batch : (place + 1) * batch]


def mirrored(step: int, batch: int, seed: int) -> np.ndarray:
    """Which pictures of a step's batch are mirrored: (batch,) bool."""
    return np.random.default_rng([seed, step, 1]).random(batch) < 0.5


def prepared(arrays: dict[str, np.ndarray], classes: int, device: torch.device, flip: np.ndarray | None) -> Batch:
    """A batch of `Samples` checked, mirrored where `flip` (B,) says so, scaled, its target at half size."""
    height, width = arrays["L"].shape[-2:]
    if height % 8 or width % 8:
        raise TrainingError(
            f"training pictures are {height}×{width} (height×width), but sides must be multiples of 8; "
            "make the shards again with such a size"
        )
    label = np.asarray(arrays["label"], np.int64)
    if label.min() < -1 or label.max() >= classes:
        raise TrainingError(
            f"labels run from {label.min()} to {label.max()}, but the network has {classes} classes; "
            "make the shards again, or start in a new folder"
        )
    y0, x0, y1, x1 = (np.asarray(arrays["box"])[:, i, None] for i in range(4))
    y, x = np.arange(height), np.arange(width)
    box = ((y >= y0) & (y < y1))[:, None, :, None] & ((x >= x0) & (x < x1))[:, None, None, :]
    layers = np.concatenate([arrays["L"], arrays["wash"][:, 1:], box.astype(np.uint8)], axis=1)
    picture = torch.from_numpy(layers).to(device)
    if flip is not None:
        turned = torch.from_numpy(flip).to(device)[:, None, None, None]
        picture = torch.where(turned, picture.flip(-1), picture)
    picture = picture.float()
    L, ab, mask = picture[:, :1] * (100 / 255), picture[:, 1:3] - 128, picture[:, 3:]
    inside = F.avg_pool2d(mask, 2)
    # The mean over the picture's own pixels: at an odd border the padding must not bleed into the target.
    target = F.avg_pool2d(ab * mask, 2) / inside.clamp(min=0.25)
    return Batch(L, target, inside, torch.from_numpy(label).to(device))
