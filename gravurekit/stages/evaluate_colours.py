"""evaluate colors: how near a network's colours are to the true ones, told nothing, told a palette, told hints, beside
what anybody can say who knows no network. No link of the chain: it changes nothing but its own report.

Measured are samples that the network hasn't learned from, and real coloured prints, whose grey version it is given.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gravurekit import folder, storage
from gravurekit import settings as base
from gravurekit.errors import DataError, ModelError, UsageError
from gravurekit.progress import Watch
from gravurekit.receipt import newest_finished
from gravurekit.settings import digest
from gravurekit.shards import MANIFEST
from gravurekit.stages._evaluation import (
    Case,
    check_out,
    digest_of,
    revisions,
    rounded,
    told,
    versions,
    write_cases,
)

if TYPE_CHECKING:
    from gravurekit.measures.bootstrap import Figure
    from gravurekit.measures.colours import Look, Point, Row
    from gravurekit.model.predictor import Predictor
    from gravurekit.stages._colours_prints import Coloured
    from gravurekit.stages._colours_samples import Looked

REVISION = 4
OF_A_PICTURE = ("delta_e", "seen_delta_e", "colourfulness", "chroma", "grey")  # of a `Look`, said by picture
KIND = "gravurekit evaluate colors"  # what a report of ours says of itself
MODEL = "model.safetensors"


class Settings(base.Settings):
    """What is measured, and how much of it."""

    split: Literal["test", "val"] = Field("test", description="The split of the shards whose samples are measured.")
    samples: int = Field(100, ge=2, le=100_000, description="Samples that are measured, of different pictures.")
    coloured_prints: int = Field(100, ge=2, le=100_000, description="Real coloured prints that are measured, at most.")
    resamples: int = Field(100, ge=10, le=100_000, description="Resamples of the pictures for each interval.")
    seed: int = Field(0, ge=0, description="Seed of what is left to chance.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the network runs.")


@dataclass(frozen=True)
class Job:
    """What is measured: `model` (a run's folder), or the newest finished run below `runs`, on held-back samples of
    `shards`, and on coloured `prints`, if there are any. The report goes to `out` (JSON) and a PNG beside it; by
    default to reports/RUN-colors.json."""

    model: Path | None
    runs: Path
    shards: Path
    prints: Path | None
    out: Path | None
    settings: Settings

    @property
    def run(self) -> Path:
        """The run that is measured. Raises DataError if there is none, ModelError for a folder without a model."""
        found = self.model or newest_finished(self.runs)
        if found is None:
            raise DataError(f"no finished training in {self.runs}: run `gravurekit train`, or name a run with --model")
        if not (found / MODEL).is_file():
            raise ModelError(f"no model file at {found / MODEL}; check the path, or run `gravurekit train` first")
        return found

    @property
    def report(self) -> Path:
        """Where the report goes."""
        return self.out or Path("reports", f"{self.run.resolve().name or 'run'}-colors.json")


@dataclass(frozen=True)
class Part:
    """What came of one set of pictures. `gains`: by how much the ΔE of the network's rows is below that of those who
    know no network, see `measures.colours.gains`; `curve`: by row, over factors on the chroma."""

    rows: "list[Row]"
    gains: "dict[str, dict[str, dict[str, Figure | None]]]"
    curve: "dict[str, list[Point]]"
    pictures: list[dict[str, Any]]


@dataclass(frozen=True)
class Classes:
    """How often the true label is the most probable one, or among the three most probable, of `pictures` that have a
    label which the network knows; and how often it is the one that is most frequent among them."""

    pictures: int
    top1: "Figure"
    top3: "Figure"
    most_frequent: float


@dataclass(frozen=True)
class Evaluation:
    """What came of it. `prints` by folder of prints, all of them under ""; `doubts`: what speaks against the figures;
    `learnt`: pictures that were left out because the network has learned from them."""

    out: Path
    sheet: Path
    run: str
    samples: Part
    prints: dict[str, Part]
    classes: Classes | None
    learnt: int
    doubts: list[str]


def check(job: Job) -> None:
    """Raises UsageError for a folder that isn't there or an output that is somebody else's, DataError without a model
    or shards."""
    if not job.shards.is_dir():
        raise UsageError(f"{job.shards}: no such folder; run `gravurekit shard`, or name one with --shards")
    if job.prints is not None and not job.prints.is_dir():
        raise UsageError(f"{job.prints}: no such folder")
    check_out(job.report, KIND)


def run(job: Job, watch: Watch, colours: "Callable[[Predictor], Coloured] | None" = None) -> Evaluation:
    """Measure. `colours`: how prints are coloured, if not as `colorize` does it. Raises as `check` does, DataError if
    the split is empty or damaged, UsageError if nothing is left that the network hasn't learned from."""
    check(job)
    from gravurekit.model.predictor import Predictor
    from gravurekit.stages import _colours_known, _colours_prints, _colours_samples

    knobs = job.settings
    held = _colours_samples.held_back(job.shards, knobs.split, knobs.samples, job.run)
    items = _colours_prints.find(job.prints, knobs.coloured_prints) if job.prints else []
    predictor = Predictor.load(job.run, knobs.device)
    known = _colours_known.known(job.shards)
    looked = list(_colours_samples.look_at(held, predictor, known, knobs.seed, watch))
    real: list[Looked] = []
    if job.prints:
        colour = (colours or _colours_prints.coloured)(predictor)
        told_one = predictor.network.config.palette
        real = list(_colours_prints.look_at(job.prints, items, colour, told_one, known, watch))
    names = predictor.network.config.classes
    doubts = _doubts(job, held.learnt, predictor, bool(real))
    made = Evaluation(
        job.report, job.report.with_suffix(".png"), job.run.resolve().name, _part(looked, knobs),
        _by_folder(real, knobs), _classes(looked, names, knobs), held.learnt or 0, doubts,
    )  # fmt: skip
    _write(job, made, looked, real, [job.prints / item.file_name for item in items] if job.prints else [])
    return made


def _part(looked: "Sequence[Looked]", knobs: Settings) -> Part:
    from gravurekit.measures import colours
    from gravurekit.stages._colours_samples import KNOWN, TRUTH

    by_row: dict[str, list[Look]] = {name: [one.looks[name] for one in looked] for name in looked[0].looks}
    plain = {name: by_row[name] for name in KNOWN}
    gains = {
        name: colours.gains(looks, plain, knobs.resamples, knobs.seed)
        for name, looks in by_row.items()
        if name not in (*KNOWN, TRUTH)
    }
    curve: dict[str, list[Point]] = {}
    for name, factor in looked[0].curve:
        looks = [one.curve[name, factor] for one in looked]
        curve.setdefault(name, []).append(colours.point(factor, looks, knobs.resamples, knobs.seed))
    rows = [colours.row(name, looks, knobs.resamples, knobs.seed) for name, looks in by_row.items()]
    return Part(rows, gains, curve, [_said(one) for one in looked])


def _said(one: "Looked") -> dict[str, Any]:
    by_row = {part: {name: getattr(look, part) for name, look in one.looks.items()} for part in OF_A_PICTURE}
    return {"key": one.key, "label": one.label, **by_row}


def _by_folder(looked: "Sequence[Looked]", knobs: Settings) -> dict[str, Part]:
    """All prints, and, if they lie in several folders, those of each."""
    if not looked:
        return {}
    folders: dict[str, list[Looked]] = {}
    for one in looked:
        folders.setdefault(one.label, []).append(one)
    found = {"": _part(looked, knobs)}
    return found | ({name: _part(folders[name], knobs) for name in sorted(folders)} if len(folders) > 1 else {})


def _classes(looked: "Sequence[Looked]", names: Sequence[str], knobs: Settings) -> Classes | None:
    from gravurekit.measures.bootstrap import mean_figure

    labelled = [one for one in looked if one.label in names]
    if not labelled:
        return None
    top1, top3 = (
        mean_figure([one.label in one.classes[:count] for one in labelled], knobs.resamples, knobs.seed)
        for count in (1, 3)
    )
    most = Counter(one.label for one in labelled).most_common(1)[0][1]
    return Classes(len(labelled), top1, top3, most / len(labelled)) if top1 and top3 else None


def _doubts(job: Job, learnt: int | None, predictor: "Predictor", prints: bool) -> list[str]:
    from gravurekit.shards.reader import read_manifest

    found = []
    if learnt is None:
        found.append("the run doesn't tell what it has learned from: perhaps from these very pictures")
    size = tuple(read_manifest(job.shards)["size"])
    if size != predictor.trained_size:
        theirs, own = ("{}×{}".format(*pair) for pair in (size, predictor.trained_size))
        found.append(f"the shards' samples are {theirs} px, and the network has learned from some of {own}")
    if job.settings.split == "val":
        found.append("the best network of the training was chosen by val: measure it on test as well")
    if job.prints and not prints:
        found.append(f"no picture in {job.prints} could be read")
    return found


# ---- what is written ------------------------------------------------------------------------------------


def _write(job: Job, made: Evaluation, looked: "list[Looked]", real: "list[Looked]", files: list[Path]) -> None:
    from gravurekit import images
    from gravurekit.measures import colours_sheet
    from gravurekit.stages._colours_samples import NETWORK, SHOWN

    def shown(those: "list[Looked]") -> list[colours_sheet.Shown]:
        order = sorted((one for one in those if one.seen), key=lambda one: (one.looks[NETWORK].delta_e, one.key))
        return [
            colours_sheet.Shown(f"{one.label}  {one.key}", one.seen, {n: look.delta_e for n, look in one.looks.items()})
            for one in order
        ]

    cases = {"held-back samples": looked, "real prints": real}
    told = write_cases(job.report, {name: _ordered(those) for name, those in cases.items() if those})
    pages = [(f"held-back samples, {job.settings.split}", table(made.samples), shown(looked))]
    if real:
        pages.append(("real prints", table(made.prints[""]), shown(real)))
    picture = colours_sheet.sheet(f"{made.run} on {job.shards.name}", pages, made.samples.curve, SHOWN)
    storage.write_bytes(made.sheet, images.encode_png(picture, software=KIND))
    storage.write_json(job.report, _report(job, made, files) | {"cases": told})


def _ordered(looked: "list[Looked]") -> list[Case]:
    """Those that may be shown, from the best to the worst."""
    from gravurekit.stages._colours_samples import NETWORK

    order = sorted((one for one in looked if one.seen), key=lambda one: (one.looks[NETWORK].delta_e, one.key))
    return [
        Case(one.key, one.label, {f"ΔE, {name}": round(look.delta_e, 4) for name, look in one.looks.items()}, one.seen)
        for one in order
    ]


def _report(job: Job, made: Evaluation, files: Sequence[Path]) -> dict[str, Any]:
    """What the JSON holds: the figures, and all that decided them."""
    from gravurekit.measures import colours

    return dict(rounded(as_json(made))) | {
        "kind": KIND,
        "revision": REVISION,
        "revisions": revisions(colours),
        "versions": versions(),
        "settings": job.settings.model_dump(mode="json", exclude={"device"}),
        "inputs": {
            "model": folder.side_digest(job.run / MODEL, "model"),
            "shards": folder.side_digest(job.shards / MANIFEST, "shards"),
            "prints": digest_of(files) if files else digest([]),
        },
    }


def as_json(made: Evaluation) -> dict[str, Any]:
    """The figures as JSON has them."""
    return {name: value for name, value in asdict(made).items() if name not in ("out", "sheet")}


HEAD = ("", "pictures", "ΔE alone", "p95", "ΔE as seen", "p95", "ab PSNR", "RGB PSNR", "colourfulness", "change",
        "ratio", "chroma ratio", "grey", "bleeding")  # fmt: skip
PLAIN = ("p95", "seen_p95", "ab_psnr", "rgb_psnr", "colourfulness", "colourfulness_change", "chroma_ratio",
         "grey", "bleeding")  # fmt: skip


def table(part: Part) -> list[tuple[str, ...]]:
    """The figures as text, a head and a line a row."""
    lines: list[tuple[str, ...]] = [HEAD]
    for item in part.rows:
        p95, seen_p95, ab, rgb, own, change, chroma, grey, bleeding = (_plain(getattr(item, name)) for name in PLAIN)
        lines.append(
            (item.name, str(item.pictures), told(item.delta_e), p95, told(item.seen_delta_e), seen_p95, ab, rgb, own,
             change, told(item.colourfulness_ratio), chroma, grey, bleeding)
        )  # fmt: skip
    return lines


def _plain(figure: "Figure | None") -> str:
    return "–" if figure is None else f"{figure.value:.2f}"


def gains_table(part: Part) -> list[tuple[str, ...]]:
    """By how much the network's rows are nearer than those who know no network, as text."""
    others = list(next(iter(part.gains.values()), {}))
    lines: list[tuple[str, ...]] = [("ΔE alone is less by", *(f"than {name}" for name in others))]
    return lines + [(name, *(told(found[other]["delta_e"]) for other in others)) for name, found in part.gains.items()]


def curve_table(part: Part) -> list[tuple[str, ...]]:
    """ΔE against colourfulness over saturation, as text."""
    head = ("saturation", *(f"{what}, {name}" for name in part.curve for what in ("ΔE", "ΔE seen", "colourfulness")))
    lines: list[tuple[str, ...]] = [head]
    for points in zip(*part.curve.values(), strict=True):
        figures = [f for p in points for f in (p.delta_e, p.seen_delta_e, p.colourfulness_ratio)]
        lines.append((f"{points[0].saturation:g}", *map(_plain, figures)))
    return lines


def notes(made: Evaluation) -> list[str]:
    """What else is to be said of it, a line each."""
    lines = []
    if made.classes:
        found = made.classes
        lines.append(
            f"class of {found.pictures} pictures: top-1 {found.top1}, top-3 {found.top3}; "
            f"who always says the most frequent one: {found.most_frequent:.2f}"
        )
    if made.learnt:
        lines.append(f"left out, because the network has learned from them: {made.learnt} pictures")
    return lines + [f"mind: {doubt}" for doubt in made.doubts]
