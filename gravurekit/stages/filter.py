"""filter: raw/ → clean/. Drops what can't be used, each picture with its reason; nothing is deleted from the input."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gravurekit import crafts, folder, foreign, metadata, tombstones
from gravurekit import settings as base
from gravurekit.errors import DataError, UsageError
from gravurekit.executor import Executor
from gravurekit.folder import State, Summary
from gravurekit.progress import Watch
from gravurekit.receipt import Plan
from gravurekit.record import Record
from gravurekit.stages import _decisions
from gravurekit.stages import _relevance as relevance
from gravurekit.stages._apart import set_apart
from gravurekit.stages._calibrate import Calibration, calibrated, measured
from gravurekit.stages._carry import carried
from gravurekit.stages._comparing import Opening
from gravurekit.stages._decisions import Decisions, Pair
from gravurekit.stages._explain import Case, Explanation, explained
from gravurekit.stages._forgotten import known_again
from gravurekit.stages._judge import Rules, chosen, judged
from gravurekit.stages._probes import Shelf, probed
from gravurekit.tombstones import Tombstones

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    import numpy as np

    from gravurekit.filters import Compare
    from gravurekit.probe import Probes

REVISION = 3
MOST_CALIBRATED = 20_000  # pictures that are compared with one another for a calibration
SAMPLE = 100  # pictures of which edits are made
UNREAD = "files that couldn't be read"


class Settings(base.Settings):
    """What the pictures are for, which filters judge them, and what is relevant."""

    subject: Literal["photos", "prints"] = Field(
        "photos",
        description="What the pictures are: prints are grey, and are kept so.",
        json_schema_extra={"flag": "--for"},
    )
    skip: tuple[str, ...] = Field((), description="Filters that are left out, by name.")
    thorough: bool = Field(
        False, description="Also find copies that are mirrored, turned or much cropped: takes some times as long."
    )
    relevance: Literal["figure", "examples", "clip", "none"] = Field(
        "figure",
        description="How relevance is scored: is there a dressed figure; like the pictures of --like, unlike those of "
        "--unlike; does it show the keyword (needs --clip-weights).",
    )
    min_figure: float = Field(0.0, ge=0, le=1, description="Least score of a figure that is kept; 0: all.")
    min_examples: float = Field(0.0, ge=0, le=1, description="Least likeness to the examples that is kept; 0: all.")
    min_clip: float = Field(0.0, ge=0, le=1, description="Least score of CLIP that is kept; 0: all.")
    keep_per_label: int = Field(0, ge=0, description="Pictures kept of each label, the most relevant ones; 0: all.")
    clip_positive: tuple[str, ...] = Field((), description="Prompts for CLIP; {keyword} is filled in. Empty: its own.")
    clip_negative: tuple[str, ...] = Field((), description="What CLIP tells them from. Empty: its own.")
    clip_download: bool = Field(False, description="Allow CLIP's weights to be fetched when they aren't there.")

    def cuts(self) -> dict[str, float]:
        """The least score that is kept, by the name of the score."""
        return {"figure": self.min_figure, "examples": self.min_examples, "clip": self.min_clip}


@dataclass(frozen=True)
class Job:
    """What is to be judged: the pictures of `source`. `tables`: the filters' knobs; `decisions`: a file of what people
    decided by hand, which wins over the filters; `against`: folders of which no copy is kept; `like` and `unlike`:
    examples; `clip_weights`: a folder, or a name; `forgotten`: the file of tombstones."""

    source: Path
    out: Path
    settings: Settings
    tables: Mapping[str, Mapping[str, Any]]
    decisions: Path | None = None
    against: Sequence[Path] = ()
    like: Path | None = None
    unlike: Path | None = None
    clip_weights: str = ""
    forgotten: Path = Path(tombstones.FILE)

    @property
    def examples(self) -> tuple[Path, ...]:
        """The folders of examples, if they are asked for."""
        pair = (self.like, self.unlike)
        return tuple(path for path in pair if path) if self.settings.relevance == "examples" else ()


@dataclass(frozen=True)
class _Input:
    """What is read before any picture is opened."""

    found: Sequence[Record]
    others: Mapping[Path, Sequence[Record]]  # of `against` and of the examples
    hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    forgotten: Tombstones = tombstones.NONE

    @property
    def present(self) -> Sequence[Record]:
        """The pictures that aren't known to be forgotten before one opens them."""
        return [item for item in self.found if not self.forgotten.has(item)] if self.forgotten else self.found


def look(job: Job) -> State:
    """Whether it is done already. Raises as `run` does."""
    check(job)
    return folder.look(job.out, _plan(job, _read(job)))


