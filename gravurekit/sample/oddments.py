"""What a picture search also returns: landscapes, logos, scanned pages, placeholders; captions and crops."""

import cv2
import numpy as np

from gravurekit.sample.backgrounds import background
from gravurekit.sample.brush import SUBPIXEL, fixed

LETTERS = "ABCDEFGHIJKLMNOPRSTUVYZ"


def _grain(art: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    noise = rng.standard_normal(art.shape[:2], np.float32) * strength
    return np.clip(art + noise[..., None], 0, 255).astype(np.uint8)


def draw_landscape(seed: int, height: int = 480) -> np.ndarray:
    """A view without anybody in it. (H, W, 3) uint8 sRGB 0..255, RGB order, wider than tall."""
    rng = np.random.default_rng([1, seed])
    width = int(round(height * rng.uniform(1.25, 1.6)))
    kind = ("garden", "seaside")[rng.integers(2)]
    return _grain(background(kind, height, width, rng), rng, 4)


def draw_logo(seed: int, height: int = 480) -> np.ndarray:
    """A flat emblem with a few letters on white. (H, W, 3) uint8 sRGB 0..255, RGB order, square."""
    rng = np.random.default_rng([2, seed])
    art = np.full((height, height, 3), 255, np.uint8)
    colour = tuple(int(c) for c in rng.integers(20, 200, 3))
    count = int(rng.integers(3, 9))
    angle = np.linspace(0, 2 * np.pi, 2 * count, endpoint=False) + rng.uniform(0, 1)
    reach = np.where(np.arange(2 * count) % 2, rng.uniform(0.4, 1.0), 1.0) * height
    centre = np.array([height / 2, height * 0.42])
    inner = rng.uniform(0.12, 0.24)
    for size, tint in ((0.34, colour), (inner + 0.05, (255, 255, 255)), (inner, colour)):
        points = centre + size * np.stack([np.cos(angle), np.sin(angle)], 1) * reach[:, None]
        cv2.fillPoly(art, [fixed(points)], tint, cv2.LINE_AA, SUBPIXEL)
    text = "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=5))
    size = height / 220
    (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, size, max(1, round(size * 2)))
    place = (int((height - wide) / 2), int(height * 0.92))
    cv2.putText(art, text, place, cv2.FONT_HERSHEY_DUPLEX, size, colour, max(1, round(size * 2)), cv2.LINE_AA)
    return art


def draw_text_page(seed: int, height: int = 480) -> np.ndarray:
    """A scanned page of print. (H, W, 3) uint8 sRGB 0..255, RGB order, W/H 0.72."""
    rng = np.random.default_rng([3, seed])
    width = int(round(height * 0.72))
    art = np.full((height, width, 3), (244, 238, 224), np.uint8)
    size, step, margin = height / 1500, height / 34, width * 0.1
    y = height * 0.1
    while y < height * 0.93:
        x = margin
        end = width * (0.9 if rng.uniform() > 0.15 else 0.55)
        while True:
            word = "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=int(rng.integers(2, 10)))).lower()
            (wide, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_COMPLEX, size, 1)
            if x + wide > end:
                break
            cv2.putText(art, word, (int(x), int(y)), cv2.FONT_HERSHEY_COMPLEX, size, (52, 46, 42), 1, cv2.LINE_AA)
            x += wide + step * 0.35
        y += step
    return _grain(art, rng, 3)


def draw_placeholder(height: int = 480) -> np.ndarray:
    """The grey `image not available` box, always the same. (H, H, 3) uint8 sRGB 0..255."""
    art = np.full((height, height, 3), 224, np.uint8)
    grey, thick = (150, 150, 150), max(1, height // 90)
    cv2.rectangle(
        art,
        (int(height * 0.3), int(height * 0.26)),
        (int(height * 0.7), int(height * 0.58)),
        grey,
        thick,
        cv2.LINE_AA,
    )
    cv2.circle(art, (int(height * 0.4), int(height * 0.36)), int(height * 0.035), grey, -1, cv2.LINE_AA)
    peaks = np.array([(0.32, 0.56), (0.45, 0.42), (0.53, 0.5), (0.6, 0.44), (0.68, 0.56)]) * height
    cv2.fillPoly(art, [fixed(peaks)], grey, cv2.LINE_AA, SUBPIXEL)
    text, size = "image not available", height / 520
    (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    cv2.putText(
        art,
        text,
        (int((height - wide) / 2), int(height * 0.74)),
        cv2.FONT_HERSHEY_SIMPLEX,
        size,
        (120, 120, 120),
        max(1, height // 300),
        cv2.LINE_AA,
    )
    return art


def caption(picture: np.ndarray, text: str) -> np.ndarray:
    """A white bar with `text` added below. (H, W, 3) uint8 RGB → (H + bar, W, 3) uint8 RGB."""
    h, w = picture.shape[:2]
    bar = np.full((max(16, h // 14), w, 3), 250, np.uint8)
    size = bar.shape[0] / 46
    (wide, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    if wide > w * 0.94:
        size *= w * 0.94 / wide
        (wide, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    place = ((w - wide) // 2, (bar.shape[0] + tall) // 2)
    cv2.putText(bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (40, 40, 40), 1, cv2.LINE_AA)
    return np.vstack([picture, bar])


def crop_edges(picture: np.ndarray, share: float) -> np.ndarray:
    """Cut `share` (0..0.45) of the height and width off each side. (H, W, 3) uint8 → a smaller copy."""
    if not 0 <= share <= 0.45:
        raise ValueError(f"share must lie between 0 and 0.45, not {share}")
    h, w = picture.shape[:2]
    dy, dx = int(h * share), int(w * share)
    return np.ascontiguousarray(picture[dy : h - dy, dx : w - dx])
