"""What a picture takes, stage by stage, and from that what ten million take: disk, cores, memory, the wire.

    python bench/costs.py DATA [--pictures 400] [--json MEASURED.json] [--up-to 1000000]

DATA: a folder with `photos` and `figures`, of which as many of either are taken. What is measured is written as JSON;
all arithmetic is in bench/costs_sums.py, which makes the tables of it, for other numbers too.

- bytes: of what each stage leaves, by kind. A clean folder's pictures are hard links: they take nothing.
- core_seconds: processor time of tasks, a picture, once libraries are there and kernels compiled; of ROUNDS the least.
- steps: what the leading process does to all Records: reading and writing them, handing them out in tasks that do
  nothing (a file for each task), what the filter decides without its join. With made-up Records.
- join: all of the filter's joins, as bench/filter_join.py measures them: processor time over this machine's cores.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from costs_sums import tables
from executors import Timed, load
from filter_decide import part as decided
from filter_goals import say
from metadata import records

from gravurekit import crafts, foreign, metadata, parts
from gravurekit.progress import SILENT
from gravurekit.stages import crawl, filter, shard, stylize
from gravurekit.workers import SURROUNDINGS

ROUNDS = 2
SIZES = (10_000, 100_000)  # of Records
STYLES = ("engrave", "cartoon")
SHAPES = ("224", "256x384")
CHAIN = ("crawl: decoding", "filter: probing", "stylize: engrave", "shard: 256x384")
READ, WRITE, HAND_OUT, DECIDE = "reading Records", "writing Records", "handing out tasks", "deciding"
# crawl writes; filter, stylize and shard read and write; each of the four hands out tasks
TIMES = {READ: 3, WRITE: 4, HAND_OUT: 4, DECIDE: 1}


# ---- a sample of real pictures ---------------------------------------------------------------------------


def sample(data: Path, count: int, place: Path) -> int:
    """Copy as many photographs of garments as of people, evenly chosen."""
    taken = 0
    for room in ("photos", "figures"):
        names = foreign.picture_files(data / room)
        half = min(count // 2, len(names))
        for name in (names[n * len(names) // half] for n in range(half)):
            (place / room / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(data / room / name, place / room / name)
            taken += 1
    return taken


def seconds_in_tasks(run: Callable[[Timed], object]) -> float:
    """Processor time of the tasks of a stage."""
    timed = Timed(time.thread_time)
    run(timed)
    return timed.seconds


def measured_chain(photos: Path, place: Path) -> tuple[dict[str, float], dict[str, dict[str, float]], int]:
    """Core-seconds a picture, and bytes a picture, of each stage; and of how many pictures."""
    raw, clean = place / "raw", place / "clean"
    job = crawl.Job(raw, [], [f"folder:{photos}"], crawl.Settings(store="copy"), {}, {}, place / "none")
    used = {"crawl: decoding": seconds_in_tasks(partial(crawl.run, job, watch=SILENT))}
    everything = filter.Settings(skip=tuple(crafts.names("filters")))
    judged = filter.Job(raw, clean, everything, {}, forgotten=place / "none")
    used["filter: probing"] = seconds_in_tasks(partial(filter.run, judged, watch=SILENT))
    sizes = {
        "raw": weighed(raw, {"pictures": "images/*", "metadata": "*.jsonl", "journal": "journal.jsonl"}),
        "clean": weighed(clean, {"metadata": "*.jsonl", "what was measured": ".probes/*"}),
    }
    for style in STYLES:
        styled = place / style
        drawing = stylize.Job(clean, styled, stylize.Settings(style=style), {})
        used[f"stylize: {style}"] = seconds_in_tasks(partial(stylize.run, drawing, watch=SILENT))
        sizes[f"styled, {style}"] = weighed(
            styled, {"print": "images/*", "ink": "plain/*", "wash": "wash/*", "metadata": "*.jsonl"}
        )
    for shape in SHAPES:
        shards = place / f"shards-{shape}"
        making = shard.Job(place / STYLES[0], shards, shard.Settings(size=shape))
        used[f"shard: {shape}"] = seconds_in_tasks(partial(shard.run, making, watch=SILENT))
        sizes[f"shards, {shape}"] = weighed(shards, {"tensors": "**/*.safetensors", "index": "*.jsonl"})
    count = len(metadata.read_lines(raw / metadata.METADATA))
    kept = {name: len(metadata.read_lines(place / name / metadata.METADATA)) for name in ("clean", *STYLES)}
    if set(kept.values()) != {count}:
        raise SystemExit(f"of {count} pictures not all were kept: {kept}")
    return (
        {what: seconds / count for what, seconds in used.items()},
        {folder: {kind: size / count for kind, size in kinds.items()} for folder, kinds in sizes.items()},
        count,
    )


def weighed(root: Path, kinds: dict[str, str]) -> dict[str, float]:
    """Bytes by kind. A file counts for the last kind that it fits."""
    found = {path: kind for kind, pattern in kinds.items() for path in root.glob(pattern) if path.is_file()}
    sums = dict.fromkeys(kinds, 0.0)
    for path, kind in found.items():
        sums[kind] += path.stat().st_size
    return sums


# ---- made-up Records --------------------------------------------------------------------------------------


def idle(items: list[str], _: None, stem: Path) -> list[str]:
    """A task that does nothing to its Records."""
    return items


def lost(item: str, why: str) -> str:
    return item


def steps(count: int) -> dict[str, float]:
    """Seconds of processor time of each step, in this process."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, metadata.METADATA)
        made = list(records(count))
        found[WRITE] = taken(partial(metadata.write_lines, path, made))
        found[READ] = taken(partial(metadata.read_lines, path))
        items, work = [item.to_json() for item in made], parts.Work(idle, lost, None)
        timed = Timed(time.thread_time)
        found[HAND_OUT] = taken(partial(parts.run, Path(scratch), "idle", "plan", items, work, timed, SILENT))
        found[HAND_OUT] -= timed.seconds  # which is what workers do
    found[DECIDE] = decided(count, "")["seconds"]
    return found


