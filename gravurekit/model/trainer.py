"""The training loop: stopped at any moment, it goes on from its last state and ends in the same bytes.

Order and mirroring are functions of the seed and of how many samples were seen, so a state needs no random generator:
weights, the optimizer's tensors, the step and the samples seen say all. In the folder:

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
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gravurekit import storage
from gravurekit.errors import ModelError, TrainingError
from gravurekit.model.batches import Samples, prepared, prove
from gravurekit.model.checkpoint import State, load_state, pick_device, restore, save_model, save_state
from gravurekit.model.feed import Feed
from gravurekit.model.losses import class_loss, colour_loss, validate
from gravurekit.model.network import ColorizationNetwork, NetworkConfig, build
from gravurekit.model.order import Order
from gravurekit.model.recipe import Recipe, learning_rate

STATE, LOG, MODEL = "state.safetensors", "log.jsonl", "model.safetensors"
FREE = ("checkpoint_every", "validate_every", "device", "readers")  # may change between a run and its resumption
SHARDS = "shards"  # in `about`: the digest of the manifest of the shards that the pictures come from
LOG_LINES = 1000  # of a run at most, besides validations


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

    `progress` gets each step's figures, and first of all how the samples are fed ("kind": "feed"). `should_stop` is
    asked after each step (True: the state is saved, the summary says finished = False). `about` is JSON kept in the
    model file: where the pictures come from; its "shards", the digest of their manifest, says which a state belongs to.
    Ctrl-C finishes the step, saves the state and raises KeyboardInterrupt; a second Ctrl-C raises at once.

    Raises ModelError for a state of another training or of other shards, TrainingError if the training can't go on, and
    whatever the samples raise, at the step that they were read for.
    """
    run = _Run(train, val, network_config, recipe, folder, dict(about or {}))
    try:
        with _held_interrupts() as interrupted, _deterministic(run.device, run.bf16):
            return run.go(progress, should_stop, interrupted)
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


# ---- the run -------------------------------------------------------------------------------------------


