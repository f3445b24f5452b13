"""Spawned processes that do one task after the other, and what a task may take of time and memory.

Each has a pipe of its own, so that one which dies in the middle of a word, however it dies, takes nothing with it: its
task is known, and so is why. Never forked: OpenCV's and torch's threads don't survive a fork.
"""

import fcntl
import math
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
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import ModuleType
from typing import Any

from gravurekit.errors import GravurekitError, UsageError

ONE_THREAD = ("OPENCV_FOR_THREADS_NUM", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
# glibc gives large arrays back to the system and fetches them anew; workers, which draw one picture after the other,
# keep what they have (a tenth quicker)
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 29), "MALLOC_MMAP_THRESHOLD_": str(1 << 26)}
SURROUNDINGS = dict.fromkeys(ONE_THREAD, "1") | KEEP_MEMORY  # of a worker: the pool is the parallelism

TOO_LARGE, TOO_LATE = 86, 87  # exit codes of a process that took too much memory, or too long
LOOK = 0.05  # seconds between two looks at what is taken
PATIENCE = 5.0  # seconds for a process that died to be gone
REST = 30.0  # seconds for which a process waits for another task, until it leaves with the memory that it keeps
STILLBORN = 5  # processes that end before they begin, one after the other, until it is believed that none ever will

Item = tuple[int, Any]  # a task with its number


# ---- what a task may take ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """What a task may take: `seconds`, and `megabytes` of resident memory of its process; 0 for all there is."""

    seconds: float = 0
    megabytes: int = 0

    def why(self, exit_code: int | None) -> str:
        """Why a process ended that had a task in hand, as the end of "drawing it …"."""
        if self.are_over_time(exit_code):
            return f"took longer than {self.seconds:g} s"
        if self.megabytes and exit_code == TOO_LARGE:
            return f"needed more than {self.megabytes:,} MB of memory"
        return "killed the process"

    def are_over_time(self, exit_code: int | None) -> bool:
        """Whether a process ended because its task took too long."""
        return bool(self.seconds) and exit_code in (-signal.SIGALRM, TOO_LATE)

    def are_over_memory(self, process: int | str = "self") -> bool:
        """Whether a process has more memory than its task may take."""
        return bool(self.megabytes) and resident(process) > self.megabytes * 1_000_000


NONE = Limits()


class _Guard:
    """Ends this process when its task takes more than it may."""

    def __init__(self) -> None:
        self._limits, self._until = NONE, math.inf  # of the task in hand
        self._looking = threading.Lock()
        self._watching = False

    @contextmanager
    def over(self, limits: Limits) -> Iterator[None]:
        """While a task is done. The system's own alarm ends the process, also in the middle of a library's call; a
        thread does if there can't be one, or the task took it for its own use."""
        if limits == NONE:
            yield
            return
        if not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, daemon=True).start()
        with suppress(ValueError):  # another than the main thread: no alarm
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, limits.seconds)
        self._set(limits, time.monotonic() + limits.seconds if limits.seconds else math.inf)
        try:
            yield
        finally:  # what it returns is on its way, and to be cut off by nothing
            self._set(NONE, math.inf)
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _set(self, limits: Limits, until: float) -> None:
        with self._looking:
            self._limits, self._until = limits, until

    def _watch(self) -> None:
        while True:
            with self._looking:
                if self._limits.are_over_memory():
                    os._exit(TOO_LARGE)
                if time.monotonic() > self._until + LOOK:  # the alarm comes first, if it comes
                    os._exit(TOO_LATE)
            time.sleep(LOOK)


_GUARD = _Guard()


def resident(process: int | str = "self") -> int:
    """Bytes of memory that a process has; on systems that don't tell, the most that this one ever had, and of others
    nothing."""
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    if process != "self":
        return 0
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


@dataclass(eq=False)
class _Worker:
    """A process, our end of its pipe, and the task that it has in hand. `begun`: it has told that it waits for tasks;
    `too_large`: it was ended for that."""

    process: Any
    pipe: Any
    function: Any = None
    item: Item = (-1, None)
    begun: bool = False
    too_large: bool = False


