"""The executor that spreads tasks over a Ray cluster, for those who outgrow one machine (extra `ray`).

Ray finds a free CPU for each task, anywhere, and says when a node is gone. There a worker of Ray has a Crew of one
process (workers.py) do the task, so that limits, deaths and surroundings are what they are on one machine, and no task
takes a worker of Ray with it. Tasks and what comes of them are small: pictures go through the shared storage.
"""

import os
import pickle
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from gravurekit import sight
from gravurekit.errors import GravurekitError, UsageError
from gravurekit.executor import Executor, Line, Local, Outcome, Result, Task, cores, refuse_in_one_process
from gravurekit.joining import join
from gravurekit.sight import Sign
from gravurekit.workers import Answer, Crew, Item, Limits, without_program, working_folder

PROOF = 180.0  # seconds in which each node has said what it sees: it may have to start a process for that
LOOK = 1.0  # seconds between two looks at how large the cluster is
ALONE = 600.0  # seconds that a cluster may be without any CPU: new nodes take their time to start
FALLS = 5  # times that a task may lose its node or its worker, which is no fault of its own


# ---- on a node: what a worker of Ray does ---------------------------------------------------------------


@dataclass(frozen=True)
class _Order:
    """What all tasks of a `map` have in common."""

    folder: str  # where the command was given: paths may be relative to it
    limits: Limits
    sign: Sign | None = None


@dataclass(frozen=True)
class _Blind:
    """A node doesn't see what it must, so it did nothing."""

    node: str
    faults: tuple[str, ...]


_crews: dict[tuple[str, Limits], Crew] = {}  # at most one
_proven: set[tuple[Any, ...]] = set()


def _do(function: Callable[[Any], Any], task: Any, order: _Order) -> bytes:
    """A pickled Answer, or _Blind. As bytes, because what Ray unpickles itself is read-only."""
    if order.sign and (blind := _look(order.sign)).faults:
        return pickle.dumps(blind)
    crew = _crew(order)
    with without_program():  # which is Ray's own here
        crew.give(function, (0, task))
    (answer,) = crew.answers(wait=True)
    return pickle.dumps(replace(answer, item=(0, None)), protocol=pickle.HIGHEST_PROTOCOL)


def _look(sign: Sign) -> _Blind:
    """What this node doesn't see of it; looks only once if it sees all."""
    key = (sign.out, sign.sources)
    found = () if key in _proven else tuple(sight.faults(sign))
    if not found:
        _proven.add(key)
    return _Blind(socket.gethostname(), found)


def _crew(order: _Order) -> Crew:
    """The process that does tasks, as long as its folder and its limits are the same."""
    key = (order.folder, order.limits)
    if key not in _crews:
        for crew in _crews.values():
            crew.close()
        _crews.clear()
        with suppress(OSError):  # not there: `reach` has said so of paths that matter
            os.chdir(order.folder)
        _crews[key] = Crew(1, order.limits)
    return _crews[key]


# ---- tasks under way -----------------------------------------------------------------------------------


@dataclass
class _Trip:
    """A task on its way: `falls` counts the nodes and workers that it lost, `died` says how it ended its process."""

    item: Item
    falls: int = 0
    died: str = ""


