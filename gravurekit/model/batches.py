"""Samples, and the batches that a training step takes: how they are proved, mirrored and scaled."""

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
    wash   (B, 3, H, W) uint8, Lab of the colours without ink: L·255/100, a + 128, b + 128;
           or `ab` (B, 2, H, W), its last two planes, in its place
    label  (B,) int64, index of the class, −1 for none
    box    (B, 4) int64, y0, x0, y1, x1 of the picture within its padding

    Several threads ask at the same time. With `out`, arrays that `buffers` made for at least B samples, these are
    filled, and what is returned are views of their first B.
    """

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray, out: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]: ...

    def buffers(self, count: int) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class Batch:
    """On the device, float32: L (B, 1, H, W) 0..100; at half size ab (B, 2, h, w) in ab units and
    inside (B, 1, h, w), the share 0..1 of a place that is picture; label (B,) int64."""

    L: Tensor
    ab: Tensor
    inside: Tensor
    label: Tensor


def prove(arrays: dict[str, np.ndarray], classes: int) -> None:
    """Raises TrainingError if a batch of `Samples` doesn't fit a network of so many classes."""
    height, width = arrays["L"].shape[-2:]
    if height % 8 or width % 8:
        raise TrainingError(
            f"training pictures are {height}×{width} (height×width), but sides must be multiples of 8; "
            "make the shards again with such a size"
        )
    label = arrays["label"]
    if label.min() < -1 or label.max() >= classes:
        raise TrainingError(
            f"labels run from {label.min()} to {label.max()}, but the network has {classes} classes; "
            "make the shards again, or start in a new folder"
        )


def prepared(samples: dict[str, Tensor], mirrored: np.ndarray | None = None) -> Batch:
    """A batch of `Samples` as tensors, on their device: mirrored where `mirrored` (B,) bool says so, scaled, its target
    at half size. Nothing of it shares memory with `samples`."""
    L, box = samples["L"], samples["box"]
    ab = samples["ab"] if "ab" in samples else samples["wash"][:, 1:]
    picture = torch.cat([L, ab, _inside(box, *L.shape[-2:])], dim=1)
    if mirrored is not None:
        turned = torch.from_numpy(mirrored).to(L.device)[:, None, None, None]
        picture = torch.where(turned, picture.flip(-1), picture)
    picture = picture.float()
    lightness, ab, mask = picture[:, :1] * (100 / 255), picture[:, 1:3] - 128, picture[:, 3:]
    inside = F.avg_pool2d(mask, 2)
    # The mean over the picture's own pixels: at an odd border the padding must not bleed into the target.
    target = F.avg_pool2d(ab * mask, 2) / inside.clamp(min=0.25)
    return Batch(lightness, target, inside, samples["label"].clone())


def _inside(box: Tensor, height: int, width: int) -> Tensor:
    """(B, 1, height, width) uint8, 1 within the boxes (B, 4)."""
    y0, x0, y1, x1 = box[:, :, None].unbind(1)
    y, x = torch.arange(height, device=box.device), torch.arange(width, device=box.device)
    rows, columns = (y >= y0) & (y < y1), (x >= x0) & (x < x1)
    return (rows[:, None, :, None] & columns[:, None, None, :]).to(torch.uint8)
