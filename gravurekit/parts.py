"""A stage's work in tasks of at most 64 pictures, each ending in `parts/NNNNN.jsonl`: a kill costs the tasks in hand.

Which tasks there are follows from the input alone, never from the executor, so that parts left by a killed run fit the
next one. Parts of another plan are thrown away.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gravurekit import objects, storage
from gravurekit.errors import DataError
from gravurekit.executor import Executor
from gravurekit.progress import Watch

TASK_SIZE = 64
LEAST_TASKS = 32  # of which few pictures make smaller ones: many cores have work, and none waits long for the last


@dataclass(frozen=True)
class Work:
    """What is done to the items of a task. Both functions are top-level ones, since they travel to other processes.

    `function(items, context, stem)` gives the lines of a part, one an item or none; further files of the part get
    names that begin with `stem`. `on_death(item, why)` gives the line of an item that is lost, `why` as Outcome has it.
    `reads`: the folders in which it finds what it works on.
    """

    function: Callable[[list[str], Any, Path], list[str]]
    on_death: Callable[[str, str], str]
    context: Any
    reads: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Task:
    work: Work
    items: tuple[str, ...]
    stem: Path


def _do(task: _Task) -> int:
    _write(task.stem, task.work.function(list(task.items), task.work.context, task.stem))
    return len(task.items)


def _write(stem: Path, lines: Sequence[str]) -> None:
    """A part's lines, and a last one that proves them and names the files beside them with their sizes."""
    seal = {"sha256": _digest(lines), "beside": _beside(stem)}
    storage.write_lines(stem.with_suffix(".jsonl"), [*lines, json.dumps(seal)])


def _read(stem: Path) -> list[str] | None:
    """The lines of a part; None if it isn't done, or isn't as it was written."""
    try:
        *lines, last = stem.with_suffix(".jsonl").read_text("utf-8").split("\n")[:-1]
        seal = json.loads(last)
        beside = seal["beside"]
        # on an object store files are whole, and are there before those that tell of them
        there = bool(objects.url_of(stem)) or _are_there(stem.parent, beside)
        return lines if seal["sha256"] == _digest(lines) and there else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _are_there(folder: Path, sizes: dict[str, int]) -> bool:
    """Whether files are there, and as large as they were. Not by listing the folder: for each of its many parts, that
    would take the square of their number."""
    return all((folder / name).stat().st_size == size for name, size in sizes.items())


def _beside(stem: Path) -> dict[str, int]:
    files = (path for path in stem.parent.glob(f"{stem.name}.*") if not path.name.endswith((".jsonl", storage.ASIDE)))
    return {path.name: path.stat().st_size for path in sorted(files)}


def run(
    out: Path, name: str, plan_digest: str, items: Sequence[str], work: Work, executor: Executor, watch: Watch,
    size: int | None = None,
) -> list[str]:  # fmt: skip
    """The lines of all parts, in the order of the items. `name` tells apart the passes of one stage; `size`: items of a
    task, fewer than TASK_SIZE where each takes long."""
    size = size or max(1, min(TASK_SIZE, -(-len(items) // LEAST_TASKS)))
    folder = out / "parts" / name
    if items:
        executor.reach(out, work.reads)
    _begin(folder, plan_digest)
    stems = [folder / f"{n:05d}" for n in range((len(items) + size - 1) // size)]
    tasks = [_Task(work, tuple(items[n * size : (n + 1) * size]), stem) for n, stem in enumerate(stems)]
    watch.begin(name, len(items))
    waiting = [task for task in tasks if _read(task.stem) is None]
    watch.advance(len(items) - sum(len(task.items) for task in waiting))
    for outcome in executor.map(_do, waiting):
        task = waiting[outcome.index]
        if outcome.lost:
            _one_by_one(task, executor)
        storage.pull_new(task.stem.with_suffix(".jsonl"))
        watch.advance(len(task.items))
    return [line for stem in stems for line in _lines(stem)]


def left(out: Path, name: str) -> Iterator[str]:
    """The lines of those parts of a pass that a run has left which was ended, whatever its plan."""
    for path in sorted((out / "parts" / name).glob("*.jsonl")):
        yield from _read(path.with_suffix("")) or ()


def _begin(folder: Path, plan_digest: str) -> None:
    plan = folder / "plan"
    before = plan.read_bytes() if plan.exists() else b""
    if objects.url_of(folder) and (not storage.pull(plan) or plan.read_bytes() != before):
        storage.clear_mirror(folder)  # it tells of another run than the store
        storage.pull(plan)
    storage.pull_below(folder, ".jsonl")
    if not plan.exists() or plan.read_bytes() != plan_digest.encode():
        storage.remove(folder)
        storage.write_text(plan, plan_digest)


def _one_by_one(task: _Task, executor: Executor) -> None:
    """A task that killed its process: find the item that does it, keep the others."""
    singles = [
        _Task(task.work, (item,), task.stem.with_name(f"{task.stem.name}-{n:02d}")) for n, item in enumerate(task.items)
    ]
    for outcome in executor.map(_do, singles):
        single = singles[outcome.index]
        storage.pull_new(single.stem.with_suffix(".jsonl"))
        if outcome.lost:
            _write(single.stem, [task.work.on_death(single.items[0], outcome.lost)])
    _write(task.stem, [line for single in singles for line in _lines(single.stem)])


def _lines(stem: Path) -> list[str]:
    lines = _read(stem)
    if lines is None:
        raise DataError(f"{stem.with_suffix('.jsonl')} vanished or changed: run the same command again")
    return lines
