"""Palettes: histograms of a and b, counted over the places that are picture, never over the padding.

The cells are 10 ab units wide, and their centres are multiples of 10: the grid of Zhang, Isola and Efros, "Colorful
Image Colorization", 2016, continued over all that 8 bits can say. As text, which is one line in a manifest, a palette
is `a,b:pixels` for each cell that has any, as in "0,0:5120 20,-10:77".
"""

from collections.abc import Mapping

import numpy as np

STEP = 10  # ab units
EDGE = 13  # cells on each side of the middle one: -130 to 130
SIDE = 2 * EDGE + 1
_CELL = (np.rint((np.arange(256) - 128) / STEP) + EDGE).astype(np.int16)  # of a value in 8 bits


def counted(wash: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """wash (3, H, W) uint8 Lab in OpenCV's scaling → (SIDE, SIDE) int64, pixels inside `box` by their cells of a, b."""
    y0, x0, y1, x1 = box
    a, b = _CELL[wash[1, y0:y1, x0:x1]], _CELL[wash[2, y0:y1, x0:x1]]
    return np.bincount((a * SIDE + b).ravel(), minlength=SIDE * SIDE).reshape(SIDE, SIDE)


def to_text(palette: np.ndarray) -> str:
    """(SIDE, SIDE) int → "a,b:pixels …", the cells that have any, in ascending order of a, then b."""
    return " ".join(
        f"{STEP * (a - EDGE)},{STEP * (b - EDGE)}:{palette[a, b]}" for a, b in np.argwhere(palette).tolist()
    )


def from_text(text: str) -> np.ndarray:
    """What `to_text` gave → (SIDE, SIDE) int64. Raises ValueError if it is something else."""
    palette = np.zeros((SIDE, SIDE), np.int64)
    for entry in text.split():
        cell, _, pixels = entry.partition(":")
        a, b = (int(value) // STEP + EDGE for value in cell.split(","))
        if not (0 <= a < SIDE and 0 <= b < SIDE):
            raise ValueError(f"no cell of a palette: {entry}")
        palette[a, b] = int(pixels)
    return palette


class Palettes:
    """Sums of palettes by name: of each label, of each keyword. Only cells with pixels take memory."""

    def __init__(self) -> None:
        self.samples: dict[str, int] = {}
        self._cells: dict[str, dict[int, int]] = {}

    def add(self, name: str, palette: np.ndarray) -> None:
        """One more sample of that name: its palette, (SIDE, SIDE) int."""
        cells = np.flatnonzero(palette)
        self._add(name, 1, dict(zip(cells.tolist(), palette.ravel()[cells].tolist(), strict=True)))

    def merge(self, said: Mapping[str, tuple[int, str]]) -> None:
        """What `told` said of other samples."""
        for name, (samples, text) in said.items():
            palette = from_text(text).ravel()
            cells = np.flatnonzero(palette)
            self._add(name, samples, dict(zip(cells.tolist(), palette[cells].tolist(), strict=True)))

    def _add(self, name: str, samples: int, pixels: dict[int, int]) -> None:
        self.samples[name] = self.samples.get(name, 0) + samples
        sums = self._cells.setdefault(name, {})
        for cell, count in pixels.items():
            sums[cell] = sums.get(cell, 0) + count

    def told(self) -> dict[str, tuple[int, str]]:
        """By name, sorted: the number of samples, and their palette as text."""
        said = {}
        for name, sums in sorted(self._cells.items()):
            palette = np.zeros(SIDE * SIDE, np.int64)
            palette[list(sums)] = list(sums.values())
            said[name] = self.samples[name], to_text(palette.reshape(SIDE, SIDE))
        return said
