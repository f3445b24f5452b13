"""Fits the `figure` score (gravurekit/relevance/figure.py) and says how good it is.

    python experiments/fit_figure.py DATA

DATA holds pictures in the folders figures (a dressed person in each), irrelevant (no person), photos (garments without
a wearer), prints and prints_coloured.

Figures are upright, the others mostly not, so shape, size and compression would give them away. Therefore all sides are
cropped and resized alike: long side to at most 500 px, a crop at a random place with width / height between 0.5 and 0.9
and 85 to 100 % of the largest size that fits, long side to 320 px, JPEG at quality 85. On a figure of 550 × 850 that
leaves about 60 to 100 % of the height, sometimes without the head or the feet: still a dressed person, as those of a
crawl are. Wider crops would leave a waist.

Both sides of the fit weigh the same; on the side without a person, irrelevant and photos do. Ten folds over pictures,
with standardisation inside the folds, five times with other folds; scores that are reported are of pictures that the
fit hasn't seen. The originals, uncropped, are scored by the fits on the crops of the other pictures.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from scipy.stats import rankdata

from gravurekit import images
from gravurekit.relevance import figure

SIDES = ("figures", "irrelevant", "photos")
FOLDS, ROUNDS = 10, 5
RIDGE = 1.0
CUTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the figure score, with its cross-validated AUC.")
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of figures, irrelevant, photos, prints")
    root = parser.parse_args().data
    cv2.setNumThreads(1)
    paths = {side: pictures(root / side) for side in SIDES}
    crops = {side: np.stack([figure.features(crop(path)) for path in paths[side]]) for side in SIDES}
    whole, milliseconds = {}, {}
    for side in (*SIDES, "prints", "prints_coloured"):
        whole[side], milliseconds[side] = measured(pictures(root / side))
    report_features(crops)
    for negatives in (("irrelevant",), ("irrelevant", "photos")):
        scores, scores_whole = cross_validated(crops, whole, negatives)
        say(f"\nfit on figures against {' and '.join(negatives)}")
        report("crops", scores)
        report("originals", scores_whole)
    table(scores, scores_whole)
    reliability(scores)
    coefficients = fit(*stacked(crops, ("irrelevant", "photos")))
    for side in ("prints", "prints_coloured"):
        share = (logits(coefficients, whole[side]) > 0).mean()
        say(f"{side}: {share:.1%} of {len(whole[side])} above 0.5")
    say("ms a picture: " + ", ".join(f"{side} {value:.0f}" for side, value in milliseconds.items()))
    for name, value in zip(("", *figure.FEATURES), coefficients, strict=True):
        say(f'    "{name}": {value:.4f},')


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))


def long_side(pixels: np.ndarray, side: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    return images.resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def crop(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 sRGB, long side 320: see the module's docstring. The chance comes from the file's name."""
    rng = np.random.default_rng([0, crc32(path.name.encode())])
    pixels = images.read(path).pixels
    if max(pixels.shape[:2]) > 500:
        pixels = long_side(pixels, 500)
    height, width = pixels.shape[:2]
    aspect = np.exp(rng.uniform(np.log(0.5), np.log(0.9)))
    tall = min(height, width / aspect) * rng.uniform(0.85, 1)
    rows, columns = max(1, int(tall)), max(1, int(tall * aspect))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    part = long_side(pixels[top : top + rows, left : left + columns], 320)
    return images.decode(images.encode_jpeg(part, 85, subsampling=2)).pixels


def measured(paths: list[Path]) -> tuple[np.ndarray, float]:
    """(N, K) features of whole pictures, and ms of processor time that one took, decoding aside."""
    rows, spent = [], 0.0
    for path in paths:
        pixels = images.read(path).pixels
        began = time.process_time()
        rows.append(figure.features(pixels))
        spent += time.process_time() - began
    return np.stack(rows), 1000 * spent / len(rows)


