"""What tests of the filter share: pictures in folders, and what became of them."""

from pathlib import Path

import numpy as np

from gravurekit import images, metadata
from gravurekit.metadata import DROPPED, METADATA
from gravurekit.record import Record
from gravurekit.sample.figures import draw_figure
from gravurekit.storage import write_bytes

QUICK = ("--relevance", "none", "--executor", "serial")


def drawn(seed: int, height: int = 320) -> np.ndarray:
    """A figure, (H, W, 3) uint8 sRGB; each seed another one."""
    return draw_figure(("kaftan", "kostum", "abiye")[seed % 3], None, seed, height)


def put(root: Path, name: str, pixels: np.ndarray, quality: int = 92) -> str:
    """A JPEG in a folder; gives its key."""
    data = images.encode_jpeg(np.ascontiguousarray(pixels), quality)
    write_bytes(root / name, data)
    return metadata.file_sha256(root / name)[:16]


def records(out: Path) -> dict[str, Record]:
    """Kept and dropped, by key."""
    return {item.key: item for name in (METADATA, DROPPED) for item in metadata.read_lines(out / name)}


def reasons(out: Path) -> dict[str, str]:
    """Of those that were dropped, by key."""
    return {item.key: item.reason for item in metadata.read_lines(out / DROPPED)}
