"""A print taken apart: its ink, the paper it is on, and where in the picture the print lies.

All is found on a copy of at most WORK_SIDE px. What light a place gives back is paper × ink: the paper is smooth, and
may be toned and unevenly lit; the ink is grey, 1 where the paper is bare.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from gravurekit import color, edges, images, toning

WORK_SIDE = 1024
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB

CELLS = 24  # along the longer side, in each of which the paper is looked for
EVEN = 0.06  # light's standard deviation in a cell of bare paper, as a share of the brightest
DARKEST = 0.55  # light of the paper's darkest place, as a share of its lightest
COLOURED = 1.0  # Lab units that no toning explains, above which a print is coloured already (toning.chroma_residual)
BLANK = 0.045  # darkness, evened out, that is still bare paper
LINE = 0.15  # darkness of the ground from which on it is no bare paper
FADES = 0.2  # step of the ground at which the print ends sharply
NEAR = 0.06  # of a side: what is nearer to a frame joins it
BLACK = 0.02  # light of a scan's border, at most, as a share of the paper's


@dataclass(frozen=True, eq=False)
class Apart:
    """A print, taken apart, on a reduced copy of h × w px.

    ink       (h, w) float32 0..1, linear: the share of the paper's light that the ink lets through; 1 in a scan's black
              border, which is no ink
    paper     (h, w, 3) float32 > 0, linear sRGB, smooth: the paper without ink
    plate     (h, w) float32 0..1, soft: 1 inside of the print, 0 on the bare paper around it and in a scan's border
    coloured  the picture has colours that aren't its paper's nor its ink's tone: it was coloured before
    """

    ink: np.ndarray
    paper: np.ndarray
    plate: np.ndarray
    coloured: bool = False

    @property
    def grey(self) -> np.ndarray:
        """(h, w) uint8 sRGB grey: the ink on white paper, as in training."""
        return color.linear_to_srgb(self.ink)

    @property
    def lightness(self) -> np.ndarray:
        """(h, w) float32 L 0..100 of the ink on white paper."""
        f = np.cbrt(self.ink)
        return np.asarray(np.where(self.ink > (6 / 29) ** 3, 116 * f - 16, np.float32(903.3) * self.ink), np.float32)


def apart(pixels: np.ndarray) -> Apart:
    """A print, (H, W, 3) uint8 sRGB of any size from 1×1 up, taken apart."""
    small = reduced(pixels)
    linear = color.srgb_to_linear(small)
    light = linear @ LUMINANCE
    border = scan_border(light)
    surface = _surface(light, ~border)
    paper = surface[..., None] * _tone(linear, light, surface, ~border)
    ink = np.clip(light / surface, 0, 1)
    ink[border] = 1
    ink = ink.astype(np.float32)
    plate = 1 - margin(ink)
    if border.any():
        plate *= 1 - _softly(border, 0.004 * max(border.shape))
    return Apart(ink, paper.astype(np.float32), plate.astype(np.float32), _coloured(small))


def reduced(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 → the same with a long side of at most WORK_SIDE."""
    return images.fit_long_side(pixels, WORK_SIDE)


# ---- the paper -----------------------------------------------------------------------------------------


