"""The order of training: an endless stream of samples, a pure function of (seed, number of samples).

The s-th sample of a training is place s mod n of the permutation of epoch s div n. So how far a training is, is one
number, the samples it has seen; it goes on exactly at any step, and whoever takes the samples, one process or many.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SHUFFLE, MIRROR = 0, 1  # streams of chance of an epoch


@dataclass(frozen=True)
class _Epoch:
    """numbers (n,) uint32 or uint64, a permutation; mirrored (n,) bool: the place's sample is seen in a mirror."""

    numbers: np.ndarray
    mirrored: np.ndarray


@dataclass(frozen=True)
class Order:
    """The order in which `count` samples are taken, and which of them are mirrored, for one seed."""

    count: int
    seed: int

    def take(self, seen: int, count: int) -> np.ndarray:
        """The numbers of the next `count` samples after `seen` of them: (count,) int64. An epoch's last batch ends in
        the next epoch, so each sample comes exactly once an epoch."""
        return self._places(seen, count)[0]

    def mirrored(self, seen: int, count: int) -> np.ndarray:
        """Which of these samples are mirrored: (count,) bool, each by a chance of a half."""
        return self._places(seen, count)[1]

    def batches(self, seen: int, end: int, batch: int, rank: int = 0, world: int = 1) -> Iterator[np.ndarray]:
        """The global batches of `batch` samples between `seen` and `end`, or what of each the process `rank` of `world`
        takes."""
        part = part_of(batch, rank, world)
        for first in range(seen, end, batch):
            yield self.take(first, batch)[part]

    def _places(self, seen: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        numbers, mirrored = [np.zeros(0, np.int64)], [np.zeros(0, bool)]
        while count > 0:
            epoch, place = divmod(seen, self.count)
            here = min(count, self.count - place)
            found = _epoch(self.seed, epoch, self.count)
            numbers.append(found.numbers[place : place + here].astype(np.int64))
            mirrored.append(found.mirrored[place : place + here])
            seen, count = seen + here, count - here
        return np.concatenate(numbers), np.concatenate(mirrored)


def part_of(count: int, rank: int, world: int) -> slice:
    """Which places of a global batch of `count` samples the process `rank` of `world` takes: one run of neighbours.
    The parts follow one another by rank, and differ in length by one at most."""
    return slice(rank * count // world, (rank + 1) * count // world)


@lru_cache(maxsize=4)  # of two trainings at most: a batch may end in the next epoch
def _epoch(seed: int, epoch: int, count: int) -> _Epoch:
    numbers = np.arange(count, dtype=np.uint32 if count < 2**32 else np.uint64)
    np.random.default_rng([seed, epoch, SHUFFLE]).shuffle(numbers)
    mirrored = np.random.default_rng([seed, epoch, MIRROR]).integers(0, 2, count, np.uint8).astype(bool)
    numbers.flags.writeable = mirrored.flags.writeable = False
    return _Epoch(numbers, mirrored)
