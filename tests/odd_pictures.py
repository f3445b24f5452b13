"""Files as they come from the web: pictures of every kind, and what only looks like one."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

SIZE = (96, 64)


def drawn(seed: int, kind: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:
    """A picture that no other seed gives, 96 × 64."""
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 6, 3), np.uint8)
    image = Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC).convert(mode)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.open(io.BytesIO(drawn(seed, "PNG"))) for seed in (30, 31, 32)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


def sixteen_bit() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.linspace(0, 65535, 96 * 64).astype(np.uint16).reshape(64, 96)).save(out, "PNG")
    return out.getvalue()


def turned() -> bytes:
    """Lies on its side, as its EXIF says."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return drawn(40, exif=exif)


def header_only(width: int, height: int) -> bytes:
    """A PNG that promises `width` × `height` pixels, and has none."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


# What is kept: its bytes, the extension that they ask for, and its size, upright
GOOD: dict[str, tuple[Callable[[], bytes], str, tuple[int, int]]] = {
    "plain.jpg": (lambda: drawn(1), "jpg", SIZE),
    "a-webp-in-disguise.jpg": (lambda: drawn(2, "WEBP"), "webp", SIZE),
    "a-png-without-a-name": (lambda: drawn(3, "PNG"), "png", SIZE),
    "progressive.jpeg": (lambda: drawn(4, progressive=True), "jpg", SIZE),
    "cmyk.jpg": (lambda: drawn(5, mode="CMYK"), "jpg", SIZE),
    "palette.png": (lambda: drawn(6, "PNG", "P"), "png", SIZE),
    "alpha.png": (lambda: drawn(7, "PNG", "RGBA"), "png", SIZE),
    "bilevel.tif": (lambda: drawn(8, "TIFF", "1"), "tif", SIZE),
    "sixteen-bit.png": (sixteen_bit, "png", SIZE),
    "animated.gif": (lambda: animated("GIF"), "gif", SIZE),
    "animated.webp": (lambda: animated("WEBP"), "webp", SIZE),
    "turned.jpg": (turned, "jpg", SIZE[::-1]),
    "kırmızı elbise.jpg": (lambda: drawn(9), "jpg", SIZE),
    f"{'long' * 500}.jpg": (lambda: drawn(10), "jpg", SIZE),
}

# What isn't, and why
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "page.jpg": (lambda: b"<!DOCTYPE html><html><body>hotlinking is forbidden</body></html>", "not-an-image"),
    "drawing.jpg": (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "not-an-image"),
    "answer.jpg": (lambda: b'{"error": "gone"}', "not-an-image"),
    "nothing.jpg": (lambda: b"", "empty"),
    "truncated.jpg": (lambda: drawn(20)[:-200], "unreadable"),
    "truncated.png": (lambda: drawn(21, "PNG")[:-200], "unreadable"),
    "bomb.png": (lambda: header_only(60_000, 60_000), "too-many-pixels"),
    "hollow.png": (lambda: header_only(96, 64), "unreadable"),
    "noise.jpg": (lambda: bytes(range(256)) * 20, "not-an-image"),
    "too-big.jpg": (lambda: drawn(22) + bytes(300_000), "too-big"),
}
