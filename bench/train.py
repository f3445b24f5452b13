"""How fast a network learns beside what the machine allows and beside a plain loop.

    python bench/train.py [--quick] [--only limits,cpu,study,gpu,exact] [--rounds N] [--steps N] [--place DIR]

- limits: what a product of matrices makes of the machine, in bf16, and how much a training step needs of that.
- cpu: steps of a whole training (samples from shards, augmentation, forward, backward, optimizer, average) of the
  paper's network and of the default one; beside them a product of matrices, right before and after, which is what the
  share is of, and the plain loop of bench/train_peer.py, in turn. Of the rounds the median counts. "by processor": the
  same by processor time, which other work on the machine disturbs less.
- study: 1,500 pictures 20 times, which took a K80 three hours. On CPU from the speed of some steps, on a GPU as
  `gravurekit train --recipe paper` in a fresh process, from start to end.
- gpu: steps at batch 2 and 128, done as they are, replayed from a CUDA graph, compiled by torch, and deterministic; the
  plain loop.
- exact: on a GPU with --deterministic, that replayed steps and a resumed training end in the same bytes.

How good what is learnt becomes is measured by bench/train_quality.py. Pictures are made here, in a temporary folder on
the disk of `--place`. Figures are wall time: they hold for an idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from filter_goals import Goal, at_least, at_most, least, say, table
from shards import machine, spread
from train_ours import Kind, Spent, Steps, command, flops, spent, write_shards
from train_peer import Loop, write_files

from gravurekit.model.learner import fast_bf16

PARTS = ("limits", "cpu", "study", "gpu", "exact")
PICTURES, EPOCHS, SIDE = 1500, 20, 256  # the study's; windows of 224 are taken out of 256
STUDIED = PICTURES * EPOCHS
MATRIX = {"cpu": 4096, "cuda": 8192}
KINDS = (Kind("paper", 224, 16), Kind("default", 224, 16), Kind("default", 128, 16), Kind("default", 128, 64))
GPU_BATCHES = (2, 128)
NONE = "not measured: no CUDA device"


class Options(NamedTuple):
    place: Path
    rounds: int
    steps: int  # of a round
    quick: bool


# ---- limits ----------------------------------------------------------------------------------------------


class Product:
    """A product of square matrices in bf16, or fp32 where bf16 isn't quick."""

    def __init__(self, device: str, side: int = 0) -> None:
        self.device, self.side = torch.device(device), side or MATRIX[device]
        kind = torch.bfloat16 if fast_bf16(self.device) else torch.float32
        self._left, self._right = (torch.randn(self.side, self.side, device=device).to(kind) for _ in range(2))
        self.run(1)

    def run(self, times: int = 1) -> float:
        """Floating point operations a second, by the clock on the wall."""
        return self.spent(times)[0]

    def spent(self, times: int = 1) -> tuple[float, float]:
        """The same by the clock on the wall, and by processor time."""
        found = spent(lambda: self._multiply(times))
        work = times * 2 * self.side**3
        return work / found.wall, work / found.used

    def _multiply(self, times: int) -> None:
        for _ in range(times):
            self._left @ self._right
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def limits(given: Options) -> None:
    say("limits")
    for device in MATRIX:
        if device == "cuda" and not torch.cuda.is_available():
            say(f"  {device}: {NONE}")
            continue
        product = Product(device)
        found = [product.run(1 if device == "cpu" else 50) / 1e12 for _ in range(max(3, given.rounds))]
        kind = "bf16" if fast_bf16(torch.device(device)) else "fp32"
        say(f"  {device}: {kind} matrices {product.side}²{spread(found, form='.2f'):>28} TFLOP/s")
        for each in KINDS[:3]:
            need = flops(each)
            bound = max(found) * 1e12 / need
            say(f"    {each!s:32} {need / 1e9:6.2f} GFLOP a picture, so at most {bound:8.1f} pictures/s")


# ---- steps -----------------------------------------------------------------------------------------------


