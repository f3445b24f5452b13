"""All opening of pictures, and their encoding. What comes in is hostile: the format is judged by content, the pixels
are counted before they are allocated, and whatever a decoder raises becomes a PictureError.
"""

import hashlib
import io
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

from gravurekit import storage
from gravurekit.errors import PictureError

MAX_PIXELS = 120_000_000  # a 12,000 × 9,000 scan fits; 60,000 × 60,000 from a lying header doesn't
MAX_BYTES = 256 * 1024 * 1024
LARGE = 16_000_000  # px
LEVEL, QUICK = 6, 3  # of zlib: its usual one; and a quicker one, for coloured prints

# Raster formats only. Others (EPS runs a PostScript interpreter, FLI allocates before it is asked) stay shut.
EXTENSIONS = {
    "JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif",
    "AVIF": "avif", "PPM": "ppm", "JPEG2000": "jp2",
}  # fmt: skip

# What Pillow's decoders are known to raise on damaged input, besides OSError
DECODER_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError, AttributeError,
    RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A decoded picture: `pixels` (H, W, 3) uint8 sRGB, upright, on white where it was transparent."""

    pixels: np.ndarray
    extension: str  # by content
    private: bool  # carries EXIF, XMP, IPTC or a comment, which may hold a place or a device

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


def read(path: Path, reduce_to: int | None = None, max_pixels: int = MAX_PIXELS, thrifty: bool = False) -> Picture:
    """`decode` of a file. Raises PictureError, also when the file can't be read."""
    return decode(contents(path), reduce_to, max_pixels, thrifty)


def contents(path: Path) -> bytes:
    """The bytes of a picture's file. Raises PictureError if it can't be read, or is larger than any picture."""
    try:
        file = storage.at_hand(path)
        if file.stat().st_size > MAX_BYTES:
            raise PictureError("too-big", f"{file.stat().st_size} bytes, at most {MAX_BYTES} are read")
        return file.read_bytes()
    except OSError as error:
        raise PictureError("unreadable", f"{path.name}: {error.strerror}") from None


