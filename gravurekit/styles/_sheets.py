"""Drawings cut into sheets that an optimisation can take many of at once, and put together again.

A drawing is cut where it is larger than a sheet may be, with an overlap over which neighbours are faded into one
another. A sheet has a frame of its own mirrored border around it, and is filled up to a multiple of `STEP` px: its
size, and all that is in it, follow from its own drawing alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

STEP = 32  # px; also a multiple of every stride
FRAME = 16  # px around a drawing: what a convolution sees of the zeros beyond stays out of the drawing
OVERLAP = 64  # px


@dataclass(frozen=True)
class Sheet:
    """A piece of a drawing at `top`, `left`. `grey` (H, W) float32 0..1 sRGB grey, framed; `size`: height and width
    without the frame; `tone` (H, W) float32 0..1: the grey without its lines; `seed`: of all chance in it."""

    top: int
    left: int
    size: tuple[int, int]
    grey: np.ndarray
    tone: np.ndarray
    seed: tuple[int, int]

    @property
    def inside(self) -> tuple[slice, slice]:
        """Where in the framed arrays the piece itself is."""
        height, width = self.size
        return slice(FRAME, FRAME + height), slice(FRAME, FRAME + width)


def cut(plain: np.ndarray, longest: int, sigma: float, seed: int) -> list[Sheet]:
    """`plain` (H, W) uint8 sRGB grey → its sheets, without their frames at most `longest` px high and wide."""
    grey = plain.astype(np.float32) / 255
    tone = cv2.GaussianBlur(grey, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    height, width = grey.shape
    places = [(rows, columns) for rows in _spans(height, longest) for columns in _spans(width, longest)]
    return [
        Sheet(
            top=rows.start,
            left=columns.start,
            size=(rows.stop - rows.start, columns.stop - columns.start),
            grey=framed(grey[rows, columns]),
            tone=framed(tone[rows, columns]),
            seed=(seed, number),
        )
        for number, (rows, columns) in enumerate(places)
    ]


def _spans(length: int, longest: int) -> list[slice]:
    """Equal stretches of at most `longest` that cover 0..length and overlap by OVERLAP or a little more."""
    if length <= longest:
        return [slice(0, length)]
    count = -(-(length - OVERLAP) // (longest - OVERLAP))
    each = -(-(length + (count - 1) * OVERLAP) // count)
    starts = [round(n * (length - each) / (count - 1)) for n in range(count)]
    return [slice(start, start + each) for start in starts]


def framed(piece: np.ndarray) -> np.ndarray:
    """(h, w) float32 → (H, W) float32, mirrored FRAME px to the left and top, and up to a multiple of STEP beyond."""
    sides = [(FRAME, FRAME + -(length + 2 * FRAME) % STEP) for length in piece.shape]
    return np.pad(piece, sides, mode="symmetric")


def batches(sheets: Sequence[Sheet], pixels: int, at_most: int) -> Iterator[list[int]]:
    """Numbers of sheets of equal framed size, `at_most` together and not above `pixels` (but one at least)."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number, sheet in enumerate(sheets):
        by_shape.setdefault(sheet.grey.shape, []).append(number)
    for shape, numbers in by_shape.items():
        together = max(1, min(at_most, pixels // (shape[0] * shape[1])))
        for begin in range(0, len(numbers), together):
            yield numbers[begin : begin + together]


def joined(shape: tuple[int, int], sheets: Sequence[Sheet], pieces: Sequence[np.ndarray]) -> np.ndarray:
    """The pieces, each (h, w) float32 0..1 of its sheet's size, as one drawing of `shape`: (H, W) uint8."""
    total, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for sheet, piece in zip(sheets, pieces, strict=True):
        height, width = sheet.size
        place = np.s_[sheet.top : sheet.top + height, sheet.left : sheet.left + width]
        fade = np.minimum.outer(_fade(height), _fade(width))
        total[place] += piece * fade
        weight[place] += fade
    return np.clip(np.rint(255 * total / weight), 0, 255).astype(np.uint8)


def _fade(length: int) -> np.ndarray:
    """(length,) float32: from nearly 0 at both ends up to 1 where an overlap ends."""
    distance = np.minimum(np.arange(length), np.arange(length)[::-1])
    return np.minimum(1, (distance + 1) / OVERLAP).astype(np.float32)
