"""Drawn photographs of a garment of one colour before a plain ground: what a picture is like in which colour follows
the tones though nobody toned it. Folds and light multiply the cloth's colour, as in the world; the ground has light and
shadow of its own."""

import colorsys
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from gravurekit.color import linear_to_srgb, srgb_to_linear

HUES = 24
CLOTHS = {"deep": (0.8, 0.45), "loud": (0.85, 0.85), "pale": (0.35, 0.9), "muted": (0.45, 0.55)}  # saturation, value
GROUNDS = {"white": (250, 250, 250), "grey": (150, 150, 150), "beige": (222, 204, 176), "pastel": None}
HEIGHT, WIDTH = 533, 400
Rng = np.random.Generator


class Garment(NamedTuple):
    """What was drawn: hue 0..1, names of cloth and ground, (533, 400, 3) uint8 sRGB."""

    hue: float
    cloth: str
    ground: str
    pixels: np.ndarray


def garments() -> Iterator[Garment]:
    """All hues of all cloths before all grounds; each in another shape, with other folds, in other light."""
    rng = np.random.default_rng(20)
    for cloth, look in CLOTHS.items():
        for ground, shade in GROUNDS.items():
            for hue in (np.arange(HUES) + 0.25) / HUES:
                paper = light_of(shade) if shade else of_hue(rng.random(), 0.15, 0.92)
                yield Garment(hue, cloth, ground, drawn(rng, of_hue(hue, *look), paper))


def light_of(color: tuple[int, int, int]) -> np.ndarray:
    """(3,) float32 linear light of an sRGB colour."""
    return srgb_to_linear(np.array(color, np.uint8))


def of_hue(hue: float, saturation: float, value: float) -> np.ndarray:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return light_of((red, green, blue))


def drawn(rng: Rng, cloth: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """`cloth` and `ground`, (3,) linear light → (533, 400, 3) uint8 sRGB."""
    shape, depth = outline(rng), rng.uniform(0.25, 0.45)
    shadow = np.roll(cv2.GaussianBlur(shape, (0, 0), 10), (6, 8), (0, 1))
    folds = (1 - depth + depth * waves(rng)) * uneven(rng, 0.75) * grain(rng, 0.04)
    light = (1 - rng.uniform(0.2, 0.5) * shadow) * uneven(rng, 0.7) * grain(rng, 0.015)
    inside = shape[..., None]
    seen = (cloth * folds[..., None] + 0.004) * inside + ground * light[..., None] * (1 - inside)
    noisy = linear_to_srgb(seen) + rng.normal(0, 1.5, (HEIGHT, WIDTH, 3))
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def outline(rng: Rng) -> np.ndarray:
    """(533, 400) float32: 1 in a dress, 0 outside."""
    middle = WIDTH * rng.uniform(0.45, 0.55)
    shoulder, waist, hem = (WIDTH * rng.uniform(*span) for span in ((0.16, 0.24), (0.1, 0.18), (0.2, 0.42)))
    top, belt, bottom = (HEIGHT * rng.uniform(*span) for span in ((0.08, 0.15), (0.35, 0.5), (0.8, 0.93)))
    half = [(shoulder * 0.4, top - 8), (shoulder, top), (waist, belt), (hem, bottom)]
    right, left = ([(middle + side * x, y) for x, y in half] for side in (1, -1))
    corners = np.array([(middle, top + 20), *right, (middle, bottom + 12), *left[::-1]], np.int32)
    shape = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.float32), [corners], 1.0, cv2.LINE_AA)
    return cv2.GaussianBlur(shape, (0, 0), 0.8)


def waves(rng: Rng) -> np.ndarray:
    """(533, 400) -1..1: folds that hang down."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] / HEIGHT
    total = np.zeros((HEIGHT, WIDTH))
    for _ in range(4):
        across = x + rng.uniform(-0.5, 0.5) * y + rng.uniform(-0.2, 0.2) * y * y
        total += rng.uniform(0.3, 1) * np.sin(np.pi * rng.uniform(4, 22) * across + rng.uniform(0, 6.3))
    return total / abs(total).max()


def uneven(rng: Rng, least: float) -> np.ndarray:
    """(533, 400), about least..1: light that changes slowly."""
    few = rng.uniform(least, 1, (3, 3)).astype(np.float32)
    return cv2.resize(few, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def grain(rng: Rng, deviation: float) -> np.ndarray:
    return 1 + deviation * rng.standard_normal((HEIGHT, WIDTH))
