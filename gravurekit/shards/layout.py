"""Where the tensors of a shard lie: the header of a safetensors file, written before any tensor and read without one.

The format (safetensors): 8 bytes, the length of the header, little-endian; the header, JSON, padded with spaces; then
the tensors without gaps. Shapes are known before the first sample comes, so the header can be written first and each
sample at its place. The header is padded so that the tensors begin at a page.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from gravurekit.errors import DataError
from gravurekit.shards import PLANES

PAGE = 4096
LONGEST_HEADER = 1 << 20
DTYPES: dict[str, np.dtype] = {
    "U8": np.dtype("u1"),
    "I32": np.dtype("<i4"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}
FIGURES: dict[str, tuple[tuple[int, ...], np.dtype]] = {
    "label": ((), DTYPES["I32"]),
    "crc32": ((), DTYPES["U32"]),
    "box": ((4,), DTYPES["U16"]),
}


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file: it begins at byte `offset`; `shape` begins with the number of samples."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def stride(self) -> int:
        """Bytes of one sample."""
        return self.dtype.itemsize * prod(self.shape[1:])

    @property
    def end(self) -> int:
        """The byte after the last one."""
        return self.offset + self.shape[0] * self.stride


Layout = Mapping[str, Tensor]


def planned(
    samples: int, planes: Sequence[str], width: int, height: int, about: Mapping[str, Any]
) -> tuple[bytes, Layout]:
    """The header of a file of `samples` samples with the tensors `planes` (of PLANES) and the figures that each sample
    has, and where these tensors lie. `about` goes into the header's `__metadata__`."""
    shapes: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
    for name in planes:
        shapes[name] = (samples, PLANES[name], height, width), DTYPES["U8"]
    for name, (shape, dtype) in FIGURES.items():
        shapes[name] = (samples, *shape), dtype
    # one entry only: safetensors itself writes several in an order that changes from run to run
    entries: dict[str, Any] = {"__metadata__": {"gravurekit": json.dumps(about, sort_keys=True)}}
    begin = 0
    for name, (shape, dtype) in shapes.items():
        end = begin + dtype.itemsize * prod(shape)
        entries[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    start = -(-(8 + len(text)) // PAGE) * PAGE
    header = struct.pack("<Q", start - 8) + text.ljust(start - 8)
    return header, {
        name: Tensor(dtype, shape, start + entries[name]["data_offsets"][0]) for name, (shape, dtype) in shapes.items()
    }


def read_layout(path: Path) -> Layout:
    """Where the tensors of a file lie. Raises DataError if the file is missing or cut short, or its header makes no
    sense."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size - 8, LONGEST_HEADER):
                raise ValueError(f"a header of {length} bytes")
            entries = json.loads(file.read(length))
        layout = {name: _tensor(entry, 8 + length, size) for name, entry in entries.items() if name != "__metadata__"}
        end = max(tensor.end for tensor in layout.values())
        if end != size:
            raise ValueError(f"{size} bytes, and tensors up to {end}")
    except FileNotFoundError:
        raise DataError(
            f"{path} is missing: run `gravurekit shard` again, or, if that was done meanwhile, the same command"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise DataError(f"{path} is damaged ({error}): remove it and run `gravurekit shard` again") from None
    return layout


def _tensor(entry: Any, start: int, size: int) -> Tensor:
    """One entry of a header. Raises ValueError, KeyError or TypeError if it makes no sense."""
    shape = tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if not shape or not all(type(side) is int and side >= 0 for side in (*shape, begin, end)):
        raise ValueError(f"a tensor of shape {shape}")
    tensor = Tensor(DTYPES[entry["dtype"]], shape, start + begin)
    if tensor.end != start + end or tensor.end > size:
        raise ValueError(f"a tensor that ends at byte {tensor.end} of {size}")
    return tensor
