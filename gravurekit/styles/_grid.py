"""Copies of reduced size, and noise."""

import cv2
import numpy as np


def reduced(picture: np.ndarray, by: int) -> np.ndarray:
    """(H, W) or (H, W, C) uint8 or float32 → the same at (H // by, W // by), by area."""
    height, width = picture.shape[:2]
    return cv2.resize(picture, (width // by, height // by), interpolation=cv2.INTER_AREA)


def clouds(rng: np.random.Generator, shape: tuple[int, ...], cell: int) -> np.ndarray:
    """Smooth noise with about unit deviation, (H, W) float32, its lumps `cell` pixels wide."""
    height, width = shape[:2]
    coarse = rng.standard_normal((height // cell + 3, width // cell + 3), dtype=np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
