"""Augmentation: what a training changes in its pictures, by chance, so that it doesn't learn them by heart.

Two halves. `drawn` throws the dice on the host, counted (`chance.py`): a few numbers for each sample. All the rest is
done with these on the device, in shapes that depend on nothing that is drawn, so that a CUDA graph can hold it.
What costs there is the bytes that are moved, so steps are joined where they can be: `bench/batches.py` counts them.
"""

import math
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gravurekit.errors import TrainingError, UsageError
from gravurekit.model import hints
from gravurekit.model.chance import KEY_BITS, chance, grain
from gravurekit.model.recipe import Recipe

RADIUS = 3  # of the widest blur, px
# Streams of chance. A stream for each, so that one that is switched on changes nothing of the others.
CROP, MIRROR, PHOTOGRAPH, TONE, BLUR, NOISE, PALETTE, HINTS = range(8)
# What is drawn for a sample, and how many columns it takes
PARTS = {
    "corner": 2,  # top, left of the window, px, even
    "mirrored": 1,  # 0 or 1, as are the next and `palette`
    "photograph": 1,
    "tone": 3,  # gamma; lightness of ink and of paper, 0..1
    "taps": RADIUS + 1,  # of the blur, from the middle outwards
    "noise": 2,  # standard deviation in L units, key of its pattern
    "palette": 1,  # 0 where it is dropped
    "hints": hints.COLUMNS,
}
COLUMNS = sum(PARTS.values())
_SLICES = {n: slice(end - PARTS[n], end) for n, end in zip(PARTS, accumulate(PARTS.values()), strict=True)}
INK_RISE, PAPER_FALL = 0.5, 0.25  # at tone 1: the most by which ink becomes lighter, and paper darker


@dataclass(frozen=True)
class Augmentation:
    """What is changed, and how much at most; as it stands, nothing.

    crop          height and width, px, of the window that is taken of each picture; None: all of it
    mirror        half of the pictures are seen in a mirror
    tone          gamma lies within e^±tone; ink becomes lighter by up to 50·tone units of L, paper darker by 25·tone
    blur          standard deviation, px, of a Gaussian: up to that
    noise         standard deviation of noise, in units of L: up to that
    photographs   share of the samples that show the photograph's lightness, where the shards have it
    palette_drop  share of the samples whose palette isn't told
    hints         share of the samples that get hints
    """

    crop: tuple[int, int] | None = None
    mirror: bool = False
    tone: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    photographs: float = 0.0
    palette_drop: float = 0.0
    hints: float = 0.0

    def __post_init__(self) -> None:
        for name, limit in (("tone", 1), ("blur", (RADIUS + 1) / 4), ("noise", 50)):
            if not 0 <= getattr(self, name) <= limit:
                raise UsageError(f"bad augmentation: {name} must lie in 0..{limit}, not {getattr(self, name)}")
        for name in ("photographs", "palette_drop", "hints"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"bad augmentation: {name} is a share in 0..1, not {getattr(self, name)}")
        if self.crop is not None and (min(self.crop) < 8 or any(side % 8 for side in self.crop)):
            raise UsageError(f"bad augmentation: sides of a crop are multiples of 8, not {self.crop}")


PLAIN = Augmentation()
ASKED = ("crop", "tone", "blur", "noise", "photographs", "palette_drop")  # of a recipe, under the same names


def augmentation_of(recipe: Recipe) -> Augmentation:
    """What is done to the pictures of a training."""
    knobs: dict[str, Any] = {name: value for name, value in asdict(recipe).items() if name in ASKED}
    return Augmentation(mirror=True, hints=recipe.hint_share, **knobs)


