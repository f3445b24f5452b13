"""Samples, and the batches that a training step takes: how they are proved, augmented and scaled."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gravurekit.errors import TrainingError
from gravurekit.model import hints, palette
from gravurekit.model.augment import PLAIN, Augmentation, Draws, drawn
from gravurekit.model.readings import sent


class Samples(Protocol):
    """Training pictures. A batch holds

    L        (B, 1, H, W) uint8, lightness of the plain print in OpenCV's 8-bit scale: L·255/100
    wash     (B, 3, H, W) uint8, Lab of the colours without ink: L·255/100, a + 128, b + 128;
             or `ab` (B, 2, H, W), its last two planes, in its place
    L_photo  (B, 1, H, W) uint8, lightness of the photograph; not everywhere
    label    (B,) int64, index of the class, −1 for none
    box      (B, 4) int64, y0, x0, y1, x1 of the picture within its padding

    Several threads ask at the same time. With `out`, arrays that `buffers` made for at least B samples, these are
    filled, and what is returned are views of their first B.
    """

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray, out: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]: ...

    def buffers(self, count: int) -> dict[str, np.ndarray]: ...


class Wanted(Protocol):
    """What a network takes and gives besides L and ab; a NetworkConfig says it."""

    @property
    def ab_limit(self) -> float: ...
    @property
    def palette(self) -> bool: ...
    @property
    def hints(self) -> bool: ...
    @property
    def lightness(self) -> bool: ...


@dataclass(frozen=True)
class Batch:
    """On the device, float32, at the size of L or at half of it:

    L        (B, 1, H, W) 0..100
    ab       (B, 2, h, w) ab units, the mean over a place's own pixels of the picture, 0 where there are none
    inside   (B, 1, h, w) 0..1, the share of a place that is picture
    label    (B,) int64
    wash_L   (B, 1, h, w) 0..100, the lightness of the wash, likewise
    palette  (B, palette.CELLS + 1), all zeros where it isn't told
    hints    (B, 3, H, W): a and b in units of the network's ab_limit, 0 where no hint is; 1 where one is
    """

    L: Tensor
    ab: Tensor
    inside: Tensor
    label: Tensor
    wash_L: Tensor | None = None
    palette: Tensor | None = None
    hints: Tensor | None = None


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


def prepared(
    samples: dict[str, Tensor],
    config: Wanted,
    augmentation: Augmentation = PLAIN,
    places: np.ndarray | None = None,
    seed: int = 0,
) -> Batch:
    """A batch of `Samples` as tensors, on their device: augmented, scaled, its target at half size. Nothing of it
    shares memory with `samples`.

    places  (B,) int64, which samples of the endless stream of a training they are: what is changed is decided by
            that and by the seed alone. Needed unless the pictures are taken as they are.
    """
    return on_device(samples, thrown(samples, augmentation, places, seed), config, augmentation)


def thrown(
    samples: dict[str, Tensor], augmentation: Augmentation, places: np.ndarray | None, seed: int
) -> Tensor | None:
    """The half of `prepared` that is done on the host: the draws of these samples, (B, augment.COLUMNS) float32, on
    their device; None if they are taken as they are."""
    if augmentation == PLAIN:
        return None
    if places is None:
        raise ValueError("who augments must say which samples of the stream these are")
    height, width = samples["L"].shape[-2:]
    return sent(drawn(augmentation, (height, width), places, seed), samples["L"].device)


@torch.no_grad()
def on_device(
    samples: dict[str, Tensor], draws: Tensor | None, config: Wanted, augmentation: Augmentation = PLAIN
) -> Batch:
    """The half of `prepared` that a CUDA graph can hold: shapes follow from the samples' and from `augmentation`, and
    nothing is asked back from the device. `draws` (B, augment.COLUMNS) float32 of `augment.drawn`, or None for the
    pictures as they are."""
    dice = Draws(draws, augmentation)
    planes = samples["wash"] if config.lightness else samples["ab"] if "ab" in samples else samples["wash"][:, 1:]
    size = augmentation.crop or samples["L"].shape[-2:]
    box = dice.moved(samples["box"], size[1])
    inside = _share(box, *size)
    target = dice.window(_summed(planes, samples["box"]), 2) / (4 * inside).clamp(min=1)
    ab = target[:, -2:] - 128 * (inside > 0)
    return Batch(
        L=_lightness(samples, dice, box),
        ab=ab,
        inside=inside,
        label=samples["label"].clone(),
        wash_L=target[:, :1] * (100 / 255) if config.lightness else None,
        palette=dice.told(palette.of(ab, inside)) if config.palette else None,
        hints=_hints(dice, ab, inside, box, config.ab_limit) if config.hints and augmentation.hints else None,
    )


def _lightness(samples: dict[str, Tensor], dice: Draws, box: Tensor) -> Tensor:
    """L as the network sees it; `box` in the window. The padding stays as it is."""
    chosen = dice.window(dice.source(samples))
    L = chosen.float() * (100 / 255)
    if not dice.changes_lightness:
        return L
    return torch.where(_within(box, *L.shape[-2:]), dice.lightness(L), L)


def _summed(planes: Tensor, box: Tensor) -> Tensor:
    """(B, C, H, W) uint8 → (B, C, h, w) int16, sums over those of 2×2 pixels that lie in the boxes: at an odd border
    the padding must not bleed into the target. Small integers, because this is what takes the most memory."""
    own = (planes * _within(box, *planes.shape[-2:])).short()
    rows = own[:, :, 0::2] + own[:, :, 1::2]
    return rows[..., 0::2] + rows[..., 1::2]


def _hints(dice: Draws, ab: Tensor, inside: Tensor, box: Tensor, limit: float) -> Tensor:
    """(B, 3, H, W) of a target at half size; `box` in the window."""
    height, width = inside.shape[-2:]
    y0, x0, y1, x1 = box.chunk(4, dim=1)
    # The places of the target that lie wholly inside
    own = torch.cat(
        [
            (y0.clamp(min=0) + 1) // 2,
            (x0.clamp(min=0) + 1) // 2,
            y1.clamp(max=2 * height) // 2,
            x1.clamp(max=2 * width) // 2,
        ],
        dim=1,
    )
    return F.interpolate(hints.painted(dice["hints"], ab / limit, inside, own), scale_factor=2, mode="nearest")


def _within(box: Tensor, height: int, width: int) -> Tensor:
    """(B, 1, height, width) bool, within the boxes (B, 4)."""
    y0, x0, y1, x1 = box[:, :, None].unbind(1)
    y, x = torch.arange(height, device=box.device), torch.arange(width, device=box.device)
    rows, columns = (y >= y0) & (y < y1), (x >= x0) & (x < x1)
    return rows[:, None, :, None] & columns[:, None, None, :]


def _share(box: Tensor, height: int, width: int) -> Tensor:
    """(B, 1, height/2, width/2) float32, the share of a place of 2×2 pixels that lies within the boxes (B, 4)."""
    y0, x0, y1, x1 = box[:, :, None].unbind(1)
    rows, columns = (
        (torch.minimum(end, edge + 2) - torch.maximum(begin, edge)).clamp(min=0).float() / 2
        for begin, end, edge in (
            (y0, y1, torch.arange(0, height, 2, device=box.device)),
            (x0, x1, torch.arange(0, width, 2, device=box.device)),
        )
    )
    return rows[:, None, :, None] * columns[:, None, None, :]