class Row:
    """What one way to train has reached, in rounds."""

    def __init__(self, name: str, run: Callable[[int], Spent], batch: int, need: int) -> None:
        self.name, self._run, self._batch, self._need = name, run, batch, need
        self.rates: list[float] = []
        self.shares: list[float] = []
        self.used: list[float] = []

    def take_round(self, steps: int, product: Product) -> None:
        times = 1 if product.device.type == "cpu" else 20
        before = product.spent(times)
        found = self._run(steps)
        after = product.spent(times)
        count, work = steps * self._batch, steps * self._batch * self._need
        self.rates.append(count / found.wall)
        self.shares.append(work / found.wall / statistics.mean((before[0], after[0])))
        self.used.append(work / found.used / statistics.mean((before[1], after[1])))

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    def say(self, beside: "Row | None" = None) -> None:
        wall, used = (spread([100 * share for share in shares]) + " %" for shares in (self.shares, self.used))
        ratio = f"{self.rate / beside.rate:9.1f}×" if beside else ""
        say(f"  {self.name:36}{spread(self.rates, form='.1f'):>26}{wall:>18}{used:>18}{ratio:>10}")


def head() -> None:
    say(f"  {'':36}{'pictures/s, median [range]':>26}{'of matrices':>18}{'by processor':>18}{'plain':>10}")


def cpu(given: Options, shards: dict[int, Path], files: Path) -> list[Goal]:
    """Each kind and the plain loop in turn."""
    kinds = [kind._replace(batch=min(kind.batch, 8)) for kind in KINDS[:3:2]] if given.quick else KINDS
    say(f"\ncpu: {torch.get_num_threads()} threads, {given.rounds} rounds of {given.steps} steps in turn")
    product = Product("cpu", 1024 if given.quick else 0)
    steps = [Steps(kind, shards[kind.side], "cpu") for kind in kinds]
    loop = Loop(kinds[0], files, "cpu", workers=2)
    rows = [Row(str(kind), each.run, kind.batch, flops(kind)) for kind, each in zip(kinds, steps, strict=True)]
    plain = Row(f"plain loop, fp32: {kinds[0]}", loop.run, kinds[0].batch, flops(kinds[0]))
    for number in range(given.rounds):
        sys.stderr.write(f"round {number + 1} of {given.rounds}\n")
        for row in rows:
            row.take_round(given.steps, product)
        plain.take_round(max(1, given.steps // 2), product)
    for each in (*steps, loop):
        each.close()
    head()
    for row in rows:
        row.say(plain if row is rows[0] else None)
    plain.say()
    best = rows[0]
    share, used = statistics.median(best.shares), statistics.median(best.used)
    return [
        at_least("cpu", f"{best.name}: pictures/s", best.rate, 10),
        least("cpu", f"{best.name}: of the matrices, on the wall", share, 0.9),
        least("cpu", f"{best.name}: of the matrices, by processor", used, 0.9),
    ]


# ---- the study's run -------------------------------------------------------------------------------------


def study(given: Options, shards: dict[int, Path]) -> list[Goal]:
    say(f"\nstudy: {PICTURES:,} pictures {EPOCHS} times, the paper's network at 224 px")
    for batch in (2, 16):
        if given.quick and batch > 2:
            continue
        steps = Steps(Kind("paper", 224, batch), shards[224], "cpu")
        rates = [given.steps * batch / steps.run(given.steps).wall for _ in range(given.rounds)]
        steps.close()
        minutes = STUDIED / statistics.median(rates) / 60
        say(
            f"  cpu, batch {batch:3}: {spread(rates, form='.2f')} pictures/s, so {minutes:,.0f} minutes "
            f"(computed from {given.rounds} × {given.steps} steps)"
        )
    if not torch.cuda.is_available():
        say(f"  gpu: {NONE}")
        return []
    goals = []
    for batch, wanted in zip(GPU_BATCHES, (60, 10), strict=True):
        seconds, said = timed(command(given.place / f"runs-{batch}", shards[SIDE], batch, EPOCHS, "cuda"))
        figures = said["facts"]
        speed = figures.get("samples_per_second")
        say(f"  gpu, batch {batch:3}: {seconds:.1f} s from start to end ({speed} pictures/s while it learnt)")
        goals.append(at_most("study", f"batch {batch}: start to end", seconds, wanted, " s"))
    return goals


def timed(words: list[str]) -> tuple[float, dict[str, object]]:
    """Seconds from start to end of a command, and what it printed as JSON."""
    began = time.perf_counter()
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment())
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}")
    return time.perf_counter() - began, json.loads(done.stdout)


def environment() -> dict[str, str]:
    path = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path).rstrip(os.pathsep)}


# ---- a GPU -----------------------------------------------------------------------------------------------


