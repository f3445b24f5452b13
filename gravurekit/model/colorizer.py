"""A trained network at work: lightness in, ab and classes out, at any size."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from gravurekit.model.checkpoint import load_model
from gravurekit.model.network import PAPER_SIZE, ColorizationNetwork, resized

MODEL_FILE = "model.safetensors"


@dataclass(frozen=True, eq=False)
class Prediction:
    """ab: (H, W, 2) float32, CIE a and b; classes: (name, probability) pairs, the most probable first."""

    ab: np.ndarray
    classes: list[tuple[str, float]]


class Colorizer:
    """Colours lightness with one model. `about` is what the model file tells of its training."""

    def __init__(self, network: ColorizationNetwork, about: dict[str, Any]) -> None:
        self.network = network.eval()
        self.about = about
        self.device = next(network.parameters()).device

    @classmethod
    def load(cls, path: Path, device: str = "auto") -> "Colorizer":
        """From a model file, or the folder that holds `model.safetensors`."""
        return cls(*load_model(path / MODEL_FILE if path.is_dir() else path, device))

    @property
    def trained_size(self) -> tuple[int, int]:
        """Width and height, px, of the samples that it learned from; early models tell one side, of a square."""
        size = self.about.get("size", PAPER_SIZE)
        width, height = size if isinstance(size, list) else (size, size)
        return int(width), int(height)

    @torch.inference_mode()
    def predict(self, L: np.ndarray) -> Prediction:
        """The colours of L (H, W) float32, CIE L 0..100, of any size from 1×1 up, in float32 throughout."""
        if L.ndim != 2 or 0 in L.shape or not np.isfinite(L).all():
            raise ValueError(f"L must be (H, W) finite lightness in 0..100, not of shape {L.shape}")
        height, width = L.shape
        side = self.network.config.global_size
        whole = _tensor(L)
        padded = _tensor(_padded(L)).to(self.device)
        # The padding is no part of the picture, so the global copy is made without it; on the CPU, since
        # not every device has the antialiased resize. At the global size itself one pass serves both paths.
        square = None if whole.shape[-2:] == (side, side) else resized(whole, side).to(self.device)
        p, logits = self.network(padded, square)
        ab = F.interpolate(self.network.ab(p), scale_factor=2.0, mode="bilinear", align_corners=False)
        odds = torch.softmax(logits[0], 0).tolist()
        return Prediction(
            ab=np.ascontiguousarray(ab[0, :, :height, :width].permute(1, 2, 0).cpu().numpy()),
            classes=sorted(zip(self.network.config.classes, odds, strict=True), key=lambda c: (-c[1], c[0])),
        )


def _tensor(L: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(L, np.float32))[None, None]


def _padded(L: np.ndarray) -> np.ndarray:
    """L mirrored at its right and lower border up to multiples of 8; too short for that, repeated."""
    for axis in (0, 1):
        extra = -L.shape[axis] % 8
        pads = [(0, 0), (0, 0)]
        pads[axis] = (0, extra)
        L = np.pad(L, pads, mode="reflect" if extra < L.shape[axis] else "edge")
    return L
