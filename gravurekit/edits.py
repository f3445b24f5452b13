"""Edits: what becomes of a picture on its way through the web, each by a name. For measuring what the filter finds."""

import zlib
from collections.abc import Callable, Mapping
from functools import partial

import cv2
import numpy as np

from gravurekit.images import decode, encode_jpeg, resize

Edit = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # (H, W, 3) uint8 sRGB → the same kind

QUALITY = 85  # of the JPEG that an edited picture is saved as; its colours at half resolution, as on the web


def edited(pixels: np.ndarray, name: str, key: str) -> np.ndarray:
    """The picture after the edit `name`, saved as JPEG and opened again: (H, W, 3) uint8 sRGB. What chance decides
    follows from the picture's key."""
    rng = np.random.default_rng([zlib.crc32(key.encode()), zlib.crc32(name.encode())])
    changed = EDITS[name](pixels, rng)
    quality = int(name.removeprefix("jpeg ")) if name.startswith("jpeg ") else QUALITY
    return decode(encode_jpeg(np.ascontiguousarray(changed), quality, subsampling=2)).pixels


def _jpeg(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return pixels  # `edited` saves it


def _scale(pixels: np.ndarray, rng: np.random.Generator, across: float, down: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    return resize(pixels, max(1, round(width * across)), max(1, round(height * down)))


def _thumbnail(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As search engines show it: 200 px."""
    scale = min(1.0, 200 / max(pixels.shape[:2]))
    return _scale(pixels, rng, scale, scale)


def _crop(pixels: np.ndarray, rng: np.random.Generator, area: float) -> np.ndarray:
    """Without `area` of it, anywhere, its shape kept."""
    height, width = pixels.shape[:2]
    tall, wide = (max(1, round(side * np.sqrt(1 - area))) for side in (height, width))
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    return pixels[top : top + tall, left : left + wide]


def _border(pixels: np.ndarray, rng: np.random.Generator, share: float, shade: int) -> np.ndarray:
    wide = max(1, round(share * max(pixels.shape[:2])))
    return cv2.copyMakeBorder(pixels, wide, wide, wide, wide, cv2.BORDER_CONSTANT, value=(shade,) * 3)


def _letterbox(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black bars that make it a square."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    bars = (top, side - height - top, left, side - width - left)
    return cv2.copyMakeBorder(pixels, *bars, cv2.BORDER_CONSTANT, value=(0, 0, 0))


def _caption(pixels: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """A bar with words below it."""
    height, width = pixels.shape[:2]
    tall = max(8, round(share * height))
    bar = np.full((tall, width, 3), 255 if rng.random() < 0.5 else 0, np.uint8)
    ink = (0, 0, 0) if bar[0, 0, 0] else (255, 255, 255)
    _write(
        bar, "stock number 48-1516 / studio", (round(width * 0.04), round(tall * 0.68)), min(width * 0.9, 9 * tall), ink
    )
    return np.concatenate([pixels, bar])


def _watermark(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Words across the middle, half seen through."""
    height, width = pixels.shape[:2]
    stamped = pixels.copy()
    _write(stamped, "PICTURE STOCK", (round(width * 0.08), round(height * 0.55)), width * 0.84, (255, 255, 255))
    return cv2.addWeighted(pixels, 0.5, stamped, 0.5, 0)


def _write(pixels: np.ndarray, words: str, place: tuple[int, int], wide: float, ink: tuple[int, int, int]) -> None:
    """Words into the picture, `wide` pixels long."""
    font, unit = cv2.FONT_HERSHEY_DUPLEX, 1.0
    (length, _), _ = cv2.getTextSize(words, font, unit, 1)
    scale = wide / length
    cv2.putText(pixels, words, place, font, scale, ink, max(1, round(2 * scale)), cv2.LINE_AA)


def _grey(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _gamma(pixels: np.ndarray, rng: np.random.Generator, power: float) -> np.ndarray:
    table = np.rint(255 * (np.arange(256) / 255) ** power).astype(np.uint8)
    return table[pixels]


def _blur(pixels: np.ndarray, rng: np.random.Generator, sigma: float) -> np.ndarray:
    """As strong as if the longer side were 512 px."""
    return cv2.GaussianBlur(pixels, (0, 0), sigma * max(pixels.shape[:2]) / 512)


def _mirror(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return pixels[:, ::-1]


def _turn(pixels: np.ndarray, rng: np.random.Generator, degrees: float) -> np.ndarray:
    """To either side; what comes into the corners is the edge's colour."""
    height, width = pixels.shape[:2]
    angle = degrees if rng.random() < 0.5 else -degrees
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    return cv2.warpAffine(pixels, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


EDITS: Mapping[str, Edit] = {
    **{f"jpeg {quality}": _jpeg for quality in (10, 30, 50, 75, 90)},
    **{f"scale {factor:g}": partial(_scale, across=factor, down=factor) for factor in (0.2, 0.5, 0.75, 1.5, 2.0)},
    "thumbnail 200": _thumbnail,
    "squash 0.8": partial(_scale, across=0.8, down=1.0),
    "stretch 1.25": partial(_scale, across=1.25, down=1.0),
    "grey": _grey,
    **{f"gamma {power:g}": partial(_gamma, power=power) for power in (0.67, 1.5)},
    **{f"blur {sigma:g}": partial(_blur, sigma=sigma) for sigma in (1.0, 2.0)},
    **{f"border {share:.0%} {name}": partial(_border, share=share, shade=shade)
       for share in (0.05, 0.1) for name, shade in (("white", 255), ("black", 0))},
    "letterbox": _letterbox,
    "watermark": _watermark,
    **{f"caption bar {share:.0%}": partial(_caption, share=share) for share in (0.06, 0.10, 0.14)},
    **{f"crop {area:.0%}": partial(_crop, area=area) for area in (0.05, 0.10, 0.15, 0.20, 0.25)},
    "mirror": _mirror,
    **{f"turn {degrees:g}°": partial(_turn, degrees=degrees) for degrees in (2.0, 3.5, 5.0)},
}  # fmt: skip
THOROUGH = tuple(name for name in EDITS if name.startswith(("crop 15", "crop 20", "crop 25", "mirror", "turn")))
