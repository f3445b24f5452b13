"""Patches: the squares of a picture that a measure of style looks at, and the scale at which it looks.

All sides are measured alike: grey, the long side reduced by area to at most LONG_SIDE and never enlarged, patches of
SIDE px at that scale. A drawing of 512 px on its short side, a book's scan of 400 to 600 px and a scan of 4000 px then
show their lines at about the size at which they are looked at. A scale that differs by more than that is a difference
that the measures see, and should.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gravurekit import images

REVISION = 1

LONG_SIDE = 768  # px
SIDE = 64  # px
BLANK = 12.0  # grey levels; a light patch that varies less is bare paper


def grey(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB or (H, W) uint8 grey → (h, w) uint8 luma, the long side at most LONG_SIDE."""
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels
    return reduced(luma)


def reduced(pixels: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 → the same by area, the long side at most LONG_SIDE; smaller ones as they are."""
    height, width = pixels.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    return images.resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def read(path: Path) -> np.ndarray:
    """(h, w, 3) uint8 sRGB of a file, the long side at most LONG_SIDE. Raises PictureError."""
    return reduced(images.read(path, reduce_to=LONG_SIDE).pixels)


@dataclass(frozen=True)
class Grid:
    """`rows` × `columns` patches of SIDE px in the middle of a picture, from (`top`, `left`)."""

    top: int
    left: int
    rows: int
    columns: int

    def crop(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, …) → the part that is patches, (SIDE · rows, SIDE · columns, …)."""
        return pixels[self.top : self.top + SIDE * self.rows, self.left : self.left + SIDE * self.columns]


def grid(height: int, width: int) -> Grid:
    """The patches of a picture of this size; none if it is smaller than one."""
    return Grid(height % SIDE // 2, width % SIDE // 2, height // SIDE, width // SIDE)


def cut(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8 grey → (patches, SIDE, SIDE) uint8, row by row; bare paper is left out."""
    found = grid(*grey.shape)
    cells = found.crop(grey).reshape(found.rows, SIDE, found.columns, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    return cells[drawn(cells.mean((1, 2)), cells.std((1, 2)))]


def drawn(mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(patches,) mean and standard deviation in grey levels → (patches,) bool: not bare paper. A black patch counts
    however flat it is: ink was laid there."""
    return (spread >= BLANK) | (mean < 96)
