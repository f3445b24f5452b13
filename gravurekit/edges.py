"""What flows between a print's lines, and stops at them.

A line parts two places by how much darker it is than they are: that is the way of the domain transform (Gastal and
Oliveira, "Domain transform for edge-aware image and video processing", 2011), in which a step across a line is a long
one. Hatching is lines as well, so its gaps are filled first (`ground`): what is evenly hatched is one ground, and no
line in it stops anything; an outline stays one.
"""

import cv2
import numpy as np

from gravurekit import images
from gravurekit.kernels import kernel

GAP = 0.008  # of the long side: gaps between lines that are narrower make one ground
STRENGTH = 0.12  # of a step in the ground that is as long as `reach`
ROUNDS = 3


def ground(ink: np.ndarray, gap: float = GAP) -> np.ndarray:
    """(H, W) float32 0..1 linear, ink as light → (H, W) float32 0..1: how dark each place looks, hatching filled."""
    dark = 1 - np.cbrt(np.clip(ink, 0, 1))
    size = max(3, round(gap * max(ink.shape))) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    bytes_ = np.rint(dark * 255).astype(np.uint8)  # morphology of bytes takes a fraction of that of floats
    filled = cv2.morphologyEx(bytes_, cv2.MORPH_CLOSE, disc)
    return np.asarray(cv2.GaussianBlur(filled.astype(np.float32) / 255, (0, 0), 0.6))


def upsampled(
    values: np.ndarray, guide: np.ndarray, weight: np.ndarray | None = None, reach: float | None = None
) -> np.ndarray:
    """A small wash at the size of the ink, its edges drawn to the ink's lines.

    values   (h, w, C) float32, any
    guide    (H, W) float32 0..1, linear: the ink as light (`paper.Apart.ink`)
    weight   (H, W) float32 ≥ 0: how much a place counts for its neighbours; what counts for nothing takes their values
    reach    px of the guide within which values even out; None: by how much the wash is enlarged
    returns  (H, W, C) float32
    """
    height, width = guide.shape
    large = np.atleast_3d(images.resize(np.ascontiguousarray(values, np.float32), width, height))
    enlarged = max(height / values.shape[0], width / values.shape[1])
    if reach is None:
        reach = max(4.0, 2.0 * enlarged)
    firm = _firmness(large, enlarged) if weight is None else _firmness(large, enlarged) * (weight + 1e-4)
    planes = np.concatenate([large * firm[..., None], firm[..., None]], axis=2)
    _flow(planes, ground(guide), reach)
    return np.ascontiguousarray(planes[..., :-1] / planes[..., -1:])


def _firmness(values: np.ndarray, enlarged: float) -> np.ndarray:
    """(H, W) float32 > 0: less where the wash changes, for there enlarging has mixed two colours into a third."""
    steep = np.zeros(values.shape[:2], np.float32)
    for n in range(values.shape[2]):
        plane = np.ascontiguousarray(values[..., n])
        steep += (
            cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=1 / 8) ** 2 + cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=1 / 8) ** 2
        )
    return np.asarray(1 / (1 + steep * np.float32((enlarged / 4) ** 2)), np.float32)


def _flow(planes: np.ndarray, dark: np.ndarray, reach: float) -> None:
    """Even out (H, W, C) float32 in place, within `reach` px, but not across steps of `dark` (H, W) float32."""
    across = 1 + np.abs(np.diff(dark, axis=1, prepend=dark[:, :1])) * np.float32(reach / STRENGTH)
    down = 1 + np.abs(np.diff(dark, axis=0, prepend=dark[:1])) * np.float32(reach / STRENGTH)
    for n in range(ROUNDS):
        sigma = reach * 3**0.5 * 2 ** (ROUNDS - n - 1) / (4**ROUNDS - 1) ** 0.5
        decay = np.float32(-(2**0.5) / sigma)
        _along_rows(planes, np.exp(across * decay))
        _along_columns(planes, np.exp(down * decay))


