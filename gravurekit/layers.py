"""Layers: what a style makes of a photograph, ink and colour kept apart."""

from dataclasses import dataclass

import numpy as np

from gravurekit.color import multiply


@dataclass(frozen=True)
class Layers:
    """`plain` (H, W) uint8 sRGB grey: ink on paper, what an uncoloured gravure is and what the network is fed;
    `wash` (H, W, 3) uint8 sRGB: the colours without the ink, what the network learns."""

    plain: np.ndarray
    wash: np.ndarray

    @property
    def print(self) -> np.ndarray:
        """(H, W, 3) uint8 sRGB: wash × ink in linear light, to look at."""
        return multiply(self.wash, self.plain)
