"""imagefolder: pictures as files with a metadata.jsonl beside them, for `datasets.load_dataset("imagefolder", …)`.

    KEY.jpg  metadata.jsonl                  a folder of pictures; of a styled one also KEY.plain.png and KEY.wash.jpg
    train/KEY.png  train/metadata.jsonl …    shards, whose folders are the splits: L as a grey picture, KEY.wash.png,
                                             maybe KEY.photo.png; decoded from Lab to sRGB, lossless from there on

metadata.jsonl names them as `file_name`, `plain_file_name`, `wash_file_name`: columns `image`, `plain`, `wash`.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from gravurekit import color, images, storage
from gravurekit import settings as base
from gravurekit.exports import Place, Sample
from gravurekit.metadata import METADATA

REVISION = 1
OURS = re.compile(r"(?:(?:train|val|test)/)?(?:[0-9a-f]{16}(?:-\d+)?(?:\.[a-z]+)?\.[a-z0-9]+|metadata\.jsonl)")
TASK = 64
PICTURES = {"L": "image", "wash": "wash", "L_photo": "photo"}  # what a tensor is called as a picture


class Settings(base.Settings):
    """How pictures are put into folders."""

    copy_files: bool = Field(
        False, description="Copies; else hard links to the files of SOURCE where the disk allows it."
    )


def together(settings: Settings) -> int:
    """Samples of one task."""
    return TASK


def write(samples: Iterable[Sample], place: Place, settings: Settings) -> list[dict[str, str]]:
    """Write the files of each sample below `place.out`; what they are called, and their sha256."""
    return [_write_one(sample, place, settings) for sample in samples]


def _write_one(sample: Sample, place: Place, settings: Settings) -> dict[str, str]:
    written: dict[str, str] = {}
    for name, file in sample.files.items():
        path = _named(sample, name, file.extension, place.split)
        if settings.copy_files:
            storage.write_bytes(place.out / path, file.data)
        else:
            storage.link_or_copy(file.path, place.out / path)
        written |= _told(name, path, file.data)
    for name, tensor in sample.tensors.items():
        path = _named(sample, PICTURES[name], "png", place.split)
        data = images.encode_png(picture(tensor))
        storage.write_bytes(place.out / path, data)
        written |= _told(PICTURES[name], path, data)
    return written


def _named(sample: Sample, name: str, extension: str, split: str) -> str:
    suffix = extension if name == "image" else f"{name}.{extension}"
    return f"{split}/{sample.name}.{suffix}" if split else f"{sample.name}.{suffix}"


def _told(name: str, path: str, data: bytes) -> dict[str, str]:
    prefix = "" if name == "image" else f"{name}_"
    return {f"{prefix}file_name": path, f"{prefix}sha256": hashlib.sha256(data).hexdigest()}


def picture(tensor: np.ndarray) -> np.ndarray:
    """(1, H, W) or (3, H, W) uint8, L or Lab in OpenCV's 8-bit scaling (L·255/100, a+128, b+128) → (H, W) or (H, W, 3)
    uint8 sRGB."""
    if len(tensor) == 1:
        neutral = np.full_like(tensor, 128)
        return picture(np.concatenate([tensor, neutral, neutral]))[..., 1]
    return color.lab_to_rgb(color.lab8_to_lab(np.ascontiguousarray(np.moveaxis(tensor, 0, -1))))


def close(out: Path, lines: Iterable[dict[str, Any]]) -> list[str]:
    """Write metadata.jsonl, one to a split, from the lines of the index."""
    splits = sorted({line.get("split", "") for line in lines})
    names = [f"{split}/{METADATA}" if split else METADATA for split in splits]
    for split, name in zip(splits, names, strict=True):
        storage.write_lines(out / name, _metadata(lines, split))
    return names


def _metadata(lines: Iterable[dict[str, Any]], split: str) -> Iterator[str]:
    """Lines whose file names are relative to the folder of the split, which needn't be told there."""
    for line in lines:
        if line.get("split", "") == split:
            own = {name: value for name, value in line.items() if name != "split"}
            own |= {name: Path(value).name for name, value in own.items() if name.endswith("file_name")}
            yield json.dumps(own, ensure_ascii=False)
