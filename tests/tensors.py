"""Small shards to test with: samples from a seed, and a whole folder of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gravurekit.shards import FORMAT, writer
from gravurekit.shards.writer import Sample

WIDTH, HEIGHT = 8, 16
TABLES = ("style", "licenses", "sources", "splits", "labels", "files", "settings", "palettes")


def sample(seed: int, width: int = WIDTH, height: int = HEIGHT, photo: bool = False) -> Sample:
    """A sample of noise; the same for the same seed."""
    planes = np.random.default_rng(seed).integers(0, 256, (5, height, width), np.uint8)
    named = {"L": planes[:1], "wash": planes[1:4]} | ({"L_photo": planes[4:]} if photo else {})
    return Sample(named, (seed % 4, 0, height - seed % 3, width), seed % 5 - 1)


def write_folder(
    folder: Path, counts: Mapping[str, tuple[int, ...]], photo: bool = False, **size: int
) -> dict[str, Any]:
    """Shards of so many samples by split: number n of train is sample(n), of val sample(1000 + n), of test
    sample(2000 + n). The manifest, and an index in which n is the picture `key-n`."""
    files, index = [], []
    for first, split in ((0, "train"), (1000, "val"), (2000, "test")):
        seeds = iter(range(first, first + sum(counts.get(split, ()))))
        for number, count in enumerate(counts.get(split, ())):
            mine = [next(seeds) for _ in range(count)]
            done = writer.write(
                folder,
                f"{split}-{number:05d}",
                count,
                (sample(seed, photo=photo, **size) for seed in mine),
                {"format": 2},
            )
            files.append(
                {"split": split, "file": done.file, "samples": count, "bytes": done.bytes, "sha256": done.sha256}
            )
            index += [
                {"split": split, "shard": done.file, "row": row, "crc32": crc32, "key": f"key-{seed}", "photo_key": "",
                 "labels": [], "keywords": [], "url": f"http://a.example/{seed}.jpg", "license": "", "source": "x"}
                for row, (seed, crc32) in enumerate(zip(mine, done.crc32, strict=True))
            ]  # fmt: skip
    manifest = {name: {} for name in TABLES} | {
        "format": FORMAT, "classes": ["coat", "dress"], "size": [size.get("width", WIDTH), size.get("height", HEIGHT)],
        "L_mean": 0.5, "tensors": ["L", "wash", *(["L_photo"] if photo else [])], "shards": files,
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "index.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in index))
    return manifest


def flip(path: Path, tensor: str, row: int) -> None:
    """Turn one bit in the middle of a row of a tensor."""
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    about = json.loads(data[8 : 8 + length])[tensor]
    begin, end = about["data_offsets"]
    stride = (end - begin) // about["shape"][0]
    data[8 + length + begin + row * stride + stride // 2] ^= 4
    path.unlink()  # an earlier one may still be mapped
    path.write_bytes(data)
