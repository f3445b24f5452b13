"""The decision step over a million Records of pictures that nobody took: `gravurekit.stages._judge.judged`, from what
was measured to kept and dropped Records, the join of codes taken off and shown apart.

One picture in ten has the pixels of another one; one in fifty is a near copy (up to 7 bits of each code turned over);
some fail each of the filters, nine in ten get to the comparing ones. Codes are random, so no others are alike. Thumbs
are a few that all pictures share, because it isn't their reading that is measured; near copies share one.

The join itself is measured by bench/filter_join.py. The filter does it four times, because pictures have several frames
that may fit. Above EXACT pictures a stand-in takes its place: near copies have the last 64 bits of their code in common
here, so that equal ones are enough to find them. The time of either is taken off.
"""

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import time

import numpy as np
from filter_goals import Goal, at_most, say

from gravurekit import hamming, quality
from gravurekit.filters import Compare
from gravurekit.probe import FIGURES, NAMES, THUMBS, Probes
from gravurekit.record import Record
from gravurekit.stages import _judge

COUNT = 1_000_000
EXACT = 100_000  # pictures, up to which the real join runs
MINUTES = 5
THUMB_COUNT = 4096
SAME_PIXELS, NEAR = 10, 50  # one picture in so many
LABELS = ("dress", "coat", "kaftan", "skirt", "cloak", "suit", "hat", "cape")
TYPICAL = {  # mean and spread of what is measured of photographs
    "chroma": (20, 8), "chroma_residual": (12, 4), "dark": (0.9, 0.1), "light": (0.15, 0.15), "entropy": (7, 0.8),
    "spread": (55, 12), "sharpness": (600, 300), "drawn": (0.9, 0.12), "flat": (0.15, 0.15), "ruled": (0.08, 0.04),
    "vivid": (0.5, 0.15), "text": (0.1, 0.1),
}  # fmt: skip


def records(count: int) -> list[Record]:
    """As a crawl leaves them."""
    chance = np.random.default_rng(0)
    digests = chance.integers(0, 256, (count, 32), np.uint8)
    found = []
    for n in range(count):
        sha256 = digests[n].tobytes().hex()
        label = LABELS[n % len(LABELS)]
        found.append(
            Record(
                key=sha256[:16], file_name=f"images/{sha256[:16]}.jpg", sha256=sha256, width=800, height=600,
                labels=(label,), keywords=(f"red {label}",), source="bing", rank=1 + n // len(LABELS) % 500,
                url=f"https://host{n % 997}.example.org/collection/{n}/{sha256[:16]}.jpg",
                page_url=f"https://www.example.org/pages/{n}", title=f"A woman in a red {label}, № {n}",
            )
        )  # fmt: skip
    return found


