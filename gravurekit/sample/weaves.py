"""Weaves and ornaments as small repeating tiles."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import ArrayLike

from gravurekit.sample.brush import SUBPIXEL, fixed, smooth

TILE = 128


def _stamp(tile: np.ndarray, points: ArrayLike, value: int = 255) -> None:
    """A filled shape drawn with its eight neighbours, so that the tile repeats without a seam."""
    for dx in (-TILE, 0, TILE):
        for dy in (-TILE, 0, TILE):
            cv2.fillPoly(tile, [fixed(np.asarray(points) + [dx, dy])], value, cv2.LINE_AA, SUBPIXEL)


def _petals(tile: np.ndarray, x: float, y: float, radius: float, count: int, value: int = 255) -> None:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    reach = radius * (0.62 + 0.38 * np.cos(count * angle))
    _stamp(tile, np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], 1), value)


def _leaf(tile: np.ndarray, x: float, y: float, length: float, angle: float, value: int = 255) -> None:
    t = np.linspace(0, 1, 12)
    bulge = 0.26 * length * np.sin(np.pi * t)
    along, across = np.concatenate([t, t[::-1]]) * length, np.concatenate([bulge, -bulge[::-1]])
    c, s = np.cos(angle), np.sin(angle)
    _stamp(tile, np.stack([x + along * c - across * s, y + along * s + across * c], 1), value)


def _brocade(tile: np.ndarray) -> None:
    """Ogival lattice with a tulip palmette in each field, as on Ottoman kaftans."""
    t = np.linspace(0, 1, 50)
    for x in (-64, 0, 64, 128):  # wavy stems that part and meet again
        for sign in (-1, 1):
            bend = 28 * sign * np.abs(np.sin(np.pi * (t if x % 128 == 0 else t + 0.5))) ** 1.3
            line = np.stack([x + bend, t * TILE], 1)
            cv2.polylines(tile, [fixed(line)], False, 150, 2, cv2.LINE_AA, SUBPIXEL)
    for x, y in ((0, 64), (64, 0)):
        drop = smooth(
            [(x, y - 34), (x + 17, y - 6), (x + 13, y + 14), (x, y + 22), (x - 13, y + 14), (x - 17, y - 6)],
            True,
        )
        _stamp(tile, drop)
        _stamp(tile, (drop - [x, y]) * 0.78 + [x, y], 30)
        _petals(tile, x, y, 11, 5)
        for side in (-1, 1):
            _leaf(tile, x + side * 2, y + 24, 17, np.pi / 2 - side * 0.8)


def _embroidery(tile: np.ndarray) -> None:
    """Curling gold branches with leaves and roses (dival work)."""
    t = np.linspace(0, TILE, 40)
    for phase, x in ((0.0, 34), (np.pi, 98)):
        for dx in (-TILE, 0, TILE):
            line = np.stack([x + dx + 14 * np.sin(t / TILE * 2 * np.pi + phase), t], 1)
            cv2.polylines(tile, [fixed(line)], False, 255, 3, cv2.LINE_AA, SUBPIXEL)
        for k in range(6):
            y = k * TILE / 6 + 6
            side = 1 if k % 2 else -1
            _leaf(tile, x + 14 * np.sin(y / TILE * 2 * np.pi + phase), y, 21, -0.7 if side > 0 else np.pi + 0.7)
    _petals(tile, 34 - 13, 96, 15, 6)
    _petals(tile, 98 - 13, 32, 15, 6)
    _petals(tile, 66, 6, 7, 5)


def _sprigs(tile: np.ndarray) -> None:
    for x, y in ((30, 30), (94, 94)):
        _petals(tile, x, y, 13, 5)
        _leaf(tile, x, y + 8, 22, 1.1, 170)
        _leaf(tile, x, y + 8, 22, 2.0, 170)


@cache
def tile(pattern: str) -> np.ndarray:
    """How much accent colour at each place of a repeating tile: (128, 128) uint8 0..255."""
    art = np.zeros((TILE, TILE), np.uint8)
    if pattern == "brocade":
        _brocade(art)
    elif pattern == "embroidery":
        _embroidery(art)
    elif pattern == "sprigs":
        _sprigs(art)
    elif pattern == "stripes":
        art[:, 8:22] = 255
        art[:, 30:34] = 150
        art[:, 72:86] = 255
        art[:, 94:98] = 150
    elif pattern == "check":
        art[:, 10:26] = 110
        art[10:26] = np.maximum(art[10:26], 110)
        art[:, 70:73] = 200
        art[70:73] = 200
    elif pattern in ("fur", "wool"):
        rng = np.random.default_rng(7)
        for _ in range(520 if pattern == "fur" else 0):
            x, y = rng.uniform(0, TILE, 2)
            length, tilt = rng.uniform(9, 20), rng.normal(0, 0.35)
            tip = (x + length * np.sin(tilt), y + length * np.cos(tilt))
            _stamp(art, [(x - 1.5, y), (x + 1.5, y), tip], int(rng.integers(30, 255)))
        noise = cv2.GaussianBlur(rng.normal(0, 1, (TILE, TILE)).astype(np.float32), (0, 0), 1.0)
        clumps = cv2.GaussianBlur(rng.normal(0, 1, (TILE, TILE)).astype(np.float32), (0, 0), 7) * 260
        noise = noise + (clumps / 40 if pattern == "fur" else 0)
        art = np.clip(art * 0.8 + 40 + noise * (70 if pattern == "wool" else 40), 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(art, (0, 0), 0.7)
