"""The colour of a hand-coloured plate: flat washes of watercolour under the ink, hue kept true.

All colour is moved in Oklab (Ottosson 2020), where a change of lightness leaves the hue alone; in Lab a lightened blue
turns purple. What leaves the gamut has its chroma reduced, never its channels clipped.
"""

import cv2
import numpy as np
from numba import njit

from gravurekit import color
from gravurekit.styles._grid import clouds


def flat(small: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 Lab in OpenCV's 8-bit scaling, a reduced photograph → the same, its colours in patches.
    The folds of a garment, which differ in lightness, are smoothed over; another hue isn't."""
    lab = small.copy()
    lab[..., 0] = lab[..., 0] // 2
    for _ in range(2):
        lab = cv2.bilateralFilter(lab, 5, 16, 4)
    lab[..., 0] = lab[..., 0] * 2
    return lab


@njit(cache=True, error_model="numpy")
def nearest_patches(flat: np.ndarray, half: np.ndarray) -> np.ndarray:
    """How patches come to twice the size with the photograph's own edges: for each place, which of its four neighbours
    looks most like it. `flat` (h, w, 3), `half` (2h, 2w, 3) uint8 Lab → (2h, 2w) int32, places of `flat` counted row
    by row."""
    height, width = half.shape[:2]
    wide = flat.shape[1]
    last_y, last_x = flat.shape[0] - 1, wide - 1
    out = np.empty((height, width), np.int32)
    for y in range(height):
        top = min(max((y - 1) // 2, 0), last_y)
        bottom = min(top + 1, last_y)
        for x in range(width):
            left = min(max((x - 1) // 2, 0), last_x)
            right = min(left + 1, last_x)
            a, b, c = np.int32(half[y, x, 0]), np.int32(half[y, x, 1]), np.int32(half[y, x, 2])
            least = np.int32(1 << 30)
            for corner in range(4):
                v = top if corner < 2 else bottom
                u = left if corner % 2 == 0 else right
                l, m, n = np.int32(flat[v, u, 0]) - a, np.int32(flat[v, u, 1]) - b, np.int32(flat[v, u, 2]) - c
                far = l * l + m * m + n * n
                if far < least:
                    least = far
                    out[y, x] = v * wide + u
    return out


def wash(
    flat: np.ndarray,
    nearest: np.ndarray,
    shape: tuple[int, int],
    figure: np.ndarray,
    rng: np.random.Generator,
    lift: float,
    chroma: float,
    uneven: float,
) -> np.ndarray:
    """Colours in patches, `flat` (h, w, 3) uint8 Lab, and what `nearest_patches` found → (*shape, 3) uint8 sRGB, as
    washes on white paper.

    `figure` (., .) float32 0..1: what isn't figure is washed more thinly. `lift` 0..1: how far the colours are lifted
    towards white; `chroma`: factor on their strength; `uneven`: how much the brush's load varies.
    """
    small = flat.shape[:2]
    load = 1 + uneven * clouds(rng, small, 40) + 0.5 * uneven * clouds(rng, small, 3)
    quiet = 0.6 + 0.4 * cv2.resize(figure, small[::-1], interpolation=cv2.INTER_LINEAR)
    strength = np.clip(load * quiet, 0.2, 1.5)
    lab = color.linear_to_oklab(color.srgb_to_linear(cv2.cvtColor(flat, cv2.COLOR_LAB2RGB)))
    lab[..., 1:] *= (chroma * strength)[..., None]
    lab[..., 0] = 1 - (1 - lab[..., 0]) * (1 - lift) * strength
    rgb = color.linear_to_srgb(color.oklab_to_linear(color.oklab_into_gamut(lab, 0.97)))
    spilled = _over_the_edges(np.take(rgb.reshape(-1, 3), nearest, axis=0), rng)
    return cv2.resize(spilled, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _over_the_edges(colours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The brush doesn't keep quite to the lines: every place takes its colour from a little beside it."""
    height, width = colours.shape[:2]
    columns = np.arange(width, dtype=np.float32)[None, :] + 0.8 * clouds(rng, (height, width), 40)
    rows = np.arange(height, dtype=np.float32)[:, None] + 0.8 * clouds(rng, (height, width), 40)
    return cv2.remap(colours, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