def run(job: Job, executor: Executor, watch: Watch) -> Summary:
    """Filter. Raises UsageError for a filter, a decisions file, examples or weights that aren't there or don't serve,
    DataError if the input is damaged or empty."""
    began = time.time()
    by_hand = check(job)
    given = _read(job)
    plan = _plan(job, given)
    state = folder.look(job.out, plan)
    if state.done:
        return state.done
    with folder.opened(job.out, "filter", state.reasons, watch, job.source, adding=True):
        if tombstones.read(job.forgotten) != given.forgotten:
            raise DataError(f"{job.forgotten} changed meanwhile: run the same command again")
        here, *others = probed(_shelves(job, given), job.out, executor, watch)
        probes = _remembered(replace(here.probes, hosts=given.hosts), given.forgotten)
        by_place = dict(zip(given.others, (found.probes for found in others), strict=True))
        scores, facts = _scored(job, probes, by_place, watch)
        for said in _remarks(job, given, by_hand, scores):
            watch.note(said)
        earlier = _earlier(job, by_place)
        apart, same = set_apart(by_hand.apart, probes, *([earlier] if earlier else []))
        if same:
            first = " and ".join(same[0])
            watch.note(f"{job.decisions}: {_counted(len(same), 'pair')} can't be set apart, the same pixels: {first}")
        kept, unfit = judged(probes, scores, earlier, _rules(job, by_hand.keep), _compare(job, apart, executor, watch))
        folder.unseal(job.out)  # not before: examples may be refused, and then what was made earlier stays good
        kept, lost = carried(job.source, job.out, kept, probes, plan, began, executor, watch)
        if unread := sum(found.passing for found in (here, *others)) + len(lost):  # so that the next run looks again
            plan = plan.model_copy(update={"inputs": plan.inputs | {UNREAD: str(unread)}})
        forgotten = _forgotten(given.found, [*kept, *here.lost, *unfit, *lost])
        if forgotten:
            watch.note(f"{job.source} still holds what was forgotten: gravurekit forget {' '.join(forgotten)}")
        dropped = [*here.lost, *unfit, *lost, *map(tombstones.record, forgotten)]
        return folder.finish(job.out, plan, kept, dropped, time.time() - began, facts, source=job.source)


def _remembered(probes: "Probes", forgotten: Tombstones) -> "Probes":
    """The pictures that don't look like what was forgotten, whatever people decided of them."""
    import numpy as np

    return probes.take(np.flatnonzero(~known_again(probes, forgotten))) if forgotten else probes


def _forgotten(found: Sequence[Record], told: Sequence[Record]) -> list[str]:
    """The keys of those of which nothing was told."""
    keys = {item.key for item in told}
    return [item.key for item in found if item.key not in keys]


def _shelves(job: Job, given: _Input) -> list[Shelf]:
    """The input, and all that it is compared with, of which no figure is asked but the examples'."""
    wanted = job.settings.relevance in ("figure", "examples")
    others = [Shelf(root, found, root in job.examples) for root, found in given.others.items()]
    return [Shelf(job.source, given.present, wanted), *others]


def _remarks(job: Job, given: _Input, by_hand: Decisions, scores: Mapping[str, Any]) -> Iterator[str]:
    """What people gave that has no effect."""
    if strange := _strange(job, given, by_hand):
        yield f"{job.decisions}: {_counted(strange, 'decision')} on pictures that aren't in {job.source}"
    plain = not (job.source / metadata.METADATA).exists()
    if plain and (others := foreign.others(job.source)):
        yield f"{job.source}: {_counted(others, 'file')} passed over, neither name nor beginning a picture's"
    for name, cut in job.settings.cuts().items():
        if cut and name not in scores:
            yield f"--min-{name} {cut:g} drops nothing: --relevance {job.settings.relevance} gives no such score"
    if (job.like or job.unlike) and not job.examples:
        yield "--like and --unlike say nothing without --relevance examples"
    if job.clip_weights and job.settings.relevance != "clip":
        yield "--clip-weights says nothing without --relevance clip"


def _strange(job: Job, given: _Input, by_hand: Decisions) -> int:
    """How many decisions are on pictures that aren't there; one of a pair may be in an earlier folder."""
    here = {item.key for item in given.found}
    anywhere = here | {item.key for path in job.against for item in given.others[path]}
    lost = sum(not (here.intersection(both) and anywhere.issuperset(both)) for both in by_hand.apart)
    return len(by_hand.keep.keys() - here) + lost


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def explain(job: Job, word: str) -> Explanation:
    """Why the picture that `word` names, by its file or its key, is kept or dropped. Raises as `look` does, and
    UsageError if there is no such picture."""
    by_hand = check(job)
    given = _read(job)
    state = folder.look(job.out, _plan(job, given))
    against = {path: given.others[path] for path in job.against}
    rules, thorough = _rules(job, by_hand.keep), job.settings.thorough
    case = Case(job.source, given.found, given.hosts, against, job.out, rules, thorough, by_hand.apart)
    return explained(word, case, state.reasons)


def calibrate(job: Job, executor: Executor, watch: Watch) -> Calibration:
    """How many edited copies of the pictures of `source` the present settings find. Nothing is written. Raises as
    `look` does."""
    from gravurekit import edits

    check(job)
    knobs = crafts.settings_of("filters", "filter", "duplicate", job.tables)
    # keys are hashes: the first ones are any ones
    probes = measured(job.source, folder.read(job.source)[:MOST_CALIBRATED], executor, watch)
    return calibrated(probes, knobs, job.settings.thorough, SAMPLE, list(edits.EDITS), executor, watch)


