"""Executors: `map(function, tasks) → outcomes`. Serial in this process, or local in spawned processes; `cluster.py` has
the third, on a Ray cluster.

Outcomes come in any order, each with the index of its task, so that results never depend on who was quick.
A task that kills its process or takes too much memory costs only itself: it runs once more, alone, and if it ends like
that again, its outcome says why it is lost; so it does at once of one that takes longer than it may. Exceptions of the
function itself are no deaths: they are raised in the caller.
"""

import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from gravurekit import objects
from gravurekit.errors import UsageError
from gravurekit.workers import Answer, Crew, Item, Limits, working_folder

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What became of task number `index`: its `value`, or, if it was lost with its process, in `lost` why, as the end
    of "drawing it …": "killed the process"."""

    index: int
    value: Result | None
    lost: str = ""


class Executor(Protocol):
    """Runs a top-level function over tasks, which are asked for one by one, as workers get free. A task that is None
    says that there is none yet, so that what is finished can be given out meanwhile. The same outcomes whichever
    executor and however many workers."""

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task | None]) -> Iterator[Outcome[Result]]: ...

    def reach(self, out: Path | None, sources: Sequence[Path]) -> None:
        """Raises UsageError if those who do the tasks don't see the folder that is written, or those that are read."""

    def here(self) -> "Executor":
        """One that works on this machine alone, for tasks on files that only this machine has."""

    def close(self) -> None:
        """Nothing more is to be done: no process stays. It may be used again."""


class Serial:
    """One task after the other in this process, which ends with it if one kills it."""

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task | None]) -> Iterator[Outcome[Result]]:
        for index, task in enumerate(task for task in tasks if task is not None):
            yield Outcome(index, function(task))

    def reach(self, out: Path | None, sources: Sequence[Path]) -> None:
        pass

    def here(self) -> "Executor":
        return self

    def close(self) -> None:
        pass


class Line(Generic[Task]):
    """Tasks with their numbers, taken one by one: a task may exist only by the time that it is asked for."""

    def __init__(self, tasks: Iterable[Task | None]) -> None:
        self.ended = False
        self._coming = iter(tasks)
        self._count = 0

    def take(self) -> tuple[int, Task] | None:
        """The next one; None if there is none yet, or no more. Waits as long as the tasks make it wait."""
        try:
            task = next(self._coming)
        except StopIteration:
            self.ended = True
            return None
        if task is None:
            return None
        self._count += 1
        return self._count - 1, task


def refuse_in_one_process(path: Path) -> None:
    """Raises UsageError for a folder that other processes couldn't see."""
    if objects.in_one_process(path):
        raise UsageError(f"{objects.url_of(path)} lives in one process: add --executor serial")


class Local:
    """`jobs` spawned processes. They stay for the next `map`, until they are no longer needed for a while, or this
    executor is let go of; what is started is never left to itself."""

    def __init__(self, jobs: int, limits: Limits = Limits()) -> None:
        if jobs < 1:
            raise ValueError("jobs must be 1 at least")
        self.jobs, self._limits = jobs, limits
        self._resting: list[Crew] = []  # one, or none while it is at work
        weakref.finalize(self, _close, self._resting)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task | None]) -> Iterator[Outcome[Result]]:
        crew = self._rested()
        try:
            yield from self._done(crew, function, Line(tasks))
        except BaseException:  # also of whoever stops listening
            crew.close()
            raise
        _close(self._resting)  # that of a map which went on meanwhile: one is enough
        self._resting.append(crew)

    def _rested(self) -> Crew:
        """The processes of the last `map`, unless they work in another folder than we do by now."""
        if self._resting and self._resting[0].place == working_folder():
            return self._resting.pop()
        _close(self._resting)
        return Crew(self.jobs, self._limits)

    def _done(self, crew: Crew, function: Callable, line: Line) -> Iterator[Outcome]:
        suspects = deque[Item]()
        while crew.busy or suspects or not line.ended:
            if suspects:  # what is in hand ends first, so that it has the memory for itself
                yield from self._until_done(crew, suspects)
                yield from self._again(function, crew, suspects)
                continue
            while crew.busy < crew.size and not line.ended and (item := line.take()):
                crew.give(function, item)
            if crew.busy:  # with room for more, a look will do: the next task may be there
                answers = crew.answers(wait=line.ended or crew.busy == crew.size)
                yield from _values(answers, suspects)

    @staticmethod
    def _until_done(crew: Crew, suspects: deque[Item]) -> Iterator[Outcome]:
        while crew.busy:
            yield from _values(crew.answers(wait=True), suspects)

    @staticmethod
    def _again(function: Callable, crew: Crew, suspects: deque[Item]) -> Iterator[Outcome]:
        """Tasks that ended their process, each once more, in a new one, with nothing beside it."""
        while suspects:
            crew.dismiss()
            crew.give(function, suspects.popleft())
            (answer,) = crew.answers(wait=True)
            yield _outcome(answer)

    def reach(self, out: Path | None, sources: Sequence[Path]) -> None:
        for path in (*sources, *([] if out is None else [out])):
            refuse_in_one_process(path)

    def here(self) -> "Executor":
        return self

    def close(self) -> None:
        _close(self._resting)


def _close(crews: list[Crew]) -> None:
    while crews:
        crews.pop().close()


def _values(answers: Iterable[Answer], suspects: deque[Item]) -> Iterator[Outcome]:
    """The outcomes of the tasks that are done with; those that may fare better alone become suspects."""
    for answer in answers:
        if answer.lost and not answer.late:
            suspects.append(answer.item)
        else:
            yield _outcome(answer)


def _outcome(answer: Answer) -> Outcome:
    if answer.error is not None:
        raise answer.error
    return Outcome(answer.item[0], answer.value, answer.lost)


def make_executor(name: str, jobs: int, limits: Limits = Limits()) -> Executor:
    """`serial`, or `local` with `jobs` processes (0: one for each core that we may use)."""
    return Serial() if name == "serial" else Local(jobs or cores(), limits)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
