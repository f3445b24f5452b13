"""How fast shards are written and read beside what the machine allows and beside other formats, and with how much memory.

    python bench/shards.py [--only limits,read,write,memory,loader,gpu] [--samples N] [--rounds N] [--peers DIR] [--place DIR]

- limits: memory to memory by one thread and by two, checksums, the disk.
- read: 4,000 samples 256 × 256 in three planes (L + ab), uint8, batches of 64 into the same buffers again and again, from
  the page cache, in the order in which they lie and in a random one. Each contestant is a process of its own (in
  bench/shards_peers.py) that writes the same samples in its own format, reads some and compares; then all take rounds in
  turn. The share of the limit is of the memcpy that the same process does right before and after each round, by the
  clock on the wall and by processor time, which other work on the machine disturbs less; of the rounds, the median
  counts. "first pass": the set is opened anew each time, and every sample's checksum is proved. "written": MB/s until
  all is on the disk; only ours takes checksums.
- write: samples of 4 planes (L + Lab of the wash) out of memory, with crc32, sha256 and fsync.
- memory: the peak of a process that writes 100,000 samples, 64 × 64 so that they take 1.6 GB of disk, and of one that
  writes fewer of 256 × 256; and that of `gravurekit shard`, its Records and index included (`--staged`; Linux only).
- loader: batches for a loop that does nothing, and the share of the time that it waited for them. "a core": samples a
  second of processor time, whatever else ran on the machine.
- gpu: the same with a CUDA device, all samples resident there, or read ahead through page-locked memory.

Other people's libraries are installed into folders of their own, once, with pip, without torch (`--peers`). The samples
lie in a temporary folder on the disk of `--place`: 7 GB for 4,000. Figures are wall time: they hold for an idle machine.
"""  # noqa: E501

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filter_goals import Goal, at_least, least, say, table
from shards_memory import memory
from shards_ours import BATCH, OURS, THREADS, TRAINED, Way, feed, noise, opened, split, stand_in, write
from shards_peers import CONTESTANTS, PEERS, copied, installed

from gravurekit.shards.reader import ShardSet

PARTS = ("limits", "read", "write", "memory", "loader", "gpu")
SIDE = 256
GOAL, REACH = 0.75, 0.85  # of memcpy
WRITTEN = 2048  # samples of the part write: 537 MB
GIVEN = 40_000  # samples of a run of the loader
LOADED = (16, 64)  # batches: the trainer's default, and those of the part read
HOMES = {name: "gravurekit" for name in OURS} | {"memcpy from RAM": "npy", "np.memmap": "npy"}


def source(place: Path, count: int) -> Path:
    """L.npy (count, 1, 256, 256) and ab.npy (count, 2, 256, 256): noise, which no format can make smaller."""
    home = place / "source"
    home.mkdir()
    chance = np.random.default_rng(0)
    for name, planes in (("L", 1), ("ab", 2)):
        np.save(home / f"{name}.npy", chance.integers(0, 256, (count, planes, SIDE, SIDE), np.uint8))
    return home


