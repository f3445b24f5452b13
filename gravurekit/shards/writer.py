"""From rows to safetensors bytes."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import safetensors.numpy

from gravurekit.shards import ENCODING


def checksum(*arrays: np.ndarray | np.integer) -> int:
    """crc32 of the bytes of several arrays, one after the other."""
    crc32 = 0
    for array in arrays:
        crc32 = zlib.crc32(array.tobytes(), crc32)
    return crc32


@dataclass(frozen=True)
class Row:
    """One sample: `L` (1, H, W) uint8, `wash` (3, H, W) uint8, both in OpenCV's 8-bit scaling; `box` y0, x0, y1, x1."""

    L: np.ndarray
    wash: np.ndarray
    box: tuple[int, int, int, int]
    label: int

    @property
    def crc32(self) -> int:
        """Of the bytes of L, wash, label (int32) and box (uint16), one after the other."""
        return checksum(self.L, self.wash, np.int32(self.label), np.array(self.box, np.uint16))


def pack(rows: Sequence[Row]) -> bytes:
    """One shard file. The same rows give the same bytes."""
    tensors = {
        "L": np.stack([row.L for row in rows]),
        "wash": np.stack([row.wash for row in rows]),
        "label": np.array([row.label for row in rows], np.int32),
        "box": np.array([row.box for row in rows], np.uint16),
        "crc32": np.array([row.crc32 for row in rows], np.uint32),
    }
    # one entry only: safetensors writes several in an order that changes from run to run
    return safetensors.numpy.save(tensors, metadata={"gravurekit": json.dumps(ENCODING, sort_keys=True)})


def unpack(data: bytes) -> list[Row]:
    """The rows of one shard file's bytes."""
    tensors = safetensors.numpy.load(data)
    return [
        Row(L, wash, tuple(int(side) for side in box), int(label))  # type: ignore[arg-type]
        for L, wash, box, label in zip(tensors["L"], tensors["wash"], tensors["box"], tensors["label"], strict=True)
    ]
