"""What it costs to prepare a batch for a training step: scaled, augmented, with palettes and hints.

    python bench/batches.py [--threads 2] [--rounds 40]

Time on this processor: the median over rounds of preparing 16 samples of 128 × 128, everything on, beside a step of the
default recipe's network on the same batch. Bytes: what the operations read and write on a device that has to fetch
everything from its memory, which is what limits a GPU here, a picture, at the sizes of the goals of training; with the
time that this takes at 4.3 TB/s (an H200's), beside a batch's share of a second at 5,000 pictures/s.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gravurekit.model import augment
from gravurekit.model.augment import PLAIN, Augmentation
from gravurekit.model.batches import on_device, prepared
from gravurekit.model.learner import Learner, fast_bf16
from gravurekit.model.network import NetworkConfig, build
from gravurekit.model.recipe import Recipe

FULL = Augmentation(mirror=True, tone=0.2, blur=0.5, noise=2, photographs=0.15, palette_drop=0.25, hints=0.5)
BATCH, SIDE = 16, 128
BANDWIDTH, RATE = 4.3e12, 5000  # bytes/s, pictures/s


def config(side: int) -> NetworkConfig:
    return NetworkConfig(("coat",), "average", side, palette=True, hints=True, lightness=True, L_mean=0.5)


def samples(count: int, side: int, device: str = "cpu") -> dict[str, Tensor]:
    def noise(planes: int) -> Tensor:
        return torch.randint(0, 256, (count, planes, side, side), dtype=torch.uint8, device=device)

    box = torch.tensor([0, side // 6, side, side - side // 6], device=device).expand(count, 4).clone()
    label = torch.zeros(count, dtype=torch.int64, device=device)
    return {"L": noise(1), "L_photo": noise(1), "wash": noise(3), "label": label, "box": box}


def milliseconds(what: Callable[[], Any], rounds: int) -> float:
    what()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        what()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


class Moved(TorchDispatchMode):
    """Bytes that operations read and write. Views move nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.operations = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        if not operation.is_view:
            self.operations += 1
            tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor)]
            self.bytes += sum(map(size, tensors))
        return result


def size(tensor: Tensor) -> int:
    """Bytes of a tensor; what is repeated without being there counts once."""
    lengths = [n for n, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride]
    return tensor.element_size() * int(np.prod(lengths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    say = sys.stdout.write
    here, places, wanted = samples(BATCH, SIDE), np.arange(BATCH), config(SIDE)
    learner = Learner(build(wanted, 0), Recipe(1000), fast_bf16(torch.device("cpu")))
    step = milliseconds(lambda: learner.step(here, places, [BATCH], 0).numbers(), max(3, options.rounds // 4))
    say(f"{BATCH} samples of {SIDE} × {SIDE}, {options.threads} threads; a step takes {step:.0f} ms\n")
    alone = {f"{name} alone": replace(PLAIN, **{name: getattr(FULL, name)}) for name in ("mirror", "tone", "blur")}
    alone |= {f"{name} alone": replace(PLAIN, **{name: getattr(FULL, name)}) for name in ("noise", "hints")}
    for name, augmentation in {"as they are": PLAIN, "all": FULL, **alone}.items():
        spent = milliseconds(lambda a=augmentation: prepared(here, wanted, a, places), options.rounds)  # type: ignore[misc]
        say(f"  {name:14}{spent:7.2f} ms{spent / step:8.1%} of a step\n")
    say(f"\nread and written on a device, at {BANDWIDTH / 1e12} TB/s, beside {RATE} pictures/s\n")
    for count, side, crop in ((128, 224, None), (128, 256, (224, 224)), (BATCH, SIDE, None)):
        with Moved() as moved:
            draws = torch.empty(count, augment.COLUMNS, device="meta")
            on_device(samples(count, side, "meta"), draws, config(side), replace(FULL, crop=crop))
        share = moved.bytes / BANDWIDTH / (count / RATE)
        say(
            f"  {count:3} × {side}{' cropped to 224' if crop else ''}: {moved.bytes / count / 1e6:.1f} MB a picture, "
            f"{moved.operations} operations, {1e6 * moved.bytes / BANDWIDTH:.0f} µs, {share:.1%} of the time\n"
        )


if __name__ == "__main__":
    main()
