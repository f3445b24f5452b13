"""train: shards/ → runs/NAME-DIGEST/. Trains the colorization network; run again: resumes."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gravurekit import folder, shards
from gravurekit import settings as base
from gravurekit.folder import Plan, Summary
from gravurekit.progress import Watch

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


def run(source: Path, runs: Path, settings: Settings, watch: Watch) -> Summary:
    """Train on the shards in `source`; the run's folder below `runs` follows from the shards' name and the settings.

    Raises DataError if the shards are missing or damaged, ModelError for a state that doesn't fit, TrainingError if
    the training can't go on.
    """
    began = time.monotonic()
    from gravurekit.shards.reader import ShardSet, read_manifest

    manifest = read_manifest(source)
    out, plan = _place(source, runs, settings)
    if done := folder.fresh(out, plan):
        return done
    from gravurekit.model import trainer

    samples, held_back = ShardSet(source, "train"), ShardSet(source, "val")
    about = {name: manifest[name] for name in ("size", "style", "licenses")} | {"shards": plan.inputs["manifest"]}
    watch.begin("train", settings.steps)
    listener = _Listener(watch)
    figures = trainer.train(
        samples,
        held_back if len(held_back) else None,
        _network(settings, samples),
        _recipe(settings),
        out,
        listener.hear,
        about=about,
    )
    facts = {name: figures[name] for name in ("samples_per_second", "device", "precision", "validation")}
    return folder.seal(out, plan, len(samples), [], (trainer.MODEL,), time.monotonic() - began, facts)


def _place(source: Path, runs: Path, settings: Settings) -> tuple[Path, Plan]:
    knobs = settings.model_dump(mode="json", exclude={"device", "checkpoint_every", "validate_every"})
    inputs = {"manifest": folder.file_sha256(source / shards.MANIFEST)}
    plan = Plan(stage="train", revision=REVISION, settings=knobs, inputs=inputs, seed=settings.seed)
    return runs / f"{source.resolve().name}-{plan.digest[:12]}", plan


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
