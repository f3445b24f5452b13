"""Drawn books of prints and drawn photographs, that a judge of style can learn from in seconds."""

from pathlib import Path

import cv2
import numpy as np

from gravurekit import images
from gravurekit.storage import write_bytes

HEIGHT, WIDTH = 272, 208


def soft(rng: np.random.Generator, cells: int = 5) -> np.ndarray:
    """(HEIGHT, WIDTH) float32 0..1, slowly changing."""
    coarse = rng.random((cells, cells)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), 0, 1)


def photograph(seed: int) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 sRGB: soft shapes, edges and cloth, in colours."""
    rng = np.random.default_rng([seed, 1])
    canvas = np.dstack([soft(rng) for _ in "rgb"]) * 180 + 30
    for _ in range(12):
        centre, axes = rng.integers(0, (WIDTH, HEIGHT)), rng.integers(8, 50, 2)
        shade = tuple(float(level) for level in rng.uniform(20, 235, 3))
        cv2.ellipse(canvas, centre.tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, shade, -1, cv2.LINE_AA)
    cloth = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH)), (0, 0), 1.2) * 20
    return np.clip(cv2.GaussianBlur(canvas, (0, 0), 1.0) + cloth[..., None], 0, 255).astype(np.uint8)


def engraving(seed: int, pitch: float, cross: bool) -> np.ndarray:
    """(HEIGHT, WIDTH) uint8: lines that bend, wander and swell with a tone, in some places crossed, and contours."""
    rng = np.random.default_rng([seed, 2])
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    tone, sheet = soft(rng, 6), np.ones((HEIGHT, WIDTH), np.float32)
    for n in range(2 if cross else 1):
        angle = rng.uniform(0, np.pi)
        wander = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32), (0, 0), 4)
        phase = (np.cos(angle) * x + np.sin(angle) * y) / pitch + 5 * soft(rng) + 0.15 * wander / wander.std()
        away = np.abs(phase - np.round(phase)) * pitch
        wide = np.clip(tone - 0.15 - 0.3 * n, 0, 1) * pitch * 0.55
        sheet *= 1 - np.clip(wide - away + 0.5, 0, 1) * np.minimum(1, wide)
    edge = np.abs(soft(rng, 7) - 0.5)
    sheet *= np.clip(edge * 60 - 0.4, 0, 1)
    return np.rint(20 + 228 * sheet).astype(np.uint8)


BOOKS = {"alpha": (4.0, False), "beta": (5.0, True), "gamma": (4.5, True)}  # pitch, and whether it is crossed


def book(name: str, count: int) -> list[np.ndarray]:
    """`count` pictures of one of BOOKS."""
    return [engraving(100 * list(BOOKS).index(name) + n, *BOOKS[name]) for n in range(count)]


def write(folder: Path, photos: int, pages: int) -> None:
    """`photos/` and `prints/<book>/` in `folder`."""
    for n in range(photos):
        write_bytes(folder / "photos" / f"{n:02}.png", images.encode_png(photograph(n)))
    for name in BOOKS:
        for n, page in enumerate(book(name, pages)):
            write_bytes(folder / "prints" / name / f"{n:02}.png", images.encode_png(page))
