"""The training loop: stopped at any moment, it goes on from its last state and ends in the same bytes.

Order and mirroring are functions of (seed, epoch) and (seed, step), so a state needs no random generator:
weights, the optimizer's tensors and the step say all. In the folder:

    state.safetensors   the training state, every `checkpoint_every` steps, at the end and when interrupted
    log.jsonl           losses and validation figures; read it with `read_log`
    model.safetensors   the finished network
"""

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gravurekit import storage
from gravurekit.errors import ModelError, TrainingError, UsageError
from gravurekit.model.checkpoint import load_state, pick_device, restore, save_model, save_state
from gravurekit.model.network import ColorizationNetwork, NetworkConfig, build

STATE, LOG, MODEL = "state.safetensors", "log.jsonl", "model.safetensors"
FREE = ("checkpoint_every", "validate_every", "device")  # may change between a run and its resumption
SOFT = 20.0  # ab units: the smooth-L1 is quadratic below, linear above
VIVID = 15.0  # ab units of chroma that double a pixel's weight: most pixels are dull, and would win
LOG_LINES = 1000  # of a run at most, besides validations


@dataclass(frozen=True)
class Recipe:
    """How to train.

    name           "default": AdamW, warm-up and cosine, smooth-L1 with weight on vivid pixels;
                   "paper": Adadelta at rate 1, mean squared error (learning_rate, weight_decay don't apply)
    class_weight   of the cross-entropy beside the colour loss
    precision      "bf16", "fp32", or "auto": bf16 where the device is fast at it
    """

    steps: int
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    name: str = "default"
    class_weight: float = 1 / 300
    seed: int = 0
    precision: str = "auto"
    checkpoint_every: int = 500
    validate_every: int = 500
    device: str = "auto"

    def __post_init__(self) -> None:
        for good, fault in (
            (self.steps >= 1, f"steps must be at least 1, not {self.steps}"),
            (self.batch >= 2, f"batch must be at least 2 (batch normalisation), not {self.batch}"),
            (self.learning_rate > 0, f"learning_rate must be above 0, not {self.learning_rate}"),
            (self.weight_decay >= 0, f"weight_decay must not be negative: {self.weight_decay}"),
            (self.class_weight >= 0, f"class_weight must not be negative: {self.class_weight}"),
            (self.seed >= 0, f"seed must not be negative: {self.seed}"),
            (self.name in ("default", "paper"), f"name must be 'default' or 'paper', not {self.name!r}"),
            (self.precision in ("auto", "bf16", "fp32"), f"precision can't be {self.precision!r}"),
            (self.checkpoint_every >= 1, f"checkpoint_every must be at least 1, not {self.checkpoint_every}"),
            (self.validate_every >= 1, f"validate_every must be at least 1, not {self.validate_every}"),
        ):
            if not good:
                raise UsageError(f"bad training recipe: {fault}")


class Samples(Protocol):
    """Training pictures. A batch holds

    L      (B, 1, H, W) uint8, lightness of the plain print in OpenCV's 8-bit scale: L·255/100
    wash   (B, 3, H, W) uint8, Lab of the colours without ink: L·255/100, a + 128, b + 128
    label  (B,) int64, index of the class, −1 for none
    box    (B, 4) int, y0, x0, y1, x1 of the picture within the padded square
    """

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class Batch:
    """On the device, float32: L (B, 1, H, W) 0..100; at half size ab (B, 2, h, w) in ab units and
    inside (B, 1, h, w), the share 0..1 of a place that is picture; label (B,) int64."""

    L: Tensor
    ab: Tensor
    inside: Tensor
    label: Tensor


def train(
    train: Samples,
    val: Samples | None,
    network_config: NetworkConfig,
    recipe: Recipe,
    folder: Path,
    progress: Callable[[dict[str, Any]], None] = lambda report: None,
    should_stop: Callable[[], bool] = lambda: False,
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train in `folder`, or go on with what is there, and return a summary.

    `progress` gets each step's figures, `should_stop` is asked after each step (True: the state is saved, the
    summary says finished = False). `about` is JSON kept in the model file: where the pictures come from.
    Ctrl-C finishes the step, saves the state and raises KeyboardInterrupt; a second Ctrl-C raises at once.
    """
    run = _Run(train, val, network_config, recipe, folder)
    try:
        with _held_interrupts() as interrupted, _deterministic(run.device, run.bf16):
            return run.go(progress, should_stop, interrupted, dict(about or {}))
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"{run.device} ran out of memory at step {run.step + 1} with batch {run.batch}; "
            f"try batch {max(2, run.batch // 2)} in a new folder, or smaller pictures"
        ) from error


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of log.jsonl, each step once: what a resumption did again replaces what it was before."""
    kept: list[dict[str, Any]] = []
    for line in storage.read_json_lines(folder / LOG):
        step, kind = line.get("step"), line.get("kind")
        if isinstance(step, int):
            kept = [k for k in kept if k["step"] < step or (k["step"] == step and k["kind"] != kind)]
            kept.append(line)
    return [line for line in kept if line["kind"] != "start"]


