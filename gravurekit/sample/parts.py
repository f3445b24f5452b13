"""What a figure is: its lots drawn, its parts with their fabrics and strokes, its place in the picture."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from gravurekit.sample.brush import Patch, patch

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Figure:
    """All that a drawing depends on; colours are sRGB 0..255, lengths are heads or shares of the picture."""

    garment: str
    seed: int
    main: RGB
    second: RGB
    third: RGB
    accent: RGB
    motif: RGB
    skin: RGB
    hair: RGB
    left: str
    right: str
    prop: str
    variant: int
    turn: float
    sway: float
    flip: bool
    zoom: float
    offset: float
    aspect: float
    background: str
    grain: int


@dataclass(frozen=True)
class Fabric:
    """A material: colours are sRGB 0..255, lengths are in heads."""

    colour: RGB
    pattern: str = "plain"
    accent: RGB = (212, 170, 84)
    size: float = 0.6
    sheen: float = 0.1
    hem: float = 0.0
    hem_colour: RGB = (212, 170, 84)
    fuzz: float = 0.0  # how ragged the edge is
    warm: bool = False  # skin: shades stay warm


@dataclass(frozen=True)
class Stroke:
    """A line, a filled shape or a row of dots on a part, clipped to it; coordinates and width in heads."""

    points: np.ndarray
    width: float
    colour: RGB
    kind: str = "line"  # line, fill, dots


@dataclass(frozen=True, eq=False)
class Part:
    """One piece of the figure, painted over those before it. Coordinates in heads, crown at (0, 0)."""

    outline: np.ndarray
    fabric: Fabric
    axis: np.ndarray | None = None
    widths: np.ndarray | None = None
    folds: np.ndarray | None = None
    relief: float = 0.55
    ball: float = 0.0
    hem_from: float = 1.0
    shadow: float = 0.38
    strokes: tuple[Stroke, ...] = field(default=())

    def with_strokes(self, *strokes: Stroke) -> "Part":
        return replace(self, strokes=self.strokes + strokes)


@dataclass(frozen=True)
class Placement:
    """From heads to pixels: a head's height, the crown's place, a bend of the body, and a flip."""

    scale: float
    x: float
    y: float
    sway: float
    flip: bool
    shape: tuple[int, int]

    def pixels(self, points: ArrayLike) -> np.ndarray:
        """(N, 2) head units → (N, 2) pixel coordinates."""
        points = np.asarray(points, np.float64).reshape(-1, 2)
        bend = self.sway * np.sin(np.clip((points[:, 1] - 0.6) / 5.4, 0, 1) * np.pi)
        x = points[:, 0] + bend
        x = -x if self.flip else x
        return np.stack([self.x + x * self.scale, self.y + points[:, 1] * self.scale], 1)

    def patch(self, part: Part) -> Patch | None:
        """The part as lit pixels; None when it lies outside the picture."""
        axis = None if part.axis is None else self.pixels(part.axis)
        widths = None if part.widths is None else np.maximum(part.widths * self.scale, 1)
        fuzz = None
        if part.fabric.fuzz and axis is not None:
            noise = np.random.default_rng(11).normal(0, 1, (256, 256)).astype(np.float32)
            fuzz = cv2.GaussianBlur(noise, (0, 0), 1.6) * np.float32(1.9 * part.fabric.fuzz * self.scale)
        return patch(
            self.pixels(part.outline),
            axis,
            widths,
            part.folds,
            self.scale,
            part.relief,
            part.ball,
            part.hem_from,
            self.shape,
            fuzz,
        )
