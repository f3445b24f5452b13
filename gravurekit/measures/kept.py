"""Kept: how much of the photograph its drawing still shows. A texture of beautiful lines that hides the dress is worth
nothing, and a wash of other colours teaches them.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from gravurekit import images
from gravurekit.color import linear_to_oklab, srgb_to_linear

REVISION = 1

SHORT_SIDE = 512  # px, at which the sigmas are meant
TONE_SIGMA = 6.0
EDGE_SIGMA = 3.0  # melts lines at a spacing of up to 6 px or so into tone
EDGES = 0.3  # share of the pixels, those where the photograph's slope is steepest
CELL = 16  # px; colours are compared as means of squares
SATURATED = 0.06  # chroma in Oklab; below it a hue says little
COLOURLESS = 0.01


@dataclass(frozen=True)
class Kept:
    """`tone`: correlation of the lightness, low-pass; `edges`: how far the slopes point the same way, -1..1; hues in
    degrees away, the mean over saturated squares, None if the photograph has none or the drawing no such layer."""

    tone: float
    edges: float
    print_tone: float | None = None
    print_hue: float | None = None
    wash_hue: float | None = None


def kept(
    photo: np.ndarray, plain: np.ndarray, print_: np.ndarray | None = None, wash: np.ndarray | None = None
) -> Kept:
    """`photo`, `print_`, `wash` (H, W, 3) uint8 sRGB, `plain` (H, W) uint8 grey, all of one shape of picture at any
    size; what is compared is reduced to a short side of at most SHORT_SIDE."""
    height, width = plain.shape
    scale = min(1.0, SHORT_SIDE / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shown, drawn = images.resize(photo, *size), images.resize(plain, *size)
    light, ink = _lightness(shown), _lightness(drawn)
    print_tone = print_hue = wash_hue = None
    if print_ is not None:
        coloured = images.resize(print_, *size)
        print_tone, print_hue = _tone(light, _lightness(coloured)), hue_error(shown, coloured)
    if wash is not None:
        wash_hue = hue_error(shown, images.resize(wash, *size))
    return Kept(_tone(light, ink), _edges(light, ink), print_tone, print_hue, wash_hue)


def _lightness(pixels: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 sRGB → (H, W) float32 L of Lab, 0..100."""
    rgb = pixels if pixels.ndim == 3 else cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[..., 0]


def _tone(light: np.ndarray, drawn: np.ndarray) -> float:
    """The correlation of two low-pass pictures, (H, W) float32 each; 0 if one of them is flat."""
    one, other = (cv2.GaussianBlur(values, (0, 0), TONE_SIGMA).ravel() for values in (light, drawn))
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norm if norm > 1e-6 else 0.0


def _edges(light: np.ndarray, drawn: np.ndarray) -> float:
    """The mean cosine between the slopes of two pictures, (H, W) float32 each, where the first one's are steepest,
    weighted by their steepness."""
    (x, y), (u, v) = (_slope(values) for values in (light, drawn))
    steep = np.hypot(x, y)
    weight = np.where(steep >= np.quantile(steep, 1 - EDGES), steep, 0)
    cosine = (x * u + y * v) / (steep * np.hypot(u, v) + 1e-6)
    return float((weight * cosine).sum() / max(float(weight.sum()), 1e-6))


def _slope(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    soft = cv2.GaussianBlur(values, (0, 0), EDGE_SIGMA)
    return cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)


def hue_error(photo: np.ndarray, drawn: np.ndarray) -> float | None:
    """Mean difference of the hue in degrees, (H, W, 3) uint8 sRGB each, over squares of CELL px that are saturated in
    the photograph, weighted by chroma there; None if none is. A square that has lost its colour is 90° away.

    Hues are those of Oklab: that of CIE Lab calls a blue that has turned purple the same hue.
    """
    one, other = _oklab_of_cells(photo), _oklab_of_cells(drawn)
    chroma, left = np.hypot(one[..., 1], one[..., 2]), np.hypot(other[..., 1], other[..., 2])
    saturated = chroma >= SATURATED
    if not saturated.any():
        return None
    turned = np.arctan2(other[..., 2], other[..., 1]) - np.arctan2(one[..., 2], one[..., 1])
    away = np.abs((turned + np.pi) % (2 * np.pi) - np.pi)
    away = np.where(left < COLOURLESS, np.pi / 2, away)
    return float(np.degrees(np.average(away[saturated], weights=chroma[saturated])))


def _oklab_of_cells(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → (rows, columns, 3) float32 Oklab of the mean light of squares of CELL px."""
    height, width = rgb.shape[:2]
    linear = images.resize(srgb_to_linear(rgb), max(1, width // CELL), max(1, height // CELL))
    return linear_to_oklab(linear)
