"""Does a picture show a dressed person? OpenCV's people detector and its cascades, fused into one probability.

The people detector (HOG: gradients in a window of 64 × 128) takes many upright things for persons, and the cascades for
faces and bodies see ghosts everywhere. But a ghost seldom lies where a person's face or legs would be: what counts most
is whether the cascades find a part *in its place* within a box of the people detector.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from gravurekit.images import resize

REVISION = 1
SIDE = 320  # long side at which all detectors look, whatever the size of the picture
BORDER = 24  # px of the edge repeated around it: the people detector wants some room around a person
WINDOW = (64, 128)  # of the people detector, width and height
HOG_FLOOR = -0.8  # margin of the linear classifier below which a window is nothing
BOX_FLOOR = -0.3  # and below which it isn't asked for its parts


class Part(NamedTuple):
    """A cascade, how it is run, and where its windows lie in a person's box (measures as shares of the box)."""

    cascade: str
    both_sides: bool  # knows one side only, so the mirrored picture is searched too
    step: float  # between scales
    rows: float  # share of the picture's rows, from the top, in which it is sought: heads aren't at the bottom
    least: int  # px, height of the smallest window: smaller ones cost most, and show nobody who fills the picture
    middle: float  # height of the window's centre, from the top
    spread: float  # and its standard deviation
    aside: float  # the same of its distance from the box's middle line, which is 0
    tall: float  # height of the window
    stretch: float  # standard deviation of its logarithm


PARTS = {
    "face": Part("frontalface_alt2", False, 1.15, 0.65, 26, 0.165, 0.05, 0.12, 0.12, 0.4),
    "profile": Part("profileface", True, 1.2, 0.65, 34, 0.165, 0.05, 0.15, 0.12, 0.4),
    "full": Part("fullbody", False, 1.1, 1.0, 100, 0.5, 0.07, 0.12, 0.85, 0.25),
    "lower": Part("lowerbody", False, 1.1, 1.0, 70, 0.72, 0.07, 0.12, 0.45, 0.25),
}

# hog            best margin of the people detector, the lesser of the picture's and its mirror image's
# found          cascades of which at least two windows agree, anywhere in the picture
# together       evidence of all parts within one box: log(1 + sum)
# face, profile  evidence of that part within a box: log(1 + sum); the bodies' would add nothing to `together`
FEATURES = ("hog", "found", "together", "face", "profile")

# Logistic regression by experiments/fit_figure.py DATA, 2026-11-25, OpenCV 4.14.0: one crop of each of 350 street
# photographs of a dressed person (figures, of bearpaw/clothing-co-parsing), 220 pictures without a person (irrelevant,
# of EliSchwartz/imagenet-sample-images) and 480 garments without a wearer (photos, of
# alexeygrigorev/clothing-dataset-small), both sides weighing the same. AUC by ten folds over pictures: 0.978 against
# irrelevant, 0.959 against photos; of the originals, uncropped, 0.994 and 0.989. "" is the intercept.
COEFFICIENTS = {
    "": -2.7067,
    "hog": 2.3570,
    "found": 1.2261,
    "together": 0.5372,
    "face": 2.1955,
    "profile": 0.9960,
}


def probability(features: np.ndarray) -> np.ndarray:
    """(N, K) float32 → (N,) float32 in 0..1; NaN where a row has a NaN (not measured)."""
    slopes = np.array([COEFFICIENTS[name] for name in FEATURES])
    logit = COEFFICIENTS[""] + features.astype(np.float64) @ slopes
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -50, 50))), np.float32)


