"""Texture: what the lines of a print are like, in figures that know nothing of what it shows; and how far the texture
of one set of patches is from that of another.

A figure of a patch is free of its contrast: energies are over the patch's variance. Its tone is the first column, and
serves only to compare dark patches with dark ones and light ones with light ones, so that a solid black, which is far
from paper in every way, can't stand for likeness.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from gravurekit.measures.patches import SIDE, drawn, grid

REVISION = 1

WAVELENGTHS = (2.8, 4.2, 6.5, 10.0)  # px; the last two are looked for at half size
ANGLES = 6
FEATURES = (
    "tone",
    *(f"energy {w:g} px" for w in WAVELENGTHS),
    *(f"anisotropy {w:g} px" for w in WAVELENGTHS),
    "coherence fine",
    "coherence coarse",
    "lines",
    *(f"LBP {n}" for n in range(10)),
    "gradient",
    "edges",
    "skewness",
    "kurtosis",
    "ink",
    "two tones",
)
TONES = 4  # strata
FLOOR = 4.0  # grey levels²; variance below which a patch is flat, whatever is left of JPEG in it
DIRECTIONS = 96
QUANTILES = 48
CLIP = 6.0  # standard deviations


def features(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8 grey → (patches, len(FEATURES)) float32, a row for each patch of SIDE px that isn't bare paper; none
    if the picture is smaller than a patch."""
    cells = grid(*grey.shape)
    if not cells.rows * cells.columns:
        return np.zeros((0, len(FEATURES)), np.float32)
    grey = np.ascontiguousarray(cells.crop(grey))
    mean, variance, shape = _distribution(_histograms(grey))
    contrast = variance + FLOOR
    energy, anisotropy = _bands(grey.astype(np.float32), contrast)
    slopes = _slopes(grey)
    columns = [mean / 255, *energy, *anisotropy, *_tensor(*slopes)]
    columns += [*_shares(patterns(grey, tolerance=4), 10), *_gradient(slopes[2], contrast), *shape]
    found = np.stack([column.ravel() for column in columns], axis=1)
    return found[drawn(mean, np.sqrt(variance))].astype(np.float32)


# ---- figures of patches: each helper gives arrays of (rows, columns) or (patches,), row by row -----------


