"""webdataset: tar files, a sample's members side by side under one name, for `webdataset.WebDataset` and others.

    KEY.json        what is known of it
    KEY.cls         the number of its class (classes.json has the names), if it has one
    KEY.jpg         the picture: the bytes of its file; of a styled one also KEY.plain.png and KEY.wash.jpg
    KEY.l.npy       or, of shards, the tensors: l (1, H, W), wash (3, H, W), maybe l_photo (1, H, W), uint8 in OpenCV's
    KEY.wash.npy    8-bit Lab scaling: L·255/100, a+128, b+128

The same samples give the same bytes: no times, no owners. No pickle: `.npy` is written without it.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from pydantic import Field

from gravurekit import settings as base
from gravurekit import storage
from gravurekit.exports import Place, Sample

REVISION = 1
OURS = re.compile(r"(?:(?:train|val|test)-)?\d{6,}\.tar")


class Settings(base.Settings):
    """How samples are put into tar files."""

    samples_per_tar: int = Field(1000, ge=1, le=100_000, description="Samples of a tar file, at most.")


def together(settings: Settings) -> int:
    """Samples of one tar file."""
    return settings.samples_per_tar


def called(split: str, number: int, count: int) -> str:
    """The name of a tar file."""
    return f"{split}-{number:06d}.tar" if split else f"{number:06d}.tar"


def write(samples: Iterable[Sample], place: Place, settings: Settings) -> list[dict[str, str]]:
    """Write a tar file beside `place.stem`; none if there are no samples."""
    coming = iter(samples)
    if (first := next(coming, None)) is None:
        return []
    names: list[dict[str, str]] = []
    storage.write_chunks(place.stem.with_suffix(".tar"), _tar(chain([first], coming), names))
    return names


def _tar(samples: Iterable[Sample], names: list[dict[str, str]]) -> Iterator[bytes]:
    """The bytes of a tar file, member by member, so that it is never whole in memory. An entry of `names` a sample."""
    size = 0
    for sample in samples:
        for extension, data in sorted(_members(sample)):
            about = tarfile.TarInfo(f"{sample.name}.{extension}")  # by default of nobody, in 1970
            about.size, about.mode = len(data), 0o644
            padding = b"\0" * (-len(data) % tarfile.BLOCKSIZE)
            header = about.tobuf(tarfile.USTAR_FORMAT)
            size += len(header) + len(data) + len(padding)
            yield from (header, data, padding)
        names.append({})
    size += 2 * tarfile.BLOCKSIZE
    yield b"\0" * (2 * tarfile.BLOCKSIZE + -size % tarfile.RECORDSIZE)


def _members(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """Extension and bytes of each member."""
    yield "json", json.dumps(sample.facts, ensure_ascii=False).encode()
    if sample.label >= 0:
        yield "cls", str(sample.label).encode()
    for name, file in sample.files.items():
        yield (file.extension if name == "image" else f"{name}.{file.extension}"), file.data
    for name, tensor in sample.tensors.items():
        yield f"{name.lower()}.npy", _npy(tensor)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()
