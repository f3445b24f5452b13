"""The original report's cartoon filter: colours flattened by a bilateral filter repeated at reduced size, black lines
from an adaptive threshold of the median-blurred grey picture, the two combined.
"""

import cv2
import numpy as np
from pydantic import Field, field_validator

from gravurekit import settings
from gravurekit.layers import Layers

REVISION = 1
SMALL = 5  # px; OpenCV's bilateral filter and median are many times quicker up to here
HATCH_SIGMA = 2.0  # px; melts hatching at a spacing of up to about 5 px


class Settings(settings.Settings):
    """The report's numbers."""

    downscalings: int = Field(2, ge=0, le=6, description="Halvings of the picture before it is smoothed.")
    bilateral_passes: int = Field(7, ge=0, le=50, description="Repetitions of the bilateral filter.")
    bilateral_diameter: int = Field(9, ge=1, le=25, description="Diameter of the bilateral filter, px.")
    bilateral_color: float = Field(9.0, gt=0, description="Its sigma over colour, 8-bit levels.")
    bilateral_space: float = Field(7.0, gt=0, description="Its sigma over space, px.")
    median: int = Field(7, ge=1, le=31, description="Side of the median blur before the threshold, px, odd.")
    threshold_block: int = Field(9, ge=3, le=99, description="Side of the adaptive threshold's window, px, odd.")
    fast: bool = Field(False, description="Small windows for both filters: several times quicker, nearly the same.")
    threshold_offset: float = Field(2.0, description="Grey levels below the window's mean that make a line.")

    @field_validator("median", "threshold_block")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"must be odd; {value} is even")
        return value


def draw(photo: np.ndarray, settings: Settings, rng: np.random.Generator) -> Layers:
    """(H, W, 3) uint8 sRGB → Layers: `plain` is black lines on white, `wash` the photograph's flattened colours."""
    return Layers(plain=_lines(photo, settings), wash=_flat_colours(photo, settings))


def redraw(ink: np.ndarray, settings: Settings) -> np.ndarray:
    """(H, W) uint8 grey, a print on white paper → (H, W) uint8, the lines that this style draws of it.

    The blur melts hatching into tone first; without it every hatch would become a contour.
    """
    melted = cv2.GaussianBlur(ink, (0, 0), HATCH_SIGMA)
    return _lines(np.repeat(melted[..., None], 3, axis=2), settings)


def _flat_colours(photo: np.ndarray, settings: Settings) -> np.ndarray:
    colours = photo
    for _ in range(settings.downscalings):
        colours = cv2.pyrDown(colours)
    diameter = min(settings.bilateral_diameter, SMALL) if settings.fast else settings.bilateral_diameter
    for _ in range(settings.bilateral_passes):
        colours = cv2.bilateralFilter(colours, diameter, settings.bilateral_color, settings.bilateral_space)
    for _ in range(settings.downscalings):
        colours = cv2.pyrUp(colours)
    height, width = photo.shape[:2]
    # each halving rounds up, so the enlarged picture may be a few pixels too large
    return np.ascontiguousarray(colours[:height, :width])


def _lines(photo: np.ndarray, settings: Settings) -> np.ndarray:
    median = min(settings.median, SMALL) if settings.fast else settings.median
    grey = cv2.medianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), median)
    return cv2.adaptiveThreshold(
        grey,
        255,
        cv2.ADAPTIVE_THRESH_MEAN_C,
        cv2.THRESH_BINARY,
        settings.threshold_block,
        settings.threshold_offset,
    )
