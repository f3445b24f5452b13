"""What spreading work over processes costs, what it gains, and whether it loses anything when processes are killed.

    nice -n -12 python bench/executors.py DATA [--only limit,chain]

DATA: a folder with `photos`, photographs in folders by label. Ray's rows say "not measured" unless it is installed.

- limit: what two processes can gain at most of stylize + shard. What isn't in tasks, by the clock; and how much more
  two processes get done at once on this machine's two cores than one alone, whatever they have in common (caches,
  memory, the two halves of a core): both draw, and neither has anything to do with our executors.
- overhead: a task that does nothing, its way there and back, with two processes that are running; beside the standard
  library's two pools and loky, if it is installed. Each in turn, best of ROUNDS. And until the first of them is done.
- chain: `gravurekit stylize` and `shard` of some photographs, one process (libraries keep to one thread there as well)
  and two, in turn; medians.
- kills: 10,000 tasks through parts.run, while processes that work on them are killed at random moments.
"""

import argparse
import hashlib
import importlib.util
import multiprocessing
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from executors_tasks import lost, note, nothing
from filter_goals import Goal, at_least, at_most, none, not_measured, say, table

from gravurekit import foreign, parts
from gravurekit.executor import Executor, Local, Serial
from gravurekit.progress import SILENT, Silent
from gravurekit.stages import shard, stylize
from gravurekit.workers import SURROUNDINGS

JOBS = 2
ROUNDS = 3
NOTHINGS, WARM = 3000, 200  # tasks that do nothing; those that aren't counted, while processes start
KILLS, KILLED_AMONG = 20, 10_000


def ray() -> Executor | None:
    """Ray on this machine, if it is there."""
    if importlib.util.find_spec("ray") is None:
        return None
    from gravurekit.cluster import Ray

    return Ray("", JOBS)


def load() -> str:
    """How much else ran."""
    return f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"


# ---- limit ---------------------------------------------------------------------------------------------


