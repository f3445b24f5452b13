"""The training loop: stopped at any moment, it goes on from its last state and ends in the same bytes.

Order, mirroring and all other chance are functions of the seed and of how many samples were seen, so a state needs no
random generator: weights, their average, the optimizer's tensors, the step and the samples seen say all. In the folder:

    state.safetensors   the training state, every `checkpoint_every` steps (seldomer, where that would cost more than
                        a twentieth of the time), at the end and when interrupted
    earlier/            the states before it, by their step; they go when the training is over
    log.jsonl           losses and validation figures; read it with log.py
    best.safetensors    the averaged network with the best score so far
    model.safetensors   the finished network: the best one, or without pictures to validate on the last
"""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gravurekit import storage
from gravurekit.errors import TrainingError, UsageError
from gravurekit.model import capture, losses, memory, states, warm_start
from gravurekit.model.batches import Samples, prove
from gravurekit.model.checkpoint import State, restore, save_model
from gravurekit.model.clock import Budget, Clock
from gravurekit.model.computing import computing
from gravurekit.model.distributed import ALONE, Team
from gravurekit.model.feed import Feed
from gravurekit.model.interrupts import held_interrupts
from gravurekit.model.learner import Learner, fast_bf16
from gravurekit.model.log import LOG
from gravurekit.model.network import ColorizationNetwork, NetworkConfig, build
from gravurekit.model.order import Order, Share, share_of
from gravurekit.model.readings import Unread
from gravurekit.model.recipe import Recipe, learning_rate
from gravurekit.model.validation import examiners

STATE, MODEL, BEST = states.STATE, "model.safetensors", states.BEST
FREE = ("checkpoint_every", "keep", "device", "readers", "compile")  # may change between a run and its resumption
SHARDS, INIT = states.SHARDS, states.INIT
LOG_LINES = 1000  # of a run at most, besides validations
NAMED = 8  # pictures in a message at most

Look = Callable[[ColorizationNetwork, int], None]


def train(
    train: Samples,
    val: Samples | None,
    network_config: NetworkConfig,
    recipe: Recipe,
    folder: Path,
    progress: Callable[[dict[str, Any]], None] = lambda report: None,
    should_stop: Callable[[], bool] = lambda: False,
    about: Mapping[str, Any] | None = None,
    histogram: np.ndarray | None = None,
    look: Look = lambda network, step: None,
    init: ColorizationNetwork | None = None,
    called: Callable[[list[int]], list[str]] = lambda numbers: list(map(str, numbers)),
    team: Team = ALONE,
) -> dict[str, Any]:
    """Train in `folder`, or go on with what is there, and return a summary.

    `progress` gets each step's figures, and first of all how the samples are fed ("kind": "feed"). `should_stop` is
    asked after each step (True: the state is saved, the summary says finished = False). `about` is JSON kept in the
    model file: where the pictures come from; its "shards", the digest of their manifest, and "init", that of the model
    which `init` is, say which training a state belongs to.
    `histogram` (27, 27): pixels of the training pictures by their a and b, for the recipe's `rebalance`. `look` is
    shown the averaged network, in eval mode, after each validation. `init` is a network to begin from, not from chance.
    `called` tells what pictures of `train` are called in messages.
    Of a `team` of several processes each calls this with the same arguments; the one that leads writes, reports and
    looks, the others need not see the folder.
    Ctrl-C finishes the step, saves the state and raises KeyboardInterrupt; a second Ctrl-C raises at once.

    Raises ModelError for a state of another training or of other shards, TrainingError if the training can't go on, and
    whatever the samples raise, at the step that they were read for.
    """
    run: _Run | None = None
    try:
        run = _Run(train, val, network_config, recipe, folder, dict(about or {}), histogram, init, called, team)
        with held_interrupts() as interrupted, run.computing():
            return run.go(progress if team.leads else _unheard, should_stop, look, interrupted)
    except (RuntimeError, MemoryError) as error:
        if not memory.is_short(error):
            if recipe.compile == "inductor" and (said := capture.compiler_fault(error)):
                raise TrainingError(said) from error
            raise
    # only now: as long as the error is known, what its frames hold is held
    raise run.too_large() if run else _no_room(team.device(recipe.device))


def _no_room(device: torch.device) -> TrainingError:
    return TrainingError(
        f"{device} has no room for the network and its optimizer; use head 'average', or another device"
    )


# ---- the run -------------------------------------------------------------------------------------------


