"""Trainings that take no time: pictures of two colours, and a network with a sixteenth of the channels."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from gravurekit.model import network
from gravurekit.model.checkpoint import KEY
from gravurekit.model.convolution import Convolution
from gravurekit.model.network import NetworkConfig
from gravurekit.model.recipe import Recipe

CONFIG = NetworkConfig(("dress", "hat"), "average", 32, L_mean=0.5)


class Blocks:
    """Pictures of one grey each: the bright ones are red dresses, the dark ones blue hats."""

    def __init__(self, count: int = 8, size: tuple[int, int] = (32, 32), **changes: Any) -> None:
        self.count, self.size, self.changes = count, size, changes

    def __len__(self) -> int:
        return self.count

    def buffers(self, count: int) -> dict[str, np.ndarray]:
        made = self.made(np.zeros(count, np.int64))
        return {name: np.zeros((count, *array.shape[1:]), array.dtype) for name, array in made.items()}

    def batch(self, indices: np.ndarray, out: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        found = self.made(indices)
        if out is None:
            return found
        for name, array in found.items():
            out[name][: len(indices)] = array
        return {name: array[: len(indices)] for name, array in out.items()}

    def made(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        bright = (indices % 2 == 0)[:, None, None, None]
        L = np.where(bright, 200, 60) + (indices * 7 % 20)[:, None, None, None] + np.zeros((1, 1, *self.size), np.int64)
        ab = np.where(bright, [[[158]], [[148]]], [[[128]], [[88]]])
        wash = np.concatenate([L, np.broadcast_to(ab, (len(indices), 2, *self.size))], axis=1)
        arrays: dict[str, np.ndarray] = {
            "L": L.astype(np.uint8),
            "wash": wash.astype(np.uint8),
            "label": (indices % 2).astype(np.int64),
            "box": np.tile([0, 0, *self.size], (len(indices), 1)),
        }
        return arrays | self.changes


def recipe(steps: int = 6, **values: Any) -> Recipe:
    defaults: dict[str, Any] = {"batch": 4, "precision": "fp32"}
    return Recipe(steps, **defaults | values, device="cpu")


def retold(path: Path, facts: dict[str, Any]) -> None:
    """Let the header of a model or state file say something else."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()[KEY])
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
    path.unlink()  # another name may be a link to it
    path.write_bytes(save(tensors, {KEY: json.dumps(header | facts)}))


# ---- a narrow network -------------------------------------------------------------------------------------


def _less(count: int) -> int:
    """The paper's numbers of channels are multiples of 32; planes, classes and cells of a palette here aren't."""
    return count // 16 if count % 32 == 0 else count


class Conv2d(nn.Conv2d):
    def __init__(self, inputs: int, outputs: int, *rest: Any, **more: Any) -> None:
        super().__init__(_less(inputs), _less(outputs), *rest, **more)


class Narrow(Convolution, Conv2d):
    """The network's own, which asks the one above for its weights."""


class Linear(nn.Linear):
    def __init__(self, inputs: int, outputs: int, **more: Any) -> None:
        super().__init__(_less(inputs), _less(outputs), **more)


class BatchNorm2d(nn.BatchNorm2d):
    def __init__(self, count: int) -> None:
        super().__init__(_less(count))


class BatchNorm1d(nn.BatchNorm1d):
    def __init__(self, count: int) -> None:
        super().__init__(_less(count))


OURS = (Conv2d, Linear, BatchNorm2d, BatchNorm1d)


# A gravurekit of its own, with narrow networks; the words follow
NARROW = [
    sys.executable,
    "-c",
    f"""
import sys
sys.path[:0] = {[path for path in sys.path if path]!r}
from training import narrow
from gravurekit import cli
with narrow():
    cli.main()
""",
]


@contextmanager
def narrow() -> Iterator[None]:
    """Networks that are made meanwhile are narrow ones: their parts, names and maps are as ever, and a step or a state
    takes milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "nn", SimpleNamespace(**{**vars(nn), **{kind.__name__: kind for kind in OURS}}))
        patch.setattr(network, "Convolution", Narrow)
        yield
