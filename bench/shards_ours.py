"""What bench/shards.py knows of gravurekit's own shards: how they are written, read and fed to a training.

`write`, `opened` and `feed` are the only places that call the package for what is measured, and the first to look at
when one of its contracts changes.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gravurekit import shards, storage
from gravurekit.shards.reader import ShardSet
from gravurekit.shards.writer import Sample
from gravurekit.shards.writer import write as write_shard

BATCH = 64
SHARD = 512
THREADS = 2
FIELDS = ("L", "ab")
TRAINED = (*FIELDS, "label", "box")  # what a training asks for

Buffers = dict[str, np.ndarray]


@dataclass(frozen=True)
class Way:
    """How to read: `first` opens the set anew for each pass, so that every sample is proved in it."""

    check: bool = True
    io: str = "mmap"
    first: bool = False


OURS = {
    "gravurekit": Way(),
    "gravurekit, pread": Way(io="pread"),
    "gravurekit, unchecked": Way(check=False),
    "gravurekit, first pass, checked": Way(first=True),
    "gravurekit, first pass, pread": Way(first=True, io="pread"),
}


# ---- writing ---------------------------------------------------------------------------------------------


def write(folder: Path, samples: Iterator[Sample], count: int, size: tuple[int, int]) -> int:
    """Write `count` samples of `size` (width, height) and a manifest; the bytes written."""
    files = []
    for number, begin in enumerate(range(0, count, SHARD)):
        here = min(SHARD, count - begin)
        stem = f"train-{number:05}"
        written = write_shard(folder, stem, here, (next(samples) for _ in range(here)), shards.ENCODING)
        facts = {"file": written.file, "split": "train", "samples": here, "bytes": written.bytes}
        files.append(facts | {"sha256": written.sha256})
    storage.write_json(folder / shards.MANIFEST, _manifest(files, count, size))
    return sum(file["bytes"] for file in files)


def _manifest(files: list[dict[str, Any]], count: int, size: tuple[int, int]) -> dict[str, Any]:
    """As the stage writes it, but that nothing is known of the pictures."""
    return {
        "format": shards.FORMAT, "encoding": shards.ENCODING, "size": list(size),
        "fit": "pad", "input": "plain", "target": "wash", "tensors": ["L", "wash"],
        "classes": ["all"], "splits": {"train": count, "val": 0, "test": 0},
        "labels": {"train": {"all": count}, "val": {}, "test": {}}, "licenses": {"": count}, "sources": {"": count},
        "L_mean": 0.5, "ab": {}, "ab_histogram": [], "palettes": {"labels": {}, "keywords": {}}, "shards": files,
        "files": {}, "plan": "", "settings": {}, "style": {},
    }  # fmt: skip


def samples_of(L: np.ndarray, ab: np.ndarray) -> Iterator[Sample]:
    """L (N, 1, H, W) and ab (N, 2, H, W), uint8 → samples one by one; the lightness of the wash is the print's."""
    height, width = L.shape[2:]
    for n in range(len(L)):
        yield Sample({"L": L[n], "wash": np.concatenate((L[n], ab[n]))}, (0, 0, height, width), 0)


def noise(count: int, side: int) -> Iterator[Sample]:
    """Samples out of nothing, no two alike, in little memory."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, side, side), np.uint8)
    for n in range(count):
        pixels[:, 0, :4] = np.frombuffer(n.to_bytes(4, "little"), np.uint8)
        yield Sample({"L": pixels[:1], "wash": pixels[1:]}, (0, 0, side, side), 0)


# ---- reading ---------------------------------------------------------------------------------------------


def opened(folder: Path, way: Way, fields: tuple[str, ...] = FIELDS) -> ShardSet:
    """A set, each of whose samples was touched, but for those ways that measure the first touch."""
    found = ShardSet(folder, "train", fields=fields, check=way.check, io=way.io)
    if way.check and not way.first:
        buffers = found.buffers(BATCH)
        for numbers in split(np.arange(len(found)), BATCH):
            found.batch(numbers, out=buffers)
    return found


class Ours:
    """A contestant, as bench/shards_peers.py wants it."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.modes = ("sequential", "random")

    def write(self, source: Buffers, home: Path) -> None:
        L, ab = source["L"], source["ab"]
        write(home, samples_of(L, ab), len(L), (L.shape[3], L.shape[2]))

    def open(self, home: Path) -> None:
        self.home, self.set = home, opened(home, self.way)

    def begin(self) -> None:
        if self.way.first:
            self.set = opened(self.home, self.way)

    def batches(self, order: np.ndarray | None, buffers: Buffers) -> Iterator[np.ndarray]:
        for numbers in split(np.arange(len(self.set)) if order is None else order, BATCH):
            self.set.batch(numbers, out=buffers)
            yield numbers

    def shuffled(self, buffers: Buffers) -> Iterator[np.ndarray]:
        raise NotImplementedError


# ---- feeding a training ----------------------------------------------------------------------------------


def feed(samples: ShardSet, order: np.ndarray, batch: int, device: str, way: str) -> dict[str, float] | None:
    """Batches of the samples `order` on a device, as a training gets them, for a loop that does nothing: samples a
    second, and the share of the time that it waited. `way`: resident, pinned or read ahead. None if the feed would go
    another way."""
    import torch

    from gravurekit.model.feed import Feed

    resident = len(order) if way == "resident" else 0  # how many will be asked for decides whether all are brought
    with Feed(samples, torch.device(device), split(order, batch), batch, wanted=resident) as made:
        if made.way != way:
            return None
        began, waited = time.perf_counter(), made.waited
        for _ in made:
            pass
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
        return {"rate": made.handed / seconds, "waiting": (made.waited - waited) / seconds}


def split(order: np.ndarray, batch: int) -> list[np.ndarray]:
    return [order[begin : begin + batch] for begin in range(0, len(order), batch)]


def stand_in(read: Callable[[np.ndarray, Buffers], Any], batches: list[np.ndarray], ring: list[Buffers]) -> float:
    """What a feed can be at best, in a few lines: two threads fill a batch of their own each, batches come in their
    order, and a buffer is filled again when the next one has been asked for. Seconds spent waiting."""
    free = [threading.Semaphore(1) for _ in ring]
    full = [threading.Semaphore(0) for _ in ring]

    def fill(first: int) -> None:
        for step in range(first, len(batches), THREADS):
            place = step % len(ring)
            free[place].acquire()
            read(batches[step], ring[place])
            full[place].release()

    workers = [threading.Thread(target=fill, args=(n,)) for n in range(THREADS)]
    for worker in workers:
        worker.start()
    waited = 0.0
    for step in range(len(batches)):
        began = time.perf_counter()
        full[step % len(ring)].acquire()
        waited += time.perf_counter() - began
        free[step % len(ring)].release()
    for worker in workers:
        worker.join()
    return waited
