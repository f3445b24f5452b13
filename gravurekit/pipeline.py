"""The order of the stages, where their folders are, and what a gravurekit.toml says of each.

A stage that finds its own receipt over the same input and settings is fresh and does nothing, so running the chain
again costs seconds, and a changed knob costs its stage and what follows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from gravurekit import keywords, objects, settings, storage, tombstones
from gravurekit.errors import UsageError
from gravurekit.executor import Executor, make_executor
from gravurekit.folder import Summary
from gravurekit.progress import Watch
from gravurekit.settings import did_you_mean, layered
from gravurekit.stages import colorize, crawl, export, filter, forget, shard, stylize, train
from gravurekit.stages._calibrate import Calibration
from gravurekit.stages._explain import Explanation
from gravurekit.stages._match import Match
from gravurekit.stages._verify import Verification, verify
from gravurekit.workers import Limits

STAGES: Mapping[str, Any] = {
    "crawl": crawl,
    "filter": filter,
    "stylize": stylize,
    "shard": shard,
    "train": train,
    "colorize": colorize,
}
ORDER = tuple(STAGES)
PARALLEL = ("crawl", "filter", "stylize", "shard")  # those that work in tasks
STAGE_SETTINGS: dict[str, type[settings.Settings]] = {name: stage.Settings for name, stage in STAGES.items()}


ON_STORES = ("raw", "clean", "styled", "shards", "photographs", "splits", "against")  # may be s3://BUCKET/FOLDER


class Paths(settings.Settings):
    """The table [paths]: what comes from where and goes where. Not part of any digest."""

    keywords: tuple[str, ...] = Field(("keywords/dresses.txt",), description="Keyword files, or keywords.")
    sources: tuple[str, ...] = Field(("bing",), description="Sources: NAME, or NAME:ARGUMENT as in folder:PATH.")
    endpoints: dict[str, str] = Field({}, description="Other addresses of sources: NAME = 'http://HOST:PORT'.")
    decisions: str = Field("", description="What people decided by hand: to keep or drop, or no copy; empty: nothing.")
    against: tuple[str, ...] = Field((), description="Earlier folders: copies of their pictures are dropped.")
    like: str = Field("", description="A folder of pictures as they are wanted, for --relevance examples.")
    unlike: str = Field("", description="A folder of pictures as they aren't wanted, for --relevance examples.")
    clip_weights: str = Field("", description="A CLIP or SigLIP for --relevance clip: a folder, or a name.")
    raw: str = Field("raw", description="What was crawled; it, clean, styled and shards may be s3://BUCKET/FOLDER.")
    clean: str = Field("clean", description="What the filter kept.")
    styled: str = Field("styled", description="What was drawn.")
    style_images: tuple[str, ...] = Field((), description="Prints, or folders of them, that a style takes after.")
    features: str = Field(
        "random:0", description="What they are compared by: random:SEED, model:RUN, vgg19:FILE or vgg19:torchvision."
    )
    preset: str = Field("preset.toml", description="The preset that `stylize --match` writes.")
    preview: str = Field("preview.png", description="The sheet that `stylize --preview` writes.")
    shards: str = Field("shards", description="Training tensors.")
    photographs: str = Field("", description="What the drawings were drawn from; empty: what styled/ says.")
    splits: str = Field("", description="A shards folder whose splits are kept; empty: the one that is made anew.")
    runs: str = Field("runs", description="Trainings.")
    init: str = Field("", description="A run, or a model file, that a training begins from; empty: from nothing.")
    watch: str = Field("", description="Real prints that are shown in a training's panels; empty: none.")
    prints: tuple[str, ...] = Field((), description="Pictures or folders to colour.")
    model: str = Field("", description="The run that colours; empty: the newest finished one.")
    manner: tuple[str, ...] = Field((), description="Pictures, or kept moods, in whose manner prints are coloured.")
    mood: str = Field("", description="Where colorize keeps the mood of these; empty: nowhere.")
    coloured: str = Field("coloured", description="What was coloured.")

    @field_validator("*")
    @classmethod
    def _on_this_disk(cls, value: Any, info: ValidationInfo) -> Any:
        names = value if isinstance(value, tuple) else (value,)
        if info.field_name not in (*ON_STORES, "sources", "keywords"):
            for name in names:
                if isinstance(name, str) and objects.is_url(name):
                    raise ValueError(f"must be on this disk; {', '.join(ON_STORES)} may be on an object store")
        return value


class Machine(settings.Settings):
    """The table [machine]: how the work is spread. Never changes a byte of the results."""

    executor: Literal["serial", "local", "ray"] = Field(
        "local", description="serial: in this process, without limits; local: in a pool of them; ray: on a Ray cluster."
    )
    jobs: int = Field(0, ge=0, le=65536, description="Tasks at once; 0: one for each core.")
    ray_address: str = Field("", description="The Ray cluster, HOST:PORT or auto; empty: one on this machine, for now.")
    time_limit: float = Field(1800, ge=0, description="Seconds that a task of up to 64 pictures may take; 0: any.")
    memory_limit: int = Field(0, ge=0, description="MB of memory that a process may take; 0: any.")


# whose crafts have tables below the stage's
ROOMS = {"crawl": "sources", "filter": "filters", "stylize": "styles", "export": "exports"}
TABLES: dict[str, type[settings.Settings]] = {
    "paths": Paths,
    "machine": Machine,
    **STAGE_SETTINGS,
    "export": export.Settings,
}


@dataclass(frozen=True)
class Wishes:
    """What the file and the flags say, table by table; flags win. `crafts` holds `--set`, craft by craft."""

    file: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    flags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    crafts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def settings(self, stage: str) -> Any:
        """The settings of a stage, of `paths` or of `machine`, validated."""
        knobs = dict(self.file.get(stage, {}))
        if stage in ROOMS:  # the tables inside are its crafts'
            knobs = {key: value for key, value in knobs.items() if not isinstance(value, dict)}
        return layered(TABLES[stage], stage, knobs, self.flags.get(stage, {}))

    def tables(self, stage: str) -> dict[str, dict[str, Any]]:
        """The tables of a stage's crafts: `[stylize.cartoon]` of the file, with `--set` laid over it."""
        found = {key: dict(value) for key, value in self.file.get(stage, {}).items() if isinstance(value, dict)}
        for craft, knobs in self.crafts.items():
            found[craft] = found.get(craft, {}) | dict(knobs)
        return found


