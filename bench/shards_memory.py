"""How much memory shards take: the part memory of bench/shards.py."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from crawl import INTERVAL, resident, tree
from filter_goals import Goal, at_most, say
from shards_ours import noise, write

from gravurekit import images, metadata
from gravurekit.record import Record

MANY, FEW_LARGE = 100_000, 8192
SMALL, SIDE = 64, 256
ROOMS = {"print": "images", "plain": "plain", "wash": "wash"}


def memory(place: Path, staged: int) -> list[Goal]:
    say("\nmemory: peak of the process that writes, MB")
    goals = []
    for count, side in ((1, SMALL), (MANY, SMALL), (FEW_LARGE, SIDE)):
        home = place / f"memory-{count}-{side}"
        command = [sys.executable, __file__, str(home), str(count), str(side)]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        say(f"  {count:9,} samples {side:3} × {side:<3}{answer['bytes'] / 1e6:8,.0f} MB on disk{answer['peak']:8.0f}")
        for path in home.iterdir():
            path.unlink()
        if count == MANY:
            goals.append(at_most("memory", f"writing {count:,} samples", answer["peak"], 300, " MB"))
    whole_stage(place, staged)
    return goals


def whole_stage(place: Path, pictures: int) -> None:
    """`gravurekit shard` over pictures that are links to a few: the peak of all its processes together."""
    if sys.platform != "linux":
        return
    for count in (pictures // 10, pictures):
        home = place / f"styled-{count}"
        styled(home, count)
        command = [sys.executable, "-m", "gravurekit", "-C", str(home.parent), "shard", home.name, f"tensors-{count}"]
        command += ["--size", str(SMALL), "--quiet"]
        path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
        began = time.perf_counter()
        process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.DEVNULL)
        main = together = 0.0
        while process.poll() is None:
            found = [sizes for pid in tree(process.pid) if (sizes := resident(pid))]
            if found:
                main, together = max(main, found[0][0] / 1e6), max(together, sum(pss for _, pss in found) / 1e6)
            time.sleep(INTERVAL)
        if process.returncode:
            sys.exit(f"gravurekit shard ended with {process.returncode}")
        rate = count / (time.perf_counter() - began)
        say(
            f"  gravurekit shard, {count:7,} pictures {SMALL} × {SMALL}: main process {main:.0f}, "
            f"all together {together:.0f}; {rate:.0f} pictures/s"
        )


def styled(home: Path, count: int) -> None:
    """A folder of styled pictures: Records of their own, and links to a few files."""
    for room in ROOMS.values():
        (home / room).mkdir(parents=True)
    few, found = drawn(home.with_name(f"few-{count}")), []
    for n in range(count):
        key, sha256 = hashlib.sha256(str(n).encode()).hexdigest()[:16], {}
        for layer, (path, digest) in few[n % len(few)].items():
            os.link(path, home / ROOMS[layer] / f"{key}.png")
            sha256[layer] = digest
        found.append(Record(
            key=key, photo_key=key, file_name=f"images/{key}.png", sha256=sha256["print"], width=SMALL, height=SMALL,
            plain_file_name=f"plain/{key}.png", plain_sha256=sha256["plain"], wash_file_name=f"wash/{key}.png",
            wash_sha256=sha256["wash"], labels=(f"label {n % 16}",), keywords=(f"keyword {n % 64}",), source="bench",
            url=f"https://pictures.example.org/collection/{n}/full/{key}.jpg", title=f"A woman in a red dress, № {n}",
        ))  # fmt: skip
    metadata.write_lines(home / metadata.METADATA, sorted(found, key=lambda item: item.key))


def drawn(home: Path) -> list[dict[str, tuple[Path, str]]]:
    """Layers of noise, as files, each with its sha256."""
    chance, few = np.random.default_rng(0), []
    home.mkdir()
    for n in range(64):
        layers = {}
        for layer in ROOMS:
            data = images.encode_png(chance.integers(0, 256, (SMALL, SMALL, 3), np.uint8))
            path = home / f"{n}-{layer}.png"
            path.write_bytes(data)
            layers[layer] = (path, hashlib.sha256(data).hexdigest())
        few.append(layers)
    return few


def written_in_here(home: Path, count: int, side: int) -> dict[str, float]:
    return {"bytes": write(home, noise(count, side), count, (side, side)), "peak": peak()}


def peak() -> float:
    """The most memory that this process had resident so far, in MB. Not by getrusage where that can be helped: on Linux
    it counts what the parent held when it started this one."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":  # a process of its own, so that memory is its own
    say(json.dumps(written_in_here(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
