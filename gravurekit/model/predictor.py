"""A trained network at work: lightness in; colours, the wash's lightness and classes out, at any size."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gravurekit.model.bins import TEMPERATURE
from gravurekit.model.checkpoint import load_model
from gravurekit.model.computing import exactly
from gravurekit.model.folding import folded
from gravurekit.model.network import PAPER_SIZE, ColorizationNetwork, resized, resized_hints
from gravurekit.model.palette import CELLS
from gravurekit.model.tiles import tiles

MODEL_FILE = "model.safetensors"


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of a picture.

    ab         (H, W, 2) float32, CIE a and b
    lightness  (H, W) float32, L 0..100 of the wash; None if the network doesn't say it
    classes    (name, probability) pairs, the most probable first
    """

    ab: np.ndarray
    lightness: np.ndarray | None
    classes: list[tuple[str, float]]


class Predictor:
    """Colours lightness with one model. `about` is what the model file tells of its training; `network` a copy of the
    model that is only good for this."""

    def __init__(self, network: ColorizationNetwork, about: dict[str, Any]) -> None:
        self.network = folded(network)
        self.about = about
        self.device = next(network.parameters()).device

    @classmethod
    def load(cls, path: Path, device: str = "auto") -> "Predictor":
        """From a model file, or the folder that holds `model.safetensors`."""
        return cls(*load_model(path / MODEL_FILE if path.is_dir() else path, device))

    @property
    def trained_size(self) -> tuple[int, int]:
        """Width and height, px, of the samples that it learned from; early models tell one side, of a square."""
        size = self.about.get("size", PAPER_SIZE)
        width, height = size if isinstance(size, list) else (size, size)
        return int(width), int(height)

    def mood(self, L: np.ndarray) -> np.ndarray:
        """The global vector, (256,) float32, of a picture of any size: L (H, W) float32 0..100. Given to `predict`, it
        lends another picture this one's mood: section 5.4 of the paper."""
        with self._computing():
            vector, _ = self.network.scene(self.network.low(self._square(_tensor(_checked(L)))))
            return np.asarray(vector[0].cpu().numpy())

    def predict(
        self,
        L: np.ndarray,
        *,
        palette: np.ndarray | None = None,
        hints: np.ndarray | None = None,
        mood: np.ndarray | None = None,
        strength: float = 1.0,
        temperature: float = TEMPERATURE,
    ) -> Prediction:
        """The colours of a picture of any size from 1×1 up, in float32 throughout. A large one goes through in tiles
        under one global vector, with the same result to 1e-4 ab units; memory besides the result doesn't grow with it.

        L            (H, W) float32, CIE L 0..100
        palette      (CELLS + 1,) float32 of model/palette.py; None: it isn't told which colours there are
        hints        (H, W, 3) float32: a and b in ab units, and 1 where they are told, else all 0
        mood         (256,) float32, the global vector of another picture, from `mood`; `strength` 0..1 of it is taken
        temperature  of a network with bins: ColorizationNetwork.ab

        Raises ValueError for other shapes or numbers, or for what the network wasn't made to be told.
        """
        height, width = _checked(L).shape
        with self._computing():
            told = self._hints(hints, (height, width))
            square = self._square(_tensor(L))
            low = self.network.low(
                square, None if told is None else resized_hints(told, square.shape[-1]).to(self.device)
            )
            vector, logits = self.network.scene(low)
            if mood is not None:
                vector = torch.lerp(vector, self._given("mood", mood, vector.shape[1]), strength)
            cells = None if palette is None else self._palette(palette)
            same = square.shape[-2:] == (height, width)  # one pass serves both paths
            planes = self._planes(L, told, vector, cells, low if same else None, temperature)
            odds = torch.softmax(logits[0], 0).tolist()
        return Prediction(
            ab=np.ascontiguousarray(planes[:height, :width, :2]),
            lightness=np.ascontiguousarray(planes[:height, :width, 2]) if planes.shape[2] > 2 else None,
            classes=sorted(zip(self.network.config.classes, odds, strict=True), key=lambda c: (-c[1], c[0])),
        )

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with torch.inference_mode(), exactly():
            yield

    def _square(self, L: Tensor) -> Tensor:
        """L (1, 1, H, W) → the copy for the global path: of the picture without its padding, which is no part of it."""
        side = self.network.config.global_size
        return (L if L.shape[-2:] == (side, side) else resized(L, side)).to(self.device)

    def _planes(
        self, L: np.ndarray, hints: Tensor | None, vector: Tensor, palette: Tensor | None, low: Tensor | None,
        temperature: float,
    ) -> np.ndarray:  # fmt: skip
        """a, b and maybe the wash's L of a picture, (H, W, 2 or 3) float32, padded to multiples of 8. `low`: its
        low-level features, if they are known."""
        padded = _tensor(_padded(L))
        height, width = padded.shape[-2:]
        if hints is not None:
            hints = F.pad(hints, (0, width - hints.shape[3], 0, height - hints.shape[2]))
        out = np.empty((height, width, 2 + self.network.config.lightness), np.float32)
        for tile in tiles(height, width):
            if low is None:
                told = None if hints is None else hints[:, :, *tile.seen].to(self.device)
                features = self.network.low(padded[:, :, *tile.seen].to(self.device), told)
            else:
                features = low
            colour = self.network.paint(features, vector, palette)
            lightness = self.network.wash_lightness(colour)
            half = torch.cat([self.network.ab(colour, temperature), *([] if lightness is None else [lightness])], dim=1)
            full = F.interpolate(half, scale_factor=2.0, mode="bilinear", align_corners=False)
            out[tile.given] = full[0, :, *tile.within].permute(1, 2, 0).cpu().numpy()
        return out

    def _hints(self, hints: np.ndarray | None, shape: tuple[int, int]) -> Tensor | None:
        """What the network takes, (1, 3, H, W), on the CPU."""
        if hints is None:
            return None
        if not self.network.config.hints:
            raise ValueError("this network wasn't made to be given hints")
        if hints.shape != (*shape, 3) or not np.isfinite(hints).all():
            raise ValueError(f"hints must be (H, W, 3) finite numbers of a picture {shape}, not of shape {hints.shape}")
        planes = np.ascontiguousarray(hints.transpose(2, 0, 1), np.float32)[None]
        planes[:, :2] /= self.network.config.ab_limit
        return torch.from_numpy(planes)

    def _palette(self, palette: np.ndarray) -> Tensor:
        if not self.network.config.palette:
            raise ValueError("this network wasn't made to be given a palette")
        return self._given("a palette", palette, CELLS + 1)

    def _given(self, name: str, numbers: np.ndarray, count: int) -> Tensor:
        if numbers.shape != (count,) or not np.isfinite(numbers).all():
            raise ValueError(f"{name} must be {count} finite numbers, not of shape {numbers.shape}")
        return torch.from_numpy(np.ascontiguousarray(numbers, np.float32))[None].to(self.device)


def _checked(L: np.ndarray) -> np.ndarray:
    if L.ndim != 2 or 0 in L.shape or not np.isfinite(L).all():
        raise ValueError(f"L must be (H, W) finite lightness in 0..100, not of shape {L.shape}")
    return L


def _tensor(L: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(L, np.float32))[None, None]


def _padded(L: np.ndarray) -> np.ndarray:
    """L mirrored at its right and lower border up to multiples of 8; too short for that, repeated."""
    for axis in (0, 1):
        extra = -L.shape[axis] % 8
        pads = [(0, 0), (0, 0)]
        pads[axis] = (0, extra)
        L = np.pad(L, pads, mode="reflect" if extra < L.shape[axis] else "edge")
    return L