def features(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB, upright, of any size → (K,) float32, in the order of FEATURES. The same whatever the number
    of OpenCV's threads: its detectors give other boxes with several of them."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return _features(_view(pixels))
    finally:
        cv2.setNumThreads(threads)


def _features(view: np.ndarray) -> np.ndarray:
    mirrored = np.ascontiguousarray(view[:, ::-1])
    boxes, mirrored_boxes = _people(view), _mirrored(_people(mirrored), view.shape[1])
    hog = min(_best(boxes), _best(mirrored_boxes))
    boxes = np.concatenate([boxes, mirrored_boxes])
    boxes = boxes[boxes[:, 4] > BOX_FLOOR]
    grey, mirrored_grey = (cv2.cvtColor(side, cv2.COLOR_RGB2GRAY) for side in (view, mirrored))
    found, evidence = 0, np.zeros((len(boxes), len(PARTS)))
    for column, (name, part) in enumerate(PARTS.items()):
        windows = _windows(name, grey)
        if part.both_sides:
            windows = np.concatenate([windows, _mirrored(_windows(name, mirrored_grey), view.shape[1])])
        found += _agreeing(windows) >= 2
        evidence[:, column] = _in_place(boxes, windows, part)
    face, profile, *_ = evidence.max(axis=0, initial=0)
    together = evidence.sum(axis=1).max(initial=0)
    return np.array([hog, found, *np.log1p([together, face, profile])], np.float32)


def _view(pixels: np.ndarray) -> np.ndarray:
    """The picture as the detectors see it: (h, w, 3) uint8 sRGB, no smaller than WINDOW."""
    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    small = resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))
    beside = max(BORDER, -(-(WINDOW[0] - small.shape[1]) // 2))
    above = max(BORDER, -(-(WINDOW[1] - small.shape[0]) // 2))
    return cv2.copyMakeBorder(small, above, above, beside, beside, cv2.BORDER_REPLICATE)


@cache
def _hog() -> cv2.HOGDescriptor:
    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))
    return hog


@cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    place = Path(cv2.__file__).parent / "data"  # beside the module; cv2.data is made at run time and has no types
    return cv2.CascadeClassifier(str(place / f"haarcascade_{PARTS[name].cascade}.xml"))


def _people(view: np.ndarray) -> np.ndarray:
    """Windows of the people detector, ungrouped: (B, 5) float64 of x, y, width, height, margin."""
    boxes, margins = _hog().detectMultiScale(
        view, hitThreshold=HOG_FLOOR, winStride=(8, 8), padding=(0, 0), scale=1.1, groupThreshold=0
    )
    return _sorted(np.column_stack([np.reshape(boxes, (-1, 4)), np.reshape(margins, -1)]))


def _windows(name: str, grey: np.ndarray) -> np.ndarray:
    """Windows that pass a part's cascade, ungrouped: (M, 4) float64 of x, y, width, height."""
    cascade, part = _cascade(name), PARTS[name]
    width, height = cascade.getOriginalWindowSize()
    least = (round(width * part.least / height), part.least)
    sought = grey[: round(part.rows * len(grey))]
    windows = cascade.detectMultiScale(sought, scaleFactor=part.step, minNeighbors=0, minSize=least)
    return _sorted(np.reshape(windows, (-1, 4)).astype(np.float64))


def _sorted(rows: np.ndarray) -> np.ndarray:
    """OpenCV's threads hand in what they find as they find it, and the order of a sum changes its last digits."""
    return rows[np.lexsort(rows.T)]


def _mirrored(rows: np.ndarray, width: int) -> np.ndarray:
    """Windows found in the mirror image, as they lie in the picture."""
    rows = rows.copy()
    rows[:, 0] = width - rows[:, 0] - rows[:, 2]
    return rows


def _best(boxes: np.ndarray) -> float:
    return float(boxes[:, 4].max(initial=HOG_FLOOR))


def _agreeing(windows: np.ndarray) -> int:
    """How many windows overlap the one that most overlap (by 40 % of their union), itself included."""
    one, other = windows[:, None], windows[None]
    start = np.maximum(one[..., :2], other[..., :2])
    end = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    shared = np.clip(end - start, 0, None).prod(axis=2)
    area = windows[:, 2] * windows[:, 3]
    return int((shared > 0.4 * (area[:, None] + area[None] - shared)).sum(axis=1).max(initial=0))


def _in_place(boxes: np.ndarray, windows: np.ndarray, part: Part) -> np.ndarray:
    """(B, 5) boxes and (M, 4) windows → (B,) float64 ≥ 0: how many windows lie where the box's person would have the
    part, each counted by how well it lies there, times the strength of the box."""
    x, y, width, height, margin = (boxes[:, None, i] for i in range(5))
    aside = (windows[:, 0] + windows[:, 2] / 2 - x - width / 2) / width
    middle = (windows[:, 1] + windows[:, 3] / 2 - y) / height
    tall = windows[:, 3] / height
    off = (aside / part.aside) ** 2 + ((middle - part.middle) / part.spread) ** 2
    off += (np.log(tall / part.tall) / part.stretch) ** 2
    return np.asarray(np.exp(-off / 2).sum(axis=1) * np.clip(margin[:, 0] - HOG_FLOOR, 0, 2))
