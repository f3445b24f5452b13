"""train: shards/ → runs/NAME-DIGEST/. Trains the colorization network; run again: resumes."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from gravurekit import audit, folder, metadata, shards
from gravurekit import settings as base
from gravurekit.errors import DataError, TrainingError, UsageError
from gravurekit.folder import NEW, State, Summary
from gravurekit.model.ranks import place
from gravurekit.progress import SILENT, Watch
from gravurekit.receipt import RECEIPT, Plan, differences, newest_finished, read_receipt
from gravurekit.stages import _beginning, _data_card, _palettes
from gravurekit.stages._beginning import INIT, Beginning
from gravurekit.stages._listening import Listener, Shown

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.model.distributed import Team
    from gravurekit.model.network import NetworkConfig
    from gravurekit.model.recipe import Recipe
    from gravurekit.shards.reader import ShardSet

REVISION = 4
LEAST_WIDTH = 0.01
# what changes nothing of the result
FREE = {"device", "checkpoint_every", "keep", "readers", "check_samples", "panels", "compile"}
SHOWN = (
    "steps",
    "samples_per_second",
    "device",
    "precision",
    "processes",
    "validation",
    "best",
    "feed",
    "waiting",
)  # of the trainer's figures
PAPER: Mapping[str, Any] = {
    "batch": 128, "head": "paper", "width": 1.0, "palette": False, "hints": False, "lightness": False, "bins": False,
    "rebalance": 0.0, "average": 0.0, "crop": 0.875, "tone": 0.0, "blur": 0.0, "noise": 0.0, "photographs": 0.0,
}  # fmt: skip


class Settings(base.Settings):
    """The network and how it learns."""

    steps: int = Field(2000, ge=1, description="Training steps.")
    epochs: float = Field(
        0.0, ge=0, le=100_000, description="Times that each picture is seen, in place of steps; 0: steps."
    )
    batch: int = Field(16, ge=2, le=4096, description="Pictures a step; the paper's recipe: 128.")
    accumulate: int = Field(1, ge=1, le=1024, description="Parts of a step, where memory is short: each is seen alone.")
    recipe: Literal["default", "paper"] = Field(
        "default",
        description="default: AdamW, and a network made for prints; paper: Adadelta, mean squared error, and what else "
        "the paper has, where nothing else is said: its head, its batch, its crop, none of palette, hints, lightness.",
    )
    head: Literal["paper", "average"] = Field(
        "average",
        description="Global features: the paper's 7×7 matrix, or their average (a third of the weights).",
    )
    palette: bool = Field(True, description="The network can be told which colours a picture has.")
    hints: bool = Field(True, description="The network can be told the colours of some places.")
    lightness: bool = Field(True, description="The network says the lightness of the wash too.")
    bins: bool = Field(False, description="The network says how likely each colour is, in place of one colour.")
    width: float = Field(
        0.0, ge=0, le=4, description="Factor on the network's channels; 0: that of --init, or else 1, as in the paper."
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Peak learning rate; the paper's recipe has its own.")
    weight_decay: float = Field(0.01, ge=0, le=10, description="Decay of the weights; not in the paper's recipe.")
    rebalance: float = Field(0.02, ge=0, lt=1, description="How far rare colours weigh more than common ones; 0: not.")
    class_weight: float = Field(1 / 300, ge=0, description="Weight of the classification beside the colour loss.")
    lightness_weight: float = Field(0.5, ge=0, description="Weight of the wash's lightness beside the colour loss.")
    sync_batch_norm: bool = Field(
        True,
        description="Several processes take batch normalisation's statistics from the whole batch, as one does; off: "
        "each from its own share, with less to exchange and another result.",
    )
    average: float = Field(
        0.999, ge=0, lt=1, description="Of each step, how much the averaged weights keep; 0: no average."
    )
    crop: float = Field(1.0, ge=0.25, le=1, description="A window of so much of each side, elsewhere each time.")
    tone: float = Field(0.2, ge=0, le=1, description="Up to how far lightness is bent, lightened, and darkened.")
    blur: float = Field(0.5, ge=0, le=1, description="Up to how far pictures are blurred, px.")
    noise: float = Field(2.0, ge=0, le=50, description="Up to how much noise, in units of L.")
    photographs: float = Field(
        0.15, ge=0, le=1, description="Share of photographs seen as such (shards made with --photo)."
    )
    palette_drop: float = Field(0.25, ge=0, le=1, description="Share of pictures whose palette isn't told.")
    hint_share: float = Field(0.5, ge=0, le=1, description="Share of pictures of which some colours are told.")
    hint_weight: float = Field(20.0, ge=0, description="Weight of a place where a colour is told, beside any other's.")
    seed: int = Field(
        0, ge=0, lt=2**63, description="Seed of the first weights, the order, and what is done to pictures."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="auto: bf16 where the device is fast at it.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to train.")
    compile: Literal["auto", "off", "graph", "inductor"] = Field(
        "auto",
        description="graph: steps are replayed from a CUDA graph; inductor: compiled by torch, which takes minutes; "
        "auto: graph where it pays.",
    )
    deterministic: bool = Field(False, description="The same bits every time on CUDA too, which is slower.")
    validate_every: int = Field(200, ge=1, description="Steps between two validations.")
    patience: int = Field(0, ge=0, description="End when so many validations brought nothing better; 0: never.")
    checkpoint_every: int = Field(
        200,
        ge=1,
        description="Steps between two saved states; more where saving takes over a twentieth of the time.",
    )
    keep: int = Field(2, ge=1, le=100, description="Saved states that are kept, the last ones.")
    readers: int = Field(2, ge=1, le=64, description="Threads that read samples ahead.")
    panels: int = Field(
        6, ge=0, le=64, description="Held-back pictures on the sheet that each validation draws of them; 0: none."
    )
    check_samples: bool = Field(True, description="Prove each sample's checksum at its first use.")

    @field_validator("width")
    @classmethod
    def _wide_enough(cls, value: float) -> float:
        if 0 < value < LEAST_WIDTH:
            raise ValueError(f"must be 0 or at least {LEAST_WIDTH:g}; {value:g} isn't")
        return value

    @model_validator(mode="before")
    @classmethod
    def _as_in_the_paper(cls, said: Any) -> Any:
        return {**PAPER, **said} if isinstance(said, dict) and said.get("recipe") == "paper" else said


@dataclass(frozen=True)
class Job:
    """What is to be learnt: the shards in `source`; beginning from the trained network of the run `init`, or from
    nothing. The run's folder below `runs` follows from their names and from the settings. `watched`: a folder of prints
    that are shown in its panels."""

    source: Path
    runs: Path
    settings: Settings
    init: Path | None = None
    watched: Path | None = None

    @property
    def out(self) -> Path:
        """Where trainings lie."""
        return self.runs


def check(job: Job) -> None:
    """Raises UsageError if the trainings would lie among the shards, there are no prints to watch, or settings don't go
    together."""
    if job.runs.resolve() == job.source.resolve():
        raise UsageError(f"trainings can't lie in {job.source} itself: choose another --runs")
    if job.watched and not job.watched.is_dir():
        raise UsageError(f"--watch {job.watched}: no such folder; name one with real prints in it")
    batch, parts = job.settings.batch, job.settings.accumulate
    if parts > batch // 2:
        raise UsageError(
            f"[train] accumulate = {parts} would leave parts of one picture of a batch of {batch}, which batch "
            f"normalisation can't learn from: at most {batch // 2}"
        )


def look(job: Job) -> State:
    """Whether that training is finished. Raises DataError if the shards are missing or damaged, or being written."""
    out, plan = _place(job)
    state = folder.look(out, plan)
    if state.reasons != (NEW,):
        return state
    causes = [f"{left}, so a new training begins" for left in _stranded(job, plan)]
    newest = newest_finished(job.runs, f"{job.source.resolve().name}-*")
    if newest and (receipt := read_receipt(newest)):
        causes += [f"{cause} (since {newest})" for cause in differences(receipt.plan, plan)]
    return State(None, tuple(causes)) if causes else state


def _stranded(job: Job, plan: Plan) -> Iterator[str]:
    """The unfinished trainings that differ in nothing but the shards. Those are gone, so nobody can go on with them."""
    for run in sorted(job.runs.iterdir()) if job.runs.is_dir() else ():
        then = _data_card.manifest_of(run)
        if not then or then == plan.inputs["manifest"] or (run / RECEIPT).exists():
            continue
        if run == _folder(job, plan.model_copy(update={"inputs": plan.inputs | {"manifest": then}})):
            yield f"the shards changed since {run}, which isn't finished and can't be resumed with others"


def run(job: Job, watch: Watch) -> Summary:
    """Train, or go on with a training that was ended. Each process that `torchrun` started calls this; only the first
    one needs to see the folder of the run, and only its Summary says something.

    Raises UsageError if there is no network to begin from, DataError if the shards are missing or damaged, ModelError
    for a state or a network that doesn't fit, TrainingError if the training can't go on; of several processes one
    raises that, and the others FailedElsewhere.
    """
    check(job)
    if place().world == 1:
        return _led(job, watch, None)
    from gravurekit.model.distributed import team

    with team(job.settings.device) as several:
        return _led(job, watch, several) if several.leads else _followed(job, several)


def _followed(job: Job, team: "Team") -> Summary:
    """What a process does that doesn't lead: it writes nothing, and looks at no run."""
    if done := team.told(""):
        found = json.loads(done)
        return Summary(**found | {"out": Path(found["out"])})
    out, plan = _place(job)
    init = _beginning.read(job.init, plan.inputs[INIT]) if job.init else None
    samples, facts = _train(job, out, plan, init, _listener(job, out, SILENT), team)
    return Summary("train", out, samples, samples, facts=facts)


