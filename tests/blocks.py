"""Pictures of one grey each, to learn from, and how."""

from typing import Any

import numpy as np

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
