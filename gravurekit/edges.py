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
COARSE = 5  # places of a grid within that distance, at least
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
    planes = _firm(_guided(np.stack(cv2.split(large)), dark, firm, round(GUIDED * enlarged)), firm, enlarged)
    _flow(planes, dark, max(4.0, EVENED * enlarged), STRENGTH)
    return cv2.merge([plane / planes[-1] for plane in planes[:-1]]).reshape(large.shape)


def evened(values: np.ndarray, dark: np.ndarray, reach: float, strength: float = STRENGTH) -> np.ndarray:
    """(H, W) float32, evened out within `reach` px but not across steps of `strength` in `dark`, a `ground`."""
    planes = np.array(values[None], np.float32, order="C")
    _flow(planes, dark, reach, strength, rounds=2)
    return planes[0]


def _guided(values: np.ndarray, dark: np.ndarray, weight: np.ndarray, radius: int) -> np.ndarray:
    """The guided filter (He, Sun and Tang, "Guided image filtering", 2013), weighted: (C, H, W) float32, within
    `radius` px a linear function of `dark` (H, W) float32, as far as that explains how the values vary there. It draws
    a wash's edge to where a dark garment meets light ground, which the network, that sees little, has smeared.

    What is true around a place changes slowly, so it is found out on a grid of every few places (He and Sun, "Fast
    guided filter", 2015), but of all that lies between them.
    """
    height, width = dark.shape
    step = max(1, radius // COARSE)
    side = 2 * max(1, round(radius / step)) + 1

    def mean(planes: np.ndarray) -> np.ndarray:
        for plane in planes:
            cv2.boxFilter(plane, cv2.CV_32F, (side, side), dst=plane, borderType=cv2.BORDER_REFLECT)
        return planes

    moments = _moments(values, dark, weight, step)
    firm = moments[0].copy()
    return _drawn(values, dark, mean(_lines(mean(moments), firm)), step)


@kernel(error_model="numpy", nogil=True)
def _moments(values: np.ndarray, dark: np.ndarray, weight: np.ndarray, step: int) -> np.ndarray:
    """Sums over squares of `step` px: (3 + 3C, h, w) float32, of the weight w of a place, w·dark, w·dark²; and of each
    value v of w·v, w·v·dark, w·v²."""
    count, height, width = values.shape
    tall, wide = (height + step - 1) // step, (width + step - 1) // step
    out = np.empty((3 + 3 * count, tall, wide), np.float32)
    for row in range(tall):
        for column in range(wide):
            rows = range(row * step, min(row * step + step, height))
            columns = range(column * step, min(column * step + step, width))
            one, two, three = np.float32(0), np.float32(0), np.float32(0)
            for y in rows:
                for x in columns:
                    part = weight[y, x] * dark[y, x]
                    one, two, three = one + weight[y, x], two + part, three + part * dark[y, x]
            out[0, row, column], out[1, row, column], out[2, row, column] = one, two, three
            for c in range(count):
                one, two, three = np.float32(0), np.float32(0), np.float32(0)
                for y in rows:
                    for x in columns:
                        part = weight[y, x] * values[c, y, x]
                        one, two, three = one + part, two + part * dark[y, x], three + part * values[c, y, x]
                n = 3 + 3 * c
                out[n, row, column], out[n + 1, row, column], out[n + 2, row, column] = one, two, three
    return out


@kernel(error_model="numpy", nogil=True)
def _lines(moments: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The straight lines v = slope·dark + level around each place, of the mean `moments` there: (2 + 2C, H, W) float32,
    how much they count, w of the place times how much of the values they explain, and that times slope and level of
    each value; and last w, of which the first is a share."""
    planes, height, width = moments.shape
    count = planes // 3 - 1
    out = np.empty((2 + 2 * count, height, width), np.float32)
    for y in range(height):
        for x in range(width):
            norm = np.float32(1) / moments[0, y, x]
            middle = moments[1, y, x] * norm
            spread = max(moments[2, y, x] * norm - middle * middle, np.float32(0)) + np.float32(FLAT)
            explained, varied = np.float32(0), np.float32(SAME)
            for c in range(count):
                level = moments[3 + 3 * c, y, x] * norm
                slope = moments[4 + 3 * c, y, x] * norm - middle * level
                varied += moments[5 + 3 * c, y, x] * norm - level * level
                explained += slope * slope / spread
                slope /= spread
                out[1 + 2 * c, y, x], out[2 + 2 * c, y, x] = slope, level - slope * middle
            share = min(max(explained / varied, np.float32(0)), np.float32(1))
            share *= share * weight[y, x]
            for n in range(1, 1 + 2 * count):
                out[n, y, x] *= share
            out[0, y, x], out[1 + 2 * count, y, x] = share, weight[y, x]
    return out


@kernel(error_model="numpy", nogil=True)
def _drawn(values: np.ndarray, dark: np.ndarray, told: np.ndarray, step: int) -> np.ndarray:
    """(C, H, W) float32: the values, or what the lines around them say, as far as these are to be trusted; `told` of
    squares of `step` px, between whose middles it changes evenly."""
    count, height, width = values.shape
    planes, tall, wide = told.shape
    out, line, here = np.empty_like(values), np.empty((planes, wide), np.float32), np.empty(planes, np.float32)
    for y in range(height):
        place = min(max((y + 0.5) / step - 0.5, 0), tall - 1)
        above = int(place)
        below, down = min(above + 1, tall - 1), np.float32(place - above)
        for n in range(planes):
            for x in range(wide):
                line[n, x] = told[n, above, x] + down * (told[n, below, x] - told[n, above, x])
        for x in range(width):
            place = min(max((x + 0.5) / step - 0.5, 0), wide - 1)
            left = int(place)
            right, across = min(left + 1, wide - 1), np.float32(place - left)
            for n in range(planes):
                here[n] = line[n, left] + across * (line[n, right] - line[n, left])
            trust, norm = here[0] / here[planes - 1], np.float32(1) / max(here[0], np.float32(1e-12))
            for c in range(count):
                drawn = (here[1 + 2 * c] * dark[y, x] + here[2 + 2 * c]) * norm
                out[c, y, x] = values[c, y, x] + trust * (drawn - values[c, y, x])
    return out


def _firm(values: np.ndarray, weight: np.ndarray, enlarged: float) -> np.ndarray:
    """(C + 1, H, W) float32: the values times how much they count, and that. They count less where the wash changes,
    for there enlarging has mixed two colours into a third."""
    out = np.empty((len(values) + 1, *weight.shape), np.float32)
    steep = np.ones(weight.shape, np.float32)
    for plane in values:
        for along in ((1, 0), (0, 1)):
            change = cv2.Sobel(plane, cv2.CV_32F, *along, scale=enlarged / STEEP / 8)
            cv2.accumulateSquare(change, steep)
    np.divide(weight, steep, out=out[-1])
    np.multiply(values, out[-1], out=out[:-1])
    return out


def _flow(planes: np.ndarray, dark: np.ndarray, reach: float, strength: float, rounds: int = ROUNDS) -> None:
    """Even out (C, H, W) float32 in place, within `reach` px, but not across steps of `dark` (H, W) float32."""
    across = 1 + np.abs(np.diff(dark, axis=1, prepend=dark[:, :1])) * np.float32(reach / strength)
    down = 1 + np.abs(np.diff(dark, axis=0, prepend=dark[:1])) * np.float32(reach / strength)
    sideways = cv2.transpose(across)
    turned = np.empty(sideways.shape, np.float32)
    for n in range(rounds):
        sigma = reach * 3**0.5 * 2 ** (rounds - n - 1) / (4**rounds - 1) ** 0.5
        decay = np.float32(-(2**0.5) / sigma)
        in_rows, in_columns = np.exp(sideways * decay), np.exp(down * decay)
        for plane in planes:
            _along_columns(cv2.transpose(plane, turned), in_rows)  # all columns at once; rows would go place by place
            _along_columns(cv2.transpose(turned, plane), in_columns)


@kernel(error_model="numpy", nogil=True)
def _along_columns(plane: np.ndarray, share: np.ndarray) -> None:
    height, width = plane.shape
    for y in range(1, height):
        for x in range(width):
            plane[y, x] += share[y, x] * (plane[y - 1, x] - plane[y, x])
    for y in range(height - 2, -1, -1):
        for x in range(width):
            plane[y, x] += share[y + 1, x] * (plane[y + 1, x] - plane[y, x])


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