def _led(job: Job, watch: Watch, team: "Team | None") -> Summary:
    """What the first process does, or the only one. All that can be refused is, before there is a folder."""
    from gravurekit.model.checkpoint import pick_device

    began = time.monotonic()
    state = look(job)
    if team:
        team.told(json.dumps(asdict(state.done), default=str) if state.done else "")
    if state.done:
        return state.done
    out, plan = _place(job)
    _refuse_too_few(job)
    if team is None:  # one of several has its device from the team
        pick_device(job.settings.device)
    init = _beginning.read(job.init, plan.inputs[INIT]) if job.init else None
    with folder.opened(out, "train", state.reasons, watch, job.source), closing(_listener(job, out, watch)) as listener:
        if job.init and (lack := _beginning.inherit(job.init, out)):
            watch.note(f"train: {lack}")
        samples, facts = _train(job, out, plan, init, listener, team)
        from gravurekit.model.trainer import MODEL

        made = (MODEL, shards.LEARNED, shards.INHERITED, _data_card.CARD, _palettes.FILE)
        files = {name: metadata.file_sha256(out / name) for name in made if (out / name).exists()}
        return folder.seal(out, plan, samples, [], (), time.monotonic() - began, facts, files)


def _listener(job: Job, out: Path, watch: Watch) -> Listener:
    """What hears the trainer's reports and draws its panels: nothing is made ready before there is one."""
    return Listener(watch, Shown(out, job.source, job.settings.panels, job.watched, job.settings.check_samples))