def read_wishes(path: Path | None) -> Mapping[str, Mapping[str, Any]]:
    """The tables of a gravurekit.toml. Raises UsageError for a table that no stage has."""
    file = settings.read_toml(path) if path else {}
    for table, value in file.items():
        if table not in TABLES:
            raise UsageError(f"{path}: unknown table [{table}]{did_you_mean(table, TABLES)}")
        if not isinstance(value, dict):
            raise UsageError(f"{path}: [{table}] isn't a table: write [{table}] once, and its keys below it")
    return file


@dataclass(frozen=True)
class Prospect:
    """What a stage would do: nothing if `reasons` is empty."""

    stage: str
    out: Path
    reasons: tuple[str, ...]


def run_stage(stage: str, wishes: Wishes, watch: Watch) -> Summary:
    """One stage with the settings, folders and executor of `wishes`."""
    module, job = STAGES[stage], _job(stage, wishes)
    watch.begin(stage, None)  # to import what a stage needs takes its time, and so does looking at a large folder
    if stage not in PARALLEL:
        return module.run(job, watch)
    with closing(executor_of(wishes)) as executor:
        return module.run(job, executor, watch)


def run_chain(wishes: Wishes, first: str, last: str, watch: Watch) -> Iterator[Summary]:
    """The stages from `first` to `last`, in order. All that can be checked beforehand is, before the first one runs."""
    stages = _checked(wishes, first, last)
    for stage in stages:
        yield run_stage(stage, wishes, watch)


def preview(wishes: Wishes, wanted: bool, watch: Watch) -> Iterator[crawl.Prospect]:
    """What a crawl would fetch; nothing is fetched but the sources' answers, and nothing is written."""
    return crawl.preview(_job("crawl", wishes), watch)


