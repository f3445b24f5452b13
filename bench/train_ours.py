"""What bench/train.py knows of gravurekit: pictures and shards that it makes, its networks, and steps of its training.

`write_shards`, `Steps` and `command` are the only places that call the package for what is measured, and the first to
look at when one of its contracts changes.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from gravurekit import shards, storage
from gravurekit.model.computing import computing
from gravurekit.model.feed import Feed
from gravurekit.model.learner import Learner, fast_bf16
from gravurekit.model.network import ColorizationNetwork, NetworkConfig, build
from gravurekit.model.order import Order
from gravurekit.model.recipe import Recipe
from gravurekit.shards import palette
from gravurekit.shards.reader import ShardSet
from gravurekit.shards.writer import Sample
from gravurekit.shards.writer import write as write_shard

CLASSES = 205  # as in the paper
WARM = 5  # steps on a GPU before any counts: libraries choose their ways, and a step is recorded
SHARD = 512
FIELDS = ("L", "wash", "label", "box")
# `gravurekit train`, for the run of the study: nothing is validated, shown or saved but at the end
BARE = ("--panels", "0", "--validate-every", "100000000", "--checkpoint-every", "100000000")


class Spent(NamedTuple):
    """Seconds by the clock on the wall, and of processor time."""

    wall: float
    used: float


def spent(work: Callable[[], object]) -> Spent:
    began, used = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - began, time.process_time() - used)


class Kind(NamedTuple):
    """A network, and how it is trained."""

    name: str  # "paper", "default"
    side: int
    batch: int

    def __str__(self) -> str:
        return f"{self.name}, {self.side} px, batch {self.batch}"

    def config(self) -> NetworkConfig:
        names = tuple(f"class {number}" for number in range(CLASSES))
        if self.name == "paper":
            return NetworkConfig(names, "paper", L_mean=0.5)
        return NetworkConfig(names, "average", self.side, palette=True, hints=True, lightness=True, L_mean=0.5)

    def recipe(self, device: str, steps: int, **values: Any) -> Recipe:
        knobs: dict[str, Any] = {"rebalance": 0.0, "palette_drop": 0.0, "hint_share": 0.0}
        if self.name == "default":
            knobs = {"tone": 0.2, "blur": 0.5, "noise": 2.0}
        return Recipe(steps, self.batch, device=device, **knobs | values)


# ---- pictures ------------------------------------------------------------------------------------------


def pictures(count: int, side: int) -> Iterator[Sample]:
    """Smooth colours under lines, no two alike, in a class each."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    chance = np.random.default_rng(0)
    for number in range(count):
        a, b, fine = chance.uniform(1, 9, 3)
        waves = np.stack([np.sin(a * x + b * y), np.cos(b * x - a * y), np.sin(a * b * x)])
        wash = (128 + 60 * waves * chance.uniform(0.3, 1, (3, 1, 1))).astype(np.uint8)
        lines = (np.sin(20 * fine * (x + waves[1] / 9)) > waves[0] / 2) * 255
        yield Sample({"L": lines[None].astype(np.uint8), "wash": wash}, (0, 0, side, side), number % CLASSES)


def write_shards(folder: Path, count: int, side: int) -> Path:
    """A folder of shards that `gravurekit train` takes, of `count` pictures to learn from."""
    files, lines, histogram = [], [], np.zeros((palette.SIDE, palette.SIDE), np.int64)

    def counted(samples: Iterator[Sample], here: int) -> Iterator[Sample]:
        for _ in range(here):
            sample = next(samples)
            histogram[:] += palette.counted(sample.planes["wash"], sample.box)
            yield sample

    made = pictures(count, side)
    for number, begin in enumerate(range(0, count, SHARD)):
        here = min(SHARD, count - begin)
        done = write_shard(folder, f"train-{number:05}", here, counted(made, here), shards.ENCODING)
        facts = {"file": done.file, "split": "train", "samples": here, "bytes": done.bytes, "sha256": done.sha256}
        files.append(facts)
        lines += [
            {"split": "train", "shard": done.file, "row": row, "crc32": crc32, "key": f"{begin + row:016x}",
             "photo_key": "", "variant": None, "labels": [f"class {(begin + row) % CLASSES}"], "keywords": [],
             "license": "CC0-1.0", "source": "bench", "url": ""}
            for row, crc32 in enumerate(done.crc32)
        ]  # fmt: skip
    storage.write_lines(folder / shards.INDEX, map(json.dumps, lines))
    storage.write_json(folder / shards.MANIFEST, _manifest(files, count, side, palette.to_text(histogram)))
    return folder


