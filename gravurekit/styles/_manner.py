"""The manner of real prints as a network sees it: features of theirs, sorted by the tone of the place they are from.

Like is compared with like: what a drawing shows in its shadows is held against what prints show in theirs. Without
that a drawing could come nearer to a darker print by filling itself with ink.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gravurekit import images, paper
from gravurekit.errors import PictureError, UsageError
from gravurekit.foreign import picture_files, stamp
from gravurekit.styles import _features, _sheets
from gravurekit.styles._features import Features, Spec

PLACES = 65536  # features kept a stage, of all prints together


@dataclass(frozen=True)
class Stage:
    """`features` (C, M) float32 of one stage of the network, sorted by `tone` (M,) float32 0..1; `scale`: the mean of
    the channels' variances, by which differences are told in units of the prints' own variety."""

    features: Tensor
    tone: np.ndarray
    scale: float


@dataclass(frozen=True)
class Manner:
    """A network, and what it saw in the prints."""

    network: Features
    stages: tuple[Stage, ...]


def style_files(paths: Sequence[Path], at_most: int) -> list[Path]:
    """The pictures named, and those in the folders named; of more than `at_most`, some evenly spread over their sorted
    names. Raises UsageError if there is none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += [path / name for name in picture_files(path)]
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError(f"--style-image {path}: no such picture or folder")
    found = sorted(set(found))
    if not found:
        where = ", ".join(str(path) for path in paths)
        fault = f"no pictures in {where}" if where else "no print to take after"
        raise UsageError(f"{fault}: the style transfer needs --style-image with real prints, or folders of them")
    if len(found) <= at_most:
        return found
    return [found[n * len(found) // at_most] for n in range(at_most)]


def check_readable(files: Sequence[Path]) -> None:
    """Raises UsageError if none of these is a picture with something on it."""
    for path in files:
        with suppress(PictureError):
            if images.read(path, reduce_to=64).pixels.std() > 1:
                return
    raise UsageError(f"--style-image: {files[0]} isn't a print, nor is another that was named")


def learn(files: Sequence[Path], spec: Spec, depth: int, side: int, sigma: float, device: str) -> Manner:
    """What a network sees in prints that are `side` px on their short side, or smaller. Kept for the next call."""
    stamps = tuple(stamp(path) for path in (*files, *([spec.file] if spec.file else [])))
    return _learnt(tuple(files), spec, depth, side, sigma, device, stamps)


@lru_cache(maxsize=2)
def _learnt(
    files: tuple[Path, ...], spec: Spec, depth: int, side: int, sigma: float, device: str, stamps: tuple[str, ...]
) -> Manner:
    network = _features.load(spec, depth).to(device)
    rng = np.random.default_rng(0)
    seen: list[list[tuple[Tensor, np.ndarray]]] = [[] for _ in network.strides]
    for path in files:
        for found, place in zip(
            seen, _seen(_ink(path, side), network, sigma, device, PLACES // len(files), rng), strict=True
        ):
            found.append(place)
    return Manner(network, tuple(_stage(found, device) for found in seen))


def _ink(path: Path, side: int) -> np.ndarray:
    """(H, W) float32 0..1 sRGB grey: a print on white paper, reduced to `side`; never enlarged, which blurs lines."""
    try:
        pixels = images.read(path, reduce_to=2 * side).pixels
    except PictureError as error:
        raise UsageError(f"--style-image {path}: {error.detail}: take it out, or name others") from None
    ink = paper.apart(pixels).grey
    small = images.fit_short_side(ink, min(side, *ink.shape), 4 * side)
    return small.astype(np.float32) / 255


def _seen(
    ink: np.ndarray, network: Features, sigma: float, device: str, count: int, rng: np.random.Generator
) -> list[tuple[Tensor, np.ndarray]]:
    """For each stage, features (C, n) and tones (n,) at no more than `count` places of a print."""
    tone = cv2.GaussianBlur(ink, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    grey = torch.from_numpy(_sheets.framed(ink))[None, None].to(device)
    with torch.inference_mode():
        stages = network(grey)
    found = []
    for features, stride in zip(stages, network.strides, strict=True):
        index, tones = places(_sheets.framed(tone), ink.shape, stride)
        chosen = np.sort(rng.permutation(len(index))[:count])
        taken = features[0].flatten(1)[:, torch.from_numpy(index[chosen]).to(device)]
        found.append((taken.clone().cpu(), tones[chosen]))
    return found


def _stage(found: list[tuple[Tensor, np.ndarray]], device: str) -> Stage:
    tone = np.concatenate([tones for _, tones in found])
    order = np.argsort(tone, kind="stable")
    features = torch.cat([features for features, _ in found], 1)[:, torch.from_numpy(order)]
    variance = float(features.var(1, unbiased=False).mean())
    return Stage(features.contiguous().to(device), tone[order], max(variance, 1e-6))


def places(tone: np.ndarray, size: tuple[int, ...], stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a stage sees the piece inside a framed sheet, from the darkest place to the lightest: indices into its
    flattened grid (n,) int64, and their tones (n,) float32. `tone` (H, W) float32 0..1, framed."""
    small = F.avg_pool2d(torch.from_numpy(tone)[None, None], stride)[0, 0].numpy()
    begin = _sheets.FRAME // stride
    height, width = (max(1, length // stride) for length in size)
    rows, columns = np.mgrid[begin : begin + height, begin : begin + width]
    order = np.argsort(small[rows, columns].ravel(), kind="stable")
    index = (rows * small.shape[1] + columns).ravel()[order]
    return index, small.ravel()[index]
