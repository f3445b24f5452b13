"""Which way lines run: the picture's orientation, and evenly spaced phases that follow it.

A phase is solved, not integrated: it is the function whose gradient comes closest to the wanted normals, so lines
bend with the form, keep their distance and never fold. It is unwrapped (it counts lines), so it may be solved on a
reduced copy and enlarged.
"""

from functools import lru_cache

import cv2
import numpy as np

from gravurekit.kernels import kernel

BASES = 6  # directions that hatching may take; 30° apart, so that any flow is near one of them


def tensor(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8 → (H, W, 3) float32 structure tensor (xx, yy, xy) of its gradient (Scharr), of greys 0..1."""
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 0.8)
    dx = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 255)
    dy = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 255)
    return cv2.merge([dx * dx, dy * dy, dx * dy])


def double_angle(tensor: np.ndarray, sigma: float, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """The tangent's angle doubled, as cosine and sine, each times the coherence 0..1: (H, W) float32. Angles are only
    ever averaged in this form. `floor`: gradients far below it have no direction."""
    return _double(cv2.GaussianBlur(tensor, (0, 0), sigma), floor)


def tangents(tensor: np.ndarray, sigma: float) -> np.ndarray:
    """The tangent as cosine and sine, (H, W, 2) float32; its sign means nothing."""
    return _halved(cv2.GaussianBlur(tensor, (0, 0), sigma))


@kernel(error_model="numpy")
def _double(tensor: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    height, width, _ = tensor.shape
    cos, sin = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            xx, yy, xy = tensor[y, x, 0], tensor[y, x, 1], tensor[y, x, 2]
            # of the tangent: the normal's, turned by 180° when doubled; divided by its length, times the coherence
            scale = np.float32(1) / (xx + yy + np.float32(floor))
            cos[y, x] = (yy - xx) * scale
            sin[y, x] = -2 * xy * scale
    return cos, sin


@kernel(error_model="numpy")
def _halved(tensor: np.ndarray) -> np.ndarray:
    height, width, _ = tensor.shape
    out = np.empty((height, width, 2), np.float32)
    half = np.float32(0.5)
    for y in range(height):
        for x in range(width):
            c, s = tensor[y, x, 1] - tensor[y, x, 0], -2 * tensor[y, x, 2]
            c = c / (np.sqrt(c * c + s * s) + np.float32(1e-12))
            side = np.sqrt(max(half - half * c, np.float32(0)))
            out[y, x, 0] = np.sqrt(max(half + half * c, np.float32(0)))
            out[y, x, 1] = side if s >= 0 else -side
    return out


def turned(cos: np.ndarray, sin: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Doubled angles, as cosine and sine of any length, turned by `angle` (radians, of the angle that is doubled)."""
    c, s = np.float32(np.cos(2 * angle)), np.float32(np.sin(2 * angle))
    return cos * c - sin * s, sin * c + cos * s


def phase(cos: np.ndarray, sin: np.ndarray, base: float, bend: float, waves: np.ndarray) -> np.ndarray:
    """A phase whose lines run at `base` (radians), and bend towards the flow where it is coherent, by at most `bend`.

    `cos`, `sin`: (H, W) float32 doubled angle × coherence; `waves` (H, W) float32: lines a pixel. → (H, W) float32, in
    waves. The deviation is bend · coherence · sin 2(flow − base): it has no sign to get wrong, and where the flow
    stands across the lines they keep their direction. With a bend of up to 45° lines never fold.
    """
    deviation = bend * (sin * np.float32(np.cos(2 * base)) - cos * np.float32(np.sin(2 * base)))
    angle = np.float32(base) + deviation.astype(np.float32)
    return _integrate(-np.sin(angle) * waves, np.cos(angle) * waves)


def _integrate(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """The (H, W) float32 field whose gradient is nearest to (dx, dy) in the sense of least squares: a Poisson problem
    with free edges, solved by a cosine transform."""
    height, width = dx.shape
    divergence = np.zeros((height, width), np.float32)
    flux_x = 0.5 * (dx[:, :-1] + dx[:, 1:])
    divergence[:, :-1] += flux_x
    divergence[:, 1:] -= flux_x
    flux_y = 0.5 * (dy[:-1] + dy[1:])
    divergence[:-1] += flux_y
    divergence[1:] -= flux_y
    spectrum = cv2.dct(divergence) * _inverse_laplacian(height, width)
    return np.asarray(cv2.idct(spectrum))


@lru_cache(maxsize=8)
def _inverse_laplacian(height: int, width: int) -> np.ndarray:
    rows = 2 * np.cos(np.pi * np.arange(height) / height) - 2
    columns = 2 * np.cos(np.pi * np.arange(width) / width) - 2
    total = rows[:, None] + columns[None, :]
    total[0, 0] = 1
    inverse = (1 / total).astype(np.float32)
    inverse[0, 0] = 0
    return inverse


def doubled(phase: np.ndarray) -> np.ndarray:
    """(H, W) float32 at twice the size; at the edges its slope goes on, else lines would run into blots there."""
    wider = cv2.copyMakeBorder(phase, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    wider[0], wider[-1] = 2 * wider[1] - wider[2], 2 * wider[-2] - wider[-3]
    wider[:, 0], wider[:, -1] = 2 * wider[:, 1] - wider[:, 2], 2 * wider[:, -2] - wider[:, -3]
    return cv2.resize(wider, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)[2:-2, 2:-2]


def slope(phase: np.ndarray) -> np.ndarray:
    """|gradient| of a phase, waves a pixel: (H, W) float32 → (H, W) float32."""
    dy, dx = np.gradient(phase)
    return np.sqrt(dx * dx + dy * dy)
