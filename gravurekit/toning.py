"""Toning: how much colour a picture has that no toning of a grey picture gives.

A toned picture (sepia, cyanotype, selenium, gold, old paper) is a grey one whose tones were each given a tint. That
colour follows lightness isn't enough: it does so too where a red dress hangs before a white wall. What toning gives

- bends little along the tones, except near white, where sepia's red and green come to their end;
- is strong only towards yellow and towards Prussian blue (TINTS): no toner makes loud red, green or purple;
- may drift over the page, as where paper yellowed from its edges.

A brown dress before a cream wall is all of this as well, and can't be told from sepia.
"""

import cv2
import numpy as np

SIDE = 16  # blocks along each side of the picture: JPEG keeps colour coarsely, but its mean over a block well
KNOTS = 17  # of the tints, over all tones
STIFFNESS = 1e-4  # of the tints along the tones: × the square of their bend, in Lab units over the whole range of tones
BRIGHT = 0.82  # share of the range of tones above which they bend freely
TINTS = (
    (-14.0, -52.0),
    (25.0, 34.0),
)  # least and most a, b of tints: room for the tonings that bench/filter_quality.py makes
TETHER = 0.03  # of the drift over the page: × its square
LOOSE = 1e-5  # of tints of tones that a picture doesn't have: × their square
TINT = 12.0  # median chroma at which as much again is forgiven: JPEG's errors and the curve's grow with the tint


def chroma_residual(rgb: np.ndarray, lab: np.ndarray) -> float:
    """What toning leaves over: (128, 128, 3) uint8 sRGB and its float32 Lab → Lab units. Near 0 for grey, sepia and
    blueprint pictures.

    Tints and drift are fitted to the mean colours of blocks: a block's is the mean of the tints of its tones, even
    where JPEG has smeared it. A tone is the mean of the channels rather than L, which stands still where sepia's red
    and green are at their end. What is forgiven goes by the median chroma, which a garment before a plain ground
    doesn't raise.
    """
    colors = cv2.resize(lab, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[..., 1:].reshape(-1, 2)
    known = np.concatenate([_shares(rgb), _DRIFT], axis=1)
    fitted = np.linalg.solve(known.T @ known / len(known) + _PENALTY, known.T @ colors / len(known))
    fitted[:KNOTS] = fitted[:KNOTS].clip(*TINTS)
    rest, chroma = _length(colors - known @ fitted), np.sort(_length(colors))[len(colors) // 2]
    return float(np.sqrt((rest**2).mean()) / (1 + chroma / TINT))


def _length(vectors: np.ndarray) -> np.ndarray:
    """(N, 2) → (N,)."""
    return np.hypot(vectors[:, 0], vectors[:, 1])


def _shares(rgb: np.ndarray) -> np.ndarray:
    """(128, 128, 3) uint8 → (SIDE², KNOTS) float32: of each block, how its tones are shared out among the knots."""
    tones = cv2.transform(rgb, np.full((1, 3), 1 / 3))
    places = (_BLOCKS + tones).ravel()
    counts = np.bincount(places, minlength=SIDE * SIDE * 256).reshape(-1, 256)
    return counts.astype(np.float32) @ _HATS


def _blocks(side: int) -> np.ndarray:
    """(side, side) int64: 256 × the number of the block that a pixel lies in."""
    number = np.arange(side) * SIDE // side
    return 256 * (SIDE * number[:, None] + number)


def _hats() -> np.ndarray:
    """(256, KNOTS) float32: weight of each knot at each tone, linear from knot to knot; for 64 pixels a block."""
    places = np.arange(256) * (KNOTS - 1) / 255
    return np.maximum(0, 1 - abs(places[:, None] - np.arange(KNOTS))).astype(np.float32) / 64


def _drift() -> np.ndarray:
    """(SIDE², 5) float32: what is linear or square in a block's place, -1..1."""
    place = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    x, y = (axis.ravel() for axis in np.meshgrid(place, place))
    return np.stack([x, y, x * x - 1 / 3, y * y - 1 / 3, x * y], axis=1).astype(np.float32)


def _penalty() -> np.ndarray:
    """(KNOTS + 5, KNOTS + 5) float32: the quadratic form that is added to the mean square of what is left over."""
    step = 1 / (KNOTS - 1)
    bends = np.diff(np.eye(KNOTS), 2, axis=0) / step
    dim = bends[np.arange(1, KNOTS - 1) * step <= BRIGHT]
    whole = TETHER * np.eye(KNOTS + 5)
    whole[:KNOTS, :KNOTS] = STIFFNESS / step * dim.T @ dim + LOOSE * np.eye(KNOTS)
    return whole.astype(np.float32)


_BLOCKS, _HATS, _DRIFT, _PENALTY = _blocks(128), _hats(), _drift(), _penalty()