def check(job: Job) -> Decisions:
    """The decisions. Raises UsageError for a filter, a knob, a decision that is none, for relevance that can't be
    scored, or an output folder of others."""
    crafts.check_tables("filters", "filter", job.tables)
    for name in job.settings.skip:
        crafts.load("filters", name)
    for path in (job.source, *job.against, *job.examples):
        folder.check_places(job.out, "filter", path)
    if job.source.resolve() in {path.resolve() for path in job.against}:
        raise UsageError(f"--against {job.source}: that is the input, whose pictures would all be copies of themselves")
    wanted = job.settings.relevance
    if wanted == "examples" and len(job.examples) < 2:
        raise UsageError("--relevance examples needs two folders of pictures: --like DIR and --unlike DIR")
    if wanted == "clip" and not job.clip_weights:
        raise UsageError("--relevance clip needs --clip-weights: a folder that holds a CLIP or SigLIP, or its name")
    if wanted == "clip":
        relevance.check_clip()
    if wanted == "none" and job.settings.keep_per_label:
        raise UsageError("--keep-per-label keeps the most relevant ones: choose a --relevance that isn't none")
    return _decisions.read(job.decisions) if job.decisions else Decisions()


def _read(job: Job) -> _Input:
    """Raises UsageError for too few examples, DataError if a folder is damaged or empty."""
    others = {path: folder.read(path) for path in (*job.against, *job.examples)}
    if job.examples:
        relevance.check_examples(*(len(others[path]) for path in job.examples))
    forgotten = tombstones.read(job.forgotten)
    return _Input(folder.read_photographs(job.source), others, _hosts(job.source), forgotten)


def _hosts(source: Path) -> dict[str, frozenset[str]]:
    """The hosts that sent the bytes of a crawled picture once more, by its key."""
    from gravurekit.filters.placeholder import host_of

    path = source / metadata.DROPPED
    found: dict[str, set[str]] = {}
    for item in metadata.read_lines(path) if path.is_file() else ():
        if item.kept_key and (host := host_of(item.url)):
            found.setdefault(item.kept_key, set()).add(host)
    return {key: frozenset(hosts) for key, hosts in found.items()}


def _plan(job: Job, given: _Input) -> Plan:
    knobs = job.settings.model_dump(mode="json", exclude={"clip_download"})
    for name in chosen(_rules(job, {})):
        knobs[f"[{name}]"] = crafts.settings_of("filters", "filter", name, job.tables).model_dump(mode="json")
    inputs = folder.inputs(given.found, decisions=job.decisions)
    if job.against:
        inputs["against"] = base.digest([metadata.input_digest(given.others[path]) for path in job.against])
    if job.examples:
        inputs["examples"] = base.digest([metadata.input_digest(given.others[path]) for path in job.examples])
    if job.settings.relevance == "clip":
        inputs["clip"] = relevance.clip_digest(job.clip_weights)
    if given.forgotten:
        inputs[tombstones.REASON] = given.forgotten.digest
    if given.hosts:
        inputs["hosts"] = base.digest({key: sorted(hosts) for key, hosts in given.hosts.items()})
    return Plan(stage="filter", revision=REVISION, settings=knobs, inputs=inputs)


def _rules(job: Job, by_hand: Mapping[str, bool]) -> Rules:
    knobs = job.settings
    best_by = "" if knobs.relevance == "none" else knobs.relevance
    return Rules(knobs.subject, knobs.skip, job.tables, knobs.cuts(), knobs.keep_per_label, best_by, by_hand)


def _compare(job: Job, apart: frozenset[Pair], executor: Executor, watch: Watch) -> "Compare":
    from gravurekit.filters import Compare

    knobs: Any = crafts.settings_of("filters", "filter", "duplicate", job.tables)
    opening = Opening(job.out, knobs.max_color_difference, knobs.monochrome_residual, executor, watch)
    return Compare(opening.proofs, job.settings.thorough, apart)


def _earlier(job: Job, by_place: Mapping[Path, "Probes"]) -> "Probes | None":
    """The pictures of all folders that no copy is kept of."""
    earlier = None
    for path in job.against:
        earlier = by_place[path].after(earlier) if earlier else by_place[path]
    return earlier


def _scored(
    job: Job, probes: "Probes", by_place: Mapping[Path, "Probes"], watch: Watch
) -> tuple[dict[str, "np.ndarray"], dict[str, Any]]:
    """The scores of relevance, and what the summary tells of them."""
    knobs = job.settings
    scores: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {}
    if knobs.relevance in ("figure", "examples"):
        scores |= relevance.figure_scores(probes)
    if knobs.relevance == "examples":
        liked, unliked = (by_place[path] for path in job.examples)
        found, auc = relevance.example_scores(probes, liked, unliked)
        scores |= found
        facts["examples auc"] = round(auc, 3)
    if knobs.relevance == "clip":
        asked = relevance.Clip(job.clip_weights, knobs.clip_download, knobs.clip_positive, knobs.clip_negative)
        scores |= relevance.clip_scores(probes, asked, job.out, watch)
    return scores, facts | {"relevance": relevance.summary(scores, knobs.cuts())}
