"""Alignment: are two pictures one, though cropped, captioned, stamped or turned? Local features say how the one lies on
the other, and what lies on one another must be alike.

Features: SIFT (Lowe, "Distinctive image features from scale-invariant keypoints", 2004), ratio test, affine map by
RANSAC. Features alone say yes to two pictures that share a logo or a cloth; so the map must be near upright, cover most
of the smaller picture, and the overlap is compared block by block, in tone and in colour. Two plates in one frame are
alike in most blocks, two dresses of one cut in all of them; so no large patch may be mostly unlike, and none that is
alike may have another colour than the rest has.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from gravurekit.color import rgb_to_lab
from gravurekit.images import resize

SIDE = 384  # longer side of the copies that are compared, pixels
FEATURES = 600
RATIO = 0.8  # a match's distance to that of the next best
REACH = 4.0  # pixels between a point and where the map puts it
MIN_POINTS = 16
SCALES = (0.3, 3.0)
MAX_TURN = 10.0  # degrees
MAX_SQUASH = 1.35  # one axis against the other
MIN_COVER = 0.3  # of the smaller picture's area, by the points that agree
MIN_OVERLAP = 0.5  # of the smaller picture's area, by the map
BLOCK = 24  # pixels
MIN_BLOCK_SPREAD = 3.0  # grey levels: flatter blocks say nothing
ALIKE = 0.8  # correlation of a block
ROUNDED = 0.1  # squared grey levels: more than float32's rounding leaves of a flat block
PATCH = 96  # pixels: the side of a square that may not be mostly unlike; larger than what is stamped on pictures
SWATCH = 60  # pixels: the side of a square that may not differ in colour
PATCHY = 1.15  # by so much more a patch may differ in colour than all on average: gamma isn't the same everywhere
FADED = (0.8, 1.25)  # saturation of one picture against that of its copy: bright, dark and loud ones


@dataclass(frozen=True)
class Look:
    """What of a picture is compared: `lab` (H, W, 3) float32 Lab; `points` (N, 2) float32 x, y, and their `words`
    (N, 128) float32; `grey`: it is monochrome."""

    lab: np.ndarray
    points: np.ndarray
    words: np.ndarray
    grey: bool


@dataclass(frozen=True)
class Likeness:
    """How two pictures lie on one another: points that agree, share of blocks that are alike, the share that is unlike
    of the PATCH that is most so, and mean a,b distance: of all, or, by PATCHY, of the SWATCH that differs most from the
    rest (0 if one of them is grey)."""

    points: int
    alike: float
    unlike: float
    color: float


def look(pixels: np.ndarray, grey: bool) -> Look:
    """(H, W, 3) uint8 sRGB of any size → what is compared."""
    scale = SIDE / max(pixels.shape[:2])
    small = resize(pixels, max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    found, words = cv2.SIFT.create(FEATURES).detectAndCompute(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), None)
    points = np.array([point.pt for point in found], np.float32).reshape(-1, 2)
    return Look(rgb_to_lab(small), points, words if words is not None else np.zeros((0, 128), np.float32), grey)


def mirror(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) as in a mirror."""
    return np.ascontiguousarray(pixels[:, ::-1])


def likeness(one: Look, other: Look) -> Likeness | None:
    """How the other picture lies on the one; None if it doesn't."""
    matches = _matches(one.words, other.words)
    if len(matches) < MIN_POINTS:
        return None
    ours, theirs = one.points[matches[:, 0]], other.points[matches[:, 1]]
    found, inliers = cv2.estimateAffine2D(theirs, ours, method=cv2.RANSAC, ransacReprojThreshold=REACH)
    if found is None or int(inliers.sum()) < MIN_POINTS or not _plain(found):
        return None
    agreeing = inliers.ravel().astype(bool)
    # of the picture that is a part of the other one the points cover more
    if max(_cover(ours[agreeing], one), _cover(theirs[agreeing], other)) < MIN_COVER:
        return None
    return _overlap(one, other, found, int(agreeing.sum()))


