"""What of a picture belongs together, by its colours: which way lines run there, and where they end.

An engraver hatches a garment one way and stops at its hem; a phase goes through the whole picture.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from gravurekit.kernels import kernel
from gravurekit.styles._grid import reduced


@dataclass(frozen=True)
class Regions:
    """A picture in patches of one colour: `flat` (H/4, W/4, 3) uint8 Lab; `nearest` (H/2, W/2) int32: at which place of
    `flat`, counted row by row, the colour of each is found; `centres` (n, 3) float32, the main colours; `patches`
    (H/8, W/8) uint8, which of them; `pieces` (H/8, W/8) int, their connected pieces, counted from 0."""

    flat: np.ndarray
    nearest: np.ndarray
    centres: np.ndarray
    patches: np.ndarray
    pieces: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(H/8, W/8) float32 → (pieces,) float64."""
        return np.bincount(self.pieces.ravel(), values.ravel())

    def evened(self, values: np.ndarray) -> np.ndarray:
        """(H/8, W/8) float32 → the same, each piece at its mean, with soft borders."""
        means = self.sums(values) / np.bincount(self.pieces.ravel())
        return cv2.GaussianBlur(means[self.pieces].astype(np.float32), (0, 0), 0.8)


def regions(flat: np.ndarray, nearest: np.ndarray) -> Regions:
    """The Regions of a picture; the fields of that name."""
    small = reduced(flat, 2)
    centres = _main_colours(small)
    patches = cv2.medianBlur(_nearest(small, centres), 3)
    _, where = np.unique(_pieces(patches, max(4, patches.size // 150)), return_inverse=True)
    return Regions(flat, nearest, centres, patches, where.reshape(patches.shape))


def directions(regions: Regions, cos: np.ndarray, sin: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Which of the base directions is drawn first, place by place, (H/2, W/2) uint8: in each piece the one that is
    nearest to the piece's own direction, so that lines end where a garment does."""
    size = regions.patches.shape[::-1]
    sums = [regions.sums(cv2.resize(part, size, interpolation=cv2.INTER_AREA)) for part in (cos, sin)]
    bases = np.argmax(np.outer(np.cos(2 * angles), sums[0]) + np.outer(np.sin(2 * angles), sums[1]), axis=0)
    base = bases[regions.pieces].astype(np.uint8)
    choice = np.stack([_spread(base, regions.patches == each) for each in range(len(regions.centres))])
    first = _chosen(_nearest(regions.flat, regions.centres), choice)
    return cv2.medianBlur(np.take(first.ravel(), regions.nearest), 5)


def _pieces(patches: np.ndarray, least: int) -> np.ndarray:
    """(h, w) uint8 patches → (h, w) int32: numbers of their connected pieces; one of fewer than `least` places belongs
    to its neighbour."""
    pieces = np.zeros(patches.shape, np.int32)
    total = 0
    for each in np.unique(patches):
        count, found, stats, _ = cv2.connectedComponentsWithStats((patches == each).astype(np.uint8), connectivity=4)
        large = np.where(stats[:, cv2.CC_STAT_AREA] >= least, np.arange(count), 0)
        large[0] = 0
        found = large[found]
        pieces += np.where(found > 0, found + total, 0)
        total += count
    return _filled(pieces, pieces > 0)


def _filled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The value of the nearest place that is `known`; everything 0 if none is."""
    if not known.any():
        return np.zeros_like(values)
    _, near = cv2.distanceTransformWithLabels((~known).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    of_label = np.zeros(int(near.max()) + 1, values.dtype)
    of_label[near[known]] = values[known]
    return of_label[near]


def _spread(base: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """For places of a patch, and up to two cells around it, the patch's own directions; elsewhere those that are
    there."""
    near = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return np.where(near, _filled(base, inside), base)


def _main_colours(lab: np.ndarray, count: int = 5, rounds: int = 6) -> np.ndarray:
    """The main colours of a small picture: (h, w, 3) uint8 Lab → (count, 3) float32. k-means from the farthest colours
    on, so without chance."""
    colours = lab.reshape(-1, 3).astype(np.float32)
    colours = colours[:: max(1, len(colours) // 1024)]
    centres = [colours.mean(0)]
    distance = np.full(len(colours), np.inf, np.float32)
    for _ in range(count):
        distance = np.minimum(distance, ((colours - centres[-1]) ** 2).sum(1))
        centres.append(colours[int(distance.argmax())])
    found = np.array(centres[1:], np.float32)
    for _ in range(rounds):
        near = _nearest(colours[None], found)[0]
        for number in range(count):
            if (near == number).any():
                found[number] = colours[near == number].mean(0)
    return found


@kernel(error_model="numpy")
def _nearest(lab: np.ndarray, centres: np.ndarray) -> np.ndarray:
    height, width = lab.shape[:2]
    out = np.zeros((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            best = np.float32(1e12)
            for number in range(centres.shape[0]):
                a = lab[y, x, 0] - centres[number, 0]
                b = lab[y, x, 1] - centres[number, 1]
                c = lab[y, x, 2] - centres[number, 2]
                far = a * a + b * b + c * c
                if far < best:
                    best = far
                    out[y, x] = number
    return out


@kernel(error_model="numpy")
def _chosen(patches: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """(H, W) uint8 numbers of patches, (n, h, w) uint8 a choice for each patch and place → (H, W) uint8."""
    height, width = patches.shape
    columns = (np.arange(width) * choice.shape[2] // width).astype(np.int32)
    out = np.empty((height, width), np.uint8)
    for y in range(height):
        row = y * choice.shape[1] // height
        for x in range(width):
            out[y, x] = choice[patches[y, x], row, columns[x]]
    return out