# ---- order, rate, batches ------------------------------------------------------------------------------


def batch_indices(step: int, count: int, batch: int, seed: int) -> np.ndarray:
    """Which of `count` pictures step 0, 1, … takes: (batch,) int64. An epoch's incomplete rest waits."""
    epoch, place = divmod(step, count // batch)
    order = np.random.default_rng([seed, epoch, 0]).permutation(count)
    return order[place * batch : (place + 1) * batch]


def mirrored(step: int, batch: int, seed: int) -> np.ndarray:
    """Which pictures of a step's batch are mirrored: (batch,) bool."""
    return np.random.default_rng([seed, step, 1]).random(batch) < 0.5


def learning_rate(step: int, recipe: Recipe) -> float:
    """5 % linear warm-up, then a cosine to zero; the paper's recipe stays at 1."""
    if recipe.name == "paper":
        return 1.0
    warm = max(1, round(0.05 * recipe.steps))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    return recipe.learning_rate * (1 + math.cos(math.pi * (step - warm) / max(1, recipe.steps - warm))) / 2


def prepared(arrays: dict[str, np.ndarray], classes: int, device: torch.device, flip: np.ndarray | None) -> Batch:
    """A batch of `Samples` checked, mirrored where `flip` (B,) says so, scaled, its target at half size."""
    height, width = arrays["L"].shape[-2:]
    if height % 8 or width % 8:
        raise TrainingError(
            f"training pictures are {height}×{width} (height×width), but sides must be multiples of 8; "
            "make the shards again with such a size"
        )
    label = np.asarray(arrays["label"], np.int64)
    if label.min() < -1 or label.max() >= classes:
        raise TrainingError(
            f"labels run from {label.min()} to {label.max()}, but the network has {classes} classes; "
            "make the shards again, or start in a new folder"
        )
    y0, x0, y1, x1 = (np.asarray(arrays["box"])[:, i, None] for i in range(4))
    y, x = np.arange(height), np.arange(width)
    box = ((y >= y0) & (y < y1))[:, None, :, None] & ((x >= x0) & (x < x1))[:, None, None, :]
    layers = np.concatenate([arrays["L"], arrays["wash"][:, 1:], box.astype(np.uint8)], axis=1)
    picture = torch.from_numpy(layers).to(device)
    if flip is not None:
        turned = torch.from_numpy(flip).to(device)[:, None, None, None]
        picture = torch.where(turned, picture.flip(-1), picture)
    picture = picture.float()
    L, ab, mask = picture[:, :1] * (100 / 255), picture[:, 1:3] - 128, picture[:, 3:]
    inside = F.avg_pool2d(mask, 2)
    # The mean over the picture's own pixels: at an odd border the padding must not bleed into the target.
    target = F.avg_pool2d(ab * mask, 2) / inside.clamp(min=0.25)
    return Batch(L, target, inside, torch.from_numpy(label).to(device))


# ---- losses and figures --------------------------------------------------------------------------------


def colour_loss(p: Tensor, batch: Batch, limit: float, name: str) -> Tensor:
    """Mean over the pictures' places, in units of the output's range; p (B, 2, h, w) float32 0..1."""
    if name == "paper":
        error, weight = (p - (batch.ab / limit + 1) / 2).square(), batch.inside
    else:
        ab = (2 * p - 1) * limit
        error = F.smooth_l1_loss(ab, batch.ab, reduction="none", beta=SOFT) / (2 * limit)
        weight = batch.inside * (1 + batch.ab.norm(dim=1, keepdim=True) / VIVID)
    return (error.mean(1, keepdim=True) * weight).sum() / weight.sum().clamp(min=1e-6)


def class_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Mean cross-entropy of the labelled pictures, 0 if there are none; logits (B, N) float32."""
    total = F.cross_entropy(logits, label, ignore_index=-1, reduction="sum")
    return total / (label >= 0).sum().clamp(min=1)


@torch.no_grad()
def validate(
    network: ColorizationNetwork, val: Samples, recipe: Recipe, bf16: bool, batch: int
) -> dict[str, float | None]:
    """Figures over all of `val`, places outside the pictures left out.

    loss          what training minimises; colour_loss and class_loss its parts
    ab_error      mean distance in ab units
    chroma_ratio  predicted over true chroma: below 1 is duller (None if the truth is grey)
    top1          share of labelled pictures whose class was the most probable (None if none has a label)
    """
    network.eval()
    config, device = network.config, next(network.parameters()).device
    names = ("colour", "class", "error", "chroma", "true_chroma", "places", "right", "labelled")
    sums = dict.fromkeys(names, 0.0)
    for start in range(0, len(val), batch):
        indices = np.arange(start, min(start + batch, len(val)))
        data = prepared(val.batch(indices), len(config.classes), device, None)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            p, logits = network(data.L)
        ab, place = network.ab(p), data.inside[:, 0]
        labelled = data.label >= 0
        for name, value in (
            ("colour", colour_loss(p, data, config.ab_limit, recipe.name) * len(indices)),
            ("class", class_loss(logits, data.label) * labelled.sum()),
            ("error", ((ab - data.ab).norm(dim=1) * place).sum()),
            ("chroma", (ab.norm(dim=1) * place).sum()),
            ("true_chroma", (data.ab.norm(dim=1) * place).sum()),
            ("places", place.sum()),
            ("right", ((logits.argmax(1) == data.label) & labelled).sum()),
            ("labelled", labelled.sum()),
        ):
            sums[name] += float(value)
    colour, classes = sums["colour"] / len(val), sums["class"] / max(1.0, sums["labelled"])
    return {
        "loss": colour + recipe.class_weight * classes,
        "colour_loss": colour,
        "class_loss": classes,
        "ab_error": sums["error"] / max(1.0, sums["places"]),
        "chroma_ratio": sums["chroma"] / sums["true_chroma"] if sums["true_chroma"] else None,
        "top1": sums["right"] / sums["labelled"] if sums["labelled"] else None,
    }


# ---- the run -------------------------------------------------------------------------------------------


class _Run:
    """One training: network, optimizer, the number of completed steps, and the folder they are kept in."""

    def __init__(
        self, train: Samples, val: Samples | None, config: NetworkConfig, recipe: Recipe, folder: Path
    ) -> None:
        if len(train) < 2:
            raise TrainingError(f"training needs at least 2 pictures, not {len(train)}; crawl and shard more")
        self.train, self.val, self.recipe, self.folder = train, val, recipe, folder
        self.batch = min(recipe.batch, len(train))
        self.device = pick_device(recipe.device)
        self.bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and _fast_bf16(self.device))
        network = build(config, recipe.seed)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = _optimizer(self.network, recipe)
        self.step = 0
        self.whole = True  # False while a step is half done: such weights must not be saved
        self.losses: dict[str, float] = {}
        self.validation: dict[str, float | None] | None = None
        if (folder / STATE).exists():
            self._resume()

    def go(
        self,
        progress: Callable[[dict[str, Any]], None],
        should_stop: Callable[[], bool],
        interrupted: Callable[[], bool],
        about: dict[str, Any],
    ) -> dict[str, Any]:
        first, begin, stopped = self.step, time.perf_counter(), False
        self._log("start", {"device": str(self.device), "precision": "bf16" if self.bf16 else "fp32"})
        try:
            while self.step < self.recipe.steps and not stopped:
                rate = self._one_step()
                speed = (self.step - first) * self.batch / (time.perf_counter() - begin)
                self._report(progress, {"learning_rate": rate, "samples_per_second": round(speed, 2)})
                if interrupted():
                    raise KeyboardInterrupt
                stopped = self.step < self.recipe.steps and should_stop()
                if stopped or self.step == self.recipe.steps or self.step % self.recipe.checkpoint_every == 0:
                    self._save()
        except KeyboardInterrupt:
            if self.whole and self.step > first:
                self._save()
            raise
        speed = (self.step - first) * self.batch / max(time.perf_counter() - begin, 1e-9)
        if not stopped:
            self._finish(progress, about)
            if interrupted():
                raise KeyboardInterrupt
        return {
            "finished": not stopped,
            "steps": self.step,
            "samples_per_second": round(speed, 2),
            **self.losses,
            "validation": self.validation,
            "device": str(self.device),
            "precision": "bf16" if self.bf16 else "fp32",
        }

    def _one_step(self) -> float:
        """Do the next step and return its learning rate."""
        recipe, config = self.recipe, self.network.config
        indices = batch_indices(self.step, len(self.train), self.batch, recipe.seed)
        arrays = self.train.batch(indices)
        flip = mirrored(self.step, self.batch, recipe.seed)
        data = prepared(arrays, len(config.classes), self.device, flip)
        rate = learning_rate(self.step, recipe)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.whole = False
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            p, logits = self.network(data.L.contiguous(memory_format=torch.channels_last))
        colour = colour_loss(p, data, config.ab_limit, recipe.name)
        classes = class_loss(logits, data.label)
        loss = colour + recipe.class_weight * classes
        # Looked at before the weights are touched: a loss that isn't finite would spoil them all.
        values = torch.stack([colour, classes]).tolist()
        self.losses = {"colour_loss": values[0], "class_loss": values[1]}
        if not all(map(math.isfinite, self.losses.values())):
            raise self._spoilt(f"the loss isn't finite ({self.losses}); pictures {indices.tolist()}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1
        self.whole = True
        return rate

    def _report(self, progress: Callable[[dict[str, Any]], None], figures: dict[str, Any]) -> None:
        last = self.step == self.recipe.steps
        figures = {**self.losses, **figures}
        if last or self.step % max(1, self.recipe.steps // LOG_LINES) == 0:
            self._log("train", figures)
        progress({"kind": "train", "step": self.step, "steps": self.recipe.steps, **figures})
        if not last and self.step % self.recipe.validate_every == 0:
            self._validate(progress)

    def _validate(self, progress: Callable[[dict[str, Any]], None]) -> None:
        if self.val is not None and len(self.val):
            figures = validate(self.network, self.val, self.recipe, self.bf16, self.batch)
            self._log("validation", figures)
            progress({"kind": "validation", "step": self.step, "steps": self.recipe.steps, **figures})
            self.validation = figures

    def _finish(self, progress: Callable[[dict[str, Any]], None], about: dict[str, Any]) -> None:
        self._validate(progress)
        origin = {"recipe": self._decisive(), "pictures": len(self.train), "validation": self.validation}
        save_model(self.folder / MODEL, self.network, about | {"training": origin})

    def _log(self, kind: str, figures: Mapping[str, Any]) -> None:
        line = {"kind": kind, "step": self.step, **figures}
        storage.append_line(self.folder / LOG, json.dumps(line))

    def _decisive(self) -> dict[str, Any]:
        """The recipe less what may change on resuming: such a run must still end in the same bytes."""
        return {k: v for k, v in asdict(self.recipe).items() if k not in FREE}

    def _identity(self) -> dict[str, Any]:
        """All that decides the result, flat, to compare with a state's."""
        recipe = {f"recipe.{k}": v for k, v in self._decisive().items()}
        network = {f"network.{k}": v for k, v in self.network.config.to_dict().items()}
        return recipe | network | {"number of pictures": len(self.train)}

    def _save(self) -> None:
        # A finite loss may have had infinite gradients; the last good state must not be overwritten by these.
        if not all(bool(torch.isfinite(t).all()) for t in self.network.state_dict().values()):
            raise self._spoilt("the weights aren't finite any more")
        about = {"step": self.step, "identity": self._identity(), "losses": self.losses}
        save_state(self.folder / STATE, self.network, self.optimizer, about)

    def _spoilt(self, what: str) -> TrainingError:
        kept = "the last good state is kept" if (self.folder / STATE).exists() else "no state was saved yet"
        return TrainingError(
            f"at step {self.step + (not self.whole)} {what}; {kept} in {self.folder}. "
            "Train in a new folder with a smaller learning rate or precision fp32"
        )

    def _resume(self) -> None:
        state = load_state(self.folder / STATE)
        old, new = state.about.get("identity"), self._identity()
        if not isinstance(old, dict) or not isinstance(state.about.get("step"), int):
            raise ModelError(f"{state.path} doesn't say whose it is; remove it, or choose another folder")
        differing = [
            f"{name}: {old.get(name)!r} → {new.get(name)!r}"
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        ]
        if differing:
            raise ModelError(
                f"{state.path} belongs to another training ({'; '.join(differing)}); "
                "go back to the old settings, or choose another folder"
            )
        restore(state, self.network, self.optimizer)
        self.step, self.losses = state.about["step"], state.about.get("losses", {})


def _optimizer(network: ColorizationNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.name == "paper":
        return torch.optim.Adadelta(network.parameters(), lr=1.0)
    matrices = [p for p in network.parameters() if p.ndim > 1]
    scales = [p for p in network.parameters() if p.ndim <= 1]  # BN and biases: decay would only fight BN
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": scales, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def _fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    return False


@contextmanager
def _deterministic(device: torch.device, bf16: bool) -> Iterator[None]:
    """On cuda: the same sums in the same order, and fp32 that is fp32 (no TF32)."""
    if device.type == "cuda":
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=bf16):
            yield
    else:
        yield


@contextmanager
def _held_interrupts() -> Iterator[Callable[[], bool]]:
    """Ctrl-C waits for the end of the step: in its middle the weights are of no step. A second one acts."""
    caught: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: False  # only the main thread gets signals; one that ignores Ctrl-C goes on so
        return

    def hold(number: int, frame: Any) -> None:
        caught.append(number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: bool(caught)
    finally:
        signal.signal(signal.SIGINT, before)
