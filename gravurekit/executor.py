"""Executors: `map(function, tasks) → outcomes`. Serial in this process, or local in a pool of spawned processes.

Outcomes come in any order, each with the index of its task, so that results never depend on who was quick.
A worker that dies (a decoder that crashes, memory, kill -9) costs only its task: the pool is built anew, the tasks
that were in flight run again one by one, alone, and one that kills its process again comes back as a death.
Exceptions of the function itself are not deaths: they are raised in the caller.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

ONE_THREAD = ("OPENCV_FOR_THREADS_NUM", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
# glibc gives large arrays back to the system and fetches them anew; workers, which draw one picture after the other,
# keep what they have (a tenth quicker)
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 29), "MALLOC_MMAP_THRESHOLD_": str(1 << 26)}


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What became of task number `index`: its `value`, or, if it killed its process twice, `died`."""

    index: int
    value: Result | None
    died: bool = False


class Executor(Protocol):
    """Runs a top-level function over tasks, which are asked for one by one, as workers get free. A task that is None
    says that there is none yet, so that what is finished can be given out meanwhile. The same outcomes whichever
    executor and however many workers."""

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task | None]) -> Iterator[Outcome[Result]]: ...


class Serial:
    """One task after the other in this process."""

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task | None]) -> Iterator[Outcome[Result]]:
        for index, task in enumerate(task for task in tasks if task is not None):
            yield Outcome(index, function(task))


class _Line(Generic[Task]):
    """Tasks with their numbers, taken one by one: a task may exist only by the time that it is asked for."""

    def __init__(self, tasks: Iterable[Task | None]) -> None:
        self.ended = False
        self._coming = iter(tasks)
        self._back: deque[tuple[int, Task]] = deque()
        self._count = 0

    def take(self) -> tuple[int, Task] | None:
        """The next one; None if there is none yet, or no more. Waits as long as the tasks make it wait."""
        if self._back:
            return self._back.popleft()
        try:
            task = next(self._coming)
        except StopIteration:
            self.ended = True
            return None
        if task is None:
            return None
        self._count += 1
        return self._count - 1, task

    def put_back(self, item: tuple[int, Task]) -> None:
        """It is the next one again."""
        self._back.appendleft(item)


class Local:
    """`jobs` spawned processes; never forks, because OpenCV's and torch's threads don't survive a fork."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task | None]) -> Iterator[Outcome[Result]]:
        line = _Line(tasks)
        while not line.ended:
            if (first := line.take()) is None:
                continue
            line.put_back(first)
            suspects = yield from self._until_a_worker_dies(function, line)
            for index, task in suspects:
                yield self._alone(function, index, task)

    def _until_a_worker_dies(
        self, function: Callable[[Task], Result], line: "_Line[Task]"
    ) -> Generator[Outcome[Result], None, list[tuple[int, Task]]]:
        in_flight: dict[Future[Result], tuple[int, Task]] = {}
        with _pool(self.jobs) as pool:
            while True:
                while (free := len(in_flight) < 2 * self.jobs and not line.ended) and (item := line.take()):
                    try:
                        with _starting_workers():
                            in_flight[pool.submit(function, item[1])] = item
                    except BrokenProcessPool:
                        line.put_back(item)
                        return list(in_flight.values())
                if not in_flight and line.ended:
                    return []
                # with room for more, a look will do: the next task may be there
                done, _ = wait(in_flight, timeout=0 if free else None, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda future: in_flight[future][0]):
                    try:
                        value = future.result()
                    except BrokenProcessPool:
                        continue
                    yield Outcome(in_flight.pop(future)[0], value)
                if any(future in in_flight for future in done):
                    return list(in_flight.values())

    def _alone(self, function: Callable[[Task], Result], index: int, task: Task) -> Outcome[Result]:
        with _pool(1) as pool:
            try:
                with _starting_workers():
                    future = pool.submit(function, task)
                return Outcome(index, future.result())
            except BrokenProcessPool:
                return Outcome(index, None, died=True)


class _pool:
    """A ProcessPoolExecutor whose processes don't outlive an error or Ctrl-C in the parent."""

    def __init__(self, jobs: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._others = set(multiprocessing.active_children())
        self._executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker)

    def __enter__(self) -> ProcessPoolExecutor:
        return self._executor

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for process in set(multiprocessing.active_children()) - self._others:
                process.kill()
        self._executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _starting_workers() -> Iterator[None]:
    """What workers inherit. Ctrl-C waits meanwhile: it can't hit them before `_start_worker` has. The pool is the
    parallelism: OpenCV and numpy's BLAS, if a worker loads them, keep to one thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    theirs = dict.fromkeys(ONE_THREAD, "1") | KEEP_MEMORY
    own = {name: os.environ[name] for name in theirs if name in os.environ}
    os.environ |= theirs
    try:
        yield
    finally:
        for name in theirs:
            del os.environ[name]
        os.environ |= own
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    # Ctrl-C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # the parent was killed: leave no orphan behind


def make_executor(name: str, jobs: int) -> Executor:
    """`serial`, or `local` with `jobs` processes (0: one for each core)."""
    jobs = jobs or os.cpu_count() or 1
    return Serial() if name == "serial" or jobs == 1 else Local(jobs)
