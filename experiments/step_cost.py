"""What makes a step of training on a CPU cheaper: each way with and without, in turn, in one process.

    python experiments/step_cost.py [--side 128] [--batch 16] [--network NAME] [--rounds 12] [--threads 1] [--compile]

Times are seconds of processor time, which other work on the machine disturbs less than the clock on the wall, and the
median of all rounds counts. "matmul": bf16, 2048 × 2048, right beside them, so that shares of it can be compared.

  memory    what is freed goes back to the system, as glibc has it, or is kept (model/computing.py)
  in place  BN's output is overwritten by ReLU, or not
  matrix    the weights' gradient where there are few places, by oneDNN or as a matrix product (model/convolution.py)
  compiled  by torch (`--compile inductor`), and how long that takes: minutes, so only if asked for
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from torch import nn

from gravurekit.model import convolution
from gravurekit.model.computing import freed_memory_kept
from gravurekit.model.learner import Learner, fast_bf16
from gravurekit.model.network import NetworkConfig, build
from gravurekit.model.recipe import Recipe

FEW = convolution.FEW


def learner(network: str, side: int, batch: int) -> Learner:
    names = tuple(f"class {number}" for number in range(205 if network == "paper" else 10))
    if network == "paper":
        config = NetworkConfig(names, "paper", L_mean=0.5)
        recipe = Recipe(1000, batch, palette_drop=0, hint_share=0, rebalance=0)
    else:
        config = NetworkConfig(names, "average", side, palette=True, hints=True, lightness=True, L_mean=0.5)
        recipe = Recipe(1000, batch, tone=0.2, blur=0.5, noise=2.0)
    return Learner(build(config, 0), recipe, fast_bf16(torch.device("cpu")))


def samples(side: int, batch: int, classes: int) -> dict[str, torch.Tensor]:
    chance = np.random.default_rng(0)
    arrays = {
        "L": chance.integers(0, 256, (batch, 1, side, side), np.uint8),
        "wash": chance.integers(0, 256, (batch, 3, side, side), np.uint8),
        "label": chance.integers(0, classes, batch),
        "box": np.tile([0, 0, side, side], (batch, 1)),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def used(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def compiled(network: str, side: int, batch: int, rounds: int) -> list[float]:
    """Seconds of processor time of steps of a compiled network; says what compiling took."""
    learns = learner(network, side, batch)
    learns.network.compile()
    step = partial(learns.step, samples(side, batch, len(learns.network.config.classes)), np.arange(batch), [batch], 0)
    with freed_memory_kept():
        began = time.perf_counter()
        print(f"compiling took {used(step):.0f} s of processor time, {time.perf_counter() - began:.0f} s on the wall")  # noqa: T201
        return [used(step) for _ in range(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("default", "paper"), default="default")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="compare with a compiled network too")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    learns = learner(given.network, given.side, given.batch)
    batch = samples(given.side, given.batch, len(learns.network.config.classes))
    places, factor = np.arange(given.batch), torch.randn(2048, 2048).bfloat16()
    ways = {
        "as it is": (True, False, FEW),
        "memory given back": (False, False, FEW),
        "ReLU in place": (True, True, FEW),
        "no matrix": (True, False, 0),
        "none of these": (False, True, 0),
    }
    found: dict[str, list[float]] = {name: [] for name in ("matmul", *ways)}
    for number in range(given.rounds):
        for name, (kept, in_place, few) in ways.items():
            for module in learns.network.modules():
                if isinstance(module, nn.ReLU):
                    module.inplace = in_place
            convolution.FEW = few
            with freed_memory_kept() if kept else nullcontext():
                step = partial(learns.step, batch, places, [given.batch], number)
                step()  # finds memory as the way before left it
                found[name].append(used(step))
            found["matmul"].append(used(lambda: factor @ factor))
    if given.compile:
        found["compiled"] = compiled(given.network, given.side, given.batch, given.rounds)
    for name, seconds in found.items():
        median, base = statistics.median(seconds), statistics.median(found["as it is"])
        rate = f"{2 * 2048**3 / median / 1e12:7.2f} TFLOP/s" if name == "matmul" else f"{median / base:7.2f} of it"
        print(f"{name:20}{median:8.3f} s, least {min(seconds):.3f}{rate}")  # noqa: T201


if __name__ == "__main__":
    main()