def explain(wishes: Wishes, word: str, watch: Watch) -> Explanation:
    """Why the filter keeps or drops a picture; nothing is written."""
    return filter.explain(_job("filter", wishes), word)


def calibrate(wishes: Wishes, raw: str, watch: Watch) -> Calibration:
    """What the filter finds of edited copies of the pictures in `raw`; nothing is written."""
    job = replace(_job("filter", wishes), source=storage.place(raw))
    with closing(executor_of(wishes)) as executor:
        return filter.calibrate(job, executor, watch)


def preview_style(wishes: Wishes, picture: str, watch: Watch) -> Path:
    """Draw one picture beside what is made of it. The sheet, the only file that is written."""
    return stylize.preview(_job("stylize", wishes), picture, Path(wishes.settings("paths").preview))


def match_style(wishes: Wishes, prints: str, watch: Watch) -> Match:
    """Fit the style to real prints. The preset, the only file that is written."""
    out = Path(wishes.settings("paths").preset)
    with closing(executor_of(wishes)) as executor:
        return stylize.match(_job("stylize", wishes), Path(prints), out, executor, watch)


def verify_shards(wishes: Wishes, folder: str, watch: Watch) -> Verification:
    """Prove each sample of a shards folder; nothing is written."""
    with closing(executor_of(wishes)) as executor:
        return verify(storage.place(folder), executor, watch)


def hand_over(wishes: Wishes, format_name: str, source: Path, out: Path, watch: Watch) -> Summary:
    """Write a folder in a format for other programs."""
    wishes.settings("export")
    job = export.Job(format_name, storage.place(source), out, wishes.tables("export"))
    with closing(executor_of(wishes)) as executor:
        return export.run(job, executor, watch)


def preset_of(wishes: Wishes, table: str) -> Mapping[str, Any]:
    """What the preset that is asked for says in the table of a craft, `stylize.engrave`; nothing if there is no such
    preset, of which `check_preset` tells."""
    stage, _, craft = table.partition(".")
    try:
        return stylize.presets(wishes.settings("stylize")).get(craft, {}) if stage == "stylize" else {}
    except UsageError:
        return {}


def check_preset(wishes: Wishes) -> None:
    """Raises UsageError for a style or a preset that there isn't."""
    stylize.presets(wishes.settings("stylize"))


def take_out(
    wishes: Wishes, words: Sequence[str], listed: Path | None, dry_run: bool, watch: Watch
) -> forget.Forgotten:
    """Take pictures out of all that the settings name and of what lies below; or only tell what would go."""
    paths: Paths = wishes.settings("paths")
    folders = (paths.raw, paths.clean, paths.styled, paths.shards, paths.runs, paths.coloured, paths.like, paths.unlike,
               paths.photographs, paths.splits, paths.watch, paths.model, paths.init, paths.decisions,
               paths.preview)  # fmt: skip
    several = (*paths.against, *paths.prints, *paths.style_images)
    named = tuple(dict.fromkeys(storage.place(name) for name in (*folders, *several) if name))
    for path in named:
        storage.pull_all(path)  # of a folder on a store each file is looked into
    return forget.run(forget.Job(words, listed, named=named, dry_run=dry_run), watch)


def foresee(wishes: Wishes, first: str, last: str) -> Iterator[Prospect]:
    """What `run_chain` would do, and why; nothing is written. A stage after one that would run can't be judged before
    that one has run: it would run unless the same comes out."""
    ahead = ""
    for stage in _checked(wishes, first, last):
        job = _job(stage, wishes)
        reasons = (f"what it works on is made anew by {ahead}",) if ahead else STAGES[stage].look(job).reasons
        ahead = ahead or (stage if reasons else "")
        yield Prospect(stage, job.out, reasons)


def _checked(wishes: Wishes, first: str, last: str) -> tuple[str, ...]:
    """The stages from `first` to `last`, once all that can be said of their settings beforehand is said."""
    stages = _span(first, last)
    _machine(wishes)
    for stage in stages:
        wishes.settings(stage)
    for stage in stages:
        STAGES[stage].check(_job(stage, wishes))
    return stages