def _surface(light: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(h, w) float32: the light of the bare paper, a surface of second order through the cells that are bare, and over
    those that aren't. With too few bare cells to tell it is as bright everywhere."""
    places, levels, bare = _cells(light, inside)
    top = max(float(np.percentile(light[inside], 98)), 1e-3) if inside.any() else 1.0
    bare &= levels > DARKEST * top
    if bare.sum() < 12:
        return np.full(light.shape, top, np.float32)
    values = np.log(np.maximum(levels, 1e-3) / top)
    basis = _basis(places[:, 0], places[:, 1])
    firm = np.diag([0.0, 0.02, 0.02, 0.05, 0.05, 0.05]) * len(levels)
    weight = bare.astype(np.float64)
    for _ in range(12):  # a surface that no bright place pierces and no grey tint of the plate draws down
        known = basis * weight[:, None]
        fitted = np.linalg.solve(known.T @ basis + firm + 1e-9 * np.eye(6), known.T @ values)
        over = values - basis @ fitted
        weight = np.where(over > 0, 1.0, np.where(bare, np.exp(-((over / 0.08) ** 2)) * 0.5, 0.0))
    y, x = ((np.arange(side) + 0.5) / side * 2 - 1 for side in light.shape)
    none = np.zeros(1)
    rows, columns = _basis(none, y) @ (fitted * (1, 0, 1, 0, 1, 0)), _basis(x, none) @ (fitted * (0, 1, 0, 1, 0, 0))
    plane = (rows[:, None] + columns + fitted[5] * x * y[:, None]).astype(np.float32)
    return np.asarray(np.clip(np.exp(plane) * np.float32(top), DARKEST * top, min(1.0, 1.25 * top)))


def _cells(light: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each cell that lies inside: its middle (n, 2), x and y in -1..1; its light (n,); is it bare (n,) bool."""
    h, w = light.shape
    side = max(4, -(-max(h, w) // CELLS))
    down, across = max(1, h // side), max(1, w // side)
    tall, wide = h // down, w // across
    cut = light[: down * tall, : across * wide].reshape(down, tall, across, wide).transpose(0, 2, 1, 3)
    cut = np.sort(cut.reshape(down * across, -1), axis=1)
    kept = inside[: down * tall, : across * wide].reshape(down, tall, across, wide).all((1, 3)).ravel()
    count = cut.shape[1]
    middle, high, low = cut[:, count // 2], cut[:, int(0.9 * (count - 1))], cut[:, int(0.1 * (count - 1))]
    y, x = np.mgrid[:down, :across]
    places = np.stack([(x.ravel() + 0.5) / across * 2 - 1, (y.ravel() + 0.5) / down * 2 - 1], axis=1)
    bare = high - low < 2.5 * EVEN * np.maximum(middle, 1e-3)
    return places[kept], np.where(bare, middle, high)[kept], bare[kept]


def _basis(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(..., 6) float64: what is constant, linear and square in a place, -1..1."""
    x, y = np.broadcast_arrays(x, y)
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def _tone(linear: np.ndarray, light: np.ndarray, surface: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(3,) float32: the paper's colour in linear sRGB, of light 1. The median of what is as bright as paper."""
    some = np.s_[:: max(1, light.size // 100_000)]
    known = inside.ravel()[some] & (light.ravel()[some] > 0.9 * surface.ravel()[some])
    bare = linear.reshape(-1, 3)[some][known]
    if len(bare) < 16 or not bare.any():
        return np.ones(3, np.float32)
    tone = np.maximum(np.median(bare, axis=0), 1e-3)
    return np.asarray(tone / float(tone @ LUMINANCE), np.float32)


def _coloured(small: np.ndarray) -> bool:
    thumb = images.resize(small, 128, 128)
    return toning.chroma_residual(thumb, color.rgb_to_lab(thumb)) > COLOURED


# ---- where the print lies ------------------------------------------------------------------------------


def scan_border(light: np.ndarray) -> np.ndarray:
    """A scan's black border: (h, w) float32 linear → (h, w) bool. That is what is black all over, comes in from the
    picture's edge and follows most of one of its sides; if that is nearly all, there is no border."""
    h, w = light.shape
    top = float(np.percentile(light, 98))
    dark = (light < BLACK * top).astype(np.uint8)
    none = np.zeros(light.shape, bool)
    if min(h, w) < 16 or not dark.any():
        return none
    size = max(3, round(0.006 * max(h, w))) | 1
    solid = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
    _, labels = cv2.connectedComponents(solid, connectivity=4)
    border = none
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        for label in np.unique(side[side > 0]):
            if (side == label).mean() > 0.6:
                border = border | (labels == label)
    if not 0 < border.mean() < 0.6:
        return none
    return cv2.dilate(border.astype(np.uint8), np.ones((size, size), np.uint8)).astype(bool)  # and its soft edge


def margin(ink: np.ndarray, radius: float = 0.008) -> np.ndarray:
    """Where the paper is bare all the way to the picture's edge: (h, w) float32 0..1 linear → (h, w) float32 0..1, soft
    where the print fades away, and sharp at its outlines.

    Bare is where the ink within `radius` of the long side covers hardly more than on the
    barest paper of the picture, which may have a grain; blank places that lines enclose,
    such as a white skirt, are no margin, because the gaps of an outline are narrower than the radius.
    """
    sigma = max(0.5, radius * max(ink.shape))
    covered = cv2.GaussianBlur(1 - np.cbrt(ink), (0, 0), sigma)
    dark = edges.ground(ink)
    grain = float(np.percentile(covered, 20))
    outside = _outside(covered < min(max(BLANK, grain + 0.035), 0.1), dark > LINE)
    # The blur has spread the ink; give that back to the paper, up to the first line
    grown = _grown(outside, dark < LINE, round(2.5 * sigma))
    grown |= ~_broad(~grown, sigma)
    soft = edges.evened(grown.astype(np.float32), dark, 2 * sigma, FADES)
    return np.clip((soft - np.float32(0.01)) / np.float32(0.98), 0, 1)  # what is all but 0 or 1 is that


def _broad(mask: np.ndarray, sigma: float) -> np.ndarray:
    """(h, w) bool → (h, w) bool: without lines on their own, such as a frame, letters and specks: there is nothing in
    them to be coloured."""
    size, around = 2 * round(0.4 * sigma) + 3, 2 * round(2 * sigma) + 1
    # nothing lies beyond the picture: else a strip between a frame and the edge would be as broad as one likes
    edge: dict[str, Any] = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 0}
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((size, size), np.uint8), **edge)
    return mask & (cv2.dilate(opened, np.ones((around, around), np.uint8)) > 0)


def _outside(bare: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """(h, w) bool: what is `bare` and joins the picture's edge; and, if the print has a ruled frame, or fills it to its
    edges, what joins that on two sides at least."""
    h, w = bare.shape
    padded = np.pad(bare.astype(np.uint8), 1, constant_values=1)  # a frame around all joins all margins to one
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(padded, connectivity=4)
    labels, outer = labels[1:-1, 1:-1], int(labels[0, 0])
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    if not len(rows) or not _ruled(dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]):
        return np.asarray(labels == outer)
    near_x, near_y = NEAR * w, NEAR * h
    joins = np.stack([
        boxes[:, 0] - 1 - columns[0] < near_x, columns[-1] - (boxes[:, 0] + boxes[:, 2] - 2) < near_x,
        boxes[:, 1] - 1 - rows[0] < near_y, rows[-1] - (boxes[:, 1] + boxes[:, 3] - 2) < near_y,
    ])  # fmt: skip
    ground = (joins.sum(0) >= 2) & (boxes[:, 4] > 0.01 * h * w)
    ground[outer] = True
    found = ground[labels] & bare
    found[: rows[0]] = found[rows[-1] + 1 :] = True
    found[:, : columns[0]] = found[:, columns[-1] + 1 :] = True
    return np.asarray(found)


def _ruled(dark: np.ndarray) -> bool:
    """Whether lines run along three of the sides of (h, w) bool at least."""
    h, w = dark.shape
    deep, wide = max(1, round(NEAR / 2 * h)), max(1, round(NEAR / 2 * w))
    sides = (dark[:deep].any(0), dark[-deep:].any(0), dark[:, :wide].any(1), dark[:, -wide:].any(1))
    return sum(side.mean() > 0.75 for side in sides) >= 3


def _grown(mask: np.ndarray, free: np.ndarray, reach: int) -> np.ndarray:
    """(h, w) bool → (h, w) bool: with all that a way of at most `reach` px through what is `free` leads to."""
    grown, cross = mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    square, there = np.ones((3, 3), np.uint8), (mask | free).astype(np.uint8)
    for step in range(reach):  # crosses and squares in turn: the way is round
        grown = cv2.dilate(grown, square if step % 2 else cross) & there
    return grown.astype(bool)


def _softly(mask: np.ndarray, sigma: float) -> np.ndarray:
    """(h, w) bool → (h, w) float32 0..1."""
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.5, sigma))
