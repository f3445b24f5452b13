"""What flows between a print's lines, and stops at them.

Two filters make a small wash large. The guided filter moves its edges to where the ground changes its tone; the domain
transform (Gastal and Oliveira, "Domain transform for edge-aware image and video processing", 2011) evens it out between
the lines: a step across a line, which is darker than what it parts, is a long one. Hatching is lines as well, so its
gaps are filled first (`ground`): what is evenly hatched is one ground, and no line in it stops anything; an outline
stays one.
"""

import cv2
import numpy as np

from gravurekit import images
from gravurekit.kernels import kernel

GAP = 0.008  # of the long side: gaps between lines that are narrower make one ground
GUIDED = 5.0  # px that a wash's edge moves to meet a line, for each px that the wash was enlarged by
FLAT = 1e-3  # variance of the ground below which nothing guides
SAME = 0.5  # variance of a wash, Lab units squared, below which there is nothing to explain
STEEP = 4.0  # change of a wash, Lab units for each px that it had when small, at which it counts half
EVENED = 8.0  # px within which a wash evens out, for each px that it was enlarged by
STRENGTH = 0.1  # of a step in the ground that is as long as the reach
DEAR = 4.0  # reaches that a step of 1 in the ground costs what flows from few places
FREE = 0.02  # of a step from pixel to pixel that costs nothing: shading is no outline
ROUNDS = 3  # of the domain transform: with two, its rows and columns show in wide gaps between lines


def ground(ink: np.ndarray, gap: float = GAP) -> np.ndarray:
    """(H, W) float32 0..1 linear, ink as light → (H, W) float32 0..1: how dark each place looks, hatching filled."""
    dark = 1 - np.cbrt(np.clip(ink, 0, 1))
    size = max(3, round(gap * max(ink.shape))) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    bytes_ = np.rint(dark * 255).astype(np.uint8)  # morphology of bytes takes a fraction of that of floats
    filled = cv2.morphologyEx(bytes_, cv2.MORPH_CLOSE, disc)
    return np.asarray(cv2.GaussianBlur(filled.astype(np.float32) / 255, (0, 0), 0.6))


