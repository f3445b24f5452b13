"""The order of training: an endless stream of samples, a pure function of (seed, number of samples).

The s-th sample of a training is place s mod n of the permutation of epoch s div n. So how far a training is, is one
number, the samples it has seen; it goes on exactly at any step, and whoever takes the samples, one process or many.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SHUFFLE = 0  # the stream of chance of an epoch's order


@dataclass(frozen=True)
class Order:
    """The order in which `count` samples are taken, for one seed."""

    count: int
    seed: int

    def take(self, seen: int, count: int) -> np.ndarray:
        """The numbers of the next `count` samples after `seen` of them: (count,) int64. An epoch's last batch ends in
        the next epoch, so each sample comes exactly once an epoch."""
        numbers = [np.zeros(0, np.int64)]
        while count > 0:
            epoch, place = divmod(seen, self.count)
            here = min(count, self.count - place)
            numbers.append(_epoch(self.seed, epoch, self.count)[place : place + here].astype(np.int64))
            seen, count = seen + here, count - here
        return np.concatenate(numbers)

    def batches(self, seen: int, end: int, batch: int, share: "Share | None" = None) -> Iterator[np.ndarray]:
        """The global batches of `batch` samples between `seen` and `end`, or what of each is somebody's `share`."""
        places = slice(None) if share is None else share.places
        for first in range(seen, end, batch):
            yield self.take(first, batch)[places]


@dataclass(frozen=True)
class Share:
    """What one process takes of each batch, which the network sees in parts: `places` (n,) int64 in the batch, and how
    many of them belong to each part, `sizes`."""

    places: np.ndarray
    sizes: tuple[int, ...]


def share_of(batch: int, parts: int, rank: int = 0, world: int = 1) -> Share:
    """The share of the process `rank` of `world`, in a batch that is seen in so many parts. The parts are the same
    whatever the number of processes; each process takes its run of neighbours of every part."""
    mine = []
    for number in range(parts):
        part = np.arange(batch)[part_of(batch, number, parts)]
        mine.append(part[part_of(len(part), rank, world)])
    return Share(np.concatenate(mine), tuple(map(len, mine)))


def part_of(count: int, rank: int, world: int) -> slice:
    """Which of `count` places the process `rank` of `world` takes: one run of neighbours. The parts follow one another
    by rank, and differ in length by one at most."""
    return slice(rank * count // world, (rank + 1) * count // world)


@lru_cache(maxsize=4)  # of two trainings at most: a batch may end in the next epoch
def _epoch(seed: int, epoch: int, count: int) -> np.ndarray:
    """An epoch's permutation: (count,) uint32 or uint64."""
    numbers = np.arange(count, dtype=np.uint32 if count < 2**32 else np.uint64)
    np.random.default_rng([seed, epoch, SHUFFLE]).shuffle(numbers)
    numbers.flags.writeable = False
    return numbers