def probes(count: int) -> Probes:
    chance = np.random.default_rng(1)
    found = records(count)
    figures = np.zeros(count, FIGURES)
    figures["sha256"] = np.frombuffer(bytes.fromhex("".join(item.sha256 for item in found)), np.uint8).reshape(-1, 32)
    figures["pixels_sha256"] = chance.integers(0, 256, (count, 32), np.uint8)
    figures["bytes"] = chance.integers(20_000, 400_000, count)
    figures["width"], figures["height"] = chance.integers(400, 1300, count), chance.integers(480, 1600, count)
    figures["frame"][:, 2], figures["frame"][:, 3] = figures["width"], figures["height"]
    figures["extension"] = NAMES.index("jpg")
    figures["phash"] = chance.integers(0, 2**64, figures["phash"].shape, np.uint64)
    for name in ("chroma", "chroma_residual", *quality.FIGURES):
        mean, spread = TYPICAL.get(name, (0.5, 0.1))
        figures[name] = np.abs(chance.normal(mean, spread, count))
    codes = chance.integers(0, 2**64, figures["codes"].shape, np.uint64)
    codes[:, 1] = codes[:, 0]  # no margin
    places = chance.integers(0, THUMB_COUNT, count)
    first = count // SAME_PIXELS + count // NEAR  # those before are copies of some behind
    originals = first + chance.permutation(count - first)[:first]
    codes[:first], places[:first] = codes[originals], places[originals]
    same = count // SAME_PIXELS
    figures["pixels_sha256"][:same] = figures["pixels_sha256"][originals[:same]]
    for row in range(same, first):
        flipped = chance.integers(0, 192, 7).astype(np.uint64)  # not in the last 64 bits
        mask = np.zeros(4, np.uint64)
        np.bitwise_or.at(mask, flipped // np.uint64(64), np.uint64(1) << flipped % np.uint64(64))
        codes[row] ^= mask
    figures["codes"] = codes
    thumbs = np.zeros(THUMB_COUNT, THUMBS)
    thumbs["luma"] = chance.integers(0, 256, thumbs["luma"].shape, np.uint8)
    thumbs["ab"] = 128
    return Probes(found, figures, thumbs, places, homes=np.zeros(count, np.int64))


class Clock:
    """Takes the time of `hamming.near`, or of what stands in for it."""

    def __init__(self, real: bool) -> None:
        self.seconds, self.joined = 0.0, 0
        self._near = hamming.near if real else by_last_word

    def near(self, queries: np.ndarray, targets: np.ndarray, radius: int, threads: int | None = None) -> hamming.Near:
        began = time.perf_counter()
        found = self._near(queries, targets, radius)
        self.seconds += time.perf_counter() - began
        self.joined += len(queries) * len(targets)
        return found


def by_last_word(queries: np.ndarray, targets: np.ndarray, radius: int) -> hamming.Near:
    """Of `hamming.near` the pairs whose last 64 bits are equal."""
    order = np.argsort(queries[:, 3], kind="stable")
    words = queries[order, 3]
    low = np.searchsorted(words, targets[:, 3], "left")
    matched = np.flatnonzero((low < len(words)) & (words[np.minimum(low, len(words) - 1)] == targets[:, 3]))
    times = np.searchsorted(words, targets[matched, 3], "right") - low[matched]
    target = np.repeat(matched, times)
    within = np.arange(len(target)) - np.repeat(np.cumsum(times) - times, times)
    query = order[np.repeat(low[matched], times) + within]
    distance = np.bitwise_count(queries[query] ^ targets[target]).sum(axis=1, dtype=np.int16)
    found = np.flatnonzero(distance <= radius)
    found = found[np.lexsort((target[found], distance[found], query[found]))]
    return hamming.Near(query[found], target[found], distance[found])


def part(count: int, profile: str) -> dict[str, float]:
    """The measurement, in this process: seconds without the join and of the join, pictures kept and dropped, peak of
    memory in GB before and after."""
    made = probes(count)
    chance = np.random.default_rng(2)
    scores = {"figure": chance.random(count, np.float32)}
    by_hand = {made.records[row].key: bool(row % 2) for row in chance.integers(0, count, 1000).tolist()}
    tables = {"blurred": {"min_sharpness": 20.0}}
    rules = _judge.Rules("photos", (), tables, {"figure": 0.05}, count // 9, "figure", by_hand)
    clock, before = Clock(count <= EXACT), _peak()
    hamming.near, opened = clock.near, []

    def proofs(_: Probes, pairs: list) -> list[str]:
        opened.extend(pairs)
        return [""] * len(pairs)

    watcher = cProfile.Profile()
    began = time.perf_counter()
    if profile:
        watcher.enable()
    kept, dropped = _judge.judged(made, scores, None, rules, Compare(proofs))
    watcher.disable()
    seconds = time.perf_counter() - began
    if profile:
        pstats.Stats(watcher, stream=sys.stderr).sort_stats(profile).print_stats(45)
    reasons: dict[str, int] = {}
    for item in dropped:
        reasons[item.reason] = reasons.get(item.reason, 0) + 1
    assert len(kept) + len(dropped) == count
    return {
        "seconds": seconds - clock.seconds, "join": clock.seconds, "joined": clock.joined, "kept": len(kept),
        "reasons": reasons, "opened": len(opened), "before": before, "GB": _peak(),
    }  # type: ignore[dict-item]  # fmt: skip


def _peak() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def run(up_to: int) -> list[Goal]:
    """Measure, for `up_to` Records at most; in a process of its own, so that memory is its own."""
    count = min(up_to, COUNT)
    command = [sys.executable, __file__, "--part", str(count)]
    seen = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    how = "the real join" if count <= EXACT else "a stand-in"
    say(f"decide: {count:,} Records, {seen['kept']:,} kept; dropped: {seen['reasons']}")
    say(f"  {seen['seconds']:.1f} s besides the join ({1e6 * seen['seconds'] / count:.0f} µs a Record)")
    say(f"  join: {seen['join']:.1f} s by {how}, {seen['joined'] / 1e9:.1f} G pairs of codes; {seen['opened']} to open")
    say(f"  peak of memory {seen['GB']:.2f} GB; {seen['before']:.2f} GB of it before the step began")
    size = f"{count:,} Records" + ("" if count == COUNT else " (not the goal's 1,000,000)")
    return [at_most("decide", f"{size} besides the join", seen["seconds"] / 60, MINUTES, " min")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--up-to", type=int, default=COUNT, metavar="N", help="the number of Records")
    parser.add_argument("--profile", default="", metavar="ORDER", help="also where the time goes: tottime or cumtime")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part or given.profile:
        sys.stdout.write(json.dumps(part(given.part or given.up_to, given.profile)) + "\n")
    else:
        run(given.up_to)


if __name__ == "__main__":
    main()