def _matches(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """(M, 2) int: places of words that mean each other, and nothing else as well."""
    if min(len(ours), len(theirs)) < MIN_POINTS:
        return np.zeros((0, 2), int)
    best: dict[int, tuple[int, float]] = {}  # of ours, the word of theirs that comes nearest
    for first, second in cv2.BFMatcher(cv2.NORM_L2).knnMatch(theirs, ours, k=2):
        if first.distance < RATIO * second.distance:
            held = best.get(first.trainIdx)
            if held is None or first.distance < held[1]:
                best[first.trainIdx] = (first.queryIdx, first.distance)
    return np.array([(ours_at, theirs_at) for ours_at, (theirs_at, _) in best.items()], int).reshape(-1, 2)


def _plain(affine: np.ndarray) -> bool:
    """Whether the map (2, 3) leaves a picture upright: hardly turned, sheared, squashed, and not mirrored."""
    linear = affine[:, :2]
    if np.linalg.det(linear) <= 0:
        return False
    across, down = np.hypot(*linear[:, 0]), np.hypot(*linear[:, 1])
    turn = np.degrees([np.arctan2(linear[1, 0], linear[0, 0]), np.arctan2(-linear[0, 1], linear[1, 1])])
    within = all(SCALES[0] <= side <= SCALES[1] for side in (across, down))
    squash = max(across, down) / min(across, down)
    return bool(within and np.abs(turn).max() <= MAX_TURN and squash <= MAX_SQUASH)


def _cover(points: np.ndarray, whole: Look) -> float:
    """The share of a picture that lies in the box of the points."""
    width, height = np.ptp(points, axis=0)
    return float(width * height) / (whole.lab.shape[0] * whole.lab.shape[1])


def _overlap(one: Look, other: Look, affine: np.ndarray, points: int) -> Likeness | None:
    """The two compared where they lie on one another."""
    height, width = one.lab.shape[:2]
    inside = cv2.warpAffine(np.ones(other.lab.shape[:2], np.uint8), affine, (width, height)).astype(bool)
    laid_area = other.lab.shape[0] * other.lab.shape[1] * float(np.linalg.det(affine[:, :2]))
    if inside.sum() < MIN_OVERLAP * min(height * width, laid_area):
        return None
    laid = cv2.warpAffine(other.lab, affine, (width, height), flags=cv2.INTER_LINEAR)
    whole = _whole(inside)
    told, alike = _blocks(one.lab[..., 0], laid[..., 0], whole)
    unlike = told & ~alike
    color = 0.0 if one.grey or other.grey else _color(one.lab[..., 1:], laid[..., 1:], inside, whole, unlike)
    return Likeness(points, _alike(told, alike), _fullest(unlike.astype(np.float32), PATCH), color)


def _whole(inside: np.ndarray) -> np.ndarray:
    """(H, W) bool → the same kind: whether all of the block around a place lies inside."""
    block = np.ones((BLOCK, BLOCK), np.uint8)
    return cv2.erode(inside.astype(np.uint8), block, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)


def _blocks(ours: np.ndarray, theirs: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) float32 lightness twice, (H, W) bool → (H, W) bool twice, of the block around each place: whether it is
    whole and not flat in both; whether it correlates."""
    ours, theirs = (cv2.GaussianBlur(lightness, (0, 0), 1.0) for lightness in (ours, theirs))
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()  # small numbers have exact squares
    means = _mean(ours, BLOCK), _mean(theirs, BLOCK)
    variances = [
        np.maximum(_mean(side * side, BLOCK) - mean**2, 0) for side, mean in zip((ours, theirs), means, strict=True)
    ]
    together = _mean(ours * theirs, BLOCK) - means[0] * means[1]
    told = whole & (np.sqrt(np.maximum(*variances)) >= MIN_BLOCK_SPREAD)
    return told, together >= ALIKE * np.maximum(np.sqrt(variances[0] * variances[1]), ROUNDED)


def _alike(told: np.ndarray, alike: np.ndarray) -> float:
    """The share of the blocks side by side, of those that tell something, that correlate."""
    each = np.s_[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK]
    return float(alike[each][told[each]].mean()) if told[each].any() else 0.0


def _color(ours: np.ndarray, theirs: np.ndarray, inside: np.ndarray, whole: np.ndarray, unlike: np.ndarray) -> float:
    """(H, W, 2) float32 a, b twice, (H, W) bool thrice → mean a,b distance, of all, or, by PATCHY, of the SWATCH that
    differs most when both are brought to one white balance and, within FADED, to one saturation. What is unlike has no
    say in that: it is stamped on one of them."""
    difference = (theirs - ours)[inside]
    distance = np.hypot(difference[:, 0], difference[:, 1]).mean()
    ours, theirs = (np.where(inside[..., None], side - np.median(side[inside], axis=0), 0) for side in (ours, theirs))
    gain = np.clip((ours * theirs).sum() / max((ours * ours).sum(), 1e-6), *FADED)
    smooth = _mean((theirs - gain * ours).astype(np.float32), BLOCK // 2)
    patch = _fullest(np.hypot(smooth[..., 0], smooth[..., 1]) * (whole & ~unlike), SWATCH)
    return max(float(distance), patch / PATCHY)


def _fullest(measured: np.ndarray, side: int) -> float:
    """The greatest mean of (H, W) float32 over a square."""
    height, width = (min(side, length) for length in measured.shape)
    means = cv2.boxFilter(measured, -1, (width, height), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    return float(means[: measured.shape[0] - height + 1, : measured.shape[1] - width + 1].max())


def _mean(measured: np.ndarray, side: int) -> np.ndarray:
    """(H, W) or (H, W, C) float32 → the mean of the square around each place."""
    return cv2.boxFilter(measured, -1, (side, side), borderType=cv2.BORDER_REFLECT)
