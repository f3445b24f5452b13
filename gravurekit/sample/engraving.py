"""The uncoloured print: outlines and hatching that follows the form, paper left white in the lights."""

import cv2
import numpy as np

from gravurekit.sample.brush import SUBPIXEL, Patch, fixed
from gravurekit.sample.fabrics import albedo
from gravurekit.sample.paint import contour, fuzzy
from gravurekit.sample.parts import Part, Placement


def lines(phase: np.ndarray, width: np.ndarray, pitch: float) -> np.ndarray:
    """Ink 0..1 of lines at whole numbers of `phase`; `width` 0..1 is the inked share of a pitch."""
    distance = np.abs(phase - np.round(phase)) * pitch
    wide = width * pitch
    return np.clip(wide / 2 - distance + 0.5, 0, 1) * np.minimum(wide, 1)  # a hairline is a grey line


def hatch(surface: Patch, dark: np.ndarray, pitch: float) -> np.ndarray:
    """Ink 0..1 for a darkness 0..1: one set of lines across the form, a second where it is dark."""
    h, w = dark.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    bow = 0.28 * surface.half * np.sqrt(np.clip(1 - surface.u**2, 0, 1))
    along = (y - bow * 0.8 - 0.5 * surface.height + 0.12 * x) / pitch
    across = (0.8 * x + 0.6 * y + 0.25 * surface.height) / (pitch * 1.15)
    first = np.clip((dark - 0.1) * 0.92, 0, 0.7)
    second = np.where(dark > 0.52, np.clip((dark - 0.46) * 0.9, 0.08, 0.55), 0)
    return np.maximum(lines(along, first, pitch), lines(across, second, pitch * 1.15))


def _folds(light: np.ndarray) -> np.ndarray:
    """Ink 0..1 where the light 0..1 dips below its surroundings: the deep of each fold."""
    return np.clip((cv2.blur(light, (15, 15)) - light) * 14 - 0.35, 0, 1)


def engrave(
    paper: np.ndarray, parts: list[Part], place: Placement, rng: np.random.Generator, outline: bool = False
) -> None:
    """Engrave the parts on a (H, W) uint8 sheet, in place; each part hides what lies behind it.

    `outline`: contours and the deep of the folds only, as in costume books that were meant to be coloured by hand.
    """
    pitch = max(3.0, place.scale * 0.052)
    reach = 2 * int(place.scale * 0.013) + 1
    for part in parts:
        part = fuzzy(part, rng)
        surface = place.patch(part)
        if surface is None:
            continue
        grey = cv2.cvtColor(albedo(surface, part, place), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        # a face stays light, a beard does not
        own = np.clip(0.82 - grey, 0, 1) * 0.9 if part.fabric.warm else (1 - grey) * 0.46
        dark = (0.65 - surface.light) * 1.7 + own + 0.3 * surface.hollow
        drawing = np.clip((cv2.blur(grey, (9, 9)) - grey) * (11 if part.fabric.pattern == "fur" else 5) - 0.25, 0, 1)
        edge = contour(surface, part, reach).astype(np.float32) / 255
        tone = _folds(surface.light) if outline else hatch(surface, np.clip(dark, 0, 1), pitch)
        ink = np.maximum(np.maximum(tone, drawing), np.clip(edge * 2.2 - 0.3, 0, 1))
        h, w = surface.mask.shape
        view = paper[surface.y : surface.y + h, surface.x : surface.x + w]
        mask = surface.mask.astype(np.float32) / 255
        view[:] = (view * (1 - mask) + mask * (246 - 214 * ink)).astype(np.uint8)


def surroundings(paper: np.ndarray, kind: str, x: float, ground: float, scale: float, rng: np.random.Generator) -> None:
    """Ground hatching under the feet and a hint of landscape or of a wall; in place."""
    h, w = paper.shape
    if kind in ("garden", "seaside"):
        _horizon(paper, ground - scale * (1.2 if kind == "garden" else 1.7), scale, rng, kind == "seaside")
    elif kind in ("wall", "arcade", "curtain"):
        _wall(paper, ground - scale * 0.75, scale, rng)
    for k in range(24):
        y = ground + scale * (0.38 * (k / 23) - 0.1)
        bulge = np.sqrt(max(0.05, 1 - (2 * k / 23 - 1) ** 2))
        left = x - scale * (0.5 + 0.6 * bulge) * rng.uniform(0.8, 1.1)
        right = x + scale * (0.9 + 1.3 * bulge) * rng.uniform(0.75, 1.1)
        line = np.array([(left, y), ((left + right) / 2, y + rng.normal(0, 0.8)), (right, y)])
        cv2.polylines(paper, [fixed(line)], False, 70, 1, cv2.LINE_AA, SUBPIXEL)


def _wall(paper: np.ndarray, y: float, scale: float, rng: np.random.Generator) -> None:
    """Short upright hatching that fades away above the line where the floor begins."""
    w = paper.shape[1]
    cv2.polylines(paper, [fixed(np.array([(0, y), (w, y)]))], False, 130, 1, cv2.LINE_AA, SUBPIXEL)
    for x in np.arange(0, w, scale * 0.055):
        top = y - scale * (0.25 + 0.75 * (x / w) ** 2 + 0.12 * np.sin(x / scale * 2.3) + rng.uniform(-0.04, 0.04))
        cv2.polylines(paper, [fixed(np.array([(x, y), (x + scale * 0.04, top)]))], False, 186, 1, cv2.LINE_AA, SUBPIXEL)


def _horizon(paper: np.ndarray, y: float, scale: float, rng: np.random.Generator, sea: bool) -> None:
    h, w = paper.shape
    x = np.linspace(0, w, 60)
    if sea:
        for k in range(9):
            row = y + k * scale * 0.09 * (1 + k * 0.12)
            for _ in range(9):
                a = rng.uniform(0, w)
                cv2.line(
                    paper,
                    (int(a), int(row)),
                    (int(a + rng.uniform(0.2, 0.9) * scale), int(row)),
                    130,
                    1,
                    cv2.LINE_AA,
                )
        return
    for level, height, grey in ((0.0, 0.5, 150), (0.45, 0.3, 120)):
        ridge = y + scale * (
            level - height * np.abs(np.sin(x / w * rng.uniform(3, 6) + rng.uniform(0, 6))) + rng.normal(0, 0.02, 60)
        )
        points = np.stack([x, ridge], 1)
        cv2.polylines(paper, [fixed(points)], False, grey, 1, cv2.LINE_AA, SUBPIXEL)
        for a, b in points:
            for k in range(2):
                start = (a + rng.uniform(0, 8), b + 5 + k * 6)
                cv2.line(
                    paper,
                    (int(start[0]), int(start[1])),
                    (int(start[0] + scale * 0.14), int(start[1] + scale * 0.1)),
                    grey + 20,
                    1,
                    cv2.LINE_AA,
                )
