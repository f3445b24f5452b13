"""Probe: one decode of a picture gives everything that the filters need."""

import base64
import hashlib

import cv2
import imagehash
import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from gravurekit.color import rgb_to_lab
from gravurekit.images import Picture, resize

REVISION = 1
HASH_SIDE = 16  # 256 bits
HASH_ALGORITHM = "imagehash-4 phash; 256-bit copies of the whole and of the border-trimmed frame"
THUMB_SIDE = 64
BORDER_SPREAD = 12.0  # grey levels: a row or column that varies less, and is like the corner, is border


class Probe(BaseModel):
    """The figures of one picture. Hashes are hex; thumbnails base64 of the arrays named below."""

    model_config = ConfigDict(frozen=True)

    key: str
    width: int
    height: int
    bytes: int
    extension: str  # by content
    private: bool  # carries EXIF or the like
    pixels_sha256: str
    phash: str  # 64 bits of the whole frame, as imagehash.phash
    phash_whole: str  # 256 bits
    phash_trimmed: str
    grey_spread: float  # standard deviation of grey levels, 0..127
    chroma_residual: float  # RMS chroma that lightness doesn't explain, Lab units
    luma: str  # (64, 64) uint8, of the whole frame
    luma_trimmed: str
    ab: str  # (8, 8, 2) uint8, a+128 and b+128
    ab_trimmed: str


def measure(key: str, size: int, picture: Picture) -> Probe:
    """All figures of a decoded picture; `size` is its file's length in bytes."""
    pixels = picture.pixels
    small = resize(pixels, *_shrunk(picture.width, picture.height, 512))
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    inside = margins(grey)
    trimmed = grey[inside]
    whole_image, trimmed_image = Image.fromarray(grey), Image.fromarray(trimmed)
    lab = rgb_to_lab(resize(small, 128, 128))
    return Probe(
        key=key,
        width=picture.width,
        height=picture.height,
        bytes=size,
        extension=picture.extension,
        private=picture.private,
        pixels_sha256=hashlib.sha256(
            np.ascontiguousarray(pixels).tobytes() + bytes(str(pixels.shape), "ascii")
        ).hexdigest(),
        phash=str(imagehash.phash(Image.fromarray(pixels))),
        phash_whole=str(imagehash.phash(whole_image, hash_size=HASH_SIDE)),
        phash_trimmed=str(imagehash.phash(trimmed_image, hash_size=HASH_SIDE)),
        grey_spread=round(float(grey.std()), 3),
        chroma_residual=round(chroma_residual(lab), 3),
        luma=_pack(resize(grey, THUMB_SIDE, THUMB_SIDE)),
        luma_trimmed=_pack(resize(trimmed, THUMB_SIDE, THUMB_SIDE)),
        ab=_pack(_ab(lab)),
        ab_trimmed=_pack(_ab(rgb_to_lab(resize(small[inside], 128, 128)))),
    )


def _ab(lab: np.ndarray) -> np.ndarray:
    return np.clip(resize(lab, 8, 8)[..., 1:] + 128, 0, 255).astype(np.uint8)


def _shrunk(width: int, height: int, long_side: int) -> tuple[int, int]:
    scale = min(1.0, long_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _pack(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def unpack(text: str, *shape: int) -> np.ndarray:
    """The uint8 array of a thumbnail field."""
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


def margins(grey: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of (H, W) uint8 that lie inside a flat margin (white page, letterbox). A margin that would take
    more than 80 % of the height or width is none."""
    height, width = grey.shape

    def margin(lines: np.ndarray) -> int:
        level = float(lines[0].mean())
        flat = (lines.std(axis=1) < BORDER_SPREAD) & (np.abs(lines.mean(axis=1) - level) < BORDER_SPREAD)
        return int(np.argmin(flat)) if not flat.all() else 0

    rows, columns = grey, grey.T
    top, bottom = margin(rows), margin(rows[::-1])
    left, right = margin(columns), margin(columns[::-1])
    if top + bottom > 0.8 * height or left + right > 0.8 * width:
        return slice(None), slice(None)
    return slice(top, height - bottom), slice(left, width - right)


def chroma_residual(lab: np.ndarray) -> float:
    """RMS of (a, b) that a cubic in L doesn't explain: (H, W, 3) float32 Lab → Lab units. Grey, sepia and blueprint
    pictures have a hue that follows lightness, so theirs is near 0, however strong the tint."""
    lightness = lab[..., 0].ravel() / 100.0
    design = np.stack([np.ones_like(lightness), lightness, lightness**2, lightness**3], axis=1)
    ab = lab[..., 1:].reshape(-1, 2)
    # normal equations with a little ridge: a picture of one lightness has no unique cubic
    gram = design.T @ design + 1e-6 * len(design) * np.eye(4, dtype=np.float32)
    residual = ab - design @ np.linalg.solve(gram, design.T @ ab)
    return float(np.sqrt((residual**2).sum(axis=1).mean()))