class _Run:
    """One training: network, optimizer, how far it is, and the folder they are kept in."""

    def __init__(
        self,
        train: Samples,
        val: Samples | None,
        config: NetworkConfig,
        recipe: Recipe,
        folder: Path,
        about: dict[str, Any],
    ) -> None:
        if len(train) < 2:
            raise TrainingError(f"training needs at least 2 pictures, not {len(train)}; crawl and shard more")
        self.train, self.val, self.recipe, self.folder, self.about = train, val, recipe, folder, about
        self.order = Order(len(train), recipe.seed)
        self.batch = min(recipe.batch, len(train))
        self.device = pick_device(recipe.device)
        self.bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and _fast_bf16(self.device))
        network = build(config, recipe.seed)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = _optimizer(self.network, recipe)
        self.step = 0
        self.seen = 0  # samples, of all epochs
        self.whole = True  # False while a step is half done: such weights must not be saved
        self.losses: dict[str, float] = {}
        self.validation: dict[str, float | None] | None = None
        if (folder / STATE).exists():
            self._resume()

    def go(
        self,
        progress: Callable[[dict[str, Any]], None],
        should_stop: Callable[[], bool],
        interrupted: Callable[[], int],
    ) -> dict[str, Any]:
        first, begin = self.step, time.perf_counter()
        try:
            with self._feed(interrupted) as feed:
                self._begin(feed, progress)
                stopped = self._steps(feed, progress, should_stop, interrupted)
                figures = {"feed": feed.way, "waiting": round(feed.waiting, 4)}
        except KeyboardInterrupt:
            if self.whole and self.step > first and interrupted() < 2:
                self._save()
            raise
        speed = (self.step - first) * self.batch / max(time.perf_counter() - begin, 1e-9)
        if not stopped:
            self._finish(progress)
            if interrupted():
                raise KeyboardInterrupt
        return {
            "finished": not stopped,
            "steps": self.step,
            "seen": self.seen,
            "samples_per_second": round(speed, 2),
            **figures,
            **self.losses,
            "validation": self.validation,
            "device": str(self.device),
            "precision": "bf16" if self.bf16 else "fp32",
        }

    def _feed(self, interrupted: Callable[[], int]) -> Feed:
        """The batches that are left."""
        left = (self.recipe.steps - self.step) * self.batch
        return Feed(
            self.train,
            self.device,
            self.order.batches(self.seen, self.seen + left, self.batch),
            self.batch,
            wanted=left,
            readers=self.recipe.readers,
            prove=partial(prove, classes=len(self.network.config.classes)),
            hurried=lambda: interrupted() > 0,
        )

    def _begin(self, feed: Feed, progress: Callable[[dict[str, Any]], None]) -> None:
        figures = {"device": str(self.device), "precision": "bf16" if self.bf16 else "fp32", "feed": feed.way}
        self._log("start", figures)
        progress({"kind": "feed", "step": self.step, "steps": self.recipe.steps, "way": feed.way, "said": str(feed)})

    def _steps(
        self,
        feed: Feed,
        progress: Callable[[dict[str, Any]], None],
        should_stop: Callable[[], bool],
        interrupted: Callable[[], int],
    ) -> bool:
        """Do the steps that are left; True if it was stopped before the last."""
        first, begin, stopped = self.step, time.perf_counter(), False
        while self.step < self.recipe.steps and not stopped:
            rate = self._one_step(next(feed))
            speed = (self.step - first) * self.batch / (time.perf_counter() - begin)
            figures = {"learning_rate": rate, "samples_per_second": round(speed, 2), "waiting": round(feed.waiting, 4)}
            self._report(progress, figures)
            if interrupted():
                raise KeyboardInterrupt
            stopped = self.step < self.recipe.steps and should_stop()
            if stopped or self.step == self.recipe.steps or self.step % self.recipe.checkpoint_every == 0:
                self._save()
        return stopped

    def _one_step(self, samples: dict[str, torch.Tensor]) -> float:
        """Do the next step and return its learning rate."""
        recipe, config = self.recipe, self.network.config
        data = prepared(samples, self.order.mirrored(self.seen, self.batch))
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
            raise self._spoilt(f"the loss isn't finite ({self.losses}); pictures {self._pictures()}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1
        self.seen += self.batch
        self.whole = True
        return rate

    def _pictures(self) -> list[int]:
        """The numbers of the pictures of the step that is being done."""
        numbers: list[int] = self.order.take(self.seen, self.batch).tolist()
        return numbers

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

    def _finish(self, progress: Callable[[dict[str, Any]], None]) -> None:
        self._validate(progress)
        origin = {"recipe": self._decisive(), "pictures": len(self.train), "validation": self.validation}
        save_model(self.folder / MODEL, self.network, self.about | {"training": origin})

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
        return recipe | network | {"number of pictures": len(self.train), SHARDS: self.about.get(SHARDS)}

    def _save(self) -> None:
        # A finite loss may have had infinite gradients; the last good state must not be overwritten by these.
        if not all(bool(torch.isfinite(t).all()) for t in self.network.state_dict().values()):
            raise self._spoilt("the weights aren't finite any more")
        about = {"step": self.step, "seen": self.seen, "identity": self._identity(), "losses": self.losses}
        save_state(self.folder / STATE, self.network, self.optimizer, about)

    def _spoilt(self, what: str) -> TrainingError:
        kept = "the last good state is kept" if (self.folder / STATE).exists() else "no state was saved yet"
        return TrainingError(
            f"at step {self.step + (not self.whole)} {what}; {kept} in {self.folder}. "
            "Train in a new folder with a smaller learning rate or precision fp32"
        )

    def _resume(self) -> None:
        state = load_state(self.folder / STATE)
        self._refuse_others(state)
        restore(state, self.network, self.optimizer)
        self.step, self.seen = state.about["step"], state.about["seen"]
        self.losses = state.about.get("losses", {})

    def _refuse_others(self, state: State) -> None:
        """Raises ModelError for a state that this training can't go on with."""
        old, new = state.about.get("identity"), self._identity()
        if not isinstance(old, dict) or not isinstance(state.about.get("step"), int):
            raise ModelError(f"{state.path} doesn't say whose it is; remove it, or choose another folder")
        if not isinstance(state.about.get("seen"), int):
            raise ModelError(
                f"{state.path} was saved by an earlier gravurekit, which took the pictures in another order; "
                "remove it to train from the beginning, or choose another folder"
            )
        if old.get(SHARDS) != new[SHARDS]:
            raise ModelError(
                f"{state.path} has learnt from other shards: the shards changed since; "
                "train in a new folder, or put the old shards back"
            )
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
def _held_interrupts() -> Iterator[Callable[[], int]]:
    """Ctrl-C waits for the end of the step: in its middle the weights are of no step. A second one acts. Gives how many
    there were."""
    caught: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: 0  # only the main thread gets signals; one that ignores Ctrl-C goes on so
        return

    def hold(number: int, frame: Any) -> None:
        caught.append(number)
        if len(caught) > 1:
            signal.signal(signal.SIGINT, before)
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: len(caught)
    finally:
        signal.signal(signal.SIGINT, before)
