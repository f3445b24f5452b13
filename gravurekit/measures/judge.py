"""The judge: a small network that has seen patches of real prints and patches of what can be made of photographs
without drawing, and says of a patch which of the two it is.

It is never shown the style that it is to judge. Both sides are shown at changing scale, after changing compression,
each patch brought to the same mean and contrast, and fakes often with the tones of a print, so that what is left to
look at is the texture. Every book is held back from one of the judges: what that one takes it for says what a stranger
among prints can reach.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from gravurekit import images
from gravurekit.measures.controls import CONTROLS, OTHERS
from gravurekit.measures.patches import BLANK, SIDE

if TYPE_CHECKING:
    from torch import nn

REVISION = 1

FOLDS = 4
SCALES = (0.65, 1.7)
QUALITIES = (40, 96)  # of JPEG
CROPS = 12  # patches of one picture at one scale and compression
BATCH = 64
RATE = 4e-3

Weights = Mapping[str, np.ndarray]
HARD = (
    "photo",
    "photo + grain",
    "photo oversharpened",
    "photo + grain",
    "photo oversharpened",
)  # have no mark of their own, and are shown more often


@dataclass(frozen=True)
class Pains:
    """How much is done for a judge: patches of each book, and as many of fakes as of all books; times each is seen."""

    patches: int = 800
    epochs: int = 8


# ---- what it is shown ------------------------------------------------------------------------------------


def crops(grey: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """(H, W) uint8 → up to `count` patches (SIDE, SIDE) uint8 with something on them, from the picture at some scale
    and compression."""
    worn = _worn(grey, rng)
    height, width = worn.shape
    if min(height, width) < SIDE:
        return
    for _ in range(count):
        top, left = rng.integers(height - SIDE + 1), rng.integers(width - SIDE + 1)
        patch = worn[top : top + SIDE, left : left + SIDE]
        if patch.std() >= BLANK:
            yield patch


def _worn(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As a scan may bring it: larger or smaller, softer, steeper, compressed; or pixel for pixel as it is, since a
    judge who has seen only what was resampled takes every crisp pixel for ink."""
    changed = grey
    if rng.random() < 0.6:
        scale = np.exp(rng.uniform(*np.log(SCALES)))
        changed = images.resize(grey, *(max(1, round(side * scale)) for side in grey.shape[::-1]))
    if rng.random() < 0.3:
        changed = np.asarray(cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.3, 0.9)), np.uint8)
    if rng.random() < 0.35:
        changed = _steeper(changed, rng)
    if rng.random() < 0.65:
        changed = images.decode(images.encode_jpeg(changed, int(rng.integers(*QUALITIES)))).pixels[..., 0]
    return changed