class Timed(Serial):
    """Takes the time of tasks, by a clock."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds, self._clock = 0.0, clock

    def map(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        def timed(task: Any) -> Any:
            began = self._clock()
            try:
                return function(task)
            finally:
                self.seconds += self._clock() - began

        return super().map(timed, tasks)


def drawn_and_sharded(photos: Path, out: Path, executor: Executor) -> None:
    styled, shards = out / "styled", out / "shards"
    stylize.run(stylize.Job(photos, styled, stylize.Settings(), {}), executor, SILENT)
    shard.run(shard.Job(styled, shards, shard.Settings()), executor, SILENT)


def alone(photos: str, out: str) -> None:
    """The same in a process of its own, without any executor."""
    drawn_and_sharded(Path(photos), Path(out), Serial())


def limit(given: argparse.Namespace) -> list[Goal]:
    with tempfile.TemporaryDirectory() as scratch:
        photos = photographs(given.data, max(64, given.pictures // 8), Path(scratch))
        drawn_and_sharded(photographs(given.data, 2, Path(scratch, "warm")), Path(scratch, "warmed"), Serial())
        inside = Timed()
        began = time.perf_counter()
        drawn_and_sharded(photos, Path(scratch, "timed"), inside)
        whole = time.perf_counter() - began
        outside = 1 - inside.seconds / whole
        one, two = [], []
        for turn in range(ROUNDS):
            one.append(at_once(photos, Path(scratch), 1, turn))
            two.append(at_once(photos, Path(scratch), 2, turn))
    both = 2 * statistics.median(one) / statistics.median(two)
    share = 1 / (outside + (1 - outside) / both)
    say(f"limit: {outside:.1%} of stylize + shard isn't in tasks ({whole:.1f} s, once everything is imported), so that")
    say(f"  two cores gain {1 / (outside + (1 - outside) / 2):.2f} × at most")
    say(f"  two processes at once get {both:.2f} × as much done as one, whoever starts them: with that {share:.2f} ×")
    say(f"  seconds, one: {rounded(one)}; two: {rounded(two)}; {load()}")
    return []


def at_once(photos: Path, scratch: Path, count: int, turn: int) -> float:
    """Seconds until so many processes, all of them started, have each drawn everything."""
    context = multiprocessing.get_context("spawn")
    outs = [scratch / f"{turn}-{count}-{n}" for n in range(count)]
    os.environ |= SURROUNDINGS
    with context.Pool(count) as pool:
        warm = scratch / "warm" / "photos"
        pool.starmap(alone, [(str(warm), str(out) + "w") for out in outs], chunksize=1)
        began = time.perf_counter()
        pool.starmap(alone, [(str(photos), str(out)) for out in outs], chunksize=1)
        return time.perf_counter() - began


# ---- overhead ------------------------------------------------------------------------------------------


def by_ours(executor: Executor) -> Iterator[Any]:
    return iter(executor.map(nothing, range(NOTHINGS)))


def by_concurrent_futures() -> Iterator[Any]:
    with ProcessPoolExecutor(JOBS, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(nothing, range(NOTHINGS))


def by_pool() -> Iterator[Any]:
    with multiprocessing.get_context("spawn").Pool(JOBS) as pool:
        yield from pool.imap_unordered(nothing, range(NOTHINGS))


def by_loky() -> Iterator[Any]:
    import loky

    with loky.ProcessPoolExecutor(JOBS, context=loky.backend.get_context("loky")) as pool:
        yield from pool.map(nothing, range(NOTHINGS))


def overhead(_: argparse.Namespace) -> list[Goal]:
    rivals: dict[str, Callable[[], Iterator[Any]]] = {
        "local": lambda: by_ours(Local(JOBS)),
        "concurrent.futures": by_concurrent_futures,
        "multiprocessing.Pool": by_pool,
    }
    if importlib.util.find_spec("loky") is not None:
        rivals["loky"] = by_loky
    if (cluster := ray()) is not None:
        rivals["ray"] = lambda: by_ours(cluster)
    first, each = {name: [] for name in rivals}, {name: [] for name in rivals}
    for _ in range(ROUNDS):
        for name, rival in rivals.items():
            began = time.perf_counter()
            outcomes = rival()
            for n, _ in enumerate(outcomes):
                if n == 0:
                    first[name].append(time.perf_counter() - began)
                if n == WARM - 1:
                    began = time.perf_counter()
            each[name].append((time.perf_counter() - began) / (NOTHINGS - WARM))
    say(f"overhead: ms a task that does nothing, {JOBS} processes, and s until the first is done; {load()}")
    for name in rivals:
        say(f"  {name:22}{1000 * min(each[name]):8.3f} ms{min(first[name]):8.2f} s")
    for name in ("loky", "ray"):
        if name not in rivals:
            say(f"  {name:22}not measured: it isn't installed, or not to be used")
    goals = [at_most("overhead", "local: a task that does nothing", 1000 * min(each["local"]), 2, " ms")]
    if "ray" not in rivals:
        return [*goals, not_measured("overhead", "ray: a task that does nothing", "≤ 2 ms")]
    return [*goals, at_most("overhead", "ray: a task that does nothing", 1000 * min(each["ray"]), 2, " ms")]


# ---- chain ---------------------------------------------------------------------------------------------


def photographs(data: Path, count: int, scratch: Path) -> Path:
    """A folder of so many photographs, evenly chosen, in folders by label. If that is more than there are, they come
    again as other pictures, with bytes after the end of the file that no decoder reads."""
    names = foreign.picture_files(data / "photos")
    for turn in range(-(-count // len(names))):
        wanted = min(len(names), count - turn * len(names))
        for name in (names[n * len(names) // wanted] for n in range(wanted)):
            path = (scratch / "photos" / name).with_stem(f"{Path(name).stem}-{turn}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((data / "photos" / name).read_bytes() + b"\0" * turn)
    return scratch / "photos"


def chain(given: argparse.Namespace) -> list[Goal]:
    ways = {"serial": ["serial"], "local": ["local", "--jobs", str(JOBS)]}
    if ray() is not None:
        ways["ray"] = ["ray", "--jobs", str(JOBS)]
    took: dict[tuple[str, str], list[float]] = {}
    sums: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        photographs(given.data, given.pictures, Path(scratch))
        photographs(given.data, 2, Path(scratch, "few"))
        command(Path(scratch, "few"), "stylize", "photos", "warm", ["serial"])  # what has to be compiled is
        for turn in range(given.rounds):
            for name, way in ways.items():
                styled, shards = f"{name}{turn}", f"{name}{turn}-shards"
                took.setdefault((name, "stylize"), []).append(command(Path(scratch), "stylize", "photos", styled, way))
                took.setdefault((name, "shard"), []).append(command(Path(scratch), "shard", styled, shards, way))
                sums[f"{name}{turn}"] = digest(Path(scratch, styled)) + digest(Path(scratch, shards))
                shutil.rmtree(Path(scratch, styled))
                shutil.rmtree(Path(scratch, shards))
            say(f"chain: round {turn + 1} of {given.rounds}; {load()}")
    say(f"chain: seconds for {given.pictures} photographs, {JOBS} processes")
    for (name, verb), seconds in took.items():
        say(f"  {name:8}{verb:10}{rounded(seconds)}")
    both = {name: [sum(pair) for pair in zip(took[name, "stylize"], took[name, "shard"], strict=True)] for name in ways}
    median = {name: statistics.median(seconds) for name, seconds in both.items()}
    goals = [
        at_least("chain", "stylize + shard, two processes over one", median["serial"] / median["local"], 1.8, " ×"),
        none("chain", "runs that gave other bytes", len(set(sums.values())) - 1),
    ]
    if "ray" not in ways:
        return [*goals, not_measured("chain", "ray on this machine over local", "≥ 0.9 ×")]
    return [*goals, at_least("chain", "ray on this machine over local", median["local"] / median["ray"], 0.9, " ×")]


def command(place: Path, verb: str, source: str, out: str, way: list[str]) -> float:
    """Seconds of a verb, from its start to its end."""
    line = [sys.executable, "-m", "gravurekit", "-C", str(place), verb, source, out, "--quiet", "--executor", *way]
    began = time.perf_counter()
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, env=os.environ | SURROUNDINGS)
    return time.perf_counter() - began


def digest(root: Path, pattern: str = "*") -> str:
    """Of the names and bytes of all files below, but for receipts, which tell how long it took."""
    made = hashlib.sha256()
    for path in sorted(path for path in root.rglob(pattern) if path.is_file() and path.name != "receipt.json"):
        made.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return made.hexdigest()


def rounded(seconds: list[float]) -> str:
    return ", ".join(f"{one:.1f}" for one in seconds)


# ---- kills ---------------------------------------------------------------------------------------------


class Killer(Silent):
    """Kills a process whenever as many tasks are done as it drew by lot, and a moment later."""

    def __init__(self, workers: Callable[[], list[int]]) -> None:
        self._workers, self._chance = workers, random.Random(0)
        self._moments = sorted(self._chance.sample(range(KILLED_AMONG // 100, KILLED_AMONG * 9 // 10), KILLS))
        self.done, self.killed, self._over = 0, 0, threading.Event()
        self._thread = threading.Thread(target=self._kill, daemon=True)

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def advance(self, units: int = 1) -> None:
        self.done += units

    def _kill(self) -> None:
        for moment in self._moments:
            while self.done < moment:
                if self._over.wait(0.0005):
                    return
            self._over.wait(self._chance.uniform(0, 0.01))
            while not (pids := self._workers()):
                if self._over.wait(0.0005):
                    return
            os.kill(self._chance.choice(pids), signal.SIGKILL)
            self.killed += 1


def local_workers() -> list[int]:
    return [process.pid for process in multiprocessing.active_children() if process.pid]


def ray_workers() -> list[int]:
    """Processes that have a task of Ray's in hand, by what they call themselves."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = path.read_bytes()
        except OSError:
            continue
        if said.startswith(b"ray::") and not said.startswith(b"ray::IDLE"):
            found.append(int(path.parent.name))
    return found