def stacked(features: dict[str, np.ndarray], negatives: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, K) features, (N,) labels 1 or 0, (N,) weights: each label weighs the same, and each negative folder."""
    count = len(features["figures"])
    rows, labels, weights = [features["figures"]], [np.ones(count)], [np.ones(count)]
    for side in negatives:
        rows.append(features[side])
        labels.append(np.zeros(len(features[side])))
        weights.append(np.full(len(features[side]), count / len(negatives) / len(features[side])))
    return np.concatenate(rows).astype(np.float64), np.concatenate(labels), np.concatenate(weights)


def fit(rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Logistic regression with a ridge on standardised features, by Newton's method: (1 + K,), intercept first, for the
    features as they are."""
    mean = np.average(rows, axis=0, weights=weights)
    spread = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weights)) + 1e-9
    design = np.column_stack([np.ones(len(rows)), (rows - mean) / spread])
    ridge = np.diag([0.0, *[RIDGE] * rows.shape[1]])
    at = np.zeros(design.shape[1])
    for _ in range(30):
        expected = 1 / (1 + np.exp(-np.clip(design @ at, -30, 30)))
        slope = design.T @ (weights * (labels - expected)) - ridge @ at
        curve = (design * (weights * expected * (1 - expected))[:, None]).T @ design + ridge
        at += np.linalg.solve(curve, slope)
    return np.array([at[0] - (at[1:] * mean / spread).sum(), *(at[1:] / spread)])


def logits(coefficients: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return coefficients[0] + rows @ coefficients[1:]


def folds(counts: dict[str, int]) -> Iterator[dict[str, np.ndarray]]:
    """For each fold of each round: which pictures of each side are held out, as booleans."""
    for turn in range(ROUNDS):
        rng = np.random.default_rng(turn)
        number = {side: rng.permutation(np.arange(count) % FOLDS) for side, count in counts.items()}
        for fold in range(FOLDS):
            yield {side: number[side] == fold for side in counts}


def cross_validated(
    crops: dict[str, np.ndarray], whole: dict[str, np.ndarray], negatives: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Probabilities of the crops and of the whole pictures by fits that haven't seen them: means over the rounds."""
    scores = {side: np.zeros(len(crops[side])) for side in SIDES}
    scores_whole = {side: np.zeros(len(crops[side])) for side in SIDES}
    for out in folds({side: len(crops[side]) for side in SIDES}):
        coefficients = fit(*stacked({side: crops[side][~out[side]] for side in SIDES}, negatives))
        for side in SIDES:
            scores[side][out[side]] += probability(coefficients, crops[side][out[side]]) / ROUNDS
            scores_whole[side][out[side]] += probability(coefficients, whole[side][out[side]]) / ROUNDS
    return scores, scores_whole


def probability(coefficients: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits(coefficients, rows)))


def auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """How often a positive scores more than a negative; ties count half."""
    n = len(positives)
    ranks = rankdata(np.concatenate([positives, negatives]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / n / len(negatives))


def report_features(crops: dict[str, np.ndarray]) -> None:
    say("AUC of each feature alone, on crops: against irrelevant, against photos")
    for column, name in enumerate(figure.FEATURES):
        one = {side: crops[side][:, column] for side in SIDES}
        say(f"  {name:9s} {auc(one['figures'], one['irrelevant']):.3f} {auc(one['figures'], one['photos']):.3f}")


def report(what: str, scores: dict[str, np.ndarray]) -> None:
    irrelevant, photos = (auc(scores["figures"], scores[side]) for side in ("irrelevant", "photos"))
    cut = np.quantile(scores["figures"], 0.05)
    dropped = [f"{side} {(scores[side] < cut).mean():.1%}" for side in ("irrelevant", "photos")]
    say(
        f"  {what:9s} AUC against irrelevant {irrelevant:.4f}, against photos {photos:.4f};"
        f" 95 % of figures kept at {cut:.3f}, which drops of {', of '.join(dropped)}"
    )


def table(scores: dict[str, np.ndarray], scores_whole: dict[str, np.ndarray]) -> None:
    say("\n        crops                              originals")
    say("cut     figures   irrelevant  photos       figures   irrelevant  photos")
    say("        kept      dropped     dropped      kept      dropped     dropped")
    for cut in CUTS:
        cells = []
        for some in (scores, scores_whole):
            kept, *dropped = ((some[side] >= cut).mean() for side in SIDES)
            cells.append(f"{kept:6.1%}    {1 - dropped[0]:6.1%}      {1 - dropped[1]:6.1%}")
        say(f"{cut:.2f}    {'       '.join(cells)}")


def reliability(scores: dict[str, np.ndarray]) -> None:
    """Is it calibrated? Of the crops that score so, how many are figures, if both sides are equally frequent."""
    _, labels, weights = stacked({side: scores[side][:, None] for side in SIDES}, SIDES[1:])
    everything = np.concatenate([scores[side] for side in SIDES])
    say("\nscores of crops, figures among them")
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (everything >= low) & (everything < low + 0.2)
        say(f"{low:.1f}-{low + 0.2:.1f}   {np.average(labels[inside], weights=weights[inside]):.0%}")


if __name__ == "__main__":
    main()
