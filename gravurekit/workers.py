"""Spawned processes that do one task after the other, and what a task may take of time and memory.

Each has a pipe of its own, so that one which dies in the middle of a word, however it dies, takes nothing with it: its
task is known, and so is why. Never forked: OpenCV's and torch's threads don't survive a fork.
"""

import multiprocessing
import os
import pickle
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Any

ONE_THREAD = ("OPENCV_FOR_THREADS_NUM", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
# glibc gives large arrays back to the system and fetches them anew; workers, which draw one picture after the other,
# keep what they have (a tenth quicker)
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 29), "MALLOC_MMAP_THRESHOLD_": str(1 << 26)}
SURROUNDINGS = dict.fromkeys(ONE_THREAD, "1") | KEEP_MEMORY  # of a worker: the pool is the parallelism

TOO_LARGE = 86  # exit code of a process that took too much memory
LOOK = 0.05  # seconds between two looks at the memory that is taken
PATIENCE = 5.0  # seconds for a process that died to be gone

Item = tuple[int, Any]  # a task with its number


# ---- what a task may take ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """What a task may take: `seconds`, and `megabytes` of resident memory of its process; 0 for all there is."""

    seconds: float = 0
    megabytes: int = 0

    def why(self, exit_code: int | None) -> str:
        """Why a process ended that had a task in hand, as the end of "drawing it …"."""
        if exit_code == -signal.SIGALRM:
            return f"took longer than {self.seconds:g} s"
        if exit_code == TOO_LARGE:
            return f"needed more than {self.megabytes:,} MB of memory"
        return "killed the process"


class _Guard:
    """Ends this process when its task takes more than it may."""

    def __init__(self) -> None:
        self.megabytes = 0  # while a task is in hand
        self._watching = False

    @contextmanager
    def over(self, limits: Limits) -> Iterator[None]:
        """While a task is done. The system's own alarm ends the process, also in the middle of a library's call."""
        if limits.megabytes and not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, daemon=True).start()
        if limits.seconds:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, limits.seconds)
        self.megabytes = limits.megabytes
        try:
            yield
        finally:  # what it returns is on its way, and to be cut off by nothing
            self.megabytes = 0
            if limits.seconds:
                signal.setitimer(signal.ITIMER_REAL, 0)

    def _watch(self) -> None:
        while True:
            if self.megabytes and resident() > self.megabytes * 1_000_000:
                os._exit(TOO_LARGE)
            time.sleep(LOOK)


_GUARD = _Guard()


def resident() -> int:
    """Bytes of memory that this process has; on systems that don't tell, the most it ever had."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def guarded(function: Callable[[Any], Any], task: Any, limits: Limits) -> Any:
    """`function(task)` in a process that lives for such tasks, and that is ended if it takes more than `limits`."""
    with _GUARD.over(limits):
        return function(task)


# ---- the processes -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What came of a task: its `value`, or the `error` that it raised; if its process ended, `lost` says why, and
    `late` whether it took too long, which it would once more."""

    item: Item
    value: Any = None
    error: BaseException | None = None
    lost: str = ""
    late: bool = False


@dataclass
class _Worker:
    """A process, our end of its pipe, and the task that it has in hand."""

    process: Any
    pipe: Any
    item: Item = field(default=(-1, None))


class Crew:
    """At most `size` processes, started when there is a task for them. Used in a `with`: none outlives it."""

    def __init__(self, size: int, limits: Limits) -> None:
        self.size, self._limits = size, limits
        self._idle: list[_Worker] = []
        self._busy: dict[Any, _Worker] = {}  # by pipe

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for worker in [*self._idle, *self._busy.values()]:
            worker.pipe.close()  # one that waits for a task leaves now
            if kind is not None or worker.pipe in self._busy:
                worker.process.kill()
        for worker in [*self._idle, *self._busy.values()]:
            worker.process.join()

    @property
    def busy(self) -> int:
        """How many tasks are in hand."""
        return len(self._busy)

    def give(self, function: Callable[[Any], Any], item: Item) -> None:
        """Have a task done; not more than there are processes."""
        worker = self._idle.pop() if self._idle else self._hired()
        worker.item = item
        self._busy[worker.pipe] = worker
        with suppress(OSError):  # it has died just now, which `answers` tells
            worker.pipe.send((function, item[1], self._limits))

    def answers(self, wait: bool) -> Sequence[Answer]:
        """What came of tasks in the meantime, in the order of their numbers; with `wait` there is one at least."""
        ready = connection.wait(list(self._busy), timeout=None if wait else 0)
        return sorted((self._answer_of(self._busy.pop(pipe)) for pipe in ready), key=lambda answer: answer.item[0])

    def _answer_of(self, worker: _Worker) -> Answer:
        try:
            value, error = worker.pipe.recv()
        except (EOFError, OSError, pickle.UnpicklingError):  # it died, maybe in the middle of its answer
            worker.pipe.close()
            worker.process.join(PATIENCE)
            worker.process.kill()
            worker.process.join()
            code = worker.process.exitcode
            return Answer(worker.item, lost=self._limits.why(code), late=code == -signal.SIGALRM)
        self._idle.append(worker)
        return Answer(worker.item, value, error)

    def _hired(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True)
        with _surroundings():
            process.start()
        theirs.close()  # so that its end is the end of the pipe
        return _Worker(process, ours)


@contextmanager
def _surroundings() -> Iterator[None]:
    """What workers inherit: libraries keep to one thread. Ctrl-C waits meanwhile: it can't hit them before `_work`
    has begun."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    own = {name: os.environ[name] for name in SURROUNDINGS if name in os.environ}
    os.environ |= SURROUNDINGS
    try:
        yield
    finally:
        for name in SURROUNDINGS:
            del os.environ[name]
        os.environ |= own
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Any) -> None:
    """What a process does: one task after the other, until nobody has more."""
    # Ctrl-C reaches the whole process group; the parent alone decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    with suppress(EOFError, ConnectionError):  # nobody has more, or wants to hear of it
        while True:
            answer = _answered(pipe)
            try:
                pipe.send(answer)
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                pipe.send((None, RuntimeError(f"what came of a task can't be handed over: {error!r}")))


def _answered(pipe: Any) -> tuple[Any, BaseException | None]:
    """Value and error of the next task. Raises EOFError and ConnectionError if there is nobody to give one."""
    try:
        function, task, limits = pipe.recv()
    except (EOFError, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001 (the function isn't to be found here, say)
        return None, told(error)
    try:
        return guarded(function, task, limits), None
    except BaseException as error:  # noqa: BLE001 (it is the caller's, who gets it)
        return None, told(error)


def told(error: BaseException) -> BaseException:
    """The error as it can travel to another process, with a note of where it was raised: tracebacks don't travel."""
    where = "".join(traceback.format_exception(error))
    error.add_note(where)
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 (classes of others may fail in any way)
        return RuntimeError(where)
    return error


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # the parent was killed: leave no orphan behind