class _Run:
    """One training: what learns, how far it is, and the folder it is kept in."""

    def __init__(
        self,
        train: Samples,
        val: Samples | None,
        config: NetworkConfig,
        recipe: Recipe,
        folder: Path,
        about: dict[str, Any],
        histogram: np.ndarray | None,
        init: ColorizationNetwork | None,
        called: Callable[[list[int]], list[str]],
        team: Team,
    ) -> None:
        if len(train) < 2:
            raise TrainingError(f"training needs at least 2 pictures, not {len(train)}; crawl and shard more")
        self.train, self.recipe, self.folder, self.about = train, recipe, folder, about
        self.called = called
        self.order = Order(len(train), recipe.seed)
        self.batch = min(recipe.batch, len(train))
        # BN needs at least 2 pictures in each part
        parts = replace(recipe, accumulate=min(recipe.accumulate, self.batch // 2))
        self.team, self.share = team, _share(self.batch, parts, team)
        self.device = team.device(recipe.device)
        bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and fast_bf16(self.device))
        network = build(config, recipe.seed)
        found, self.notes = states.newest_of(team, folder)
        if init is not None and found is None:
            self.notes = warm_start.begin_from(init, network)
        if self.batch < recipe.batch:
            self.notes.append(f"a step sees all {self.batch} pictures: there are no {recipe.batch}")
        if found is None:
            network.load_state_dict(team.handed_out(network.state_dict()))
        self.learner = Learner(network.to(self.device), recipe, bf16, histogram, team)
        self.examiners = examiners(train, val, recipe, bf16, self.batch, team)
        self.clock, self.budget = Clock(), Budget()
        self.step = 0
        self.seen = 0  # samples, of all epochs
        self.whole = True  # False while a step is half done: such weights must not be saved
        self.unread = Unread(self.device)
        self.report: Callable[[int], None] = lambda step: None
        self.losses: dict[str, float] = {}
        self.validation: dict[str, float | None] | None = None
        self.validated = 0  # the last step after which it was
        self.best: dict[str, Any] = {}  # "step", "score", and "since": validations that weren't better
        team.same("shards, settings or precision", json.dumps(self._identity() | {"bf16": bf16}))
        if found is not None:
            self._resume(found)

    def go(
        self,
        progress: Callable[[dict[str, Any]], None],
        should_stop: Callable[[], bool],
        look: Look,
        interrupted: Callable[[], int],
    ) -> dict[str, Any]:
        first, self.clock = self.step, Clock()
        try:
            with self._feed(interrupted) as feed:
                self._begin(feed, progress)
                stopped = self._steps(feed, progress, should_stop, look, interrupted)
                figures = {"feed": feed.way, "waiting": round(feed.waiting, 4)}
        except KeyboardInterrupt:
            if self.whole and self.step > first and interrupted() < 2:
                self._save()
            raise
        speed = (self.step - first) * self.batch / self.clock.seconds
        if not stopped:
            self._finish(progress, look)
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
            "best": self.best.get("step"),
            "device": str(self.device),
            "precision": "bf16" if self.learner.bf16 else "fp32",
            "processes": self.team.world,
        }

    def computing(self) -> AbstractContextManager[None]:
        """How torch computes in this training."""
        deterministic, left = self.recipe.deterministic, self.recipe.steps - self.step
        return computing(self.device, bf16=self.learner.bf16, deterministic=deterministic, steps=left)

    def _feed(self, interrupted: Callable[[], int]) -> Feed:
        """The batches that are left."""
        left = (self.recipe.steps - self.step) * self.batch
        return Feed(
            self.train,
            self.device,
            self.order.batches(self.seen, self.seen + left, self.batch, self.share),
            len(self.share.places),
            wanted=left // self.team.world,
            readers=self.recipe.readers,
            prove=partial(prove, classes=len(self.learner.network.config.classes)),
            hurried=lambda: interrupted() > 0,
        )

    def _begin(self, feed: Feed, progress: Callable[[dict[str, Any]], None]) -> None:
        precision = "bf16" if self.learner.bf16 else "fp32"
        world = self.team.world
        self._log("start", {"device": str(self.device), "precision": precision, "feed": feed.way, "processes": world})

        def tell(said: str) -> None:
            progress({"kind": "feed", "step": self.step, "steps": self.recipe.steps, "way": feed.way, "said": said})

        together = [f"{world} processes, each with its share of every batch"] if world > 1 else []
        for said in (*self.notes, *together, str(feed)):
            tell(said)
        self.learner.settle(self.recipe.steps - self.step, tell)

    def _steps(
        self,
        feed: Feed,
        progress: Callable[[dict[str, Any]], None],
        should_stop: Callable[[], bool],
        look: Look,
        interrupted: Callable[[], int],
    ) -> bool:
        """Do the steps that are left; True if it was stopped before the last."""
        stopped, self.report = False, partial(self._report, progress, feed, self.step)
        if self.step:  # it may have been ended between a step and its validation
            with self.clock.aside():
                self._validate_if_due(progress, look)
        while self.step < self.recipe.steps and not stopped and not self._no_better():
            self._one_step(next(feed))
            self._read(all_of_them=False)
            stop = should_stop()
            leave, stop = self.team.any(interrupted() > 0, stop)  # nobody goes on alone
            if leave:
                raise KeyboardInterrupt
            stopped = self.step < self.recipe.steps and stop
            with self.clock.aside():
                if not stopped:
                    self._validate_if_due(progress, look)
                over = self.step == self.recipe.steps or self._no_better()
                due = self.step % self.recipe.checkpoint_every == 0
                # how long it takes only the process knows that leads
                if stopped or over or (due and self.team.any(self.team.leads and self.budget.is_time())[0]):
                    self._save()
        return stopped

    def _one_step(self, samples: dict[str, torch.Tensor]) -> None:
        self.whole = False
        terms = self.learner.step(samples, self.seen + self.share.places, self.share.sizes, self.step)
        self.step += 1
        self.seen += self.batch
        self.unread.add(self.step, terms)
        self.whole = True

    def _read(self, all_of_them: bool = True) -> None:
        """Look at the losses of steps, and report them; of all, before anything is made of the weights."""
        for step, terms in self.unread.read(all_of_them):
            self.losses = dict(zip(losses.TERMS, terms, strict=True))
            if not all(map(math.isfinite, terms)):
                said = ", ".join(f"{name} {value:g}" for name, value in self.losses.items())
                raise self._spoilt(f"the loss isn't finite ({said}); {self._pictures(step)}", step)
            self.report(step)

    def _pictures(self, step: int) -> str:
        """What the pictures of a step are called; of many, all stand in the log."""
        names = self.called(sorted(set(self.order.take((step - 1) * self.batch, self.batch).tolist())))
        self._log("spoilt", {"step": step, "pictures": names})
        more = f" and {len(names) - NAMED} more, which {LOG} names" if len(names) > NAMED else ""
        return f"pictures: {', '.join(names[:NAMED])}{more}"

    def _report(self, progress: Callable[[dict[str, Any]], None], feed: Feed, first: int, step: int) -> None:
        """Of a step whose losses were looked at last; the training began with step `first`."""
        figures = {
            "step": step,
            "loss": sum(f * term for f, term in zip(losses.factors(self.recipe), self.losses.values(), strict=True)),
            **self.losses,
            "learning_rate": learning_rate(step - 1, self.recipe),
            "samples_per_second": round((step - first) * self.batch / self.clock.seconds, 2),
            "waiting": round(feed.waiting, 4),
        }
        if step == self.recipe.steps or step % max(1, self.recipe.steps // LOG_LINES) == 0:
            self._log("train", figures)
        progress({"kind": "train", "steps": self.recipe.steps, **figures})

    def _validate_if_due(self, progress: Callable[[dict[str, Any]], None], look: Look) -> None:
        due = self.step < self.recipe.steps and self.step % self.recipe.validate_every == 0
        if due and self.validated < self.step:
            self._validate(progress, look)

    def _validate(self, progress: Callable[[dict[str, Any]], None], look: Look) -> None:
        """Examine the averaged network; keep it if none was better."""
        self._read()
        network, rebalancing = self.learner.average.eval(), self.learner.rebalancing
        figures: dict[str, float | None] = {}
        for prefix, examiner, augmentation in self.examiners:
            found = examiner.figures(network, rebalancing, augmentation)
            figures |= {f"{prefix}{name}": value for name, value in found.items()}
        if not all(math.isfinite(value) for value in figures.values() if value is not None):
            raise self._spoilt("the averaged network's answers to held-back pictures aren't finite", self.step)
        if figures:
            self._log("validation", figures)
            progress({"kind": "validation", "step": self.step, "steps": self.recipe.steps, **figures})
            self.validation = figures
        if "score" in figures:
            self._compare(figures["score"] or 0.0)
        self.validated = self.step
        if self.team.leads:
            look(network, self.step)

    def _compare(self, score: float) -> None:
        # Done again after a kill it is better than nothing but itself: the same step, the same bytes
        if self.best and self.best["step"] != self.step and not score < self.best["score"]:
            self.best["since"] += 1
            return
        self.best = {"step": self.step, "score": score, "since": 0}
        self._save_model(BEST)

    def _no_better(self) -> bool:
        """Whether it is time to stop early."""
        return 0 < self.recipe.patience <= self.best.get("since", 0)

    def _finish(self, progress: Callable[[dict[str, Any]], None], look: Look) -> None:
        if not self._no_better():
            self._validate(progress, look)
        if self.best and self.team.leads:
            storage.copy(self.folder / BEST, self.folder / MODEL)  # no link: what damages the one spares the other
        elif not self.best:
            self._save_model(MODEL)
        if self.team.leads:
            states.settle(self.folder)

    def _save_model(self, name: str) -> None:
        origin = {
            "recipe": self._decisive(),
            "pictures": len(self.train),
            "step": self.step,
            "validation": self.validation,
        }
        if self.team.leads:
            save_model(self.folder / name, self.learner.average, self.about | {"training": origin})

    def _log(self, kind: str, figures: Mapping[str, Any]) -> None:
        line = {"kind": kind, "step": self.step, **figures}
        if self.team.leads:
            storage.append_line(self.folder / LOG, json.dumps(line))

    def _decisive(self) -> dict[str, Any]:
        """The recipe less what may change on resuming: such a run must still end in the same bytes."""
        knobs = {k: v for k, v in asdict(self.recipe).items() if k not in FREE}
        return knobs | {"inductor": self.recipe.compile == "inductor"}  # it rounds in another order

    def _identity(self) -> dict[str, Any]:
        """All that decides the result, flat, to compare with a state's."""
        recipe = {f"recipe.{k}": v for k, v in self._decisive().items()}
        network = {f"network.{k}": v for k, v in self.learner.network.config.to_dict().items()}
        whence = {name: self.about.get(name) for name in (SHARDS, INIT)}
        # Without shared statistics each process's share of a batch is a batch of its own to BN
        alone = {} if self.recipe.sync_batch_norm else {"processes": self.team.world}
        size = [*self.train.buffers(1)["L"].shape[2:]]
        pictures = {"number of pictures": len(self.train), "size of pictures": size}
        return recipe | network | whence | alone | pictures

    def _save(self) -> None:
        self._read()
        # A finite loss may have had infinite gradients; the last good state must not be overwritten by these.
        if not self.learner.finite():
            raise self._spoilt(f"the weights aren't finite any more; {self._pictures(self.step)}", self.step)
        self.team.same_tensors(self.learner.network.state_dict())
        said = {"step": self.step, "seen": self.seen, "losses": self.losses, "best": self.best}
        examined = {"validation": self.validation, "validated": self.validated}
        about = said | examined | {"identity": self._identity()}
        if self.team.leads:
            with self.budget.spent():
                states.save(self.folder, self.learner, about, self.recipe.keep)

    def _spoilt(self, what: str, step: int) -> TrainingError:
        kept = "the last good state is kept" if (self.folder / STATE).exists() else "no state was saved yet"
        return TrainingError(
            f"at step {step} {what}; {kept} in {self.folder}. Train anew with a smaller learning rate or precision fp32"
        )

    def too_large(self) -> TrainingError:
        """What to say when memory is out."""
        what = f"{self.device} ran out of memory at step {self.step + 1} with batch {self.batch}"
        if self.team.world > 1:  # to try what would fit all of them would be needed
            mine, parts = len(self.share.places), 2 * self.recipe.accumulate
            return TrainingError(
                f"{what}, {mine} of it in this process; start more processes, or give accumulate {parts}"
            )
        self.learner.release()
        fits = memory.fitting(self.learner, self.train.batch(self.order.take(self.seen, self.batch)), self.batch)
        if not fits:
            return TrainingError(f"{what}, and not even 2 pictures fit; make smaller shards, or use head 'average'")
        parts = -(-self.batch // fits)
        told = f"{what}; batch {fits} would fit. Train with it"
        if parts <= self.batch // 2:
            told += f", or with accumulate {parts}, which sees batches of {self.batch} in {parts} parts"
        return TrainingError(told)

    def _resume(self, state: State) -> None:
        states.refuse_others(state, self._identity())
        learner = self.learner
        restore(
            state, learner.network, None if learner.average is learner.network else learner.average, learner.optimizer
        )
        if self.team.leads:
            states.put_first(self.folder, state)
        self.step, self.seen = state.about["step"], state.about["seen"]
        self.losses, self.validation = state.about["losses"], state.about.get("validation")
        self.validated = state.about["validated"]
        best, missing = states.best_of(self.folder, state.about) if self.team.leads else ({}, "")
        self.best = json.loads(self.team.told(json.dumps(best)))
        self.notes += [missing] if missing else []


def _unheard(report: dict[str, Any]) -> None:
    """The progress of a process that doesn't lead."""


def _share(batch: int, recipe: Recipe, team: Team) -> Share:
    """What this process takes of each batch. Raises UsageError if the batch is too small for so many."""
    least = recipe.accumulate * team.world * (1 if recipe.sync_batch_norm else 2)
    if team.world > 1 and batch < least:
        raise UsageError(
            f"{team.world} processes need a batch of {least} pictures at least, not {batch}: start fewer, or give "
            f"--batch {least}"
        )
    return share_of(batch, recipe.accumulate, team.rank, team.world)
