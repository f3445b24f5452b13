"""What anybody can say of a picture's colours who has seen those of the training: the rows beside the network's."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gravurekit import color, images
from gravurekit.errors import DataError
from gravurekit.shards.reader import ShardSet

MOST = 4096  # samples of the training split that are looked at, evenly out of the whole
AT_ONCE = 64
THUMB = 16  # px, the side at which lightness is compared


@dataclass(frozen=True, eq=False)
class Known:
    """Of the training split: the `mean` Lab (3,) float32 over all places that are picture; which `numbers` were looked
    at, and `thumbs` of their lightness, (n, THUMB²) float32 0..255."""

    samples: ShardSet
    mean: np.ndarray
    numbers: np.ndarray
    thumbs: np.ndarray

    def nearest(self, sheet: np.ndarray, height: int, width: int) -> np.ndarray:
        """The colours of the training picture whose lightness is nearest to that of `sheet` (H, W) float32 L 0..100, as
        the network is fed: (height, width, 3) float32 Lab, its own shape of picture brought to this one."""
        away = ((self.thumbs - _thumb(sheet * np.float32(2.55))) ** 2).sum(1)
        arrays = self.samples.batch(self.numbers[[away.argmin()]])
        y0, x0, y1, x1 = arrays["box"][0].tolist()
        wash = np.ascontiguousarray(arrays["wash"][0, :, y0:y1, x0:x1].transpose(1, 2, 0))
        return images.resize(color.lab8_to_lab(wash), width, height)


def known(shards: Path) -> Known:
    """Look at the training split. Raises DataError if there is none, or if it is damaged."""
    samples = ShardSet(shards, "train", ("L", "wash", "box"))
    if not len(samples):
        raise DataError(f"{shards} has no training split to compare the colours with: run `gravurekit shard` again")
    numbers = np.unique(np.linspace(0, len(samples) - 1, min(MOST, len(samples))).round().astype(np.int64))
    sums, places, thumbs = np.zeros(3, np.int64), 0, []
    for arrays in _batches(samples, numbers):
        for L, wash, box in zip(arrays["L"], arrays["wash"], arrays["box"].tolist(), strict=True):
            y0, x0, y1, x1 = box
            thumbs.append(_thumb(L[0].astype(np.float32)))
            sums += wash[:, y0:y1, x0:x1].sum((1, 2), dtype=np.int64)
            places += (y1 - y0) * (x1 - x0)
    scaled = sums / max(1, places)
    mean = np.array([scaled[0] / 2.55, scaled[1] - 128, scaled[2] - 128], np.float32)
    return Known(samples, mean, numbers, np.stack(thumbs))


def _batches(samples: ShardSet, numbers: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for first in range(0, len(numbers), AT_ONCE):
        yield samples.batch(numbers[first : first + AT_ONCE])


def _thumb(L: np.ndarray) -> np.ndarray:
    """(H, W) float32 → (THUMB²,) float32."""
    return images.resize(L, THUMB, THUMB).ravel()