def _train(
    job: Job, out: Path, plan: Plan, init: Beginning | None, listener: Listener, team: "Team | None"
) -> tuple[int, dict[str, Any]]:
    """The number of pictures it was trained on, and those of the trainer's figures that are shown."""
    from gravurekit.model import trainer, warm_start
    from gravurekit.model.distributed import ALONE

    samples, held_back = _open(job, "train"), _open(job, "val")
    about = (init.about if init else {}) | {"shards": plan.inputs["manifest"]}
    if team is None or team.leads:
        about |= _about(_data_card.write(job.source, out, samples.manifest, plan.inputs["manifest"]))
        _palettes.write(out, samples)
    if _manifest_digest(job.source) != plan.inputs["manifest"]:
        raise DataError(f"{job.source} was made anew while the training began: run the same command again")
    config, recipe = _network(job.settings, samples, init), _recipe(job.settings, samples)
    figures = trainer.train(
        samples,
        held_back if len(held_back) else None,
        warm_start.scaled_like(config, init.network.config) if init else config,
        recipe,
        out,
        listener.hear,
        about=about,
        histogram=_histogram(samples.manifest, job.source),
        look=listener.look,
        init=init.network if init else None,
        called=partial(_data_card.called, out, samples.manifest),
        team=team or ALONE,
    )
    return len(samples), {name: figures[name] for name in SHOWN if name in figures}


