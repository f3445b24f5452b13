"""Two pictures compared by their thumbs: band-passed correlation, colours, and what a frame looks like when it is
cropped, turned or mirrored.
"""

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gravurekit.alignment import FADED
from gravurekit.probe import THUMB_SIDE, TRIMMED, VIEWS

CHUNK = 256  # pairs that are compared at a time: two frames each, and OpenCV knows no more than 512 channels
SWATCH = 3  # cells of colour: the side of a patch
PATCH = 12  # pixels of a thumb: the side of a patch
LIVELY = 0.5  # spread of a patch of what was band-passed, whose own is 1: flatter ones say nothing
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
    stacked = _stacked(flat)
    band = _blurred(stacked, FINE) - _blurred(stacked, COARSE)
    band -= band.mean(axis=(0, 1))
    band /= np.maximum(band.std(axis=(0, 1)), 1e-6)
    return np.moveaxis(band, -1, 0).reshape(luma.shape)


def _blurred(stacked: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(stacked, (0, 0), sigma).reshape(stacked.shape)


def color_differences(one: np.ndarray, other: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(P, 2, 16, 16, 2) uint8 a+128, b+128 twice, (P, 2, 2) bool → (P,) float32: the least mean distance in the a,b
    plane, Lab units, of two frames."""
    difference = one[:, :, None].astype(np.float32) - other[:, None].astype(np.float32)
    mean = np.hypot(difference[..., 0], difference[..., 1]).mean(axis=(-1, -2))
    return np.where(allowed, mean, np.inf).min(axis=(1, 2)).astype(np.float32)


def color_patches(one: np.ndarray, other: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """As color_differences, but of the patch of each two frames that differs most, when they are brought to one white
    balance and, within FADED, to one saturation."""
    ours, theirs = (side - np.median(side, axis=(2, 3), keepdims=True) for side in (one, other))
    ours, theirs = ours.astype(np.float32)[:, :, None], theirs.astype(np.float32)[:, None]
    together, alone = (product.sum(axis=(3, 4, 5), keepdims=True) for product in (ours * theirs, ours * ours))
    difference = theirs - np.clip(together / np.maximum(alone, 1e-6), *FADED) * ours
    distance = np.hypot(difference[..., 0], difference[..., 1])
    patches = sliding_window_view(distance, (SWATCH, SWATCH), axis=(3, 4)).mean(axis=(-1, -2))
    return np.where(allowed, patches.max(axis=(-1, -2)), np.inf).min(axis=(1, 2)).astype(np.float32)


def least_alike(one: np.ndarray, other: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(P, 2, 64, 64) uint8 grey twice, (P, 2, 2) bool → (P,) float32: the correlation of the patch that correlates
    least, of the frames that do best; 1 where all is flat."""
    ours, theirs = band_pass(one), band_pass(other)
    together = np.where(allowed, np.einsum("pahw,pbhw->pab", ours, theirs), -np.inf)
    first, second = np.divmod(together.reshape(len(one), -1).argmax(axis=1), 2)
    pairs = np.arange(len(one))
    ours, theirs = (_stacked(side[pairs, best]) for side, best in ((ours, first), (theirs, second)))
    means = _patches(ours), _patches(theirs)
    variances = [
        np.maximum(_patches(side * side) - mean**2, 0) for side, mean in zip((ours, theirs), means, strict=True)
    ]
    together = _patches(ours * theirs) - means[0] * means[1]
    told = np.sqrt(np.maximum(*variances)) > LIVELY
    alike = together / np.maximum(np.sqrt(variances[0] * variances[1]), 1e-6)
    return np.where(told, alike, 1.0).min(axis=(0, 1)).astype(np.float32)


def _patches(stacked: np.ndarray) -> np.ndarray:
    """(64, 64, P) float32 → the mean of each patch that lies inside."""
    mean = cv2.blur(stacked, (PATCH, PATCH), anchor=(0, 0)).reshape(stacked.shape)
    return mean[: 1 - PATCH, : 1 - PATCH]


def _stacked(frames: np.ndarray) -> np.ndarray:
    """(P, 64, 64) → (64, 64, P) float32: the channels of one image, that OpenCV takes all in one call."""
    return np.ascontiguousarray(np.moveaxis(frames, 0, -1), np.float32)


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
