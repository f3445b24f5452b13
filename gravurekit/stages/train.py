"""train: shards/ → runs/NAME-DIGEST/. Trains the colorization network; run again: resumes."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gravurekit import folder, metadata, shards, storage
from gravurekit import settings as base
from gravurekit.errors import DataError, UsageError
from gravurekit.folder import NEW, State, Summary
from gravurekit.progress import Watch
from gravurekit.receipt import Plan, differences, newest_finished, read_receipt

if TYPE_CHECKING:
    from gravurekit.model.network import NetworkConfig
    from gravurekit.model.recipe import Recipe
    from gravurekit.shards.reader import ShardSet

REVISION = 1


class Settings(base.Settings):
    """The network and how it learns."""

    steps: int = Field(2000, ge=1, description="Training steps.")
    batch: int = Field(16, ge=2, le=4096, description="Pictures a step.")
    recipe: Literal["default", "paper"] = Field(
        "default", description="default: AdamW, loss weighted by chroma; paper: Adadelta, mean squared error."
    )
    head: Literal["paper", "average"] = Field(
        "paper",
        description="Global features: the paper's 7×7 matrix, or their average (a third of the weights).",
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Peak learning rate; the paper's recipe has its own.")
    weight_decay: float = Field(0.01, ge=0, le=10, description="Decay of the weights; not in the paper's recipe.")
    class_weight: float = Field(1 / 300, ge=0, description="Weight of the classification beside the colour loss.")
    seed: int = Field(0, ge=0, description="Seed of the first weights, the order and the mirroring.")
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="auto: bf16 where the device is fast at it.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to train.")
    checkpoint_every: int = Field(200, ge=1, description="Steps between two saved states.")
    validate_every: int = Field(200, ge=1, description="Steps between two validations.")


@dataclass(frozen=True)
class Job:
    """What is to be learnt: the shards in `source`. The run's folder below `runs` follows from their name and from the
    settings."""

    source: Path
    runs: Path
    settings: Settings

    @property
    def out(self) -> Path:
        """Where trainings lie."""
        return self.runs


def check(job: Job) -> None:
    """Raises UsageError if the trainings would lie among the shards."""
    if job.runs.resolve() == job.source.resolve():
        raise UsageError(f"trainings can't lie in {job.source} itself: choose another --runs")


def look(job: Job) -> State:
    """Whether that training is finished. Raises DataError if the shards are missing or damaged."""
    out, plan = _place(job)
    state = folder.look(out, plan)
    newest = newest_finished(job.runs, f"{job.source.resolve().name}-*")
    if state.reasons == (NEW,) and newest and (receipt := read_receipt(newest)):
        return State(None, tuple(f"{cause} (since {newest})" for cause in differences(receipt.plan, plan)))
    return state


def run(job: Job, watch: Watch) -> Summary:
    """Train, or go on with a training that was ended.

    Raises DataError if the shards are missing or damaged, ModelError for a state that doesn't fit, TrainingError if
    the training can't go on.
    """
    began = time.monotonic()
    check(job)
    state = look(job)
    if state.done:
        return state.done
    out, plan = _place(job)
    with folder.opened(out, "train", state.reasons, watch, job.source):
        storage.write_lines(out / shards.LEARNED, _learned_from(job.source))
        samples, figures = _train(job, out, plan, watch)
        facts = {name: figures[name] for name in ("samples_per_second", "device", "precision", "validation")}
        from gravurekit.model.trainer import MODEL

        files = {name: metadata.file_sha256(out / name) for name in (MODEL, shards.LEARNED)}
        return folder.seal(out, plan, samples, [], (), time.monotonic() - began, facts, files)


def _learned_from(source: Path) -> Iterator[str]:
    """The lines of the index that belong to the training split. The run keeps them, so that it can give credit when the
    shards are long gone. Raises DataError if the index doesn't tell of each sample."""
    from gravurekit.shards.reader import read_manifest

    path = source / shards.INDEX
    missing = sum(shard["samples"] for shard in read_manifest(source)["shards"] if shard["split"] == "train")
    try:
        with open(path, "rb") as file:
            for line in file:
                if json.loads(line)["split"] == "train":
                    missing -= 1
                    yield line.decode().rstrip("\n")
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): run `gravurekit shard` again") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path} is damaged: run `gravurekit shard` again") from None
    if missing:
        raise DataError(f"{path} doesn't tell of the samples in the shards: run `gravurekit shard` again")


def _train(job: Job, out: Path, plan: Plan, watch: Watch) -> tuple[int, dict[str, Any]]:
    """The number of pictures it was trained on, and the trainer's figures."""
    from gravurekit.model import trainer
    from gravurekit.shards.reader import ShardSet

    samples, held_back = ShardSet(job.source, "train"), ShardSet(job.source, "val")
    about = {name: samples.manifest[name] for name in ("size", "style", "licenses")}
    watch.begin("train", job.settings.steps)
    figures = trainer.train(
        samples,
        held_back if len(held_back) else None,
        _network(job.settings, samples),
        _recipe(job.settings),
        out,
        _Listener(watch).hear,
        about=about | {"shards": plan.inputs["manifest"]},
    )
    return len(samples), figures


def _place(job: Job) -> tuple[Path, Plan]:
    from gravurekit.shards.reader import read_manifest

    read_manifest(job.source)
    knobs = job.settings.model_dump(mode="json", exclude={"device", "checkpoint_every", "validate_every"})
    inputs = {"manifest": metadata.file_sha256(job.source / shards.MANIFEST)}
    plan = Plan(stage="train", revision=REVISION, settings=knobs, inputs=inputs, seed=job.settings.seed)
    return job.runs / f"{job.source.resolve().name}-{plan.digest[:12]}", plan


def _network(settings: Settings, samples: "ShardSet") -> "NetworkConfig":
    from gravurekit.model.network import PAPER_SIZE, NetworkConfig

    # the average head works at the size of the samples, which saves the second pass through the low-level features
    side = PAPER_SIZE if settings.head == "paper" else int(samples.manifest["size"])
    return NetworkConfig(
        classes=samples.classes or ("picture",),
        head=settings.head,
        global_size=side,
        L_mean=float(samples.manifest["L_mean"]),
    )


def _recipe(settings: Settings) -> "Recipe":
    from gravurekit.model.recipe import Recipe

    knobs = settings.model_dump(exclude={"recipe", "head"})
    return Recipe(name=settings.recipe, **knobs)


class _Listener:
    """Turns the trainer's figures into progress."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._step = 0

    def hear(self, figures: dict[str, Any]) -> None:
        """One report of the trainer."""
        self._watch.advance(figures["step"] - self._step)
        self._step = figures["step"]
        if figures["kind"] == "validation":
            error, loss = figures["ab_error"], figures["loss"]
            self._watch.note(f"step {figures['step']}: ab error {error:.2f}, loss {loss:.4f} on held-back pictures")
