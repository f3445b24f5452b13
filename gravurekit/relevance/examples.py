"""Relevance by examples: a small classifier that learns from pictures one likes and pictures one doesn't.

A logistic regression with a ridge, on what the probes know anyway: orientations of edges in a 64 × 64 thumb (Dalal and
Triggs, "Histograms of oriented gradients for human detection", 2005), colours of an 8 × 8 one, quality, and the parts
of the `figure` score. Before it is believed it must tell examples apart that it hasn't seen.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from gravurekit.errors import UsageError

MIN_AUC = 0.70  # below this the examples' difference can't be seen
FOLDS = 5
RIDGE = 1.0
CELL = 8  # pixels of a thumb
COLORS = 8  # colours across and down
BINS = 9  # of 180 degrees
SCALARS = ("chroma", "chroma_residual", "dark", "light", "entropy", "spread")


@dataclass(frozen=True)
class Taste:
    """What was learnt: `weights` (D + 1,) float64 on standardised features, the last one alone; `auc`: of examples
    that weren't learnt from, by cross-validation."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    auc: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """(N, D) float32 → (N,) float32, 0..1: how much each is like what is liked."""
        logits = (features - self.mean) / self.scale @ self.weights[:-1] + self.weights[-1]
        return (1 / (1 + np.exp(-np.clip(logits, -60, 60)))).astype(np.float32)


def features(figures: np.ndarray, thumbs: np.ndarray) -> np.ndarray:
    """(N,) probe.FIGURES and (N,) probe.THUMBS → (N, D) float32."""
    edges = np.stack([_orientations(luma) for luma in thumbs["luma"][:, 0]]) if len(thumbs) else np.zeros((0, 576))
    pooled = thumbs["ab"].shape[2] // COLORS
    cells = thumbs["ab"][:, 0].reshape(len(thumbs), COLORS, pooled, COLORS, pooled, 2)
    colors = cells.mean(axis=(2, 4), dtype=np.float32).reshape(len(thumbs), COLORS * COLORS * 2) - 128
    scalars = np.stack([figures[name] for name in SCALARS], axis=1)
    shape = np.log(figures["width"] / figures["height"].astype(np.float32))[:, None]
    seen = np.nan_to_num(figures["figure"])
    return np.concatenate([edges, colors / 16, scalars, shape, seen], axis=1).astype(np.float32)


def _orientations(luma: np.ndarray) -> np.ndarray:
    """(64, 64) uint8 grey → (576,) float32: for each cell of 8 × 8 pixels how strong edges of each direction are."""
    smooth = luma.astype(np.float32) / 255
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    strength, angle = cv2.cartToPolar(across, down)
    bins = (angle * (BINS / np.pi)).astype(int) % BINS
    rows, columns = np.indices(luma.shape) // CELL
    cells = luma.shape[1] // CELL
    place = (rows * cells + columns) * BINS + bins
    histogram = np.bincount(place.ravel(), strength.ravel(), cells * cells * BINS).reshape(-1, BINS)
    return (histogram / (np.linalg.norm(histogram, axis=1, keepdims=True) + 0.5)).astype(np.float32).ravel()


def learn(liked: np.ndarray, unliked: np.ndarray, kin: np.ndarray | None = None) -> Taste:
    """(N, D) and (M, D) features of examples → what tells them apart. `kin`: (N + M,) int64, the same number for copies
    of one picture, which are never learnt from to judge one another; None: all differ.

    Raises UsageError if examples that weren't learnt from can't be told apart.
    """
    seen = np.concatenate([liked, unliked]).astype(np.float64)
    wanted = np.concatenate([np.ones(len(liked)), np.zeros(len(unliked))])
    # each side is dealt out in turn, so that every fold has its share of both
    fold = np.concatenate([np.arange(len(liked)), np.arange(len(unliked))]) % FOLDS
    if kin is not None:  # each with the first of its kind
        _, first, number = np.unique(kin, return_index=True, return_inverse=True)
        fold = fold[first][number]
    guess = np.zeros(len(seen))
    for n in range(FOLDS):
        mean, scale, weights = _fit(seen[fold != n], wanted[fold != n])
        guess[fold == n] = (seen[fold == n] - mean) / scale @ weights[:-1] + weights[-1]
    auc = area_under_curve(guess[wanted == 1], guess[wanted == 0])
    if auc < MIN_AUC:
        raise UsageError(
            f"--like and --unlike can't be told apart: cross-validated AUC {auc:.2f}, at least {MIN_AUC} is needed "
            "(0.5 is chance). Give more examples, or clearer ones; or take another --relevance"
        )
    return Taste(*_fit(seen, wanted), auc)


def area_under_curve(high: np.ndarray, low: np.ndarray) -> float:
    """How often a score of `high` lies above one of `low` (ties count half): the area under the ROC curve."""
    ranks = rankdata(np.concatenate([high, low]))[: len(high)]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


def _fit(seen: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, scale and weights of a logistic regression in which both sides count the same."""
    mean, scale = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-3)
    design = np.concatenate([(seen - mean) / scale, np.ones((len(seen), 1))], axis=1)
    shares = np.where(wanted == 1, 0.5 / wanted.mean(), 0.5 / (1 - wanted.mean()))
    strength = RIDGE * np.append(np.full(seen.shape[1], seen.shape[1] / 100), 1e-6)  # many features: each may say less

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = design @ weights
        slack = shares * (1 / (1 + np.exp(-np.clip(logits, -60, 60))) - wanted)
        fit = (shares * (np.logaddexp(0, logits) - wanted * logits)).sum()
        return fit + 0.5 * (strength * weights**2).sum(), design.T @ slack + strength * weights

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return mean, scale, found.x
