"""How a fabric lies on a part: its weave, its border, what is drawn on it."""

import cv2
import numpy as np

from gravurekit.sample.brush import SUBPIXEL, Patch, fixed
from gravurekit.sample.parts import Fabric, Part, Placement
from gravurekit.sample.weaves import TILE, tile


def _ornament(surface: Patch, part: Part, scale: float) -> np.ndarray:
    """Accent coverage 0..1 (h, w, 1): the tile bent along the form and over its folds."""
    fabric = part.fabric
    period = fabric.size * scale
    middle = float(np.mean(surface.half))
    across = 0.55 * middle + 0.45 * surface.half  # flares a little, as a gored skirt does
    x = surface.u * across / period + 0.25 + surface.height * (0.25 / period)
    length = (
        surface.mask.shape[0]
        if part.axis is None
        else float(np.linalg.norm(np.diff(part.axis, axis=0), axis=1).sum()) * scale
    )
    y = surface.v * (length / period) + 0.12 * (1 - surface.u * surface.u)
    maps = [np.mod(a * TILE, TILE).astype(np.float32) for a in (x, y)]
    wrapped = cv2.copyMakeBorder(tile(fabric.pattern), 0, 1, 0, 1, cv2.BORDER_WRAP)
    if period < TILE * 0.6:  # avoid aliasing when a big tile is drawn small
        wrapped = cv2.GaussianBlur(wrapped, (0, 0), 0.35 * TILE / period)
    return cv2.remap(wrapped, maps[0], maps[1], cv2.INTER_LINEAR)


def albedo(surface: Patch, part: Part, place: Placement) -> np.ndarray:
    """The part's own colours without light. (h, w, 3) uint8 sRGB."""
    fabric = part.fabric
    h, w = surface.mask.shape
    colour: np.ndarray = np.empty((h, w, 3), np.uint8)
    colour[:] = fabric.colour
    if fabric.pattern != "plain":
        cover = _ornament(surface, part, place.scale)
        ramp = np.linspace(0, 1, 256)[:, None]
        mix = np.array(fabric.colour) * (1 - ramp) + np.array(fabric.accent) * ramp
        table = np.round(mix).astype(np.uint8)
        colour = cv2.LUT(cv2.merge([cover] * 3), table.reshape(1, 256, 3))
    if fabric.hem:
        _draw_hem(colour, surface, fabric, place.scale)
    if part.strokes:
        colour = _draw_strokes(colour, surface, part, place)
    return colour


def _draw_strokes(colour: np.ndarray, surface: Patch, part: Part, place: Placement) -> np.ndarray:
    """Lines, shapes and dots over the cloth; small parts (faces) at three times the size, for fine lines."""
    h, w = colour.shape[:2]
    zoom = 3 if h * w < 36000 else 1
    if zoom > 1:
        colour = cv2.resize(colour, (w * zoom, h * zoom), interpolation=cv2.INTER_LINEAR)
    for stroke in part.strokes:
        points = (place.pixels(stroke.points) - [surface.x, surface.y] + 0.5) * zoom - 0.5
        width = stroke.width * place.scale * zoom
        if stroke.kind == "fill":
            cv2.fillPoly(colour, [fixed(points)], stroke.colour, cv2.LINE_AA, SUBPIXEL)
        elif stroke.kind == "dots":
            for x, y in fixed(points).tolist():
                cv2.circle(colour, (x, y), int(width * 8), stroke.colour, -1, cv2.LINE_AA, SUBPIXEL)
        else:
            cv2.polylines(colour, [fixed(points)], False, stroke.colour, max(1, round(width)), cv2.LINE_AA, SUBPIXEL)
    return cv2.resize(colour, (w, h), interpolation=cv2.INTER_AREA) if zoom > 1 else colour


def _draw_hem(colour: np.ndarray, surface: Patch, fabric: Fabric, scale: float) -> None:
    """A border along the lower edge, found column by column so that it follows the scallops."""
    inside = surface.mask > 127
    h = inside.shape[0]
    bottom = (h - 1 - inside[::-1].argmax(0)).astype(np.float32)
    bottom = cv2.blur(bottom[None], (7, 1))[0]
    rise = (bottom[None] - np.arange(h, dtype=np.float32)[:, None]) / scale
    low = np.clip((surface.v - 0.45) * 20, 0, 1)
    band = np.clip((fabric.hem - rise) * scale + 0.5, 0, 1)
    line = np.clip((fabric.hem * 0.12 - np.abs(rise - fabric.hem * 1.4)) * scale + 0.5, 0, 1)
    if fabric.hem > 0.1:
        wave = 0.5 + 0.28 * np.sin(surface.u * surface.half * (2 * np.pi / (0.24 * scale)))
        band = band - np.clip((0.13 - np.abs(rise / fabric.hem - wave)) * fabric.hem * scale + 0.5, 0, 1) * band * 0.8
    cover = (np.maximum(band, line) * low)[..., None].astype(np.float32)
    colour[:] = colour * (1 - cover) + np.array(fabric.hem_colour, np.float32) * cover
