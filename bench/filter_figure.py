"""The `figure` score: how well it tells dressed people from pictures without them, cross-validated, and how long it
takes. As experiments/fit_figure.py fits it, by that script's own functions: all sides are cropped and resized alike,
and a score is given by a fit that hasn't seen the picture.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from filter_goals import Goal, at_least, at_most, say

from gravurekit.executor import make_executor
from gravurekit.relevance import figure

GOAL, MILLISECONDS = 0.95, 120
TASK = 16  # pictures
Measured = tuple[np.ndarray, np.ndarray, float]  # (n, K) features of the crops, (n, K) of the whole ones, ms a picture


def fit_figure():  # noqa: ANN201
    """experiments/fit_figure.py."""
    place = str(Path(__file__).resolve().parent.parent / "experiments")
    if place not in sys.path:
        sys.path.append(place)
    return importlib.import_module("fit_figure")


def measured(paths: list[Path]) -> Measured:
    """Of some pictures."""
    cv2.setNumThreads(1)
    script = fit_figure()
    crops = np.stack([figure.features(script.crop(path)) for path in paths])
    return crops, *script.measured(paths)


def run(data: Path) -> list[Goal]:
    script = fit_figure()
    paths = {side: script.pictures(data / side) for side in script.SIDES}
    crops, whole, milliseconds = everything(paths)
    goals = []
    for negatives in (("irrelevant",), ("irrelevant", "photos")):
        scores, scores_whole = script.cross_validated(crops, whole, negatives)
        say(f"figure: fit on figures against {' and '.join(negatives)}")
        script.report("crops", scores)
        script.report("originals", scores_whole)
        for side in negatives:
            reached = script.auc(scores["figures"], scores[side])
            if negatives == (side,):
                goals.append(at_least("figure", f"AUC against {side}", reached, GOAL))
            else:
                say(f"  with photos as hard negatives: AUC against {side} {reached:.4f}")
    say("  ms a picture, processor time: " + ", ".join(f"{side} {value:.0f}" for side, value in milliseconds.items()))
    return [*goals, at_most("figure", "a picture on one core", max(milliseconds.values()), MILLISECONDS, " ms")]


def everything(
    paths: dict[str, list[Path]],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, float]]:
    """By side: features of the crops, of the whole pictures, ms a picture."""
    tasks = [(side, some) for side, files in paths.items() for some in _pieces(files)]
    outcomes = make_executor("local", os.cpu_count() or 1).map(measured, (some for _, some in tasks))
    found = [outcome.value for outcome in sorted(outcomes, key=lambda outcome: outcome.index)]
    crops, whole, milliseconds = {}, {}, {}
    for side, files in paths.items():
        mine = [value for (name, _), value in zip(tasks, found, strict=True) if name == side and value]
        crops[side] = np.concatenate([value[0] for value in mine])
        whole[side] = np.concatenate([value[1] for value in mine])
        milliseconds[side] = sum(value[2] * len(value[1]) for value in mine) / len(files)
    return crops, whole, milliseconds


def _pieces(files: list[Path]) -> Iterator[list[Path]]:
    for first in range(0, len(files), TASK):
        yield files[first : first + TASK]