def gpu(given: Options, shards: dict[int, Path], files: Path) -> list[Goal]:
    say("\ngpu: steps of the paper's network at 224 px, samples resident")
    if not torch.cuda.is_available():
        say(f"  {NONE}")
        return []
    say(f"  {torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    product, goals = Product("cuda"), []
    head()
    for batch in GPU_BATCHES:
        kind, steps = Kind("paper", 224, batch), max(20, 4000 // batch)
        need, rows = flops(kind), []
        loop = Loop(kind, files, "cuda", workers=min(8, os.cpu_count() or 1))
        plain = Row(f"plain loop, fp32, batch {batch}", loop.run, batch, need)
        for _ in range(given.rounds):
            plain.take_round(max(10, steps // 10), product)
        loop.close()
        ways: dict[str, dict[str, object]] = {
            "as they are": {"compile": "off"},
            "replayed": {"compile": "graph"},
            "compiled": {"compile": "inductor"},
            "deterministic": {"compile": "graph", "deterministic": True},
        }
        for name, knobs in ways.items():
            rows.append(on_gpu(f"{name}, batch {batch}", kind, shards[224], steps, product, given.rounds, knobs))
        for row in rows:
            row.say(plain)
        plain.say()
        if batch == max(GPU_BATCHES):
            best = max(rows[:3], key=lambda row: row.rate)
            goals.append(at_least("gpu", f"{best.name}: pictures/s", best.rate, 5000))
            goals.append(least("gpu", f"{best.name}: of the matrices", statistics.median(best.shares), 0.32))
    return goals


def on_gpu(
    name: str, kind: Kind, shards: Path, steps: int, product: Product, rounds: int, knobs: dict[str, object]
) -> Row:
    ours = Steps(kind, shards, "cuda", **knobs)
    row = Row(name, ours.run, kind.batch, flops(kind))
    for _ in range(rounds):
        row.take_round(steps, product)
    ours.close()
    for said in ours.told:
        say(f"  {name}: {said}")
    return row


def exact(given: Options, shards: dict[int, Path]) -> list[Goal]:
    """Trainings that must end in the same bytes: steps done as they are, replayed, and replayed after a resumption."""
    say("\nexact: on a GPU with --deterministic")
    if not torch.cuda.is_available():
        say(f"  {NONE}")
        return []
    found = {}
    for name, more in {"as they are": ("off", 0), "replayed": ("graph", 0), "resumed": ("graph", 12)}.items():
        how, stop = more
        words = [sys.executable, str(Path(__file__).with_name("train_exact.py")), str(shards[224]), how, str(stop)]
        folder = given.place / f"exact {name}"
        seconds, said = timed([*words, str(folder)])
        found[name] = said
        say(f"  {name:12} {said['sha256']} ({seconds:.0f} s) {said['told']}")
    equal = len({str(said["sha256"]) for said in found.values()}) == 1
    return [Goal("exact", "the same bytes, however they are done", "equal", "equal" if equal else "different", equal)]


# ---- all -------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,…")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--steps", type=int, default=4, metavar="N", help="of a round on a CPU")
    parser.add_argument("--quick", action="store_true", help="a few small steps, to see that all works")
    parser.add_argument("--threads", type=int, metavar="N", help="of the processor; by default all")
    parser.add_argument("--place", type=Path, default=Path(tempfile.gettempdir()), help="where pictures are made")
    given = parser.parse_args()
    wanted = given.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if given.threads:
        torch.set_num_threads(given.threads)
    say(f"{machine()}; torch {torch.__version__}")
    with tempfile.TemporaryDirectory(dir=given.place, prefix="gravurekit-bench-") as folder:
        options = Options(
            Path(folder), 2 if given.quick else given.rounds, 1 if given.quick else given.steps, given.quick
        )
        count = 64 if given.quick else PICTURES
        shards = {side: write_shards(Path(folder) / f"shards-{side}", count, side) for side in (128, 224, SIDE)}
        files = write_files(Path(folder) / "files", min(count, 300), SIDE)
        goals: list[Goal] = []
        if "limits" in wanted:
            limits(options)
        if "cpu" in wanted:
            goals += cpu(options, shards, files)
        if "study" in wanted:
            goals += study(options, shards)
        if "gpu" in wanted:
            goals += gpu(options, shards, files)
        if "exact" in wanted:
            goals += exact(options, shards)
    say()
    table(goals)


if __name__ == "__main__":
    main()
