"""Two pictures compared by their thumbs: band-passed correlation, colours, and what a frame looks like when it is
cropped, turned or mirrored.
"""

import cv2
import numpy as np

from gravurekit.probe import THUMB_SIDE, TRIMMED, VIEWS

CHUNK = 256  # pairs that are compared at a time: two frames each, and OpenCV knows no more than 512 channels
FINE, COARSE = 0.8, 4.0  # the band: sigmas of a difference of Gaussians, pixels of a thumb


def crosswise(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(P,) bool and (P,) bool, whether the pictures of each pair have a margin → (P, 2, 2) bool: which of the frames of
    the one may be compared with which of the other. Not the two whole ones where both have a margin: any two figures on
    white pages are alike as pages."""
    allowed = np.ones((len(one), 2, 2), bool)
    allowed[one & other, 0, 0] = False
    return allowed


def correlations(one: np.ndarray, other: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(P, 2, 64, 64) uint8 grey twice, (P, 2, 2) bool → (P,) float32: the best normalised correlation of band-passed
    frames, -1..1."""
    if not len(one):
        return np.zeros(0, np.float32)
    ours, theirs = band_pass(one), band_pass(other)
    found = np.einsum("pahw,pbhw->pab", ours, theirs) / (THUMB_SIDE * THUMB_SIDE)
    return np.where(allowed, found, -1.0).max(axis=(1, 2)).astype(np.float32)


def band_pass(luma: np.ndarray) -> np.ndarray:
    """(..., 64, 64) uint8 grey → float32, mean 0, spread 1 (0 if it is flat), without slow light and fine noise."""
    flat = luma.reshape(-1, THUMB_SIDE, THUMB_SIDE)
    # frames as the channels of one image: OpenCV blurs them all in one call
    stacked = np.ascontiguousarray(np.moveaxis(flat, 0, -1), np.float32)
    band = _blurred(stacked, FINE) - _blurred(stacked, COARSE)
    band -= band.mean(axis=(0, 1))
    band /= np.maximum(band.std(axis=(0, 1)), 1e-6)
    return np.moveaxis(band, -1, 0).reshape(luma.shape)


def _blurred(stacked: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(stacked, (0, 0), sigma).reshape(stacked.shape)


def color_differences(one: np.ndarray, other: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(P, 2, 8, 8, 2) uint8 a+128, b+128 twice, (P, 2, 2) bool → (P,) float32: the least mean distance in the a,b
    plane, Lab units, of two frames."""
    difference = one[:, :, None].astype(np.float32) - other[:, None].astype(np.float32)
    mean = np.hypot(difference[..., 0], difference[..., 1]).mean(axis=(-1, -2))
    return np.where(allowed, mean, np.inf).min(axis=(1, 2)).astype(np.float32)


# ---- how a picture may be moved, cropped, turned, mirrored -----------------------------------------------

FLAT = 1e-3  # spread of what has none
CORE = 50  # pixels of a thumb: what is slid over the other one
SIZES = (0.92, 0.96, 1.0, 1.04, 1.08)
CROPS = (0.93, 0.87)  # sides of windows: about 13 % and 25 % of the area gone
TURNS = (-4.5, -2.5, 2.5, 4.5)  # degrees


def slid(one: np.ndarray, other: np.ndarray) -> float:
    """(64, 64) float32 twice, band-passed → the best correlation when the middle of the one, a little larger or
    smaller, is slid over the other, -1..1."""
    best = -1.0
    if other.std() < FLAT:
        return best
    for size in SIZES:
        side = round(THUMB_SIDE * size)
        first = (side - CORE) // 2
        core = cv2.resize(one, (side, side), interpolation=cv2.INTER_LINEAR)[first : first + CORE, first : first + CORE]
        if core.std() < FLAT:  # which OpenCV finds everywhere
            continue
        best = max(best, float(cv2.matchTemplate(other, np.ascontiguousarray(core), cv2.TM_CCOEFF_NORMED).max()))
    return best if np.isfinite(best) else -1.0


def _windows() -> list[tuple[int, np.ndarray]]:
    """Of which frame, and affine maps (2, 3) float32, thumb → thumb: the views that every probe has, the mirror image,
    windows in nine places, turns."""
    last = THUMB_SIDE - 1
    maps = [np.array([[-1, 0, last], [0, 1, 0]], np.float32)]
    for side in CROPS:
        free = (1 - side) * last
        for top in (0.0, 0.5, 1.0):
            maps += [np.array([[side, 0, left * free], [0, side, top * free]], np.float32) for left in (0.0, 0.5, 1.0)]
    middle = (last / 2, last / 2)
    maps += [cv2.getRotationMatrix2D(middle, turn, 1.0).astype(np.float32) for turn in TURNS]
    return [*VIEWS.values(), *((TRIMMED, window) for window in maps)]


WINDOWS = dict(enumerate(_windows(), min(VIEWS)))  # by the kind of their codes
MIRRORED = max(VIEWS) + 1  # the kind of the mirror image