def _steeper(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W) uint8 → the same with more contrast, up to hardly more than black and white."""
    low, high = np.percentile(grey, (2, 98))
    levels = (np.arange(256.0) - low) / max(high - low, 1.0)
    away = (levels - rng.uniform(0.35, 0.65)) * rng.uniform(3, 16)
    return cv2.LUT(grey, np.rint(255 / (1 + np.exp(-np.clip(away, -50, 50)))).astype(np.uint8))


def of_prints(pictures: Sequence[np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
    """Greys of one book, (H, W) uint8 each → (at most `count`, SIDE, SIDE) uint8."""
    return _gathered((pictures[n % len(pictures)] for n in range(4 * count)), count, rng)


def of_fakes(
    photos: Sequence[np.ndarray], prints: Sequence[np.ndarray], count: int, rng: np.random.Generator
) -> np.ndarray:
    """Photographs, (H, W, 3) uint8 sRGB each → (at most `count`, SIDE, SIDE) uint8 of all controls in turn, every other
    one with the tones of one of `prints`, greys."""
    makers = [*CONTROLS.values(), *OTHERS.values(), *(CONTROLS[name] for name in HARD)]

    def made() -> Iterator[np.ndarray]:
        for n in range(4 * count):
            grey = makers[n % len(makers)](photos[int(rng.integers(len(photos)))], rng)
            toned = _with_tones(grey, prints[int(rng.integers(len(prints)))]) if rng.random() < 0.5 else grey
            yield toned

    return _gathered(made(), count, rng)


def _gathered(pictures: Iterator[np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
    found: list[np.ndarray] = []
    for picture in pictures:
        found += crops(picture, CROPS, rng)
        if len(found) >= count:
            break
    return np.stack(found[:count]) if found else np.zeros((0, SIDE, SIDE), np.uint8)


def _with_tones(grey: np.ndarray, model: np.ndarray) -> np.ndarray:
    """(H, W) uint8 with the histogram of another."""
    own, wanted = (np.bincount(picture.ravel(), minlength=256).cumsum() / picture.size for picture in (grey, model))
    table = np.interp(own, wanted, np.arange(256.0))
    return cv2.LUT(grey, np.rint(table).astype(np.uint8))


# ---- the network -----------------------------------------------------------------------------------------


def network() -> "nn.Module":
    """(N, 1, SIDE, SIDE) float32 of mean 0 and deviation 1 → (N,) logits that it is a print. Averages over the patch at
    the end: where on it something is doesn't matter."""
    from torch import nn

    def block(before: int, after: int, kernel: int, stride: int) -> list[nn.Module]:
        convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        return [convolution, nn.BatchNorm2d(after), nn.ReLU()]

    layers = [*block(1, 16, 5, 2), *block(16, 32, 3, 2), *block(32, 64, 3, 2), *block(64, 64, 3, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))


def _standard(patches: np.ndarray) -> np.ndarray:
    """(N, SIDE, SIDE) uint8 → (N, 1, SIDE, SIDE) float32 of mean 0 and deviation 1."""
    values = patches.astype(np.float32)
    values -= values.mean((1, 2), keepdims=True)
    values /= values.std((1, 2), keepdims=True) + 4.0
    return values[:, None]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Layers this small are no quicker on more cores, far slower on busy ones, and differ there in the last bits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_one_thread()
def train(prints: np.ndarray, fakes: np.ndarray, epochs: int, seed: int) -> Weights:
    """Patches, (N, SIDE, SIDE) uint8 each → the weights of a judge. Both sides weigh the same. On the CPU: it is over
    before a GPU would be warm."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = network().train()
    patches, truth = np.concatenate([prints, fakes]), np.repeat([1.0, 0.0], [len(prints), len(fakes)])
    weight = np.where(truth == 1, 0.5 / len(prints), 0.5 / len(fakes)) * len(truth)
    smooth = 0.02 + 0.96 * truth
    steps = epochs * -(-len(truth) // BATCH)
    optimizer = torch.optim.AdamW(judge.parameters(), RATE / 10, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(truth)), steps // epochs):
            batch = torch.from_numpy(_standard(_turned(patches[rows], rng)))
            wanted, weighs = (torch.from_numpy(values[rows].astype(np.float32)) for values in (smooth, weight))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(judge(batch), wanted, weighs)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return {name: value.detach().numpy().copy() for name, value in judge.state_dict().items()}


def _turned(patches: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turned by quarters and mirrored, all of a batch alike."""
    turned = np.rot90(patches, int(rng.integers(4)), axes=(1, 2))
    return np.ascontiguousarray(turned[:, :, ::-1] if rng.random() < 0.5 else turned)


@_one_thread()
def taken(weights: Weights, patches: np.ndarray) -> np.ndarray:
    """(N, SIDE, SIDE) uint8 → (N,) float32, 0..1: how sure the judge is that each is of a print."""
    import torch

    judge = network()
    judge.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    judge.eval()
    with torch.inference_mode():
        parts = [judge(torch.from_numpy(_standard(part))).sigmoid().numpy() for part in _batches(patches)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _batches(patches: np.ndarray) -> Iterator[np.ndarray]:
    for n in range(0, len(patches), 4 * BATCH):
        yield patches[n : n + 4 * BATCH]


def folds(books: Sequence[str]) -> list[list[str]]:
    """Which books are held back from which judge: each from one."""
    count = min(FOLDS, len(books))
    return [list(books[n::count]) for n in range(count)]
