"""Colour arithmetic. sRGB is IEC 61966-2-1; Lab is CIE L*a*b* under D65, 2° observer.

OpenCV's 8-bit Lab, which the shards store, scales: L·255/100, a+128, b+128. A reader that takes its L for 0..100 is
silently wrong, so every array here says which of the two it is.
"""

from functools import cache

import cv2
import numpy as np

# D65 white and the sRGB primaries (IEC 61966-2-1), for the way back from Lab
WHITE = np.array([0.950456, 1.0, 1.088754], np.float32)
XYZ_TO_RGB = np.array(
    [[3.240479, -1.53715, -0.498535], [-0.969256, 1.875991, 0.041556], [0.055648, -0.204043, 1.057311]],
    np.float32,
)


RGB_TO_XYZ = np.linalg.inv(XYZ_TO_RGB.astype(np.float64)) / WHITE[:, None]  # relative to the white, whose f is 1
RGB_TO_XYZ = (RGB_TO_XYZ / RGB_TO_XYZ.sum(1, keepdims=True)).astype(np.float32)  # greys are grey to the last bit
F_TO_LAB = np.array([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], np.float32)


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → (H, W, 3) float32 Lab; L 0..100, a and b about -128..127.

    Not by cv2.cvtColor, which is up to 0.4 off the definition (CIE 15) and slower.
    """
    xyz = cv2.transform(srgb_to_linear(rgb), RGB_TO_XYZ)
    f = np.cbrt(xyz)
    dark = xyz <= (6.0 / 29.0) ** 3
    f[dark] = 7.787 * xyz[dark] + 16.0 / 116.0
    return cv2.transform(f, F_TO_LAB)


def lab_to_linear(lab: np.ndarray) -> np.ndarray:
    """(..., 3) float32 Lab → (..., 3) float32 linear sRGB; outside 0..1 where the colour is out of gamut."""
    fy = (lab[..., 0] + 16.0) / 116.0
    f = np.stack([fy + lab[..., 1] / 500.0, fy, fy - lab[..., 2] / 200.0], axis=-1)
    xyz = np.where(f > 6.0 / 29.0, f**3, (f - 16.0 / 116.0) / 7.787).astype(np.float32) * WHITE
    return xyz @ XYZ_TO_RGB.T


def into_gamut(lab: np.ndarray, steps: int = 9) -> np.ndarray:
    """Lab with the chroma reduced, lightness and hue kept, until sRGB can show it: (..., 3) float32 Lab, both ways.

    Bisection on a factor 0..1 a pixel. Clipping RGB instead would turn the hue (blue to purple) and shift L.
    """
    found = np.array(lab, np.float32)
    outside = ~_fits(found)
    loud = found[outside]
    low, high = np.zeros(len(loud), np.float32), np.ones(len(loud), np.float32)
    for _ in range(steps if len(loud) else 0):
        middle = (low + high) / 2
        fits = _fits(_with_chroma(loud, middle))
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    found[outside] = _with_chroma(loud, low)
    return found


def _fits(lab: np.ndarray, tolerance: float = 1e-3) -> np.ndarray:
    linear = lab_to_linear(lab)
    return np.asarray((linear >= -tolerance).all(-1) & (linear <= 1 + tolerance).all(-1))


def _with_chroma(lab: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return np.concatenate([lab[..., :1], lab[..., 1:] * factor[..., None]], axis=-1).astype(np.float32)


def lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32 Lab → (H, W, 3) uint8 sRGB, chroma reduced into gamut first."""
    return linear_to_srgb(lab_to_linear(into_gamut(lab)))


