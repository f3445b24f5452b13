"""Other colours after the fact: what a network can't be told, or says too faintly, is done to its wash.

Colour statistics are those of Pitié and Kokaram, "The linear Monge-Kantorovitch linear colour mapping for
example-based colour transfer", 2007.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from gravurekit import edges, images
from gravurekit.model.palette import COUNTED_STEP

PALE = 15.0  # chroma, ab units: cells of a palette below it are paper
SHARED_SIDE = 512  # px, of the copy on which colours are shared out
EVENED = 0.08  # of its long side, within which places lean alike
SHARP = 12.0  # how decidedly
SHARING = 60  # rounds in which colours come to their amounts
DULL = 4.0  # standard deviation, ab units, which colours are taken to have at least: less isn't stretched further


def transferred(ab: np.ndarray, palette: np.ndarray, painted: np.ndarray | None = None) -> np.ndarray:
    """Colours with the mean and the covariance of a palette, moved as little as that takes (Monge–Kantorovich).

    ab       (h, w, 2) float32, ab units: what the network says without having been told a palette
    palette  (27, 27) numbers ≥ 0, a histogram of a and b as shards count them; the paper in it counts for nothing,
             unless there is nothing else
    painted  (h, w) float32 0..1, how much of a place is painted: only that counts, and only that is changed; None: all
    returns  (h, w, 2) float32
    """
    weights = np.ones(ab.shape[:2]) if painted is None else np.asarray(painted, np.float64)
    if weights.sum() <= 0:
        return ab
    to_mean, to_covariance = _moments(*_coloured(palette))
    points = ab.reshape(-1, 2).astype(np.float64)
    from_mean, from_covariance = _moments(points, weights.ravel())
    move = _monge_kantorovich(from_covariance + DULL**2 * np.eye(2), to_covariance)
    moved = ((points - from_mean) @ move.T + to_mean).reshape(ab.shape)
    return np.asarray(ab + weights[..., None] * (moved - ab), np.float32)


def _coloured(palette: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The colours of a palette's cells (729, 2), and how much of each there is (729,), without the paper."""
    edge = len(palette) // 2
    centres = np.arange(-edge, edge + 1) * float(COUNTED_STEP)
    places = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    counts = np.asarray(palette, np.float64).ravel()
    vivid = counts * (np.hypot(*places.T) >= PALE)
    return places, vivid if vivid.sum() > 0 else counts


def _moments(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean (2,) and covariance (2, 2) of points (n, 2)."""
    mean = weights @ points / weights.sum()
    away = points - mean
    return mean, (away * weights[:, None]).T @ away / weights.sum()


def _monge_kantorovich(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The symmetric matrix T with T·one·T = other, for covariances (2, 2), `one` of full rank."""
    root = _root(one)
    back = np.linalg.inv(root)
    return np.asarray(back @ _root(root @ other @ root) @ back)


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T)


# ---- several colours -----------------------------------------------------------------------------------


def covered(L: np.ndarray) -> np.ndarray:
    """How much of a place is drawn, not bare: L (h, w) float32 0..100 that the network sees → (h, w) float32 0..1."""
    ink = 1 - np.clip(np.asarray(L, np.float32) / 100, 0, 1)
    return np.asarray(np.clip(4 * cv2.GaussianBlur(ink, (0, 0), max(0.5, max(L.shape) / 64)), 0, 1))


def shared_out(
    together: np.ndarray,
    single: np.ndarray,
    amounts: Sequence[float],
    painted: np.ndarray,
    dark: np.ndarray,
    sharpness: float = SHARP,
) -> np.ndarray:
    """Which of several colours a place gets. The network decides: told all of them, it leans, however little, towards
    one or the other; the places that lean most towards one get it, as many as its amount asks for. What a place leans
    to is evened out between the lines first, since a garment has one colour.

    together   (h, w, 2) float32 ab, of the network told all colours
    single     (n, h, w, 2) float32 ab, told each alone (`swatches.parts`)
    amounts    (n,) how much of the painted is to have each; they add up to 1
    painted    (h, w) float32 0..1, what counts for the amounts (`covered`)
    dark       (h, w) float32 0..1, `edges.ground` of the ink
    sharpness  > 0; the higher, the less two colours mix
    returns    (n, h, w) float32, shares 0..1 that add up to 1 at each place
    """
    height, width = painted.shape
    scale = min(1.0, SHARED_SIDE / max(height, width))
    small = max(1, round(width * scale)), max(1, round(height * scale))
    weights = images.resize(painted, *small).astype(np.float64) + 1e-6
    weights /= weights.sum()
    lean = -((together - single) ** 2).sum(-1)
    lean -= lean.mean(0)
    ground = images.resize(dark, *small)
    planes = [images.resize(np.ascontiguousarray(plane, np.float32), *small) for plane in lean]
    lean = np.stack([edges.evened(plane, ground, EVENED * max(small)) for plane in planes]).astype(np.float64)
    lean -= (lean * weights).sum((1, 2), keepdims=True)
    lean *= sharpness / (np.sqrt((lean**2 * weights).sum() / len(lean)) + 1e-6)
    favour = np.zeros((len(lean), 1, 1))
    wanted = np.asarray(amounts, np.float64)[:, None, None]
    for _ in range(SHARING):
        shares = np.exp(lean + favour - (lean + favour).max(0))
        shares /= shares.sum(0)
        had = (shares * weights).sum((1, 2), keepdims=True)
        favour += np.log(wanted / np.maximum(had, 1e-9))
    return np.stack([images.resize(np.asarray(share, np.float32), width, height) for share in shares])


def laid(together: np.ndarray, single: np.ndarray, shares: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """The wash of several colours: each where it has its share; what isn't painted stays as the network said it.

    together, single  (h, w, C) and (n, h, w, C) float32: ab, or Lab
    shares, painted   (n, h, w) of `shared_out`, and (h, w) float32
    returns           (h, w, C) float32
    """
    mixed = (shares[..., None] * single).sum(0)
    return np.asarray(together + painted[..., None] * (mixed - together), np.float32)