def _histogram(manifest: Mapping[str, Any], source: Path) -> "np.ndarray":
    """How many pixels of the training split have which a and b."""
    from gravurekit.shards import palette

    try:
        return palette.from_text(manifest["ab_histogram"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        told = f"{source / shards.MANIFEST} doesn't say which colours there are ({error!r:.60})"
        raise DataError(f"{told}: run `gravurekit shard` again") from None


def _refuse_too_few(job: Job) -> None:
    """Before there is a folder: BN learns from at least two pictures."""
    from gravurekit.shards.reader import read_manifest

    counts = dict.fromkeys(shards.SPLITS, 0)
    for shard in read_manifest(job.source)["shards"]:
        counts[shard["split"]] += shard["samples"]
    if counts["train"] < 2:
        said = ", ".join(f"{split} {count}" for split, count in counts.items())
        raise TrainingError(
            f"training needs at least 2 pictures in the split train of {job.source} ({said}): shard more pictures, or "
            "with a smaller --val-share and --test-share"
        )


def _open(job: Job, split: str) -> "ShardSet":
    from gravurekit.shards.reader import ShardSet, read_manifest

    fields = ["L", "wash", "label", "box"]
    if job.settings.photographs and "L_photo" in read_manifest(job.source).get("tensors", ()):
        fields.append("L_photo")
    return ShardSet(job.source, split, fields=tuple(fields), check=job.settings.check_samples)


def _about(card: dict[str, Any]) -> dict[str, Any]:
    """What the model file tells of where it comes from: how its samples were made, and whose pictures they were."""
    made, learnt = card["shards"], card["splits"]["train"]
    facts = {name: made[name] for name in ("size", "style", "input", "target") if name in made}
    return facts | {"licenses": learnt["licenses"], "sources": learnt["sources"], "shards": card["manifest"]}


def _place(job: Job) -> tuple[Path, Plan]:
    """The run's folder, and the plan that it follows from."""
    from gravurekit.shards.reader import read_manifest

    if fault := audit.running(job.source):
        raise DataError(str(fault))
    read_manifest(job.source)
    knobs = job.settings.model_dump(mode="json", exclude=FREE)
    if job.settings.compile == "inductor":  # of the ways to do a step the one that rounds otherwise
        knobs["compile"] = "inductor"
    inputs = {"manifest": _manifest_digest(job.source)}
    if job.init:
        inputs[INIT] = _beginning.digest_of(job.init)
    receipt = read_receipt(job.source)
    if receipt and receipt.outputs.get(shards.MANIFEST, inputs["manifest"]) != inputs["manifest"]:
        raise DataError(f"{job.source / shards.MANIFEST} isn't the file that was written: run `gravurekit shard` again")
    plan = Plan(stage="train", revision=REVISION, settings=knobs, inputs=inputs, seed=job.settings.seed)
    return _folder(job, plan), plan


def _folder(job: Job, plan: Plan) -> Path:
    return job.runs / f"{job.source.resolve().name}-{plan.digest[:12]}"


def _manifest_digest(source: Path) -> str:
    try:
        return metadata.file_sha256(source / shards.MANIFEST)
    except OSError as error:  # it was there a moment ago
        raise DataError(
            f"{source / shards.MANIFEST} can't be read ({error.strerror}): run the same command again"
        ) from None


def _network(settings: Settings, samples: "ShardSet", init: Beginning | None) -> "NetworkConfig":
    from gravurekit.model.network import PAPER_SIZE, NetworkConfig

    # The average head works at the size of the samples, which saves the second pass through the low-level features. The
    # global path sees a square copy: of samples that aren't square one of their shorter side, because enlarging the
    # other would show it nothing more, and cost more than twice as much at 2:3.
    side = PAPER_SIZE if settings.head == "paper" else min(_window(settings, samples))
    return NetworkConfig(
        classes=samples.classes or ("picture",),
        head=settings.head,
        global_size=side,
        palette=settings.palette,
        hints=settings.hints,
        lightness=settings.lightness,
        bins=settings.bins,
        width=settings.width or (init.network.config.width if init else 1.0),
        L_mean=float(samples.manifest["L_mean"]),
    )


def _window(settings: Settings, samples: "ShardSet") -> tuple[int, int]:
    """Height and width of what the network sees of a sample: multiples of 8."""
    size = samples.manifest["size"]
    width, height = size if isinstance(size, list) else (size, size)
    tall, wide = (max(8, 8 * round(side * settings.crop / 8)) for side in (height, width))
    return tall, wide


def _recipe(settings: Settings, samples: "ShardSet") -> "Recipe":
    from gravurekit.model.recipe import Recipe

    knobs = settings.model_dump(include={part.name for part in fields(Recipe)} - {"crop"})
    if settings.epochs:
        batch = min(settings.batch, max(1, len(samples)))
        knobs["steps"] = max(1, math.ceil(settings.epochs * len(samples) / batch))
    crop = _window(settings, samples) if settings.crop < 1 else None
    return Recipe(name=settings.recipe, crop=crop, **knobs)
