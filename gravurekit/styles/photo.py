"""No engraving at all: a photograph's own grey as the ink, its colours as the wash. What drawings are compared with.

A network that learns from this has learnt from photographs, as those of the literature have.
"""

import cv2
import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.color import linear_to_srgb, srgb_to_linear
from gravurekit.layers import Layers
from gravurekit.paper import LUMINANCE

REVISION = 1


class Settings(settings.Settings):
    """How far the colours are smoothed."""

    passes: int = Field(2, ge=0, le=20, description="Repetitions of the bilateral filter on the colours.")
    sigma: float = Field(16.0, gt=0, le=255, description="Its sigma over colour, 8-bit levels.")


def draw(photo: np.ndarray, settings: Settings, rng: np.random.Generator) -> Layers:
    """(H, W, 3) uint8 sRGB → Layers: `plain` is the photograph's luminance as grey, `wash` its smoothed colours."""
    colours = photo
    for _ in range(settings.passes):
        colours = cv2.bilateralFilter(colours, 5, settings.sigma, 4)
    return Layers(plain=linear_to_srgb(srgb_to_linear(photo) @ LUMINANCE), wash=colours)


def redraw(ink: np.ndarray, settings: Settings) -> np.ndarray:
    """(H, W) uint8 grey, a print on white paper → the same: its grey is what there is."""
    return ink