def lab_to_lab8(lab: np.ndarray) -> np.ndarray:
    """(..., 3) float32 Lab → (..., 3) uint8 in OpenCV's 8-bit scaling: L·255/100, a+128, b+128, rounded."""
    scaled = np.stack([lab[..., 0] * 2.55, lab[..., 1] + 128.0, lab[..., 2] + 128.0], axis=-1)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def lab8_to_lab(lab8: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 in OpenCV's 8-bit scaling → (..., 3) float32 Lab; L 0..100, a and b -128..127."""
    lab = lab8.astype(np.float32)
    return np.stack([lab[..., 0] / 2.55, lab[..., 1] - 128.0, lab[..., 2] - 128.0], axis=-1)


@cache
def _linear_table() -> np.ndarray:
    value = np.arange(256, dtype=np.float64) / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def srgb_to_linear(srgb: np.ndarray) -> np.ndarray:
    """(...) uint8 sRGB or sRGB-encoded grey → (...) float32 linear light 0..1."""
    return _linear_table()[srgb]


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """(...) float32 linear light (clipped to 0..1) → (...) uint8 sRGB."""
    value = np.clip(linear, 0.0, 1.0)
    encoded = np.where(value <= 0.0031308, value * 12.92, 1.055 * np.power(value, 1 / 2.4) - 0.055)
    return np.rint(encoded * 255.0).astype(np.uint8)


# Oklab (Björn Ottosson, "A perceptual color space for image processing", 2020): linear sRGB → cone responses, their
# cube roots → L, a, b. L is 0..1, chroma up to about 0.32; equal hues lie on straighter lines than in Lab.
_RGB_TO_LMS = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]], np.float32,
)  # fmt: skip
_LMS_TO_OKLAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]], np.float32,
)  # fmt: skip
_OKLAB_TO_LMS = np.linalg.inv(_LMS_TO_OKLAB.astype(np.float64)).astype(np.float32)
_LMS_TO_RGB = np.linalg.inv(_RGB_TO_LMS.astype(np.float64)).astype(np.float32)


def linear_to_oklab(linear: np.ndarray) -> np.ndarray:
    """(..., 3) float32 linear sRGB → (..., 3) float32 Oklab; L 0..1."""
    return np.cbrt(linear @ _RGB_TO_LMS.T) @ _LMS_TO_OKLAB.T


def oklab_to_linear(lab: np.ndarray) -> np.ndarray:
    """(..., 3) float32 Oklab → (..., 3) float32 linear sRGB; outside 0..1 where the colour is out of gamut."""
    return (lab @ _OKLAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T


def oklab_into_gamut(lab: np.ndarray, share: float = 1.0) -> np.ndarray:
    """(..., 3) float32 Oklab → the same with the chroma reduced, lightness and hue kept, to at most `share` of what
    sRGB can show of them."""
    most = _most_chroma()
    lightness, hues = (side - 1 for side in most.shape)
    L, a, b = np.clip(lab[..., 0], 0, 1), lab[..., 1], lab[..., 2]
    column = ((np.arctan2(b, a) + np.float32(np.pi)) * np.float32(hues / (2 * np.pi))).astype(np.int32)
    limit = np.take(most.ravel(), (L * lightness).astype(np.int32) * (hues + 1) + column)
    factor = np.minimum(np.float32(1), np.float32(share) * limit / np.maximum(np.sqrt(a * a + b * b), np.float32(1e-6)))
    return np.stack([L, a * factor, b * factor], axis=-1)


@cache
def _most_chroma(lightness: int = 256, hues: int = 540) -> np.ndarray:
    """(lightness + 1, hues + 1) float32: the most chroma that sRGB shows at each Oklab lightness 0..1 and each hue from
    -180° to 180°. An entry is the least of its own and the three after it, so that all colours between them fit."""
    L = np.linspace(0, 1, lightness + 1, dtype=np.float32)[:, None]
    angle = np.linspace(-np.pi, np.pi, hues + 1, dtype=np.float32)[None, :]
    low, high = np.zeros((2, lightness + 1, hues + 1), np.float32)
    high += 0.4
    for _ in range(11):
        middle = (low + high) / 2
        lab = np.stack([np.broadcast_to(L, middle.shape), middle * np.cos(angle), middle * np.sin(angle)], axis=-1)
        linear = oklab_to_linear(lab)
        inside = ((linear >= -1e-3) & (linear <= 1 + 1e-3)).all(-1)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    after = np.pad(low, ((0, 1), (0, 1)), mode="edge")
    return np.minimum(np.minimum(low, after[1:, :-1]), np.minimum(after[:-1, 1:], after[1:, 1:]))


def multiply(wash: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Ink on a colour wash: the product of two reflectances in linear light, as inks on paper mix.

    `wash` (H, W, 3) uint8 sRGB, `ink` (H, W) or (H, W, 3) uint8 sRGB → (H, W, 3) uint8 sRGB.
    """
    ink_linear = srgb_to_linear(ink)
    if ink.ndim == 2:
        ink_linear = ink_linear[..., None]
    return linear_to_srgb(srgb_to_linear(wash) * ink_linear)
