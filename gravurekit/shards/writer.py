"""Writing a shard, sample by sample: each goes to its place in the file, so that none waits in memory."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gravurekit import storage
from gravurekit.shards.layout import FIGURES, Layout, planned


@dataclass(frozen=True)
class Sample:
    """One sample: `planes` by the name of their tensor, `L` (1, H, W), `wash` (3, H, W), maybe `L_photo` (1, H, W), all
    uint8 in OpenCV's 8-bit scaling; `box` y0, x0, y1, x1; `label` an index of the classes, -1 for none."""

    planes: Mapping[str, np.ndarray]
    box: tuple[int, int, int, int]
    label: int

    @property
    def crc32(self) -> int:
        """Of the bytes of the planes, of label (int32) and of box (uint16), one after the other."""
        return checksum(self.planes.values(), self.label, self.box)


@dataclass(frozen=True)
class Written:
    """A finished file, and the checksums of its samples."""

    file: str
    samples: int
    bytes: int
    sha256: str
    crc32: tuple[int, ...]


def checksum(planes: Iterable[np.ndarray], label: int, box: Sequence[int]) -> int:
    """crc32 of a sample: of the bytes of its planes, of label as int32 and of box as uint16, one after the other."""
    crc32 = 0
    figures = (np.array(label, FIGURES["label"][1]), np.array(box, FIGURES["box"][1]))
    for array in (*planes, *figures):
        crc32 = zlib.crc32(np.ascontiguousarray(array).data, crc32)
    return crc32


def write(folder: Path, stem: str, count: int, samples: Iterable[Sample], about: Mapping[str, Any]) -> Written:
    """Write `count` samples, at least one, all of the same form, as STEM-SHA256.safetensors in `folder` (8 hex digits
    of it), whole or not at all. The same samples give the same bytes. `about` says what the numbers mean.

    One sample is in memory at a time. Raises ValueError if there are fewer or more samples, or they differ in form;
    StorageError.
    """
    number, crc32 = 0, []
    layout: Layout = {}
    with storage.in_pieces(folder) as pieces:
        for number, sample in enumerate(samples, start=1):
            if number == 1:
                height, width = sample.planes["L"].shape[-2:]
                header, layout = planned(count, tuple(sample.planes), width, height, about)
                pieces.put(0, header)
            if number > count or sample.planes.keys() | FIGURES.keys() != layout.keys():
                raise ValueError(f"sample {number} of {count}: {sorted(sample.planes)}")
            crc32.append(sample.crc32)
            figures = {"label": sample.label, "crc32": crc32[-1], "box": sample.box}
            for name, value in (*sample.planes.items(), *figures.items()):
                tensor = layout[name]
                data = np.asarray(value, tensor.dtype, order="C")
                if data.shape != tensor.shape[1:]:
                    raise ValueError(f"sample {number} of {count}: {name} has shape {data.shape}")
                pieces.put(tensor.offset + (number - 1) * tensor.stride, data.data)
        if number != count or not count:
            raise ValueError(f"{number} samples instead of {count}")
        sha256 = pieces.sha256()
        pieces.keep(f"{stem}-{sha256[:8]}.safetensors")
    return Written(pieces.name, count, max(tensor.end for tensor in layout.values()), sha256, tuple(crc32))