class _Flight:
    """Tasks that are somewhere on the cluster. Used in a `with`: none is done any more after it."""

    def __init__(self, ray: ModuleType, function: Callable[[Any], Any], order: _Order) -> None:
        self._ray, self._function, self._order = ray, function, order
        self._do = ray.remote(num_cpus=1, max_retries=0)(_do)
        self._away: dict[Any, _Trip] = {}
        self.suspects = deque[_Trip]()

    def __enter__(self) -> "_Flight":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # noqa: BLE001 (the cluster may be gone)
            for way in self._away:
                self._ray.cancel(way, force=True)
            self._ray.wait(list(self._away), num_returns=len(self._away), timeout=LOOK) if self._away else None

    @property
    def busy(self) -> int:
        """How many tasks are under way."""
        return len(self._away)

    def send(self, trip: _Trip, alone: Any = None) -> None:
        """Have a task done; `alone`: on this node, with all of its CPUs."""
        do = self._do
        if alone is not None:
            strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(alone["NodeID"], soft=True)
            do = do.options(num_cpus=_cpus(alone), scheduling_strategy=strategy)
        self._away[do.remote(self._function, trip.item[1], self._order)] = trip

    def landed(self, wait: bool) -> Iterator[Outcome]:
        """What came of tasks in the meantime; with `wait` there is a moment's time for it."""
        ways = list(self._away)
        ready, _ = self._ray.wait(ways, num_returns=len(ways), timeout=0)
        if not ready and wait:
            ready, _ = self._ray.wait(ways, num_returns=1, timeout=LOOK)
        for way in ready:
            outcome = self._outcome(self._away.pop(way), way)
            if outcome is not None:
                yield outcome

    def _outcome(self, trip: _Trip, way: Any) -> Outcome | None:
        """What became of a task; None if that isn't known yet. Raises the error that it raised."""
        errors = self._ray.exceptions
        try:
            answer: Answer | _Blind = pickle.loads(self._ray.get(way))
        except errors.OutOfMemoryError:
            return self._suspected(trip, "needed more memory than its node has")
        except errors.RayTaskError as error:  # not of the function, whose errors are Answers
            raise GravurekitError(f"a worker of the cluster failed: {error}") from None
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError, errors.LocalRayletDiedError,
                errors.TaskUnschedulableError, errors.RaySystemError):  # fmt: skip
            return self._fallen(trip)
        if isinstance(answer, _Blind):
            raise UsageError(_told({answer.node: answer.faults}))
        if answer.error is not None:
            raise answer.error
        if answer.lost and not answer.late:
            return self._suspected(trip, answer.lost)
        return Outcome(trip.item[0], answer.value, answer.lost)

    def _suspected(self, trip: _Trip, why: str) -> Outcome | None:
        if trip.died:
            return Outcome(trip.item[0], None, why)
        trip.died = why
        self.suspects.append(trip)
        return None

    def _fallen(self, trip: _Trip) -> Outcome | None:
        trip.falls += 1
        if trip.falls > FALLS:
            return Outcome(trip.item[0], None, f"ended {trip.falls} times with its node or its worker")
        self.send(trip)
        return None


# ---- the executor --------------------------------------------------------------------------------------


