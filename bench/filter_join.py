"""The exact join of 256-bit codes: how long it takes, beside what the processor allows and beside its peers.

    python bench/filter_join.py [--up-to 1000000]

Random codes, a tenth of them near duplicates of others (0 to as many bits turned over as the filter lets differ in a
candidate); all pairs within that radius. "the filter's" is all that the filter joins by default: the codes of the
frames with one another, and with those of two windows, there and back.

- the limit: a pair is four counts of 64 bits; times the counts a cycle that the processor can do, times its clock (from
  a chain of multiplications, none of which can begin before the last has ended), times its cores. Bounds that count
  half as often can come near it or pass it.
- "a core" is by the processor time used, whatever else ran on the machine; "pairs/s" by the clock on the wall.
- peers, each in turn with ours, in a process of its own: `numpy.bitwise_count` over everything, and faiss
  (IndexBinaryFlat.range_search), which compares every code with all, so each pair twice.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from filter_goals import Goal, at_most

from gravurekit import hamming
from gravurekit.filters import duplicate
from gravurekit.filters._join import Candidates, Edges, Join
from gravurekit.probe import BARLESS, CENTRE, FIGURES, THUMBS, Probes

RADIUS = duplicate.Settings().candidate_distance
ROUNDS = 3  # of the small sizes, the best of which counts
SIZES = (10_000, 100_000, 1_000_000)
GOALS, GIGABYTES = {100_000: 10, 1_000_000: 600}, 2  # seconds on two cores
PEERS = ((10_000, "numpy"), (10_000, "faiss"), (100_000, "faiss"))


def codes(count: int) -> np.ndarray:
    """(count, 4) uint64: nine tenths at random, the rest copies of those with 0 to RADIUS of their bits turned over."""
    chance = np.random.default_rng(0)
    made = chance.integers(0, 2**64, (count, 4), np.uint64)
    for row in range(count - count // 10, count):
        octets = np.zeros(hamming.BITS, np.uint8)
        octets[chance.choice(hamming.BITS, row % (RADIUS + 1), replace=False)] = 1
        made[row] = made[chance.integers(count - count // 10)] ^ np.packbits(octets).view(np.uint64)
    return made


def by_numpy(made: np.ndarray) -> int:
    """All pairs i < j within the radius, a row at a time."""
    found = 0
    for row in range(len(made)):
        distances = np.bitwise_count(made[row + 1 :] ^ made[row]).sum(axis=1, dtype=np.uint16)
        found += int((distances <= RADIUS).sum())
    return found


def by_faiss(made: np.ndarray) -> int:
    import faiss

    index = faiss.IndexBinaryFlat(hamming.BITS)
    index.add(made.view(np.uint8))
    ends, _, _ = index.range_search(made.view(np.uint8), RADIUS + 1)  # it gives what is nearer than the radius
    return int((ends[-1] - len(made)) // 2)


def by_gpu(made: np.ndarray) -> int:
    return (len(hamming.near_on_gpu(made, made, RADIUS)) - len(made)) // 2


class _Counting(Join):
    """The join of the filter; candidates are counted, and not judged."""

    count = 0

    def _edges(self, found: Candidates, judge: Callable[[Candidates], Edges]) -> Iterator[Edges]:
        self.count += len(found.one)
        return iter(())


def by_filter(made: np.ndarray) -> int:
    """Pictures without margins, whose windows' codes are some bits from their own."""
    chance = np.random.default_rng(1)
    figures = np.zeros(len(made), FIGURES)
    figures["codes"] = made[:, None]
    for window in (CENTRE, BARLESS):
        octets = chance.integers(0, 10, (len(made), hamming.BITS // 64, 64), np.uint8) == 0
        figures["codes"][:, window] ^= np.packbits(octets, axis=-1).view(np.uint64)[..., 0]
    probes = Probes([], figures, np.zeros(0, THUMBS), np.arange(len(made)))
    joining = _Counting(probes, np.arange(len(made)), 0, duplicate.Settings(), False)
    joining.edges()
    return joining.count


CONTESTANTS: dict[str, Callable[[np.ndarray], int]] = {
    "ours": lambda made: len(hamming.pairs(made, RADIUS)),
    "the filter's": by_filter,
    "numpy": by_numpy,
    "faiss": by_faiss,
    "GPU": by_gpu,
}


def part(name: str, count: int) -> dict[str, float]:
    """One measurement, in this process: seconds by the wall and by the processor, pairs found, peak of memory in GB."""
    made, join = codes(count), CONTESTANTS[name]
    join(made[:1000])  # imports, compiles
    best, used = float("inf"), 0.0
    for _ in range(ROUNDS if count <= 100_000 else 1):
        began, spent = time.perf_counter(), time.process_time()
        found = join(made)
        if time.perf_counter() - began < best:
            best, used = time.perf_counter() - began, time.process_time() - spent
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
    return {"seconds": best, "used": used, "found": found, "GB": peak}


def limit() -> tuple[float, str]:
    """Pairs a second on one core, and why."""
    import llvmlite.binding as llvm
    import numba

    def chain(steps: int) -> int:
        x = 3
        for _ in range(steps):
            x = x * x  # 3 cycles
        return x

    run, hertz = numba.njit(chain), 0.0
    run(1)
    for _ in range(10):
        began = time.thread_time()
        run(50_000_000)
        hertz = max(hertz, 50_000_000 * 3 / (time.thread_time() - began))
    wide = llvm.get_host_cpu_features().get("avx512vpopcntdq", False)
    counts = 8 if wide else 1
    how = "VPOPCNTQ on 512 bits" if wide else "POPCNT; shuffles on vectors may do more"
    return hertz * counts / 4, f"{hertz / 1e9:.2f} GHz, {counts} counts a cycle ({how})"


def measured(name: str, count: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", name, str(count)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def ours(up_to: int, core: float, cores: int) -> list[Goal]:
    columns = {
        "codes": 12,
        "s": 9,
        "Gpairs/s": 10,
        "of limit": 10,
        "a core": 10,
        " of limit": 10,
        "peak GB": 9,
        "found": 9,
    }
    say("".join(f"{name:>{width}}" for name, width in columns.items()))
    last, goals = None, []
    for count in (size for size in SIZES if size <= up_to):
        last, all_pairs = measured("ours", count), count * (count - 1) / 2
        wall, used = all_pairs / last["seconds"], all_pairs / last["used"]
        say(
            f"{count:12,}{last['seconds']:9.2f}{wall / 1e9:10.2f}{wall / core / cores:10.0%}"
            f"{used / 1e9:10.2f}{used / core:10.0%}{last['GB']:9.2f}{last['found']:9,}"
        )
        if count in GOALS:
            goals.append(at_most("join", f"{count:,} codes", last["seconds"], GOALS[count], " s"))
        if count == max(GOALS):
            goals.append(at_most("join", f"{count:,} codes, peak of memory", last["GB"], GIGABYTES, " GB"))
    if last:
        largest = max(size for size in SIZES if size <= up_to)
        hours = last["seconds"] * (10_000_000 / largest) ** 2 / 3600
        say(f"{10_000_000:12,}   {hours:.1f} hours, extrapolated from {largest:,} by the square")
    return goals


def filters(up_to: int) -> list[Goal]:
    """All joins that the filter makes, at the sizes of the goals."""
    goals = []
    for count in (size for size in GOALS if size <= up_to):
        seen = measured("the filter's", count)
        say(f"all of the filter's joins at {count:,}: {seen['seconds']:.1f} s, {seen['GB']:.2f} GB")
        goals.append(at_most("join", f"{count:,} pictures, the filter's joins", seen["seconds"], GOALS[count], " s"))
        if count == max(GOALS):
            goals.append(at_most("join", "the filter's joins, peak of memory", seen["GB"], GIGABYTES, " GB"))
    return goals


def peers(up_to: int) -> None:
    for count, name in (peer for peer in PEERS if peer[0] <= up_to):
        if name == "faiss" and importlib.util.find_spec("faiss") is None:
            say(f"{name} at {count:,}: not installed")
            continue
        us, them = measured("ours", count), measured(name, count)
        agreed = "the same pairs" if us["found"] == them["found"] else f"{them['found']} pairs, ours {us['found']}"
        ratio, by_core = them["seconds"] / us["seconds"], them["used"] / us["used"]
        say(
            f"{name} at {count:,}: {them['seconds']:.2f} s, ours {us['seconds']:.3f} s: × {ratio:.1f}"
            f" (by processor time × {by_core:.1f}); {agreed}"
        )


def gpu(up_to: int) -> None:
    import torch

    if not torch.cuda.is_available():
        say("GPU: not measured")
        return
    for count in (1_000_000, 10_000_000) if up_to >= 1_000_000 else (up_to,):
        seen = measured("GPU", count)
        say(f"GPU ({torch.cuda.get_device_name()}) at {count:,}: {seen['seconds']:.1f} s, {seen['found']:,} pairs")


def run(up_to: int) -> list[Goal]:
    core, how = limit()
    cores = hamming._cores()
    say(f"limit: {core * cores / 1e9:.1f} Gpairs/s on {cores} cores, {core / 1e9:.1f} on one: {how}")
    goals = ours(up_to, core, cores) + filters(up_to)
    peers(up_to)
    gpu(up_to)
    return goals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--up-to", type=int, default=SIZES[-1], metavar="N", help="the largest size measured")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:  # in a process of its own, so that memory is its own
        sys.stdout.write(json.dumps(part(given.part[0], int(given.part[1]))) + "\n")
    else:
        run(given.up_to)


if __name__ == "__main__":
    main()