def taken(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def apart(*words: str) -> Any:
    """What a script of ours measures, in a process of its own."""
    command = [sys.executable, *words]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def all_steps() -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {READ: [], WRITE: [], HAND_OUT: [], DECIDE: []}
    for size in SIZES:
        for what, seconds in apart(__file__, "--steps", str(size)).items():
            found[what].append({"records": size, "seconds": seconds})
    return found


def joins(up_to: int) -> list[dict[str, float]]:
    script = str(Path(__file__).with_name("filter_join.py"))
    found = []
    for size in (size for size in (100_000, 1_000_000) if size <= up_to):
        seen = apart(script, "--part", "the filter's", str(size))
        seconds = seen["used"] / (os.cpu_count() or 1)  # as if nothing else ran
        found.append({"records": size, "seconds": seconds, "GB": seen["GB"]})
    return found


# ---- all of it --------------------------------------------------------------------------------------------


def measured(data: Path, count: int, up_to: int) -> dict[str, Any]:
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        sample(data, count, place / "photos")
        for turn in range(ROUNDS):
            used, sizes, kept = measured_chain(place / "photos", place / f"{turn}")
            best = {what: min(seconds, best.get(what, seconds)) for what, seconds in used.items()}
            shutil.rmtree(place / f"{turn}")
            say(f"round {turn + 1} of {ROUNDS}: {kept} pictures; {load()}")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "pictures": kept,
        "bytes": sizes,
        "core_seconds": best,
        "chain": list(CHAIN),
        "steps": all_steps(),
        "steps_times": TIMES,
        "join": joins(up_to),
    }


def processor() -> str:
    try:
        lines: Iterable[str] = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", metavar="DATA", help="the folder of photos and figures")
    parser.add_argument("--pictures", type=int, default=400, metavar="N", help="of the sample")
    parser.add_argument("--json", type=Path, default=Path("costs.json"), metavar="FILE", help="what is measured")
    parser.add_argument("--up-to", type=int, default=1_000_000, metavar="N", help="pictures of the largest join")
    parser.add_argument("--count", type=int, default=10_000_000, metavar="N", help="pictures that are asked about")
    parser.add_argument("--gigabits", type=float, default=1.0, metavar="N", help="a second, of the wire")
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ |= SURROUNDINGS
    if given.steps:
        sys.stdout.write(json.dumps(steps(given.steps)) + "\n")
        return
    if given.data is None:
        parser.error("DATA is missing")
    found = measured(given.data, given.pictures, given.up_to)
    given.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    say(f"{found['machine']}; {found['pictures']} pictures; {given.json} written\n")
    say(tables(found, given.count, given.gigabits))


if __name__ == "__main__":
    main()
