"""The optimisation behind `transfer`: gradient descent on the grey of drawings, many sheets at once.

Shapes in comments: B sheets, C channels of a stage, K places, P projections, S strata of tone.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gravurekit.errors import UsageError
from gravurekit.styles import _manner
from gravurekit.styles._manner import Manner, Stage
from gravurekit.styles._sheets import Sheet

STRATA = 8  # of equally many places
SPREAD = 0.02  # of the prints' places: as near in rank of tone are those that a place is held against
TONE_UNIT = 0.02  # difference of low-passed grey that costs as much as all the prints' variety
AUTO_PIXELS = 2**21  # px in a batch on a GPU; counted, not measured: some 5 GB with three stages of VGG-19
AUTO_SHEETS = 64


class Knobs(Protocol):
    """What of the style's Settings is meant for the descent."""

    @property
    def loss(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def rate(self) -> float: ...
    @property
    def style_weight(self) -> float: ...
    @property
    def tone_weight(self) -> float: ...
    @property
    def tone_sigma(self) -> float: ...
    @property
    def projections(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def batch(self) -> int: ...


def pick_device(name: str) -> str:
    """ "auto" → cuda, else cpu. Raises UsageError for cuda where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device 'cuda' isn't available to torch on this machine; choose auto or cpu")
    return "cpu" if name == "auto" and not torch.cuda.is_available() else name.replace("auto", "cuda")


def batch_limits(knobs: Knobs, device: str) -> tuple[int, int]:
    """Pixels and sheets that a batch may have. On a CPU sheets go one by one: more together would be no
    faster, and their sums might differ in the last bit."""
    if knobs.batch:
        return 2**62, knobs.batch
    return (1, 1) if device == "cpu" else (AUTO_PIXELS, AUTO_SHEETS)


def refined(sheets: Sequence[Sheet], manner: Manner, knobs: Knobs, device: str) -> list[np.ndarray]:
    """Sheets of one framed size → each one's piece (h, w) float32 0..1 sRGB grey, nearer to the manner."""
    descent = Descent(sheets, manner, knobs, device)
    for _ in range(knobs.steps):
        descent.step()
    grey = descent.grey.detach()[:, 0].cpu().numpy()
    return [grey[n][sheet.inside] for n, sheet in enumerate(sheets)]


def measured(sheets: Sequence[Sheet], manner: Manner, knobs: Knobs, device: str) -> tuple[float, float]:
    """Seconds to begin with these sheets, and seconds a step: the second and the third, as the first finds memory."""
    times = [time.perf_counter()]
    descent = Descent(sheets, manner, knobs, device)
    for steps in (1, 2):
        times.append(time.perf_counter())
        for _ in range(steps):
            descent.step()
        descent.grey.detach().sum().item()  # a GPU is waited for
    times.append(time.perf_counter())
    return times[1] - times[0], (times[3] - times[2]) / 2


@dataclass(frozen=True)
class _Ground:
    """What one sheet is compared at in one stage: indices (n,) into the flattened grid, tones (n,), from dark to
    light."""

    index: np.ndarray
    tone: np.ndarray


class Descent:
    """Adam on the grey of sheets. What happens to a sheet depends on it and its seed, not on the others."""

    def __init__(self, sheets: Sequence[Sheet], manner: Manner, knobs: Knobs, device: str) -> None:
        self.manner, self.knobs, self.device = manner, knobs, device
        self.start = torch.from_numpy(np.stack([sheet.grey for sheet in sheets]))[:, None].to(device)  # (B, 1, H, W)
        self.inside = _masks(sheets).to(device)  # (B, 1, H, W) bool
        self.grey = self.start.clone().requires_grad_()
        self.blur = _Blur(knobs.tone_sigma, self.inside)
        self.tone = self.blur(self.start)
        self.chances = [np.random.default_rng(sheet.seed) for sheet in sheets]
        strides = manner.network.strides
        by_stride = {
            stride: [_Ground(*_manner.places(sheet.tone, sheet.size, stride)) for sheet in sheets]
            for stride in set(strides)
        }
        self.grounds = [by_stride[stride] for stride in strides]
        self.optimizer = torch.optim.Adam([self.grey], lr=knobs.rate, betas=(0.9, 0.99))
        self.done = 0

    def step(self) -> None:
        """One step down."""
        # The rate falls to zero, so that the last steps settle what random projections have stirred up.
        self.optimizer.param_groups[0]["lr"] = self.knobs.rate * (1 - self.done / max(1, self.knobs.steps))
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().sum().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        with torch.no_grad():
            self.grey.clamp_(0, 1)
        self.done += 1

    def loss(self) -> Tensor:
        """(B,): what each sheet is still to lose."""
        stages = self.manner.stages
        strides = self.manner.network.strides
        picks = [self._picked(*parts) for parts in zip(stages, strides, self.grounds, strict=True)]
        seen = self.manner.network.at(torch.where(self.inside, self.grey, self.start), [here for here, _ in picks])
        parts = [self._apart(ours, stage, there) for ours, stage, (_, there) in zip(seen, stages, picks, strict=True)]
        manner = torch.stack(parts).mean(0)
        off = ((self.blur(self.grey) - self.tone) / TONE_UNIT).square()
        tone = off.sum((1, 2, 3)) / self.blur.inside.sum((1, 2, 3))
        return self.knobs.style_weight * manner + self.knobs.tone_weight * tone

    def _picked(self, stage: Stage, stride: int, grounds: list[_Ground]) -> tuple[Tensor, Tensor]:
        """(B, K) int64 twice: at which places of a stage's grid to look, and what to hold that against."""
        # K must follow from the framed size, which all sheets here share, not from what some of them hold.
        count = min(self.knobs.samples, self.start[0].numel() // stride**2) // STRATA * STRATA
        picks = [_pick(*both, stage.tone, count) for both in zip(grounds, self.chances, strict=True)]
        here, there = (torch.from_numpy(np.stack(half)).to(self.device) for half in zip(*picks, strict=True))
        return here, there

    def _apart(self, ours: Tensor, stage: Stage, there: Tensor) -> Tensor:
        """(B,): the distance of features (B, C, K) from the prints', in units of the prints' variety."""
        theirs = stage.features[:, there].transpose(0, 1)  # (B, C, K)
        if self.knobs.loss == "gram":
            return _gram(ours, theirs) / stage.scale**2
        turns = np.stack([_directions(rng, ours.shape[1], self.knobs.projections) for rng in self.chances])
        return _sliced(ours, theirs, torch.from_numpy(turns).to(self.device)) / stage.scale


def _sliced(ours: Tensor, theirs: Tensor, directions: Tensor) -> Tensor:
    """(B,): the mean squared difference of sorted projections, stratum by stratum, of two (B, C, K) under directions
    (B, P, C) of length 1: on average, a channel's."""

    def projected(features: Tensor) -> Tensor:
        return torch.unflatten(directions @ features, 2, (STRATA, -1))  # (B, P, S, K / S)

    with torch.no_grad():
        target = projected(theirs)
        # NumPy sorts several times faster on a CPU; where a gradient is wanted, the order must be known as well.
        target = target.sort(-1).values if target.is_cuda else torch.from_numpy(np.sort(target.numpy(), axis=-1))
    return (projected(ours).sort(-1).values - target).square().mean((1, 2, 3))


def _gram(ours: Tensor, theirs: Tensor) -> Tensor:
    """(B,): the mean squared difference of the channels' products, stratum by stratum, of two (B, C, K)."""

    def products(features: Tensor) -> Tensor:
        strata = torch.unflatten(features, 2, (STRATA, -1)).transpose(1, 2)  # (B, S, C, K / S)
        return strata @ strata.mT / strata.shape[-1]

    return (products(ours) - products(theirs)).square().mean((1, 2, 3)) * ours.shape[1]


def _pick(ground: _Ground, rng: np.random.Generator, tones: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` places of a sheet, evenly through its tones, and for each a place of the prints that is as dark."""
    here = ((np.arange(count) + rng.random(count)) * (len(ground.index) / count)).astype(np.int64)
    here = np.minimum(here, len(ground.index) - 1)
    reach = SPREAD * len(tones)
    there = np.searchsorted(tones, ground.tone[here]) + rng.uniform(-reach, reach, count)
    return ground.index[here], np.clip(there, 0, len(tones) - 1).astype(np.int64)


def _directions(rng: np.random.Generator, channels: int, count: int) -> np.ndarray:
    """(count, channels) float32: random directions of length 1."""
    found = rng.standard_normal((count, channels)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _masks(sheets: Sequence[Sheet]) -> Tensor:
    masks = torch.zeros((len(sheets), 1, *sheets[0].grey.shape), dtype=torch.bool)
    for mask, sheet in zip(masks[:, 0], sheets, strict=True):
        mask[sheet.inside] = True
    return masks


class _Blur:
    """Low-passed grey of the pieces alone, at half the size: (B, 1, H, W) → (B, 1, H / 2, W / 2). What is outside
    weighs nothing."""

    def __init__(self, sigma: float, inside: Tensor) -> None:
        radius, sigma = int(1.5 * sigma + 0.5), sigma / 2
        kernel = torch.exp(-torch.arange(-radius, radius + 1, dtype=torch.float32).square() / (2 * sigma**2))
        self.kernel, self.radius = (kernel / kernel.sum()).to(inside.device), radius
        self.mask = inside.float()
        self.inside = F.avg_pool2d(self.mask, 2)
        self.weight = self._spread(self.mask).clamp(min=1e-6)

    def __call__(self, grey: Tensor) -> Tensor:
        return self.inside * self._spread(grey * self.mask) / self.weight

    def _spread(self, grey: Tensor) -> Tensor:
        rows = F.conv2d(F.avg_pool2d(grey, 2), self.kernel.view(1, 1, 1, -1), padding=(0, self.radius))
        return F.conv2d(rows, self.kernel.view(1, 1, -1, 1), padding=(self.radius, 0))


@contextmanager
def reproducible(device: str) -> Iterator[None]:
    """The same sums in the same order. On a CPU: in one thread, because sums are cut into as many parts as there are
    threads, and those are other in a worker process; many pictures are drawn in many workers anyway. On cuda: as far
    as cuDNN can."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device == "cpu" else threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=True):
            yield
    finally:
        torch.set_num_threads(threads)