def _means(values: np.ndarray, side: int = SIDE) -> np.ndarray:
    """(H, W) float32 → (H / side, W / side) float32."""
    height, width = values.shape
    return cv2.resize(values, (width // side, height // side), interpolation=cv2.INTER_AREA)


def _shares(labels: np.ndarray, count: int) -> np.ndarray:
    """(H, W) uint8 labels below `count` → (count, patches) float64, how much of a patch has each."""
    rows, columns = labels.shape[0] // SIDE, labels.shape[1] // SIDE
    cell = np.arange(rows)[:, None] * columns + np.arange(columns)[None]
    place = np.repeat(np.repeat(cell.astype(np.int32) * count, SIDE, 0), SIDE, 1)
    found = np.bincount((place + labels).ravel(), minlength=rows * columns * count)
    return found.reshape(-1, count).T / SIDE**2


def _histograms(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8 → (patches, 256) float64, shares of the grey levels."""
    return _shares(grey, 256).T


def _distribution(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """(patches, 256) shares of the grey levels → mean, variance, and the shape: skewness and kurtosis, softened; the
    share of ink below Otsu's threshold; and how much of the variance lies between ink and paper, 0..1."""
    levels = np.arange(256.0)
    mean = shares @ levels
    away = levels[None] - mean[:, None]
    variance = (shares * away**2).sum(1)
    spread = np.sqrt(variance + FLOOR)
    skewness = (shares * away**3).sum(1) / spread**3
    kurtosis = (shares * away**4).sum(1) / spread**4
    below, sums = shares.cumsum(1), (shares * levels).cumsum(1)
    gap = (mean[:, None] * below - sums) ** 2 / np.maximum(below * (1 - below), 1e-9)
    gap[:, -1] = 0
    best = gap.argmax(1)[:, None]
    ink = np.take_along_axis(below, best, 1)[:, 0]
    two_tones = np.take_along_axis(gap, best, 1)[:, 0] / (variance + FLOOR)
    return mean, variance, [np.arctan(skewness), np.log(kurtosis + 1), ink, two_tones]


def _bands(light: np.ndarray, contrast: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For each wavelength the log of the energy over the contrast, and how much of it has one direction, 0..1."""
    light = light - cv2.blur(light, (33, 33))  # the filters' even parts see a little of the plain tone
    half = cv2.resize(light, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    energies, anisotropies = [], []
    for wavelength in WAVELENGTHS:
        coarse = wavelength > 5
        picture, scale, side = (half, 0.5, SIDE // 2) if coarse else (light, 1.0, SIDE)
        angles, found = zip(*_gabor(picture, wavelength * scale, side), strict=True)
        total = np.sum(found, axis=0) + 1e-3
        turned = sum(np.exp(2j * angle) * energy for angle, energy in zip(angles, found, strict=True))
        energies.append(np.log(total.ravel() / contrast + 1e-3))
        anisotropies.append(np.abs(turned) / (total + 0.01 * contrast.reshape(total.shape)))  # of nothing, none
    return energies, anisotropies


def _gabor(picture: np.ndarray, wavelength: float, side: int) -> list[tuple[float, np.ndarray]]:
    """Mean energy of each patch of `side` px in ANGLES directions: [(angle, (rows, columns) float32)].

    A Gabor filter in a round window is a product of one along x and one along y, and mirrored directions share them.
    """
    sigma = 0.45 * wavelength
    along = np.arange(-int(2.5 * sigma + 0.5), int(2.5 * sigma + 0.5) + 1)
    window = np.exp(-(along**2) / (2 * sigma**2))
    window /= window.sum()
    found = []
    for n in range(ANGLES // 2 + 1):
        angle = np.pi * n / ANGLES
        x, y = (2 * np.pi / wavelength * along * part for part in (np.cos(angle), np.sin(angle)))
        both = 0 < n < ANGLES / 2
        even_x, even_y = window * np.cos(x), window * np.cos(y)
        odd_x, odd_y = window * np.sin(x), window * np.sin(y)
        cc = cv2.sepFilter2D(picture, cv2.CV_32F, even_x, even_y)
        if both:
            ss = cv2.sepFilter2D(picture, cv2.CV_32F, odd_x, odd_y)
            sc = cv2.sepFilter2D(picture, cv2.CV_32F, odd_x, even_y)
            cs = cv2.sepFilter2D(picture, cv2.CV_32F, even_x, odd_y)
            squares = _means(cc * cc + ss * ss + sc * sc + cs * cs, side)
            cross = _means(sc * cs - cc * ss, side)
            found += [(angle, squares + 2 * cross), (np.pi - angle, squares - 2 * cross)]
        else:
            odd = cv2.sepFilter2D(picture, cv2.CV_32F, *((odd_x, even_y) if n == 0 else (even_x, odd_y)))
            found.append((angle, _means(cc * cc + odd * odd, side)))
    return found


def _slopes(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H, W) uint8 → (H, W) float32 each: along x, along y, the length of both; grey levels a pixel."""
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return x, y, cv2.magnitude(x, y)


def _tensor(x: np.ndarray, y: np.ndarray, length: np.ndarray) -> list[np.ndarray]:
    """How much the slopes of a neighbourhood have one direction, 0..1, in a fine and in a coarse one; and how much of
    that is lines, with a rise on one side and a fall on the other, rather than steps."""
    maps = [
        cv2.resize(m, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for m in (x * x, y * y, x * y, x, y, length)
    ]
    fine = [cv2.GaussianBlur(m, (0, 0), 1.5) for m in maps]
    coarse = [cv2.blur(m, (9, 9)) for m in fine[:3]]
    side = SIDE // 2
    found = []
    for xx, yy, xy in (fine[:3], coarse):
        found.append(_means(np.hypot(xx - yy, 2 * xy), side) / (_means(xx + yy, side) + 0.02))
    directed = np.hypot(fine[0] - fine[1], 2 * fine[2])
    one_way = (fine[3] ** 2 + fine[4] ** 2) / (fine[5] ** 2 + 0.02)  # 1 at a step, 0 where falls answer rises
    lines = _means(directed * (1 - one_way), side) / (_means(fine[0] + fine[1], side) + 0.02)
    return [*found, lines]


def _gradient(length: np.ndarray, contrast: np.ndarray) -> list[np.ndarray]:
    """The mean slope over the contrast, and the share of steep pixels."""
    rows, columns = length.shape[0] // SIDE, length.shape[1] // SIDE
    spread = np.sqrt(contrast).astype(np.float32).reshape(rows, columns)
    limit = cv2.resize(0.5 * spread, length.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return [_means(length) / spread, _means((length > limit).astype(np.float32))]


def patterns(grey: np.ndarray, tolerance: int = 0) -> np.ndarray:
    """(H, W) uint8 grey → (H, W) uint8, the uniform local binary pattern of each pixel, whichever way it is turned
    (8 neighbours at radius 1): 0..8 is how many neighbours are as light as the pixel, if they lie side by side; 9 if
    they don't. A neighbour darker by up to `tolerance` levels counts as light: JPEG on paper is no pattern."""
    # whole numbers, so that flat paper is exactly flat; a diagonal neighbour at radius 1 lies between four pixels
    light = grey.astype(np.float32) * 1024
    limit = light - 1024 * tolerance
    code = np.zeros(grey.shape, np.uint8)
    for bit, kernel in enumerate(_neighbours()):
        around = cv2.filter2D(light, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
        code |= np.asarray(cv2.compare(around, limit, cv2.CMP_GE), np.uint8) & np.uint8(1 << bit)
    return cv2.LUT(code, _uniform())


@cache
def _neighbours() -> tuple[np.ndarray, ...]:
    """Eight 3 × 3 kernels, counter-clockwise, that take the value at radius 1."""
    corner = np.array([[512, 212, 0], [212, 88, 0], [0, 0, 0]], np.float32) / 1024
    edge = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]], np.float32)
    return tuple(np.ascontiguousarray(np.rot90(kernel, n)) for n in range(4) for kernel in (edge, corner))


@cache
def _uniform() -> np.ndarray:
    """(256,) uint8: the pattern of each code of eight bits."""
    codes = np.arange(256, dtype=np.uint8)
    bits = (codes[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(1)
    return np.where(changes <= 2, bits.sum(1), 9).astype(np.uint8)


# ---- distance --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """What a figure is measured in: `mean` and `spread` (len(FEATURES),) float64 of real prints."""

    mean: np.ndarray
    spread: np.ndarray

    def standard(self, found: np.ndarray) -> np.ndarray:
        """(patches, len(FEATURES)) → the same in standard deviations from real prints, at most ±CLIP."""
        return np.clip((found - self.mean) / self.spread, -CLIP, CLIP)


def scale_of(books: Sequence[np.ndarray]) -> Scale:
    """The Scale of books, each (patches, len(FEATURES)) and each of equal weight."""
    mean = np.mean([book.mean(0, dtype=np.float64) for book in books], axis=0)
    square = np.mean([((book - mean) ** 2).mean(0) for book in books], axis=0)
    return Scale(mean, np.sqrt(square) + 1e-3)


@dataclass(frozen=True)
class Profile:
    """Patches made ready for comparison: (TONES, DIRECTIONS, QUANTILES) float32, from dark to light."""

    quantiles: np.ndarray


def projected(found: np.ndarray, scale: Scale) -> np.ndarray:
    """(patches, len(FEATURES)) → (patches, 1 + DIRECTIONS) float32: the tone, and the other figures in `scale` seen
    from many sides. What takes time of `profile`, and can be done picture by picture."""
    standard = scale.standard(found)
    return np.concatenate([standard[:, :1], standard[:, 1:] @ _directions()], axis=1).astype(np.float32)


def profile(views: np.ndarray) -> Profile:
    """What `projected` gave of all patches together, at least TONES of them → their quantiles, tone by tone."""
    values = views[np.argsort(views[:, 0], kind="stable"), 1:]
    return Profile(np.stack([_quantiles(np.ascontiguousarray(part.T)) for part in np.array_split(values, TONES)]))


def apart(one: Profile, other: Profile) -> float:
    """The sliced Wasserstein distance (order 1) within each quarter of the tones, their mean; in standard deviations of
    real prints."""
    return float(np.abs(one.quantiles - other.quantiles).mean())


def distance(one: np.ndarray, other: np.ndarray, scale: Scale | None = None) -> float:
    """How far the textures of two sets of patches, (patches, len(FEATURES)) each, are apart: 0 for the same ones, in
    standard deviations of `scale`, or of the `other` set if there is none.

    The darkest quarter of one is compared with the darkest quarter of the other, and so on. Raises ValueError if one of
    them has fewer than TONES patches.
    """
    if min(len(one), len(other)) < TONES:
        raise ValueError(f"{len(one)} and {len(other)} patches: at least {TONES} are compared")
    scale = scale or scale_of([other])
    return apart(*(profile(projected(found, scale)) for found in (one, other)))


@cache
def _directions() -> np.ndarray:
    """(len(FEATURES) - 1, DIRECTIONS) float32 unit vectors, always the same ones."""
    drawn = np.random.default_rng(0).standard_normal((len(FEATURES) - 1, DIRECTIONS))
    return (drawn / np.linalg.norm(drawn, axis=0)).astype(np.float32)


def _quantiles(values: np.ndarray) -> np.ndarray:
    """(n, patches) → (n, QUANTILES), at the middles of equal shares of each row."""
    ordered = np.sort(values, axis=1)
    count = ordered.shape[1]
    at = (np.arange(QUANTILES) + 0.5) / QUANTILES * count - 0.5
    low = np.clip(np.floor(at).astype(int), 0, count - 1)
    high = np.minimum(low + 1, count - 1)
    part = np.clip(at - low, 0, 1).astype(np.float32)
    return ordered[:, low] * (1 - part) + ordered[:, high] * part