def working_folder() -> str:
    """The folder in which this process works. Raises UsageError if it is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise UsageError("the folder in which this command was given is gone: give it in another one") from None


class Crew:
    """At most `size` processes, started when there is a task for them. They live until `close`, or a `with` ends; one
    that has nothing to do for `rest` seconds (REST, if none is given) leaves."""

    def __init__(self, size: int, limits: Limits, rest: float | None = None) -> None:
        self.size, self._limits, self._rest = size, limits, REST if rest is None else rest
        self.place = working_folder()  # where they work
        self._all: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._busy: dict[Any, _Worker] = {}  # by pipe
        self._stillborn = 0
        self._killed = False

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End them all, those at once that have a task in hand."""
        for worker in self._all:
            if worker not in self._idle:
                worker.process.kill()
            worker.pipe.close()  # one that waits for a task leaves now
        for worker in list(self._all):
            self._bury(worker)
        self._idle.clear()

    def kill(self) -> None:
        """End them all at once, for good; may be called by another thread than the one that waits for answers, to which
        the tasks in hand are lost."""
        self._killed = True
        for worker in list(self._all):
            worker.process.kill()

    @property
    def busy(self) -> int:
        """How many tasks are in hand."""
        return len(self._busy)

    def give(self, function: Callable[[Any], Any], item: Item) -> None:
        """Have a task done, by a process that has nothing to do, or a new one; not more tasks at once than `size`."""
        said = ForkingPickler.dumps((function, item[1], self._limits))
        while True:
            worker = self._idle.pop() if self._idle else self._hired()
            worker.function, worker.item = function, item
            self._busy[worker.pipe] = worker
            try:
                worker.pipe.send_bytes(said)
                return
            except OSError:
                if not worker.begun:  # `answers` hears of it
                    return
                self._bury(worker)  # it left, or died, while it had nothing to do: no fault of this task

    def dismiss(self) -> None:
        """Let those go that have nothing to do, with the memory that they keep."""
        for worker in self._idle:
            worker.pipe.close()
        for worker in self._idle:
            self._bury(worker)
        self._idle.clear()

    def answers(self, wait: bool) -> Sequence[Answer]:
        """What came of tasks in the meantime, in the order of their numbers; with `wait` there is one at least."""
        found: list[Answer] = []
        while not found:
            heard = [self._heard(self._busy[pipe]) for pipe in self._ready(wait)]
            found = [answer for answer in heard if answer is not None]
            if not wait:
                break
        return sorted(found, key=lambda answer: answer.item[0])

    def _ready(self, wait: bool) -> Sequence[Any]:
        """The pipes that have something to say. Meanwhile ends processes that are too large and don't see it
        themselves, since a library's call doesn't let them look."""
        look = (LOOK if self._limits.megabytes else None) if wait else 0
        while not (ready := connection.wait(list(self._busy), look)) and wait:
            for worker in self._busy.values():
                if self._limits.are_over_memory(worker.process.pid):
                    worker.too_large = True
                    worker.process.kill()
        return ready

    def _heard(self, worker: _Worker) -> Answer | None:
        """What came of a task; None if its process has only begun."""
        try:
            said = worker.pipe.recv_bytes()
        except (EOFError, OSError):  # it died, maybe in the middle of its answer
            return self._ended(worker)
        if not worker.begun:
            worker.begun, self._stillborn = True, 0
            return None
        try:
            value, error = pickle.loads(said)
        except Exception as fault:  # noqa: BLE001 (a result of others may fail in any way)
            value, error = None, RuntimeError(f"what came of a task can't be read: {fault!r}")
        del self._busy[worker.pipe]
        item, worker.item = worker.item, (-1, None)
        self._idle.append(worker)
        return Answer(item, value, error)

    def _ended(self, worker: _Worker) -> Answer | None:
        """A process is no more: why its task is lost; None if it never began, and another has its task now."""
        code = self._bury(worker)
        if worker.begun or self._killed:
            code = TOO_LARGE if worker.too_large else code
            return Answer(worker.item, lost=self._limits.why(code), late=self._limits.are_over_time(code))
        self._stillborn += 1
        if self._stillborn >= STILLBORN:
            raise GravurekitError(
                f"{STILLBORN} worker processes ended before they began (exit code {code}); if they said why, it stands "
                "above. A script that starts work must do so below `if __name__ == '__main__':`; `--executor serial` "
                "works without processes"
            )
        self.give(worker.function, worker.item)
        return None

    def _bury(self, worker: _Worker) -> int | None:
        """See to it that a process is gone, and forget it; its exit code."""
        self._busy.pop(worker.pipe, None)
        worker.pipe.close()
        until = time.monotonic() + PATIENCE
        while worker.process.is_alive() and time.monotonic() < until:  # a `join` may wait for ever in spite of a limit
            time.sleep(0.001)
        worker.process.kill()
        worker.process.join()
        code: int | None = worker.process.exitcode
        self._all.discard(worker)
        return code

    def _hired(self) -> _Worker:
        try:
            with _undisturbed():
                worker = _started(self._rest)
                self._all.add(worker)
            if self._killed:  # while it was started
                worker.process.kill()
        except OSError as error:
            raise GravurekitError(
                f"can't start worker process number {len(self._all) + 1} ({error.strerror}): give fewer --jobs, or "
                "raise the limits (`ulimit -n` for open files, `ulimit -u` for processes)"
            ) from None
        return worker


