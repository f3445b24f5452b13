"""What the crafts' tests share: drawn pictures that differ as photographs do, and their probes."""

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from copies import Opening, kept

from gravurekit import images, probe
from gravurekit.filters import Compare
from gravurekit.images import Picture
from gravurekit.probe import FIGURES, THUMBS, Probes
from gravurekit.record import Record

Draw = Callable[..., np.ndarray]
ProbeOf = Callable[..., Probes]


@pytest.fixture(scope="session")
def draw() -> Draw:
    """`draw(seed, height, width)`: (H, W, 3) uint8 sRGB, a figure before a background, all of it from the seed."""

    def drawn(seed: int, height: int = 300, width: int = 240) -> np.ndarray:
        rng = np.random.default_rng(seed)
        coarse = rng.uniform(40, 220, (5, 4, 3)).astype(np.float32)
        canvas = cv2.resize(coarse, (240, 300), interpolation=cv2.INTER_CUBIC)
        for _ in range(14):
            shade = tuple(float(c) for c in rng.integers(0, 255, 3))
            center = tuple(int(c) for c in rng.integers(20, 220, 2))
            axes = tuple(int(c) for c in rng.integers(8, 60, 2))
            cv2.ellipse(canvas, center, axes, float(rng.integers(0, 180)), 0, 360, shade, -1, cv2.LINE_AA)
        cv2.line(canvas, *(tuple(int(c) for c in rng.integers(0, 240, 2)) for _ in "ab"), (20, 20, 20), 5, cv2.LINE_AA)
        canvas = cv2.GaussianBlur(canvas, (0, 0), 1.0) + rng.normal(0, 2, canvas.shape)
        return images.resize(np.clip(canvas, 0, 255).astype(np.uint8), width, height)

    return drawn


@pytest.fixture(scope="session")
def spotted() -> Draw:
    """`spotted(pixels, seed, count)`: those with spots and strokes, that features hold on to as they do to
    photographs."""

    def drawn(pixels: np.ndarray, seed: int, count: int = 90) -> np.ndarray:
        pixels, rng = pixels.copy(), np.random.default_rng([seed, 7])
        height, width = pixels.shape[:2]
        for _ in range(count):
            x, y = (int(n) for n in rng.integers(0, [width, height]))
            shade, size = tuple(int(n) for n in rng.integers(0, 256, 3)), int(rng.integers(2, 6))
            if rng.random() < 0.5:
                cv2.circle(pixels, (x, y), size, shade, -1, cv2.LINE_AA)
            else:
                to = (x + int(rng.integers(-14, 15)), y + int(rng.integers(-14, 15)))
                cv2.line(pixels, (x, y), to, shade, 2, cv2.LINE_AA)
        return pixels

    return drawn


@pytest.fixture(scope="session")
def scene(draw: Draw, spotted: Draw) -> Callable[[int], np.ndarray]:
    """`scene(seed)`: (300, 240, 3) uint8, a drawn picture with spots and strokes all over it."""
    return cache(lambda seed: spotted(draw(seed), seed))


@pytest.fixture(scope="session")
def probe_of() -> ProbeOf:
    """`probe_of(key, pixels)`: the Probes of one array as if it were a file of `size` bytes; `record_fields` are what
    its Record says besides."""

    def probed(key: str, pixels: np.ndarray, size: int = 1000, **record_fields: Any) -> Probes:
        sha256 = hashlib.sha256(key.encode()).hexdigest()
        figures, thumbs = probe.measure(Picture(np.ascontiguousarray(pixels), "png", False), sha256, size)
        known = {"sha256": sha256, "width": pixels.shape[1], "height": pixels.shape[0]} | record_fields
        return Probes([Record(key=key, **known)], figures[None], thumbs[None], np.zeros(1, np.int64))

    return probed


@pytest.fixture(scope="session")
def together() -> Callable[..., Probes]:
    """`together(*probes)`: those Probes one after the other, as one."""

    def joined(*probes: Probes) -> Probes:
        records = [item for some in probes for item in some.records]
        figures = np.concatenate([np.zeros(0, FIGURES), *(some.figures for some in probes)])
        thumbs = np.concatenate([np.zeros(0, THUMBS), *(some.look(np.arange(len(some))) for some in probes)])
        return Probes(records, figures, thumbs, np.arange(len(records)))

    return joined


@pytest.fixture
def judged(probe_of: ProbeOf, together: Callable[..., Probes]) -> Callable[..., tuple[dict[str, str], Opening]]:
    """`judged(a=pixels, b=pixels, …)`: what goes for which, and what was opened for it."""

    def judge(thorough: bool = False, **pictures: np.ndarray) -> tuple[dict[str, str], Opening]:
        opening = Opening(**pictures)
        probes = together(*(probe_of(key, pixels) for key, pixels in pictures.items()))
        return kept(probes, Compare(opening.proofs, thorough)), opening

    return judge
