"""Layers: what a style makes of a photograph, ink and colour kept apart."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from gravurekit import images
from gravurekit.color import linear_to_srgb, srgb_to_linear

WHITE = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Layers:
    """`plain` (H, W) uint8 sRGB grey: ink on paper, what an uncoloured gravure is and what the network is fed;
    `wash` (H, W, 3) uint8 sRGB: the colours without the ink, what the network learns; `paper`: the tint of the paper,
    the share of light that it gives back a channel (red, green, blue), linear, 0..1."""

    plain: np.ndarray
    wash: np.ndarray
    paper: tuple[float, float, float] = WHITE

    @property
    def print(self) -> np.ndarray:
        """(H, W, 3) uint8 sRGB: wash × ink × paper in linear light, to look at."""
        # 8 bits times 8 bits: a table holds every product, and looking up is ten times as quick as the powers of sRGB
        pairs = self.plain[..., None].astype(np.uint16) << 8 | self.wash
        if self.paper == WHITE:
            return np.take(_products(1.0), pairs)
        return np.stack([np.take(_products(share), pairs[..., n]) for n, share in enumerate(self.paper)], axis=-1)

    def resized(self, width: int, height: int) -> "Layers":
        """Both layers at `width` × `height` px: by area when they shrink, as real prints are reduced."""
        plain, wash = (images.resize(layer, width, height) for layer in (self.plain, self.wash))
        return replace(self, plain=plain, wash=wash)


@lru_cache(maxsize=1)
def _products(share: float) -> np.ndarray:
    """(65536,) uint8 sRGB: the product of two uint8 sRGB values and `share` in linear light, at 256 · one + other."""
    linear = srgb_to_linear(np.arange(256, dtype=np.uint8))
    light = linear[:, None] * linear[None, :]
    return linear_to_srgb(light * np.float32(share) if share != 1.0 else light).ravel()


@dataclass(frozen=True)
class Side:
    """What a style that refines drawings is given besides them: `style_images`, prints whose manner it takes over, and
    `features`, what it compares them by, as `--features` says it."""

    style_images: tuple[Path, ...] = ()
    features: str = "random:0"