def contents_of(path: Path, sha256: str) -> bytes:
    """`contents` of a file that is known by its sha256 (hex). Raises PictureError as well (`changed`) if it went away,
    or is another one by now."""
    path = storage.at_hand(path, sha256)
    if not path.exists():
        raise PictureError("changed", "its file went away meanwhile: run the same command again")
    data = contents(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PictureError("changed", "its file changed meanwhile: run the same command again")
    return data


def size_in(data: bytes) -> tuple[int, int]:
    """Width and height of a picture, upright, px. Raises PictureError if it can't be opened."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _open(data)
        try:
            lies = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        except DECODER_ERRORS as error:
            raise PictureError("unreadable", _brief(error)) from None
        return (image.height, image.width) if lies else image.size


def decode(data: bytes, reduce_to: int | None = None, max_pixels: int = MAX_PIXELS, thrifty: bool = False) -> Picture:
    """Decode bytes of unknown origin: first frame, EXIF orientation applied, ICC profile turned to sRGB, alpha laid
    on white, CMYK, palette, 16-bit and float modes brought to 8-bit sRGB.

    `reduce_to`: the short side may come out smaller, but not below this; a JPEG is then decoded at a fraction of its
    size, which bounds memory. `thrifty`: a large picture of another format is reduced by area before anything else is
    done with it; its decoder still needs 4 bytes a pixel.
    Raises PictureError (`empty`, `not-an-image`, `too-many-pixels`, `unreadable`).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata; bombs are checked below by our own limit
        image = _open(data)
        if image.width * image.height > max_pixels:
            raise PictureError(
                "too-many-pixels", f"{image.width} × {image.height} px; at most {max_pixels:,} px are read"
            )
        try:
            if reduce_to and image.format in ("JPEG", "MPO"):
                image.draft("RGB", (reduce_to, reduce_to))
            image.load()  # before any look at EXIF: on PNG that would swallow a decoding failure
            private = _is_private(image)
            format_name = image.format or ""
            if thrifty and reduce_to:
                image = _thinned(image, reduce_to)
            return Picture(_to_srgb(_upright(image)), EXTENSIONS[format_name], private)
        except DECODER_ERRORS as error:
            raise PictureError("unreadable", _brief(error)) from None


@cache
def _formats() -> tuple[str, ...]:
    """The formats of EXTENSIONS that this Pillow was built with (MPO is found through JPEG, and has no opener)."""
    Image.init()
    return tuple(name for name in EXTENSIONS if name in Image.OPEN)


def _open(data: bytes) -> Image.Image:
    if not data:
        raise PictureError("empty", "no bytes")
    formats = _formats()
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError as error:
        raise PictureError("too-many-pixels", _brief(error)) from None
    except DECODER_ERRORS:
        raise PictureError("not-an-image", _looks_like(data)) from None


def _looks_like(data: bytes) -> str:
    start = data[:256].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<head")):
        return "a web page"
    if start.startswith((b"<?xml", b"<svg")):
        return "XML or SVG"
    if start.startswith((b"{", b"[")):
        return "JSON"
    return f"{len(data)} bytes of no known picture format"


def _brief(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _thinned(image: Image.Image, reduce_to: int) -> Image.Image:
    """A large picture reduced by area by a whole number, its short side not below `reduce_to`."""
    factor = min(image.size) // reduce_to
    if image.width * image.height < LARGE or factor < 2:
        return image
    if image.mode in ("1", "P"):  # means of their numbers wouldn't be means of colours
        grey = "L" if image.mode == "1" else "RGB"
        image = image.convert("RGBA" if "transparency" in image.info else grey)
    if image.mode == "I;16":
        size = (-(-image.width // factor), -(-image.height // factor))
        small = Image.fromarray(resize(np.asarray(image), *size))
    elif image.mode in ("L", "RGB", "RGBA", "CMYK"):
        small = image.reduce(factor)
    else:
        return image
    small.info |= {name: value for name, value in image.info.items() if name != "transparency"}  # its profile
    if orientation := image.getexif().get(ExifTags.Base.Orientation):
        small.getexif()[ExifTags.Base.Orientation] = orientation
    return small


def _is_private(image: Image.Image) -> bool:
    words = {"exif", "xmp", "photoshop", "comment"} & set(image.info)
    return bool(len(image.getexif()) or words or getattr(image, "text", None))


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF or XMP says. Most pictures lie right, and Pillow would copy those too."""
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    return ImageOps.exif_transpose(image) if turned else image


def _to_srgb(image: Image.Image) -> np.ndarray:
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        return _deep_to_rgb(np.asarray(image))
    image = _apply_profile(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _deep_to_rgb(grey: np.ndarray) -> np.ndarray:
    """16-bit, 32-bit or float grey → 8 bits: 16-bit data by its full scale, everything else by its own range."""
    values = np.nan_to_num(grey.astype(np.float32))
    if grey.dtype.itemsize == 2 or (values.min() >= 0 and 255 < values.max() <= 65535):
        scaled = values / 257.0
    elif values.min() >= 0 and values.max() <= 255 and grey.dtype.kind in "iu":
        scaled = values
    else:
        spread = float(values.max() - values.min())
        scaled = (values - values.min()) * (255.0 / spread) if spread else np.zeros_like(values)
    return np.repeat(np.clip(np.rint(scaled), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _apply_profile(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode in ("P", "PA"):  # the palette's colours are what the profile speaks of
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        out = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
        return out if out is not None else image
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # a broken profile is no reason to lose the picture


def resize(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """(H, W) or (H, W, C) uint8, uint16 or float32 → the same kind at `height` × `width`: by area when it shrinks
    (no moiré), cubic when it grows."""
    if pixels.shape[:2] == (height, width):
        return pixels
    import cv2  # here, because who only decodes does without its 20 MB

    shrinks = width * height < pixels.shape[0] * pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def fit_long_side(pixels: np.ndarray, side: int) -> np.ndarray:
    """(H, W) or (H, W, C) → the same, its long side reduced to at most `side` px."""
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    return resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def fit_short_side(pixels: np.ndarray, side: int, max_long_side: int) -> np.ndarray:
    """Resize so that the short side is `side`, unless the long side would pass `max_long_side`."""
    return resize(pixels, *fitted(pixels.shape[1], pixels.shape[0], side, max_long_side))


def fitted(width: int, height: int, side: int, max_long_side: int) -> tuple[int, int]:
    """The width and height that `fit_short_side` gives a picture of this size."""
    scale = min(side / min(height, width), max_long_side / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def encode_png(
    pixels: np.ndarray, software: str = "", said: Mapping[str, str] | None = None, level: int = LEVEL
) -> bytes:
    """(H, W) or (H, W, 3) uint8 sRGB → a PNG file, lossless, without metadata but for the name of the `software`, and
    the texts that are `said`, by keyword. `level`: zlib's, 0..9."""
    buffer, about = io.BytesIO(), PngImagePlugin.PngInfo()
    if software:
        about.add_text("Software", software)
    for keyword, text in (said or {}).items():
        about.add_itxt(keyword, text)
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=about, compress_level=level)
    return buffer.getvalue()


def encode_jpeg(pixels: np.ndarray, quality: int = 95, subsampling: int = 0) -> bytes:
    """(H, W) or (H, W, 3) uint8 sRGB → a JPEG file without metadata; full colour resolution (4:4:4) unless
    `subsampling` (Pillow's: 1 is 4:2:2, 2 is 4:2:0) says otherwise."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def encode_webp(pixels: np.ndarray, quality: int = 85) -> bytes:
    """(H, W, 3) uint8 sRGB → a lossy WebP file without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()