def _span(first: str, last: str) -> tuple[str, ...]:
    for stage in (first, last):
        if stage not in ORDER:
            raise UsageError(f"no stage is called {stage!r}{did_you_mean(stage, ORDER)}")
    if ORDER.index(first) > ORDER.index(last):
        raise UsageError(f"{first} comes after {last}: the order is {' → '.join(ORDER)}")
    return ORDER[ORDER.index(first) : ORDER.index(last) + 1]


def _job(stage: str, wishes: Wishes) -> Any:
    return _JOBS[stage](wishes.settings(stage), wishes.tables(stage), wishes.settings("paths"))


Tables = Mapping[str, Mapping[str, Any]]


def _crawl(knobs: crawl.Settings, tables: Tables, paths: Paths) -> crawl.Job:
    words = keywords.resolve(list(paths.keywords))
    sources = tuple(dict.fromkeys(paths.sources))
    stones = tombstones.seen_from(storage.place(paths.raw))
    return crawl.Job(storage.place(paths.raw), words, sources, knobs, tables, paths.endpoints, forgotten=stones)


def _filter(knobs: filter.Settings, tables: Tables, paths: Paths) -> filter.Job:
    decisions, like, unlike = (Path(name) if name else None for name in (paths.decisions, paths.like, paths.unlike))
    against = tuple(dict.fromkeys(storage.place(name) for name in paths.against))
    places = storage.place(paths.raw), storage.place(paths.clean)
    stones = tombstones.seen_from(*places)
    return filter.Job(*places, knobs, tables, decisions, against, like, unlike, paths.clip_weights, stones)


def _stylize(knobs: stylize.Settings, tables: Tables, paths: Paths) -> stylize.Job:
    prints = tuple(dict.fromkeys(Path(name) for name in paths.style_images))
    return stylize.Job(storage.place(paths.clean), storage.place(paths.styled), knobs, tables, prints, paths.features)


def _shard(knobs: shard.Settings, tables: Tables, paths: Paths) -> shard.Job:
    photographs, splits = (storage.place(name) if name else None for name in (paths.photographs, paths.splits))
    return shard.Job(storage.place(paths.styled), storage.place(paths.shards), knobs, photographs, splits)


def _train(knobs: train.Settings, tables: Tables, paths: Paths) -> train.Job:
    init, watched = (Path(name) if name else None for name in (paths.init, paths.watch))
    return train.Job(storage.place(paths.shards), Path(paths.runs), knobs, init, watched)


def _colorize(knobs: colorize.Settings, tables: Tables, paths: Paths) -> colorize.Job:
    prints = [Path(name) for name in paths.prints]
    model = Path(paths.model) if paths.model else None
    like = [Path(name) for name in paths.manner]
    mood = Path(paths.mood) if paths.mood else None
    return colorize.Job(prints, Path(paths.coloured), model, Path(paths.runs), knobs, like, mood)


_JOBS: Mapping[str, Callable[[Any, Tables, Paths], Any]] = {
    "crawl": _crawl,
    "filter": _filter,
    "stylize": _stylize,
    "shard": _shard,
    "train": _train,
    "colorize": _colorize,
}


def executor_of(wishes: Wishes) -> Executor:
    """What the work is spread by, as [machine] and its flags say."""
    machine = _machine(wishes)
    limits = Limits(machine.time_limit, machine.memory_limit)
    if machine.executor == "ray":
        from gravurekit.cluster import Ray

        return Ray(machine.ray_address, machine.jobs, limits)
    return make_executor(machine.executor, machine.jobs, limits)


def _machine(wishes: Wishes) -> Machine:
    """The table [machine]. A file may name a cluster for other times; who gives its address as a flag means it now."""
    machine: Machine = wishes.settings("machine")
    if machine.executor != "ray" and wishes.flags.get("machine", {}).get("ray_address"):
        raise UsageError(f"--ray-address is for --executor ray, not for {machine.executor}")
    if machine.executor == "ray":
        from gravurekit.joining import check_address

        check_address(machine.ray_address)
    return machine