def drawn(augmentation: Augmentation, size: tuple[int, int], places: np.ndarray, seed: int) -> np.ndarray:
    """The dice of some samples, each of its own place alone.

    size     height and width of the samples, px
    places   (B,) int64, which samples of the endless stream of a training they are
    returns  (B, COLUMNS) float32, for `Draws`
    """

    def dice(stream: int, number: int = 1) -> np.ndarray:
        return chance(seed, places, stream, number)

    gamma, ink, paper = dice(TONE, 3).T * augmentation.tone
    taps = _taps(dice(BLUR) * augmentation.blur, _radius(augmentation.blur))
    noise = dice(NOISE, 2) * (augmentation.noise, 1 << KEY_BITS)
    parts = {
        "corner": 2 * np.floor(dice(CROP, 2) * (_room(augmentation.crop, size) // 2 + 1)),
        "mirrored": dice(MIRROR) < 0.5 * augmentation.mirror,
        "photograph": dice(PHOTOGRAPH) < augmentation.photographs,
        "tone": np.stack([np.exp(2 * gamma - augmentation.tone), INK_RISE * ink, 1 - PAPER_FALL * paper], axis=1),
        "taps": taps,
        "noise": noise,
        "palette": dice(PALETTE) >= augmentation.palette_drop,
        "hints": hints.drawn(dice(HINTS, hints.COLUMNS), augmentation.hints),
    }
    columns = [np.broadcast_to(parts[name], (len(places), width)) for name, width in PARTS.items()]
    return np.concatenate(columns, axis=1, dtype=np.float32)


def _room(crop: tuple[int, int] | None, size: tuple[int, int]) -> np.ndarray:
    """How far the window can go down and to the right, px."""
    room = np.array(size) - (crop or size)
    if room.min() < 0:
        raise TrainingError(
            f"a crop of {crop} (height, width) is larger than the samples, {size}; choose a smaller one, or make "
            "larger samples"
        )
    return room


def _radius(blur: float) -> int:
    """How far, px, a blur of up to so many px reaches: below 4 standard deviations, where hardly anything is left."""
    return max(1, math.ceil(4 * blur) - 1)


def _taps(sigma: np.ndarray, radius: int) -> np.ndarray:
    """(B, 1) standard deviations, px → (B, RADIUS + 1) weights from the middle outwards, 0 beyond `radius`; both sides
    add up to 1."""
    distance = np.arange(RADIUS + 1)
    weights = np.exp(-0.5 * (distance / np.maximum(sigma, 1e-3)) ** 2) * (distance <= radius)
    return weights / (2 * weights.sum(1, keepdims=True) - 1)


class Draws:
    """What was drawn, on the device, and what is done with it."""

    def __init__(self, draws: Tensor | None, augmentation: Augmentation) -> None:
        """`draws` (B, COLUMNS) float32 as `drawn` gave it; None will do for PLAIN."""
        self._draws, self.augmentation = draws, augmentation

    def __getitem__(self, name: str) -> Tensor:
        """The columns of that name, (B, n)."""
        if self._draws is None:
            raise ValueError(f"without draws the augmentation must be PLAIN, not {self.augmentation}")
        return self._draws[:, _SLICES[name]]

    def source(self, samples: dict[str, Tensor]) -> Tensor:
        """(B, 1, H, W) uint8, the lightness that the network is shown: of the print, or of the photograph."""
        if self.augmentation.photographs and "L_photo" in samples:
            return torch.where(_for_planes(self["photograph"]) > 0, samples["L_photo"], samples["L"])
        return samples["L"]

    def told(self, palettes: Tensor) -> Tensor:
        """Palettes (B, n), all zeros where they aren't told."""
        return palettes * self["palette"] if self.augmentation.palette_drop else palettes

    def moved(self, box: Tensor, width: int) -> Tensor:
        """Boxes (B, 4) int64 as they lie in the window, which is `width` px wide; they may go beyond it."""
        if self.augmentation.crop is not None:
            box = box - self["corner"].long().repeat(1, 2)
        if self.augmentation.mirror:
            y0, x0, y1, x1 = box.chunk(4, dim=1)
            box = torch.where(self["mirrored"] > 0, torch.cat([y0, width - x1, y1, width - x0], dim=1), box)
        return box

    def window(self, picture: Tensor, scale: int = 1) -> Tensor:
        """The window of pictures (B, C, H, W), of any type, that are reduced by `scale`, 1 or 2: (B, C, h, w), new
        memory or the same."""
        crop, mirror = self.augmentation.crop, self.augmentation.mirror
        if crop is None:
            turned = _for_planes(self["mirrored"]) > 0 if mirror else None
            return picture if turned is None else torch.where(turned, picture.flip(-1), picture)
        height, width = (side // scale for side in crop)
        corner = (self["corner"] / scale).long()
        y, x = (torch.arange(side, device=picture.device) for side in (height, width))
        columns = torch.where(self["mirrored"] > 0, width - 1 - x, x) + corner[:, 1:]
        rows = y + corner[:, :1]
        samples, planes = (torch.arange(n, device=picture.device) for n in picture.shape[:2])
        return picture[
            samples[:, None, None, None], planes[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
        ]

    @property
    def changes_lightness(self) -> bool:
        """Whether `lightness` would change anything."""
        return bool(self.augmentation.tone or self.augmentation.blur or self.augmentation.noise)

    def lightness(self, L: Tensor) -> Tensor:
        """Another print of the same: L (B, 1, H, W) float32 0..100 → the same, new memory."""
        if self.augmentation.tone:
            gamma, ink, paper = _for_planes(self["tone"]).chunk(3, dim=1)
            L = torch.addcmul(100 * ink, L.pow(gamma), (paper - ink) * 100 ** (1 - gamma))
        if self.augmentation.blur:
            radius = _radius(self.augmentation.blur)
            taps = _for_planes(self["taps"][:, : radius + 1])
            wide = F.pad(L, (radius, radius, radius, radius), mode="replicate")
            L = _blurred(_blurred(wide, taps, 2), taps, 3)
        if self.augmentation.noise:
            deviation, keys = self["noise"].chunk(2, dim=1)
            # Equal chances of 256 values, whose variance is (256² − 1)/12
            scale = _for_planes(deviation) / ((256**2 - 1) / 12) ** 0.5
            L = torch.addcmul(L, grain(keys, *L.shape[-2:]).float().sub_(127.5), scale)
        return L.clamp(0, 100)


def _for_planes(columns: Tensor) -> Tensor:
    """(B, n) → (B, n, 1, 1)."""
    return columns[:, :, None, None]


def _blurred(wide: Tensor, taps: Tensor, axis: int) -> Tensor:
    """(B, 1, H, W) smoothed along an axis, which becomes shorter by the radius at both ends; each sample by weights of
    its own (B, radius + 1, 1, 1). Shifted copies are added up, because no convolution has a kernel a sample."""
    radius = taps.shape[1] - 1
    length = wide.shape[axis] - 2 * radius
    result = wide.narrow(axis, radius, length) * taps[:, :1]
    for distance in range(1, radius + 1):
        both = wide.narrow(axis, radius - distance, length) + wide.narrow(axis, radius + distance, length)
        result.addcmul_(taps[:, distance : distance + 1], both)
    return result