def upsampled(values: np.ndarray, guide: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """A small wash at the size of the ink, its edges drawn to the ink's lines.

    values   (h, w, C) float32, Lab units
    guide    (H, W) float32 0..1, linear: the ink as light (`paper.Apart.ink`)
    weight   (H, W) float32 ≥ 0: how much a place counts for its neighbours; what counts for nothing takes their values
    returns  (H, W, C) float32
    """
    height, width = guide.shape
    large = np.atleast_3d(images.resize(np.ascontiguousarray(values, np.float32), width, height))
    enlarged = max(height / values.shape[0], width / values.shape[1], 1.0)
    dark = ground(guide)
    firm = np.ones(guide.shape, np.float32) if weight is None else weight + np.float32(1e-4)
    drawn = _guided(large, dark, firm, round(GUIDED * enlarged))
    firm *= _firmness(drawn, enlarged)
    planes = np.concatenate([drawn * firm[..., None], firm[..., None]], axis=2)
    _flow(planes, dark, max(4.0, EVENED * enlarged), STRENGTH)
    return np.ascontiguousarray(planes[..., :-1] / planes[..., -1:])


def evened(values: np.ndarray, dark: np.ndarray, reach: float, strength: float = STRENGTH) -> np.ndarray:
    """(H, W) float32, evened out within `reach` px but not across steps of `strength` in `dark`, a `ground`."""
    planes = values[..., None].astype(np.float32, copy=True)
    _flow(planes, dark, reach, strength, rounds=2)
    return planes[..., 0]


def _guided(values: np.ndarray, dark: np.ndarray, weight: np.ndarray, radius: int) -> np.ndarray:
    """The guided filter (He, Sun and Tang, "Guided image filtering", 2013), weighted: (H, W, C) float32, within
    `radius` px a linear function of `dark` (H, W) float32, as far as that explains how the values vary there. It draws
    a wash's edge to where a dark garment meets light ground, which the network, that sees little, has smeared."""

    def mean(plane: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(plane, cv2.CV_32F, (2 * radius + 1,) * 2, borderType=cv2.BORDER_REFLECT)

    norm = 1 / mean(weight)
    weighted = weight * dark
    middle = mean(weighted) * norm
    spread = np.maximum(mean(weighted * dark) * norm - middle * middle, 0) + np.float32(FLAT)
    explained, varied = np.zeros_like(dark), np.full_like(dark, SAME)
    lines = []
    for n in range(values.shape[2]):
        plane = values[..., n]
        part = weight * plane
        level = mean(part) * norm
        slope = mean(part * dark) * norm - middle * level
        varied += mean(part * plane) * norm - level * level
        explained += slope * slope / spread
        slope /= spread
        lines.append((slope, level - slope * middle))
    share = np.clip(explained / varied, 0, 1)
    share *= share * weight
    told = mean(share)
    trust = told * norm
    told = 1 / np.maximum(told, 1e-12)
    out = values.copy()
    for n, (slope, level) in enumerate(lines):
        drawn = (mean(share * slope) * dark + mean(share * level)) * told
        out[..., n] += trust * (drawn - values[..., n])
    return out


def _firmness(values: np.ndarray, enlarged: float) -> np.ndarray:
    """(H, W) float32 0..1: less where the wash changes, for there enlarging has mixed two colours into a third."""
    steep = np.ones(values.shape[:2], np.float32)
    for plane in cv2.split(values):
        for along in ((1, 0), (0, 1)):
            change = cv2.Sobel(plane, cv2.CV_32F, *along, scale=enlarged / STEEP / 8)
            steep += change * change
    return 1 / steep


def _flow(planes: np.ndarray, dark: np.ndarray, reach: float, strength: float, rounds: int = ROUNDS) -> None:
    """Even out (H, W, C) float32 in place, within `reach` px, but not across steps of `dark` (H, W) float32."""
    across = 1 + np.abs(np.diff(dark, axis=1, prepend=dark[:, :1])) * np.float32(reach / strength)
    down = 1 + np.abs(np.diff(dark, axis=0, prepend=dark[:1])) * np.float32(reach / strength)
    for n in range(rounds):
        sigma = reach * 3**0.5 * 2 ** (rounds - n - 1) / (4**rounds - 1) ** 0.5
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
    sums = np.zeros((height, width, values.shape[1]), np.float32)
    shares, holds = np.zeros((2, height, width), np.float32)
    dark = ground(guide) if len(places) else guide
    most = np.float32(1.25 * reach)
    for (x, y), value in zip(places, values, strict=True):
        top, left = min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)
        up, back = max(0, top - int(most) - 1), max(0, left - int(most) - 1)
        around = np.s_[up : top + int(most) + 2, back : left + int(most) + 2]
        way = _way(np.ascontiguousarray(dark[around]), top - up, left - back, np.float32(DEAR * reach), most)
        way /= np.float32(reach)
        part = np.clip((np.float32(1.25) - way) / np.float32(0.75), 0, 1)
        part = part * part * (3 - 2 * part)
        np.maximum(holds[around], part, out=holds[around])
        part /= way * way + np.float32(1e-4)
        sums[around] += part[..., None] * np.asarray(value, np.float32)
        shares[around] += part
    return sums / np.maximum(shares, 1e-12)[..., None], holds


@kernel(error_model="numpy", nogil=True)
def _way(dark: np.ndarray, top: int, left: int, dear: np.float32, most: np.float32) -> np.ndarray:
    """(H, W) float32: px of the shortest way from a place, to each side and diagonally, where a step of 1 in `dark`
    costs `dear` px; from `most` on it is only known to be as long. Swept down and up until nothing changes."""
    height, width = dark.shape
    far = np.full((height, width), most, np.float32)
    far[top, left] = 0
    first, last = np.full(height, width, np.int64), np.full(height, -1, np.int64)  # what is reached of each row
    first[top] = last[top] = left
    changed = True
    while changed:
        changed = False
        for y in range(height):
            changed |= _row(far, dark, y, y - 1, first, last, dear)
        for y in range(height - 1, -1, -1):
            changed |= _row(far, dark, y, y + 1, first, last, dear)
    return far


@kernel(error_model="numpy", nogil=True)
def _row(
    far: np.ndarray, dark: np.ndarray, y: int, before: int, first: np.ndarray, last: np.ndarray, dear: np.float32
) -> bool:
    """Shorten the ways to a row: from the row `before`, then along it, to the right and to the left."""
    height, width = far.shape
    begin, end = first[y], last[y]
    changed = False
    if 0 <= before < height and last[before] >= 0:
        begin, end = min(begin, max(first[before] - 1, 0)), max(end, min(last[before] + 1, width - 1))
        for x in range(begin, end + 1):
            for side in range(max(x - 1, 0), min(x + 2, width)):
                long = np.float32(1) if side == x else np.float32(2**0.5)
                changed |= _shorten(far, dark, y, x, before, side, long, dear)
    if end < 0:
        return False
    x = begin + 1
    while x < width:
        shorter = _shorten(far, dark, y, x, y, x - 1, np.float32(1), dear)
        changed |= shorter
        if x > end and not shorter:
            break
        x += 1
    end = max(end, x - 1)
    x = end - 1
    while x >= 0:
        shorter = _shorten(far, dark, y, x, y, x + 1, np.float32(1), dear)
        changed |= shorter
        if x < begin and not shorter:
            break
        x -= 1
    first[y], last[y] = max(0, min(begin, x + 1)), end
    return changed


@kernel(error_model="numpy", nogil=True)
def _shorten(
    far: np.ndarray, dark: np.ndarray, y: int, x: int, from_y: int, from_x: int, long: np.float32, dear: np.float32
) -> bool:
    """Whether the way to a place got shorter by coming from that other."""
    step = abs(dark[y, x] - dark[from_y, from_x]) - np.float32(FREE)
    way = far[from_y, from_x] + long + dear * max(step, np.float32(0))
    if way < far[y, x]:
        far[y, x] = way
        return True
    return False
