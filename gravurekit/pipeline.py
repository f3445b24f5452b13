"""The order of the stages, where their folders are, and what a gravurekit.toml says of each.

A stage that finds its own receipt over the same input and settings is fresh and does nothing, so running the chain
again costs seconds, and a changed knob costs its stage and what follows.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from gravurekit import keywords, settings
from gravurekit.errors import UsageError
from gravurekit.executor import make_executor
from gravurekit.folder import Summary
from gravurekit.progress import Watch
from gravurekit.settings import did_you_mean, layered
from gravurekit.stages import colorize, crawl, filter, shard, stylize, train

ORDER = ("crawl", "filter", "stylize", "shard", "train", "colorize")

STAGE_SETTINGS: dict[str, type[settings.Settings]] = {
    "crawl": crawl.Settings,
    "filter": filter.Settings,
    "stylize": stylize.Settings,
    "shard": shard.Settings,
    "train": train.Settings,
    "colorize": colorize.Settings,
}


class Paths(settings.Settings):
    """The table [paths]: what comes from where and goes where. Not part of any digest."""

    keywords: tuple[str, ...] = Field(("keywords/dresses.txt",), description="Keyword files, or keywords.")
    sources: tuple[str, ...] = Field(("bing",), description="Sources: NAME, or NAME:ARGUMENT as in folder:PATH.")
    endpoints: dict[str, str] = Field({}, description="Other addresses of sources: NAME = 'http://HOST:PORT'.")
    raw: str = Field("raw", description="What was crawled.")
    clean: str = Field("clean", description="What the filter kept.")
    styled: str = Field("styled", description="What was drawn.")
    shards: str = Field("shards", description="Training tensors.")
    runs: str = Field("runs", description="Trainings.")
    prints: tuple[str, ...] = Field((), description="Pictures or folders to colour.")
    model: str = Field("", description="The run that colours; empty: the newest finished one.")
    coloured: str = Field("coloured", description="What was coloured.")


class Machine(settings.Settings):
    """The table [machine]: how the work is spread. Never changes a byte of the results."""

    executor: Literal["serial", "local"] = Field("local", description="In this process, or in a pool of processes.")
    jobs: int = Field(0, ge=0, le=1024, description="Processes; 0: one for each core.")


TABLES: dict[str, type[settings.Settings]] = {"paths": Paths, "machine": Machine, **STAGE_SETTINGS}


@dataclass(frozen=True)
class Wishes:
    """What the file and the flags say, table by table; flags win. `crafts` holds `--set`, craft by craft."""

    file: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    flags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    crafts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def settings(self, stage: str) -> Any:
        """The settings of a stage, of `paths` or of `machine`, validated."""
        knobs = {key: value for key, value in self.file.get(stage, {}).items() if not isinstance(value, dict)}
        if stage == "paths":
            knobs = dict(self.file.get(stage, {}))
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
        if table not in TABLES or not isinstance(value, dict):
            raise UsageError(f"{path}: unknown table [{table}]{did_you_mean(table, TABLES)}")
    return file


def run_stage(stage: str, wishes: Wishes, watch: Watch) -> Summary:
    """One stage with the settings, folders and executor of `wishes`."""
    return _RUN[stage](wishes, wishes.settings("paths"), watch)


def run_chain(wishes: Wishes, to: str, watch: Watch) -> Iterator[Summary]:
    """All stages up to `to`, in order. Every setting is checked before the first stage runs."""
    if to not in ORDER:
        raise UsageError(f"no stage is called {to!r}{did_you_mean(to, ORDER)}")
    stages = ORDER[: ORDER.index(to) + 1]
    for stage in stages:
        wishes.settings(stage)
    for stage in stages:
        yield run_stage(stage, wishes, watch)


def _crawl(wishes: Wishes, paths: Paths, watch: Watch) -> Summary:
    order = crawl.Order(
        keywords=keywords.resolve(list(paths.keywords)),
        sources=paths.sources,
        settings=wishes.settings("crawl"),
        tables=wishes.tables("crawl"),
        endpoints=paths.endpoints,
    )
    return crawl.run(order, Path(paths.raw), _executor(wishes), watch)


def _filter(wishes: Wishes, paths: Paths, watch: Watch) -> Summary:
    knobs, tables = wishes.settings("filter"), wishes.tables("filter")
    return filter.run(Path(paths.raw), Path(paths.clean), knobs, tables, _executor(wishes), watch)


def _stylize(wishes: Wishes, paths: Paths, watch: Watch) -> Summary:
    knobs, tables = wishes.settings("stylize"), wishes.tables("stylize")
    return stylize.run(Path(paths.clean), Path(paths.styled), knobs, tables, _executor(wishes), watch)


def _shard(wishes: Wishes, paths: Paths, watch: Watch) -> Summary:
    return shard.run(Path(paths.styled), Path(paths.shards), wishes.settings("shard"), _executor(wishes), watch)


def _train(wishes: Wishes, paths: Paths, watch: Watch) -> Summary:
    return train.run(Path(paths.shards), Path(paths.runs), wishes.settings("train"), watch)


def _colorize(wishes: Wishes, paths: Paths, watch: Watch) -> Summary:
    prints = [Path(name) for name in paths.prints]
    model = Path(paths.model) if paths.model else None
    return colorize.run(prints, Path(paths.coloured), model, Path(paths.runs), wishes.settings("colorize"), watch)


_RUN: Mapping[str, Callable[[Wishes, Paths, Watch], Summary]] = {
    "crawl": _crawl,
    "filter": _filter,
    "stylize": _stylize,
    "shard": _shard,
    "train": _train,
    "colorize": _colorize,
}


def _executor(wishes: Wishes) -> Any:
    machine: Machine = wishes.settings("machine")
    return make_executor(machine.executor, machine.jobs)
