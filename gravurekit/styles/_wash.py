"""The colour of a hand-coloured plate: flat washes of watercolour under the ink, hue kept true.

All colour is moved in Oklab (Ottosson 2020), where a change of lightness leaves the hue alone; in Lab a lightened blue
turns purple. What leaves the gamut has its chroma reduced, never its channels clipped.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from gravurekit import color
from gravurekit.kernels import kernel
from gravurekit.styles._grid import clouds, reduced


@dataclass(frozen=True)
class Brush:
    """How it is coloured. `lift` 0..1: how far the colours are lifted towards white; `chroma`: factor on their
    strength; `uneven`: how much the brush's load varies; `shift`: how far it strays from the lines, px."""

    lift: float
    chroma: float
    uneven: float
    shift: float


def flat(small: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 Lab in OpenCV's 8-bit scaling, a reduced photograph → the same, its colours in patches: smoothed
    at half the size, and brought back with the photograph's own edges. The folds of a garment, which differ in
    lightness, are smoothed over; another hue isn't."""
    lab = reduced(small, 2)
    lab[..., 0] = lab[..., 0] // 2
    for _ in range(3):
        lab = cv2.bilateralFilter(lab, 5, 16, 4)
    lab[..., 0] = lab[..., 0] * 2
    return np.take(lab.reshape(-1, 3), nearest_patches(lab, small), axis=0)


@kernel(error_model="numpy")
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
    brush: Brush,
    rng: np.random.Generator,
) -> np.ndarray:
    """Colours in patches, `flat` (h, w, 3) uint8 Lab, and what `nearest_patches` found → (*shape, 3) uint8 sRGB, as
    washes on white paper. `figure` (., .) float32 0..1: what isn't figure is washed somewhat more thinly."""
    small = flat.shape[:2]
    load = 1 + brush.uneven * clouds(rng, small, 40) + 0.5 * brush.uneven * clouds(rng, small, 3)
    quiet = 0.8 + 0.2 * cv2.resize(figure, small[::-1], interpolation=cv2.INTER_LINEAR)
    strength = np.clip(load * quiet, 0.2, 1.5)
    lab = color.linear_to_oklab(color.srgb_to_linear(cv2.cvtColor(flat, cv2.COLOR_LAB2RGB)))
    lab[..., 1:] *= (brush.chroma * strength)[..., None]
    lab[..., 0] = 1 - (1 - lab[..., 0]) * (1 - brush.lift) * strength
    rgb = color.linear_to_srgb(color.oklab_to_linear(color.oklab_into_gamut(lab, 0.97)))
    half = cv2.medianBlur(np.take(rgb.reshape(-1, 3), nearest, axis=0), 3)  # a brush draws no saw teeth
    return cv2.resize(_strayed(half, brush.shift / 2, rng), shape[::-1], interpolation=cv2.INTER_LINEAR)


def _strayed(colours: np.ndarray, shift: float, rng: np.random.Generator) -> np.ndarray:
    """The brush doesn't keep to the lines: all is moved by `shift` px in one direction, and by as much as a third of
    that here and there."""
    height, width = colours.shape[:2]
    angle = 2 * np.pi * rng.random()
    columns = clouds(rng, (height, width), 40) * np.float32(shift / 3)
    rows = clouds(rng, (height, width), 40) * np.float32(shift / 3)
    columns += np.arange(width, dtype=np.float32)[None, :] + np.float32(shift * np.cos(angle))
    rows += np.arange(height, dtype=np.float32)[:, None] + np.float32(shift * np.sin(angle))
    return cv2.remap(colours, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