class Ray:
    """A Ray cluster: `address` HOST:PORT or `auto`; empty for one on this machine, which ends with this process.
    `jobs`: tasks at once, 0 for one on each core of the cluster."""

    def __init__(self, address: str, jobs: int, limits: Limits = Limits()) -> None:
        self.address, self.jobs, self._limits = address, jobs, limits
        self._sign: Sign | None = None
        self._seen: set[Any] = set()  # what was proven: folders, with the nodes that see them
        self._maps = 0  # that are going on
        self._token = ExitStack()
        self._looked, self._cpus, self._with_cpus = -LOOK, 0.0, time.monotonic()

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task | None]) -> Iterator[Outcome[Result]]:
        ray = join(self.address, self.jobs)
        line = Line(tasks)
        with self._shown(), _Flight(ray, function, _Order(working_folder(), self._limits, self._sign)) as flight:
            while flight.busy or flight.suspects or not line.ended:
                if flight.suspects:  # what is under way ends first, so that it has a node's memory for itself
                    yield from self._again(ray, flight)
                    continue
                room = self._room(ray)
                while flight.busy < room and not line.ended and (item := line.take()):
                    flight.send(_Trip(item))
                if flight.busy:  # with room for more, a look will do: the next task may be there
                    yield from flight.landed(wait=line.ended or flight.busy >= room)

    def _again(self, ray: ModuleType, flight: _Flight) -> Iterator[Outcome]:
        while flight.busy:
            yield from flight.landed(wait=True)
        again, flight.suspects = flight.suspects, deque()
        for trip in again:
            flight.send(trip, alone=max(_nodes(ray), key=_cpus, default=None))
            while flight.busy:
                yield from flight.landed(wait=True)

    def _room(self, ray: ModuleType) -> int:
        """How many tasks may be under way: as many as were asked for, or two a CPU, of which one waits, so that no CPU
        waits for us, and a cluster that grows with its work sees that there is some."""
        now = time.monotonic()
        if now - self._looked >= LOOK:
            self._looked, self._cpus = now, sum(map(_cpus, _nodes(ray)))
            if self._cpus:
                self._with_cpus = now
            elif now - self._with_cpus > ALONE:
                raise GravurekitError(
                    f"the Ray cluster has had no node with a CPU for {ALONE:.0f} s: start one (`ray start "
                    "--address=HOST:PORT`), and run the same command again to go on"
                )
        return self.jobs if self.jobs and self.address else max(1, int(2 * self._cpus))

    def reach(self, out: Path | None, sources: Sequence[Path]) -> None:
        for path in (*sources, *([] if out is None else [out])):
            refuse_in_one_process(path)
        ray = join(self.address, self.jobs)
        if not self.address:  # all of it is on this machine
            return
        nodes = _nodes(ray)
        if not nodes:
            raise UsageError("the Ray cluster has no node with a CPU: start one with `ray start --address=HOST:PORT`")
        sign = sight.sign_of(out, sources)
        known = (sign.out, sign.sources, frozenset(node["NodeID"] for node in nodes))
        if known in self._seen:
            return
        with sight.put_up(sign):
            blind = _ask_nodes(ray, nodes, sign)
        if blind:
            raise UsageError(_told(blind))
        self._seen.add(known)
        self._sign = sign

    def close(self) -> None:
        """This process stays on its cluster, for what comes next, and leaves it at its end."""

    def here(self) -> Executor:
        return Local(self.jobs or cores(), self._limits)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """While tasks are done, nodes that join can prove what they see before they do any."""
        if self._sign and not self._maps:
            self._token.enter_context(sight.put_up(self._sign))
        self._maps += 1
        try:
            yield
        finally:
            self._maps -= 1
            if not self._maps:
                self._token.close()


def _nodes(ray: ModuleType) -> list[dict[str, Any]]:
    """The nodes that can do a task."""
    return [node for node in ray.nodes() if node["Alive"] and _cpus(node) >= 1]


def _cpus(node: Mapping[str, Any]) -> float:
    return float(node["Resources"].get("CPU", 0))


def _ask_nodes(ray: ModuleType, nodes: Iterable[Mapping[str, Any]], sign: Sign) -> dict[str, tuple[str, ...]]:
    """The nodes that don't see all they must, and what that is. One that is gone meanwhile gets no tasks either."""
    pinned = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    ask = ray.remote(num_cpus=0, max_retries=0)(_look)
    asked = {ask.options(scheduling_strategy=pinned(n["NodeID"], soft=False)).remote(sign): n for n in nodes}
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=PROOF)
    found = {_name(asked[way]): (f"didn't answer within {PROOF:.0f} s",) for way in silent}
    for way in answered:
        try:
            found[_name(asked[way])] = ray.get(way).faults
        except ray.exceptions.RayTaskError as error:
            found[_name(asked[way])] = (f"can't run gravurekit: {error.cause or error}",)
        except ray.exceptions.RayError:
            if any(node["NodeID"] == asked[way]["NodeID"] for node in _nodes(ray)):
                found[_name(asked[way])] = ("couldn't run a process",)
    return {name: faults for name, faults in found.items() if faults}


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})"


def _told(blind: Mapping[str, Sequence[str]]) -> str:
    said = "\n".join(f"  node {name}: it {fault}" for name, faults in sorted(blind.items()) for fault in faults)
    return (
        f"nodes of the Ray cluster can't work with this machine:\n{said}\n"
        "Give folders on storage that all nodes share under the same path (NFS and the like, or s3://), and install "
        "the same gravurekit on all of them; or take these nodes out of the cluster. Then run the same command again"
    )