def per_second(work: Callable[[], Any], amount: float, rounds: int) -> list[float]:
    """`amount` over the seconds that `work` takes, of each round."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append(amount / (time.perf_counter() - began))
    return found


def spread(found: list[float], scale: float = 1, form: str = ",.0f") -> str:
    """The median, and from which to which."""
    median, low, high = (format(value / scale, form) for value in (statistics.median(found), min(found), max(found)))
    return f"{median} [{low} to {high}]"


# ---- limits ----------------------------------------------------------------------------------------------


def limits(place: Path, rounds: int) -> None:
    chance = np.random.default_rng(0)
    arrays = {
        name: chance.integers(0, 256, (1024, planes, SIDE, SIDE), np.uint8) for name, planes in (("L", 1), ("ab", 2))
    }
    say("limits")
    for threads in (1, 2):
        found = per_second(lambda threads=threads: memcpy(arrays, threads), 4 * 1024, rounds)
        say(f"  memcpy, {threads} thread{'s' * (threads > 1)}, random order {spread(found):>34} samples/s")
    octets = arrays["ab"].reshape(-1).data
    gigabytes = len(octets) / 1e9
    for name, work in (("crc32", zlib.crc32), ("sha256", hashlib.sha256)):
        found = per_second(lambda work=work: work(octets), gigabytes, rounds)
        say(f"  {name:34}{spread(found, form='.2f'):>26} GB/s")
    found = per_second(lambda: to_disk(place / "limit", octets), len(octets) / 1e6, rounds)
    say(f"  disk: write and fsync, {len(octets) / 1e6:.0f} MB{spread(found):>31} MB/s")


def memcpy(arrays: dict[str, np.ndarray], threads: int) -> None:
    """Each sample of `arrays` four times, by threads that fill a batch of their own each."""

    def copy(seed: int) -> None:
        buffers = {name: np.full((BATCH, *array.shape[1:]), 255, np.uint8) for name, array in arrays.items()}
        for _ in range(4 // threads):
            order = np.random.default_rng(seed).permutation(len(arrays["L"]))
            for _ in copied(arrays, order, buffers):
                pass

    workers = [threading.Thread(target=copy, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def to_disk(path: Path, octets: memoryview) -> None:
    with open(path, "wb", buffering=0) as file:
        for begin in range(0, len(octets), 1 << 20):
            file.write(octets[begin : begin + (1 << 20)])
        os.fsync(file.fileno())
    path.unlink()


# ---- read ------------------------------------------------------------------------------------------------


class Process:
    """A contestant in a process of its own. `failed`: why it can't take part."""

    def __init__(self, name: str, place: Path, samples: Path, peers: Path) -> None:
        self.name, self.failed = name, ""
        self.modes: list[str] = []
        self.written: dict[str, Any] = {}
        self.rates: dict[str, list[float]] = {}
        self.shares: dict[str, list[float]] = {}
        self.used: dict[str, list[float]] = {}
        path = [str(Path(__file__).parent.parent)]
        if name in PEERS:
            try:
                path.append(str(installed(name, peers)))
            except OSError as error:
                self.failed = f"not installed: {error}"
                return
        home = place / HOMES.get(name, name.lower().replace(" ", "-"))
        command = [sys.executable, str(Path(__file__).with_name("shards_peers.py")), name, str(home), str(samples)]
        told = os.environ | {
            "PYTHONPATH": os.pathsep.join([*path, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        fresh = not home.exists()
        home.mkdir(exist_ok=True)
        self._process = subprocess.Popen(command, env=told, text=True, **pipes)
        self.written = self.ask("write") if fresh else {}
        self.modes = self.ask("open").get("modes", [])

    def ask(self, *command: object) -> dict[str, Any]:
        """Its answer; empty, with the reason in `failed`, if it has none."""
        if self.failed:
            return {}
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            answer = {"failed": f"its process ended with {self._process.wait()}"}
        if "failed" in answer:
            self.failed = f"{command[0]}: {answer['failed']}"
            return {}
        return answer

    def take_round(self, seed: int) -> None:
        for mode in self.modes:
            if answer := self.ask("round", mode, seed):
                self.rates.setdefault(mode, []).append(answer["rate"])
                self.shares.setdefault(mode, []).append(answer["share"])
                self.used.setdefault(mode, []).append(answer["share used"])

    def end(self) -> None:
        if hasattr(self, "_process"):
            self._process.stdin.close()
            self._process.wait()


def read(place: Path, count: int, rounds: int, peers: Path, names: list[str]) -> list[Goal]:
    samples = source(place, count)
    processes = []
    for name in names:
        sys.stderr.write(f"{name}: installing, writing\n")
        processes.append(Process(name, place, samples, peers))
    for n in range(rounds):
        sys.stderr.write(f"round {n + 1} of {rounds}\n")
        for process in processes:
            process.take_round(n)
    say(f"\nread: {count:,} samples of 3 × {SIDE} × {SIDE}, batches of {BATCH}, {rounds} rounds in turn")
    say(f"{'':44}{'samples/s, median [range]':>27}{'of memcpy':>20}{'by processor':>20}{'written':>9}")
    for process in processes:
        row(process, samples)
        process.end()
    return [goal for process in processes if process.name in OURS for goal in reached(process)]


def row(process: Process, samples: Path) -> None:
    if process.failed:
        say(f"{process.name:34}not measured: {process.failed}")
        return
    megabytes = sum(path.stat().st_size for path in samples.iterdir()) / 1e6
    speed = f"{megabytes / process.written['synced']:,.0f}" if process.written else ""
    for n, mode in enumerate(process.modes):
        wall, used = (spread([100 * share for share in found[mode]]) + " %" for found in (process.shares, process.used))
        name, written = ("", "") if n else (process.name, speed)
        say(f"{name:33}{mode:11}{spread(process.rates[mode]):>27}{wall:>20}{used:>20}{written:>9}")


def reached(process: Process) -> list[Goal]:
    """The goals of what is ours and is meant to reach them: after the first touch, by memory map."""
    if process.name != "gravurekit" or process.failed:
        return []
    goals = []
    for mode in process.modes:
        wall, used = (statistics.median(found[mode]) for found in (process.shares, process.used))
        goals.append(least("read", f"{mode}: of memcpy, on the wall", wall, GOAL))
        goals.append(least("read", f"{mode}: of memcpy, by processor time", used, GOAL))
        goals.append(least("read", f"{mode}: the same, reach", used, REACH))
    return goals


# ---- write -----------------------------------------------------------------------------------------------


def writing(place: Path, rounds: int) -> list[Goal]:
    octets = np.random.default_rng(0).integers(0, 256, WRITTEN * 4 * SIDE * SIDE, np.uint8).data
    megabytes, ours, plain = len(octets) / 1e6, [], []
    for n in range(rounds):
        os.sync()
        plain += per_second(lambda: to_disk(place / "plain", octets), megabytes, 1)
        home = place / f"written-{n}"
        ours += per_second(lambda home=home: write(home, noise(WRITTEN, SIDE), WRITTEN, (SIDE, SIDE)), megabytes, 1)
        if not n:
            compare(home)
        for path in home.iterdir():
            path.unlink()
    say(f"\nwrite: {WRITTEN:,} samples of 4 × {SIDE} × {SIDE}, {megabytes:.0f} MB; MB/s")
    say(f"  gravurekit, with crc32, sha256, fsync {spread(ours):>26}")
    say(f"  one file, with fsync                  {spread(plain):>26}")
    return [at_least("write", "with checksums and fsync", statistics.median(ours), 300, " MB/s")]


def compare(home: Path) -> None:
    """That what was written is there, at some places."""
    found = opened(home, Way())
    numbers = np.arange(0, WRITTEN, 111)
    read_back = found.batch(numbers)
    for place, sample in enumerate(noise(WRITTEN, SIDE)):
        if place in numbers:
            row = int(np.flatnonzero(numbers == place)[0])
            if not np.array_equal(read_back["ab"][row], sample.planes["wash"][1:]):
                sys.exit(f"sample {place} isn't what was written")


# ---- loader ----------------------------------------------------------------------------------------------


class Fed(NamedTuple):
    """One run: samples a second; the same a second of processor time; the share of the time that was spent waiting."""

    rate: float
    core: float
    waiting: float


def timed(work: Callable[[], float], count: int) -> Fed:
    """`work` gives the seconds that it spent waiting."""
    began, used = time.perf_counter(), time.process_time()
    waited = work()
    seconds, used = time.perf_counter() - began, time.process_time() - used
    return Fed(count / seconds, count / used, waited / seconds)


def loader(place: Path, count: int, rounds: int) -> list[Goal]:
    """The feed beside what two threads that do nothing but copy, or read, can give, in turn."""
    home, order = fed_from(place, count)
    samples = opened(home, Way(), TRAINED)
    say(f"\nloader: {GIVEN:,} samples of 3 × {SIDE} × {SIDE} in random order, for a loop that does nothing")
    say(f"{'':36}{'samples/s, median [range]':>30}{'a core':>10}{'waiting':>9}")
    goals = []
    for batch in LOADED:
        found = contest(samples, order, batch, rounds)
        for name, runs in found.items():
            core, waiting = (statistics.median(getattr(run, what) for run in runs) for what in ("core", "waiting"))
            say(f"  {name:34}{spread([run.rate for run in runs]):>30}{core:>10,.0f}{waiting:>9.0%}")
        rate = statistics.median(run.rate for run in found[f"gravurekit.model.feed, batch {batch}"])
        goals.append(at_least("loader", f"samples/s in batches of {batch}", rate, 80_000))
    return goals


def contest(samples: ShardSet, order: np.ndarray, batch: int, rounds: int) -> dict[str, list[Fed]]:
    """Runs by name, `rounds` of each, in turn."""
    batches = split(order, batch)
    ring = [samples.buffers(batch) for _ in range(THREADS + 2)]
    arrays = samples.batch(np.arange(min(len(samples), 1024)))  # for the limit

    def copy(numbers: np.ndarray, buffers: dict[str, np.ndarray]) -> None:
        for name, array in arrays.items():
            np.take(array, numbers % len(array), axis=0, out=buffers[name][: len(numbers)], mode="clip")

    def by_feed() -> float:
        answer = feed(samples, order, batch, "cpu", "read ahead")
        return answer["waiting"] * len(order) / answer["rate"] if answer else 0.0

    runs = {
        f"memcpy, batch {batch}": lambda: stand_in(copy, batches, ring),
        f"ShardSet alone, batch {batch}": lambda: stand_in(samples.batch, batches, ring),
        f"gravurekit.model.feed, batch {batch}": by_feed,
    }
    found: dict[str, list[Fed]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, work in runs.items():
            found[name].append(timed(work, len(order)))
    return found


def fed_from(place: Path, count: int) -> tuple[Path, np.ndarray]:
    """A shards folder, written if it isn't there, and the order in which its samples are asked for."""
    home = place / "fed"
    if not home.exists():
        write(home, noise(count, SIDE), count, (SIDE, SIDE))
    chance = np.random.default_rng(0)
    return home, np.concatenate([chance.permutation(count) for _ in range(-(-GIVEN // count))])[:GIVEN]


def gpu(place: Path, count: int, rounds: int) -> None:
    import torch

    say("\ngpu: the same, on a CUDA device")
    if not torch.cuda.is_available():
        say("  not measured: no CUDA device")
        return
    home, order = fed_from(place, count)
    samples = opened(home, Way(), TRAINED)
    say(f"  {torch.cuda.get_device_name()}")
    for batch in LOADED:
        for way in ("resident", "pinned"):
            runs = [fed for _ in range(rounds) if (fed := feed(samples, order, batch, "cuda", way))]
            if not runs:
                say(f"  {way}, batch {batch}: not measured, because the feed goes another way")
                continue
            waiting = statistics.median(fed["waiting"] for fed in runs)
            name, rates = f"{way}, batch {batch}", spread([fed["rate"] for fed in runs])
            say(f"  {name:34}{rates:>30}{'':10}{waiting:>9.0%}")


# ---- all -------------------------------------------------------------------------------------------------


def machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}; load {load}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scratch = Path(tempfile.gettempdir())
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,…")
    parser.add_argument("--samples", type=int, default=4000, metavar="N")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--staged", type=int, default=10_000, metavar="N", help="pictures for the whole stage")
    parser.add_argument("--contestants", metavar="NAME;…", help="of the part read; by default all")
    parser.add_argument("--peers", type=Path, default=scratch / "gravurekit-bench", help="where peers are installed")
    parser.add_argument("--place", type=Path, default=scratch, help="a folder on the disk that is measured")
    given = parser.parse_args()
    wanted = given.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    names = given.contestants.split(";") if given.contestants else in_order()
    if unknown := set(names) - set(in_order()):
        parser.error(f"no contestant {', '.join(sorted(unknown))}; there are {'; '.join(in_order())}")
    say(machine())
    with tempfile.TemporaryDirectory(dir=given.place, prefix="gravurekit-bench-") as folder:
        place = Path(folder)
        goals = []
        if "limits" in wanted:
            limits(place, given.rounds)
        if "read" in wanted:
            goals += read(place, given.samples, given.rounds, given.peers, names)
        if "write" in wanted:
            goals += writing(place, given.rounds)
        if "memory" in wanted:
            goals += memory(place, given.staged)
        if "loader" in wanted:
            goals += loader(place, given.samples, given.rounds)
        if "gpu" in wanted:
            gpu(place, given.samples, given.rounds)
    say()
    table(goals)


def in_order() -> list[str]:
    """Memcpy first, then ours, then the others."""
    first, *others = CONTESTANTS
    return [first, *OURS, *others]


if __name__ == "__main__":
    main()