def _started(rest: float) -> _Worker:
    context = multiprocessing.get_context("spawn")
    resource_tracker.ensure_running()  # which lets Ctrl-C through when it starts
    program = nullcontext() if _is_there(sys.modules["__main__"]) else without_program()
    with _surroundings(), program:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, rest), daemon=True)
        process.start()
        theirs.close()  # so that its end is the end of the pipe
    return _Worker(process, ours)


def _is_there(program: ModuleType) -> bool:
    """Whether a process that is spawned can import it: one that came through a pipe (`python < script`) has the name
    of a file that there isn't."""
    file = getattr(program, "__file__", None)
    return program.__spec__ is not None or file is None or os.path.isfile(file)


@contextmanager
def without_program() -> Iterator[None]:
    """Meanwhile a process that is spawned doesn't import the program of the one that spawns it."""
    program, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


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


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C comes when this is over, also one that another thread took note of: a process that is half started would
    be known to nobody."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    came: list[tuple[Any, ...]] = []
    signal.signal(signal.SIGINT, lambda *what: came.append(what))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[0])


def _work(pipe: Any, rest: float) -> None:
    """What a process does: one task after the other, until nobody has more, or hasn't for a while."""
    # Ctrl-C reaches the whole process group; the parent alone decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGALRM})
    _end_with_the_parent()
    with suppress(EOFError, ConnectionError):  # nobody has more, or wants to hear of it
        pipe.send_bytes(b"begun")
        while pipe.poll(rest):
            pipe.send_bytes(_packed(*_answered(pipe)))


def _packed(value: Any, error: BaseException | None) -> Any:
    """An answer as it travels; one that can't is an error."""
    try:
        return ForkingPickler.dumps((value, error))
    except Exception as fault:  # noqa: BLE001 (a result of others may fail in any way)
        return ForkingPickler.dumps((None, RuntimeError(f"what came of a task can't be handed over: {fault!r}")))


def _answered(pipe: Any) -> tuple[Any, BaseException | None]:
    """Value and error of the next task. Raises EOFError and ConnectionError if there is nobody to give one."""
    said = pipe.recv_bytes()
    try:
        function, task, limits = pickle.loads(said)
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
    """Leave no orphan behind when the parent is killed: the system ends this process, also in the middle of a library's
    call; where it can't, a thread does."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    if sys.platform == "linux":  # a pipe that only the parent holds open
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(parent.sentinel, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, os.O_ASYNC)


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)
