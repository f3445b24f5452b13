"""Curves, masks and surfaces: from an outline in head units to a lit patch of pixels."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

SUBPIXEL = 4  # fractional bits OpenCV takes for anti-aliased drawing
LIGHT = np.array([-0.56, -0.52, 0.645], np.float32)  # towards the lamp: upper left, in front


def smooth(points: ArrayLike, closed: bool = False, steps: int = 7) -> np.ndarray:
    """Catmull-Rom curve through (N, 2) points; a point given twice in a row is a corner. (M, 2) float64."""
    points = np.asarray(points, np.float64)
    if closed:
        return _catmull_rom(np.vstack([points[-1:], points, points[:2]]), steps)
    corners = np.flatnonzero((points[1:] == points[:-1]).all(1)) + 1
    pieces = []
    for piece in np.split(points, corners):
        if len(piece) == 1:
            pieces.append(piece)
            continue
        ends = 2 * piece[:1] - piece[1:2], 2 * piece[-1:] - piece[-2:-1]
        pieces += [_catmull_rom(np.vstack([ends[0], piece, ends[1]]), steps), piece[-1:]]
    return np.vstack(pieces)


def _catmull_rom(padded: np.ndarray, steps: int) -> np.ndarray:
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return curve.reshape(-1, 2)


def tube(axis: ArrayLike, widths: list[float], steps: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A limb around a centre line. Returns outline (M, 2), the smoothed axis (K, 2), half widths (K,)."""
    axis = np.asarray(axis, np.float64)
    curve = smooth(axis, steps=steps)
    half = np.interp(np.linspace(0, 1, len(curve)), np.linspace(0, 1, len(widths)), widths)
    kernel = np.array([0.25, 0.5, 0.25])
    half = np.convolve(np.pad(half, 1, mode="edge"), kernel, "valid")
    along = np.gradient(curve, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    start = curve[0] - along[0] * half[0]
    end = curve[-1] + along[-1] * half[-1] * 0.2
    outline = np.vstack([start, curve + normal * half[:, None], end, (curve - normal * half[:, None])[::-1]])
    return outline, curve, half


def fixed(points: np.ndarray) -> np.ndarray:
    """Pixel coordinates as the fixed-point int32 that OpenCV draws with."""
    return np.round(np.asarray(points) * (1 << SUBPIXEL)).astype(np.int32)


def fill(shape: tuple[int, int], outline: np.ndarray) -> np.ndarray:
    """Anti-aliased mask of a polygon in pixel coordinates. (H, W) uint8 0..255."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [fixed(outline)], 255, cv2.LINE_AA, SUBPIXEL)
    return mask


@dataclass
class Patch:
    """A part of the figure as pixels: arrays are (h, w) float32 unless said otherwise."""

    x: int
    y: int
    mask: np.ndarray  # uint8 0..255
    u: np.ndarray  # -1..1 across the form
    v: np.ndarray  # 0..1 along the form
    half: np.ndarray  # half width of the form in pixels (h, w) or (h, 1)
    height: np.ndarray  # relief in pixels
    light: np.ndarray  # 0 shadow .. 1 full light
    hollow: np.ndarray  # 0..1 how deep in a fold


def rows_frame(mask: np.ndarray, hem_from: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(u, v, half width) of a form that stands upright, from the left and right edge of each row."""
    inside = mask > 127
    h, w = mask.shape
    filled = np.flatnonzero(inside.any(1))
    top, bottom = (int(filled[0]), int(filled[-1])) if len(filled) else (0, h - 1)
    left = inside.argmax(1).astype(np.float32)
    right = (w - 1 - inside[:, ::-1].argmax(1)).astype(np.float32)
    rows = np.arange(h)
    if len(filled):
        left, right = np.interp(rows, filled, left[filled]), np.interp(rows, filled, right[filled])
    last = int(top + hem_from * (bottom - top))
    if hem_from < 1 and last - top > 24:  # a scalloped hem would make the edges jump: carry the sides on
        ahead = np.maximum(rows - last, 0)
        for edge in (left, right):
            slope = (edge[last] - edge[last - 20]) / 20
            edge[last:] = edge[last] + slope * ahead[last:]
    size = max(9, h // 14 | 1)  # whole-pixel steps and ragged fur must not show as ripples of light
    for _ in range(2):
        left, right = (
            np.convolve(np.pad(e, size // 2, mode="edge"), np.full(size, 1 / size), "valid") for e in (left, right)
        )
    half = np.maximum((right - left) / 2, 2).astype(np.float32)[:, None]
    u = (np.arange(w, dtype=np.float32)[None] - ((left + right) / 2).astype(np.float32)[:, None]) / half
    v = ((rows - top) / max(bottom - top, 1)).astype(np.float32)[:, None] + np.zeros((1, w), np.float32)
    return np.clip(u, -1.1, 1.1), np.clip(v, 0, 1), half


def axis_frame(
    shape: tuple[int, int], axis: np.ndarray, widths: np.ndarray, fuzz: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(mask, u, v, half width) of a limb: each pixel belongs to the nearest piece of the centre line.

    The mask is the distance to that line, so a sharply bent arm has no holes; the start is round
    (a shoulder), the end is cut straight (a cuff). Worked out at half size, as all of it is smooth.
    """
    h, w = shape
    small = (h + 1) // 2, (w + 1) // 2
    y, x = np.mgrid[0 : small[0], 0 : small[1]].astype(np.float32) * 2 + 0.5
    best = np.full(small, 1e9, np.float32)
    u: np.ndarray
    v: np.ndarray
    half: np.ndarray
    u, v, half = (np.zeros(small, np.float32) for _ in range(3))
    over = np.full(small, -1e6, np.float32)  # how far beyond the straight end
    lengths = np.linalg.norm(np.diff(axis, axis=0), axis=1)
    total, done = max(lengths.sum(), 1e-6), 0.0
    for i, length in enumerate(lengths):
        (ax, ay), (dx, dy) = (
            axis[i].astype(np.float32),
            ((axis[i + 1] - axis[i]) / max(length, 1e-6)).astype(np.float32),
        )
        raw = (x - ax) * dx + (y - ay) * dy
        along = np.clip(raw, 0, np.float32(length))
        px, py = x - ax - along * dx, y - ay - along * dy
        distance = px * px + py * py
        near = distance < best
        np.copyto(best, distance, where=near)
        np.copyto(u, py * dx - px * dy, where=near)
        np.copyto(v, np.float32(done) + along, where=near)
        np.copyto(
            half,
            widths[i] + (widths[i + 1] - widths[i]) * (along / np.float32(max(length, 1e-6))),
            where=near,
        )
        if i == len(lengths) - 1:
            over = np.where(near, raw - np.float32(length), over)
        done += length
    half = np.maximum(half, 1)
    depth = np.minimum(half - np.sqrt(best), np.minimum(half * 0.2 - over, 1e3))
    u, v, half, depth = (cv2.resize(a.astype(np.float32), (w, h)) for a in (u / half, v / total, half, depth))
    mask = np.clip((depth + fuzz + 0.5) * 255, 0, 255).astype(np.uint8)
    return mask, np.clip(u, -1.1, 1.1), v, np.maximum(half, 2)


def fold_table(folds: np.ndarray | None) -> np.ndarray | None:
    """Relief of the folds over (v, u), in heads: (64, 256) float32.

    A fold is (u at the top, u at the hem, width, depth, v where it begins).
    """
    if folds is None or not len(folds):
        return None
    v = np.linspace(0, 1, 64)[:, None]
    u = np.linspace(-1.1, 1.1, 256)[None]
    table = np.zeros((64, 256))
    for top, hem, width, depth, start in folds:
        ramp = np.clip((v - start) / max(1 - start, 0.05), 0, 1)
        ramp = ramp**0.7
        centre = top + (hem - top) * v + 0.03 * np.sin(5 * v + 9 * top)
        table += depth * ramp * np.exp(-(((u - centre) / (width * (0.55 + 0.45 * v))) ** 2))
    return table.astype(np.float32)


def relight(height: np.ndarray) -> np.ndarray:
    """Lambert light 0..1 on a relief in pixels."""
    soft = cv2.GaussianBlur(height, (0, 0), 1.1)
    gx = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=1 / 8)
    dot = LIGHT[2] - gx * LIGHT[0] - gy * LIGHT[1]
    return np.clip(dot / np.sqrt(1 + gx * gx + gy * gy), 0, 1)


def patch(
    outline: np.ndarray,
    axis: np.ndarray | None,
    widths: np.ndarray | None,
    folds: np.ndarray | None,
    scale: float,
    relief: float,
    ball: float,
    hem_from: float,
    shape: tuple[int, int],
    fuzz: np.ndarray | None = None,
) -> Patch | None:
    """Rasterise and light one part. Coordinates in pixels; `shape` is the (H, W) of the picture.

    `fuzz` (256, 256) float32, in pixels, roughens the edge of a limb.
    """
    pad = 3 if fuzz is None else 8
    x0, y0 = np.maximum(np.floor(outline.min(0)).astype(int) - pad, 0)
    x1, y1 = np.minimum(np.ceil(outline.max(0)).astype(int) + pad + 1, [shape[1], shape[0]])
    if x1 - x0 < 3 or y1 - y0 < 3:
        return None
    corner, size = np.array([x0, y0]), (int(y1 - y0), int(x1 - x0))
    if axis is None or widths is None:
        mask = fill(size, outline - corner)
        u, v, half = rows_frame(mask, hem_from)
    else:
        rough = 0.0 if fuzz is None else np.tile(fuzz, (-(-size[0] // 256), -(-size[1] // 256)))[: size[0], : size[1]]
        mask, u, v, half = axis_frame(size, axis - corner, widths, rough)
    height, hollow = relief_of(u, v, half, folds, scale, relief, ball)
    return Patch(int(x0), int(y0), mask, u, v, half, height, relight(height), hollow)


def relief_of(
    u: np.ndarray,
    v: np.ndarray,
    half: np.ndarray,
    folds: np.ndarray | None,
    scale: float,
    relief: float,
    ball: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Height in pixels of a rounded, folded form, and 0..1 how deep each place lies in a fold."""
    round_ = np.cos(np.clip(u, -1, 1) * (np.pi / 2))
    if ball:
        round_ = round_ * (1 - ball + ball * np.sqrt(np.clip(1 - (2 * v - 1) ** 2, 0, 1)))
    height = (relief * half) * round_
    table = fold_table(folds)
    if table is None:
        return height, np.zeros_like(height)
    creases = cv2.remap(table, (u + 1.1) * (255 / 2.2), v * 63, cv2.INTER_LINEAR) * scale
    hollow = np.clip((cv2.blur(creases, (17, 17)) - creases) / (0.05 * scale), 0, 1)
    return height + creases, hollow