@kernel(error_model="numpy", nogil=True)
def _along_rows(planes: np.ndarray, share: np.ndarray) -> None:
    height, width, count = planes.shape
    for y in range(height):
        for x in range(1, width):
            for c in range(count):
                planes[y, x, c] += share[y, x] * (planes[y, x - 1, c] - planes[y, x, c])
        for x in range(width - 2, -1, -1):
            for c in range(count):
                planes[y, x, c] += share[y, x + 1] * (planes[y, x + 1, c] - planes[y, x, c])


@kernel(error_model="numpy", nogil=True)
def _along_columns(planes: np.ndarray, share: np.ndarray) -> None:
    height, width, count = planes.shape
    for y in range(1, height):
        for x in range(width):
            for c in range(count):
                planes[y, x, c] += share[y, x] * (planes[y - 1, x, c] - planes[y, x, c])
    for y in range(height - 2, -1, -1):
        for x in range(width):
            for c in range(count):
                planes[y, x, c] += share[y + 1, x] * (planes[y + 1, x, c] - planes[y, x, c])


# ---- few places ----------------------------------------------------------------------------------------


def spread(places: np.ndarray, values: np.ndarray, guide: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Values that are known at few places flow along what lies between the lines.

    places   (n, 2) number, x and y in px of the guide; those outside count at its nearest place
    values   (n, C) float32, any
    guide    (H, W) float32 0..1, linear: the ink as light (`paper.Apart.ink`)
    reach    px that they flow where nothing is in the way
    returns  (H, W, C) float32, where several come together the nearer count more; and (H, W) float32 0..1, how far they
             hold: 1 at each place, 0 beyond the reach and behind a line. Without places both are zeros.
    """
    height, width = guide.shape
    sums = np.zeros((height, width, values.shape[1] if len(places) else 0), np.float32)
    shares, holds = np.zeros((2, height, width), np.float32)
    dark = ground(guide) if len(places) else guide
    for (x, y), value in zip(places, values, strict=True):
        at = min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)
        away = _way(dark, at[0], at[1], np.float32(2.5 * reach), np.float32(1.25 * reach)) / np.float32(reach)
        part = np.clip((np.float32(1.25) - away) / np.float32(0.75), 0, 1)
        part = part * part * (3 - 2 * part)
        np.maximum(holds, part, out=holds)
        near = part / (away * away + np.float32(1e-4))
        sums += near[..., None] * np.asarray(value, np.float32)
        shares += near
    return sums / np.maximum(shares, 1e-12)[..., None], holds


@kernel(error_model="numpy", nogil=True)
def _way(dark: np.ndarray, top: int, left: int, dear: np.float32, most: np.float32) -> np.ndarray:
    """(H, W) float32: px of the shortest way from a place, to each side and diagonally, where a step of 1 in `dark`
    costs `dear` px; from `most` on it is only known to be as long. Swept from the corners until nothing changes."""
    height, width = dark.shape
    far = np.full((height, width), most, np.float32)
    far[top, left] = 0
    y0, y1 = max(0, top - int(most) - 1), min(height - 1, top + int(most) + 1)
    x0, x1 = max(0, left - int(most) - 1), min(width - 1, left + int(most) + 1)
    slant = np.float32(2**0.5)
    for _ in range(64):
        changed = False
        for turn in range(2):
            for i in range(y1 - y0 + 1):
                y = y0 + i if turn == 0 else y1 - i
                back = y - 1 if turn == 0 else y + 1
                for again in range(2):
                    for j in range(x1 - x0 + 1):
                        x = x0 + j if again == 0 else x1 - j
                        side = x - 1 if again == 0 else x + 1
                        here, best = dark[y, x], far[y, x]
                        if 0 <= side < width:
                            best = min(best, far[y, side] + 1 + dear * abs(here - dark[y, side]))
                        if again == 0 and 0 <= back < height:
                            best = min(best, far[back, x] + 1 + dear * abs(here - dark[back, x]))
                            if x > 0:
                                best = min(best, far[back, x - 1] + slant + dear * abs(here - dark[back, x - 1]))
                            if x < width - 1:
                                best = min(best, far[back, x + 1] + slant + dear * abs(here - dark[back, x + 1]))
                        if best < far[y, x]:
                            far[y, x] = best
                            changed = True
        if not changed:
            break
    return far
