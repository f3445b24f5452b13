"""The gouache: parts laid one over another with light, shade, cast shadows and grain."""

from dataclasses import replace

import cv2
import numpy as np

from gravurekit.sample.brush import Patch
from gravurekit.sample.fabrics import albedo
from gravurekit.sample.parts import Fabric, Part, Placement


def fuzzy(part: Part, rng: np.random.Generator) -> Part:
    """A fur part with a ragged outline."""
    if not part.fabric.fuzz or part.axis is not None:
        return part
    outline = np.vstack([part.outline, part.outline[:1]])
    steps = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1))])
    count = max(24, int(steps[-1] / 0.035))
    place = np.linspace(0, steps[-1], count, endpoint=False)
    dense = np.stack([np.interp(place, steps, outline[:, i]) for i in (0, 1)], 1)
    jag = rng.uniform(-0.4, 1.0, count) * part.fabric.fuzz
    along = np.gradient(dense, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    area = np.sum(dense[:-1, 0] * dense[1:, 1] - dense[1:, 0] * dense[:-1, 1])
    outward = np.stack([along[:, 1], -along[:, 0]], 1) * (1 if area > 0 else -1)
    return replace(part, outline=dense + outward * jag[:, None] + [0, 0.01])


def tone(surface: Patch) -> np.ndarray:
    """Light with the shade of folds and of the turning edge: (h, w) float32, about 0.3..1.25."""
    rim = np.clip(np.abs(surface.u) - 0.75, 0, 0.35) * 0.35
    return 0.46 + 0.80 * surface.light - 0.30 * surface.hollow - rim


def shaded(colour: np.ndarray, surface: Patch, fabric: Fabric) -> np.ndarray:
    """(h, w, 3) uint8 albedo → uint8 lit colours, cool in the shade and warm in the light."""
    light = tone(surface) * (0.93 if fabric.warm else 1)  # skin must not burn out to yellow
    gloss = fabric.sheen * 120 * np.clip((surface.light - 0.80) * 5, 0, 1) ** 2 if fabric.sheen else 0.0
    channels = []
    tints = ((0.12, 0.02), (0.0, 0.0), (-0.06, 0.0)) if fabric.warm else ((-0.05, 0.03), (-0.03, 0.0), (0.06, -0.05))
    for i, (cool, warm) in enumerate(tints):
        tint = light * (1 + warm) + cool * (1 - light)
        channels.append(np.clip(colour[..., i] * tint + gloss, 0, 255))
    return cv2.merge(channels).astype(np.uint8)


def blend(canvas: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> None:
    """Lay uint8 `colour` over uint8 `canvas` (a view, changed in place) where `mask` uint8 says."""
    share = cv2.merge([mask] * 3)
    over = cv2.multiply(colour, share, scale=1 / 255)
    under = cv2.multiply(canvas, 255 - share, scale=1 / 255)
    canvas[:] = cv2.add(over, under)


def paint(canvas: np.ndarray, parts: list[Part], place: Placement, rng: np.random.Generator) -> None:
    """Paint the parts on an RGB uint8 canvas, in place. Their shadows fall on parts painted before only."""
    covered = np.zeros(canvas.shape[:2], np.uint8)
    for part in parts:
        part = fuzzy(part, rng)
        surface = place.patch(part)
        if surface is None:
            continue
        _cast(canvas, covered, surface, part.shadow, place.scale)
        h, w = surface.mask.shape
        window = (slice(surface.y, surface.y + h), slice(surface.x, surface.x + w))
        colour = shaded(albedo(surface, part, place), surface, part.fabric)
        blend(canvas[window], _contour(colour, surface, part), surface.mask)
        covered[window] = cv2.max(covered[window], surface.mask)


def contour(surface: Patch, part: Part, size: int = 3) -> np.ndarray:
    """The part's edge, 0..255 uint8; a limb has none where it grows out of the shoulder."""
    inner = cv2.blur(cv2.erode(surface.mask, np.ones((3, 3), np.uint8)), (size, size))
    edge = cv2.subtract(np.full_like(inner, 255), inner)
    if part.axis is not None and part.fabric.warm:
        edge = cv2.multiply(edge, np.clip((surface.v - 0.08) * 8, 0, 1).astype(np.float32), dtype=cv2.CV_8U)
    return edge


def _contour(colour: np.ndarray, surface: Patch, part: Part) -> np.ndarray:
    """Darken the outermost pixels a little, as a painter sharpens a form."""
    return cv2.multiply(colour, cv2.merge([255 - contour(surface, part) // 2] * 3), scale=1 / 255)


def _cast(canvas: np.ndarray, covered: np.ndarray, surface: Patch, strength: float, scale: float) -> None:
    """The part's soft shadow, down and to the right, on what is already painted of the figure."""
    if strength <= 0:
        return
    reach = max(3, int(0.16 * scale))
    h, w = surface.mask.shape
    y0, x0 = max(surface.y - reach, 0), max(surface.x - reach, 0)
    y1, x1 = min(surface.y + h + reach, canvas.shape[0]), min(surface.x + w + reach, canvas.shape[1])
    shadow = np.zeros((y1 - y0, x1 - x0), np.uint8)
    dy, dx = surface.y - y0 + int(0.08 * scale), surface.x - x0 + int(0.06 * scale)
    hh, ww = min(h, shadow.shape[0] - dy), min(w, shadow.shape[1] - dx)
    shadow[dy : dy + hh, dx : dx + ww] = surface.mask[:hh, :ww]
    size = reach // 2 * 2 + 1
    shadow = cv2.blur(cv2.blur(shadow, (size, size)), (size // 4 * 2 + 1,) * 2)
    shadow = cv2.multiply(shadow, covered[y0:y1, x0:x1], scale=strength / 255)
    view = canvas[y0:y1, x0:x1]
    view[:] = cv2.multiply(view, cv2.merge([255 - shadow] * 3), scale=1 / 255)


def finish(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vignette, mottled paper and fine grain. (H, W, 3) uint8 → the same."""
    h, w = canvas.shape[:2]
    mottle = cv2.resize(
        rng.normal(0, 1.3, (h // 16 + 2, w // 16 + 2)).astype(np.float32),
        (w, h),
        interpolation=cv2.INTER_CUBIC,
    )
    y, x = np.linspace(-1, 1, h, dtype=np.float32)[:, None], np.linspace(-1, 1, w, dtype=np.float32)[None]
    shade = (255 * (1 - 0.13 * np.clip(x * x * 0.6 + y * y * 0.6 - 0.4, 0, 1))).astype(np.uint8)
    noise = (rng.standard_normal((h, w), np.float32) * 2.6 + mottle).astype(np.int16)
    return cv2.add(cv2.multiply(canvas, cv2.merge([shade] * 3), scale=1 / 255), cv2.merge([noise] * 3), dtype=cv2.CV_8U)