def kills(_: argparse.Namespace) -> list[Goal]:
    items = [f"item {n}" for n in range(KILLED_AMONG)]
    work = parts.Work(note, lost, None)
    goals: list[Goal] = []
    rivals: dict[str, tuple[Executor, Callable[[], list[int]]]] = {"local": (Local(JOBS), local_workers)}
    if (cluster := ray()) is not None:
        rivals["ray"] = (cluster, ray_workers)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "serial")
        expected = parts.run(out, "note", "plan", items, work, Serial(), SILENT, 1)
        for name, (executor, workers) in rivals.items():
            with Killer(workers) as killer:
                began = time.perf_counter()
                found = parts.run(Path(scratch, name), "note", "plan", items, work, executor, killer, 1)
                seconds = time.perf_counter() - began
            same = digest(Path(scratch, name), "*.jsonl") == digest(out, "*.jsonl")
            wrong = sum(one != other for one, other in zip(found, expected, strict=True))
            say(
                f"kills: {name}: {killer.killed} processes killed among {len(items):,} tasks, {seconds:.1f} s; {load()}"
            )
            goals += [
                none("kills", f"{name}: tasks lost, done twice or otherwise", wrong),
                none("kills", f"{name}: folders that differ from serial's", int(not same)),
                at_least("kills", f"{name}: processes killed", killer.killed, KILLS),
            ]
    if "ray" not in rivals:
        goals.append(not_measured("kills", "ray: tasks lost, done twice or otherwise", "0"))
    return goals


PARTS: dict[str, Callable[[argparse.Namespace], list[Goal]]] = {
    "limit": limit, "overhead": overhead, "chain": chain, "kills": kills,
}  # fmt: skip


def words(text: str) -> list[str]:
    """Parts, with commas between."""
    names = text.split(",")
    if strange := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"{strange[0]!r} is none of {', '.join(PARTS)}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of photos")
    parser.add_argument("--only", type=words, default=list(PARTS), metavar="PART,…", help="measure these parts")
    parser.add_argument("--pictures", type=int, default=480, metavar="N", help="photographs; tasks are of 64")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="of chain")
    given = parser.parse_args()
    os.environ |= SURROUNDINGS  # for this process too, before OpenCV is imported
    goals: list[Goal] = []
    for name in given.only:
        goals += PARTS[name](given)
        say()
    table(goals)


if __name__ == "__main__":
    main()