def _manifest(files: list[dict[str, Any]], count: int, side: int, histogram: str) -> dict[str, Any]:
    names = [f"class {number}" for number in range(CLASSES)]
    return {
        "format": shards.FORMAT, "encoding": shards.ENCODING, "size": [side, side], "fit": "pad", "input": "plain",
        "target": "wash", "tensors": ["L", "wash"], "classes": names, "splits": {"train": count, "val": 0, "test": 0},
        "labels": {"train": {}, "val": {}, "test": {}}, "licenses": {}, "sources": {}, "L_mean": 0.5, "ab": {},
        "ab_histogram": histogram, "palettes": {"labels": {}, "keywords": {}}, "shards": files, "files": {},
        "plan": "", "settings": {}, "style": {},
    }  # fmt: skip


# ---- steps ---------------------------------------------------------------------------------------------


def network(kind: Kind) -> ColorizationNetwork:
    return build(kind.config(), seed=0)


def flops(kind: Kind) -> int:
    """Floating point operations that a training step needs for one picture: forward and backward."""
    net, count = network(kind).train(), 2
    with FlopCounterMode(display=False) as counter:
        colour, logits = net(torch.zeros(count, 1, kind.side, kind.side))
        (colour.sum() + logits.sum()).backward()
    return counter.get_total_flops() // count


class Steps:
    """Steps of a training, fed from shards as a training is, as many as somebody asks for."""

    def __init__(self, kind: Kind, folder: Path, device: str, steps: int = 100_000, **recipe: Any) -> None:
        self.kind, self.device = kind, torch.device(device)
        self.recipe = kind.recipe(device, steps, **recipe)
        self.told: list[str] = []
        self._learner = Learner(network(kind).to(self.device), self.recipe, fast_bf16(self.device))
        self._learner.settle(steps, self.told.append)
        self._samples = ShardSet(folder, "train", fields=FIELDS)
        wanted = steps * kind.batch
        order = Order(len(self._samples), seed=0).batches(0, wanted, kind.batch)
        self._feed = Feed(self._samples, self.device, order, kind.batch, wanted=wanted)
        self._done = 0

    @property
    def bf16(self) -> bool:
        return self._learner.bf16

    def run(self, steps: int) -> Spent:
        """What so many take, when the device has done them; some that are done before them don't count."""
        deterministic, planned = self.recipe.deterministic, self.recipe.steps
        with computing(self.device, bf16=self.bf16, deterministic=deterministic, steps=planned):
            self._run(WARM if self.device.type == "cuda" else 1)
            return spent(lambda: self._run(steps))

    def _run(self, steps: int) -> None:
        batch = self.kind.batch
        for _ in range(steps):
            places = self._done * batch + np.arange(batch)
            terms = self._learner.step(next(self._feed), places, [batch], self._done)
            self._done += 1
        terms.numbers()

    def close(self) -> None:
        self._feed.close()
        self._learner.release()


def command(place: Path, source: Path, batch: int, epochs: int, device: str, *more: str) -> list[str]:
    """The study's run, as a user would start it, in a process of its own."""
    words = ("train", str(source), "--runs", str(place), "--recipe", "paper", "--batch", str(batch))
    rest = ("--epochs", str(epochs), "--device", device, *BARE, "--quiet", "--json", *more)
    return [sys.executable, "-m", "gravurekit", *words, *rest]
