"""How dark each place of an engraving is to be, and what of the picture is its figure."""

import math

import cv2
import numpy as np

from gravurekit.kernels import kernel


def stretch(grey: np.ndarray, least: float = 0.3, middle: float = 0.6) -> np.ndarray:
    """(H, W) uint8 → (256,) float32: the tone 0..1 of each grey, the 1st percentile at 0, the 99th at 1, and the median
    brought up towards `middle`, because an engraver opens the shadows of a garment. A flat picture stays flat: what
    spans less than `least` of the range is stretched as if it spanned that."""
    dark, half, light = (float(grey) / 255 for grey in np.percentile(grey[::8, ::8], (1, 50, 99)))
    lack = max(0.0, least - (light - dark)) / 2
    dark, light = max(0.0, dark - lack), min(1.0, light + lack)
    tones = np.clip((np.arange(256) / 255 - dark) / max(light - dark, 1e-3), 0, 1)
    median = min(max((half - dark) / max(light - dark, 1e-3), 0.05), 0.95)
    power = min(max(math.log(middle) / math.log(median), 0.55), 1.0)
    return (tones**power).astype(np.float32)


def figureness(lab: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 Lab of a small copy → (h, w) float32 0..1, soft: how little a place belongs to what reaches the
    picture's edges.

    The minimum barrier distance to the frame (Zhang et al., "Minimum barrier salient object detection at 80 FPS",
    ICCV 2015): the least range of values that any way from there to the frame passes. With a mild preference for the
    middle, where figures stand.
    """
    distance: np.ndarray = np.zeros(lab.shape[:2], np.float32)
    for channel in range(3):
        distance += _barrier(lab[..., channel].astype(np.float32))
    height, width = distance.shape
    rows = np.abs(np.linspace(-1, 1, height, dtype=np.float32))[:, None]
    columns = np.abs(np.linspace(-1, 1, width, dtype=np.float32))[None, :]
    middle = np.exp(-(columns**2) / 0.5 - rows**4 / 1.5)
    distance = cv2.GaussianBlur(distance, (0, 0), max(0.6, 0.012 * max(height, width)))
    low, high = np.percentile(distance, (20, 92))
    share = np.clip((distance - low) / max(high - low, 12.0), 0, 1)
    return np.clip(1.5 * share * middle + 0.25 * (middle - 0.5), 0, 1).astype(np.float32)


@kernel(error_model="numpy")
def _barrier(values: np.ndarray, passes: int = 3) -> np.ndarray:
    """(h, w) float32 → (h, w) float32 minimum barrier distance to the frame, by raster scans to and fro."""
    height, width = values.shape
    high = values.copy()
    low = values.copy()
    distance = np.full((height, width), np.float32(1e6))
    distance[0, :] = 0
    distance[height - 1, :] = 0
    distance[:, 0] = 0
    distance[:, width - 1] = 0
    for turn in range(passes):
        way = 1 if turn % 2 == 0 else -1
        for i in range(height):
            y = i if way == 1 else height - 1 - i
            for j in range(width):
                x = j if way == 1 else width - 1 - j
                here = values[y, x]
                for side in range(2):
                    by, bx = (y - way, x) if side == 0 else (y, x - way)
                    if by < 0 or bx < 0 or by >= height or bx >= width:
                        continue
                    top, bottom = max(high[by, bx], here), min(low[by, bx], here)
                    if top - bottom < distance[y, x]:
                        distance[y, x] = top - bottom
                        high[y, x] = top
                        low[y, x] = bottom
    return distance
