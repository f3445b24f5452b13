"""From a network's ab to a coloured picture: what it is fed, and how its colours come under the ink.

All arithmetic is done on a copy of at most 1024 px; only the last product is taken at full size, in bands of rows, so
that memory stays a few times the picture's own.
"""

from collections.abc import Callable

import cv2
import numpy as np

from gravurekit import color, images

WORK_SIDE = 1024
BAND = 512
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB


def photo_lightness(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → (h, w) float32 L 0..100 of a reduced copy."""
    return np.asarray(color.rgb_to_lab(_reduced(pixels))[..., 0])


def print_ink(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → (h, w) uint8 sRGB grey of a reduced copy whose paper is white, as in training. Paper is
    the 95th percentile of the light."""
    light = color.srgb_to_linear(_reduced(pixels)) @ LUMINANCE
    paper = max(float(np.percentile(light, 95)), 1e-3)
    return color.linear_to_srgb(light / paper)


def grey_lightness(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8 sRGB grey → (H, W) float32 L 0..100."""
    return np.asarray(color.rgb_to_lab(np.repeat(grey[..., None], 3, axis=2))[..., 0])


def _reduced(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = min(1.0, WORK_SIDE / max(height, width))
    return images.resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def margin(L: np.ndarray, radius: float = 0.008, blank: float = 0.03) -> np.ndarray:
    """Where the paper is bare all the way to the picture's edge: (H, W) float32 L 0..100 → (H, W) float32 0..1, soft.

    Bare is where the ink within `radius` of the long side covers less than `blank`; blank places that lines enclose,
    such as a white skirt, are no margin, because the gaps of an outline are narrower than the radius.
    """
    sigma = max(0.5, radius * max(L.shape))
    ink = cv2.GaussianBlur(1 - np.clip(L / 100, 0, 1), (0, 0), sigma)
    bare = np.pad((ink < blank).astype(np.uint8), 1, constant_values=1)  # the frame joins all margins to one
    _, labels = cv2.connectedComponents(bare, connectivity=4)
    outside = (labels == labels[0, 0])[1:-1, 1:-1].astype(np.float32)
    reach = int(1.8 * sigma)  # the blur has spread the ink by so much; give that back to the paper
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.GaussianBlur(cv2.dilate(outside, disc), (0, 0), max(0.5, 0.4 * sigma))


def under_ink(
    pixels: np.ndarray, L: np.ndarray, ab: np.ndarray, wash_lightness: np.ndarray | None = None
) -> np.ndarray:
    """A print with a colour wash on its paper: wash × print in linear light, (H, W, 3) uint8 sRGB.

    `pixels` (H, W, 3) uint8 sRGB; `L` (h, w) and `ab` (h, w, 2) float32 of its reduced copy. The wash gets darker as
    its chroma grows, because chroma on white paper at unchanged lightness leaves the gamut and can't be seen; it is
    darker still where `wash_lightness` (h, w) float32 0..100 says so. The margin stays paper.
    """
    painted = 1 - margin(L)
    ab = ab * painted[..., None]
    chroma = np.hypot(ab[..., 0], ab[..., 1])
    lightness = np.clip(100.0 - 0.55 * chroma, 55.0, 100.0)
    if wash_lightness is not None:
        lightness = np.minimum(lightness, 100 - painted * (100 - np.clip(wash_lightness, 0, 100)))
    wash = color.lab_to_rgb(np.dstack([lightness, ab]).astype(np.float32))
    return _in_bands(pixels, wash, color.multiply)


def on_photo(pixels: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """A photograph's own lightness with other colours, chroma reduced into gamut: (H, W, 3) uint8 sRGB.

    `pixels` (H, W, 3) uint8 sRGB; `ab` (h, w, 2) float32 of its reduced copy.
    """

    def add(ab: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        return color.lab_to_rgb(np.dstack([color.rgb_to_lab(pixels)[..., 0], ab]).astype(np.float32))

    return _in_bands(pixels, ab.astype(np.float32), add)


def _in_bands(
    pixels: np.ndarray, small: np.ndarray, compose: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Enlarge `small` to the picture's size and compose both, a band of rows at a time."""
    height, width = pixels.shape[:2]
    large = images.resize(small, width, height)
    out = np.empty_like(pixels)
    for top in range(0, height, BAND):
        rows = slice(top, top + BAND)
        out[rows] = compose(large[rows], pixels[rows])
    return out


def panel(pixels: np.ndarray, L: np.ndarray, coloured: np.ndarray, height: int = 640, width: int = 960) -> np.ndarray:
    """original | L | result beside one another, each fitted into `height` × `width`: (h, w, 3) uint8 sRGB."""
    grey = color.lab_to_rgb(np.dstack([L, np.zeros((*L.shape, 2), np.float32)]))
    scale = min(height / pixels.shape[0], width / pixels.shape[1])
    tall, wide = max(1, round(pixels.shape[0] * scale)), max(1, round(pixels.shape[1] * scale))
    gap = np.full((tall, 12, 3), 255, np.uint8)
    views = [images.resize(view, wide, tall) for view in (pixels, grey, coloured)]
    return np.concatenate([views[0], gap, views[1], gap, views[2]], axis=1)
