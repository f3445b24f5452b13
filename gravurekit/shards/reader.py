"""Reading shards: memory-mapped, a whole batch in one call, each sample's checksum proved at its first use."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from gravurekit.errors import DataError
from gravurekit.shards import FORMAT, MANIFEST, SPLITS
from gravurekit.shards.writer import checksum

DTYPES = {"U8": np.uint8, "I32": np.int32, "U16": np.uint16, "U32": np.uint32}


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a shards folder. Raises DataError if it is missing, damaged, or of another format."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{folder} holds no finished shards: run `gravurekit shard`") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}): run `gravurekit shard` again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{path} isn't of shard format {FORMAT}: run `gravurekit shard` again")
    try:
        fault = _fault_of(manifest)
    except (KeyError, TypeError, ValueError) as error:
        fault = repr(error)
    if fault:
        raise DataError(f"{path} is damaged ({fault}): run `gravurekit shard` again")
    return manifest


def _fault_of(manifest: dict[str, Any]) -> str:
    """What is wrong with a manifest; empty if nothing is."""
    if not all(isinstance(name, str) for name in manifest["classes"]):
        return "classes aren't names"
    if not (isinstance(manifest["size"], int) and isinstance(manifest["L_mean"], float | int)):
        return "size or L_mean is no number"
    if not (isinstance(manifest["style"], dict) and isinstance(manifest["licenses"], dict)):
        return "style or licenses is no table"
    for shard in manifest["shards"]:
        if Path(shard["file"]).name != shard["file"] or shard["split"] not in SPLITS or shard["samples"] < 1:
            return f"no shard: {shard}"
    return ""


class ShardSet:
    """All samples of one split, in the order of the manifest. `classes` are the labels' names."""

    def __init__(self, folder: Path, split: str) -> None:
        if split not in SPLITS:
            raise DataError(f"no split {split!r}: {', '.join(SPLITS)}")
        self.manifest = read_manifest(folder)
        self.classes: tuple[str, ...] = tuple(self.manifest["classes"])
        self._files = [folder / shard["file"] for shard in self.manifest["shards"] if shard["split"] == split]
        counts = [shard["samples"] for shard in self.manifest["shards"] if shard["split"] == split]
        self._ends = np.cumsum(counts, dtype=np.int64) if counts else np.zeros(0, np.int64)
        self._maps = [_map_tensors(path, count) for path, count in zip(self._files, counts, strict=True)]
        self._proved = np.zeros(len(self), bool)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def batch(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Samples by number: `L` (B, 1, H, W) uint8, `wash` (B, 3, H, W) uint8, `label` (B,) int64, `box` (B, 4) int64.

        Raises DataError naming file and row if a checksum doesn't hold.
        """
        shards = np.searchsorted(self._ends, indices, side="right")
        rows = indices - np.where(shards > 0, self._ends[shards - 1], 0)
        places = list(zip(indices.tolist(), shards.tolist(), rows.tolist(), strict=True))
        for index, shard, row in places:
            if not self._proved[index]:
                self._prove(shard, row)
                self._proved[index] = True
        batch = {name: np.stack([self._maps[shard][name][row] for _, shard, row in places]) for name in ("L", "wash")}
        for name in ("label", "box"):
            batch[name] = np.array([self._maps[shard][name][row] for _, shard, row in places], np.int64)
        return batch

    def _prove(self, shard: int, row: int) -> None:
        tensors = self._maps[shard]
        crc32 = checksum(*(tensors[name][row] for name in ("L", "wash", "label", "box")))
        if crc32 != int(tensors["crc32"][row]):
            path = self._files[shard]
            raise DataError(f"{path}, row {row}, is damaged (checksum): run `gravurekit shard` again")


def _map_tensors(path: Path, samples: int) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file as read-only views of its memory map."""
    try:
        mapped = np.memmap(path, np.uint8, mode="r")
        (length,) = struct.unpack("<Q", mapped[:8].tobytes())
        header = json.loads(mapped[8 : 8 + length].tobytes())
        data = mapped[8 + length :]
        tensors = {}
        for name, about in header.items():
            if name != "__metadata__":
                begin, end = about["data_offsets"]
                tensors[name] = data[begin:end].view(DTYPES[about["dtype"]]).reshape(about["shape"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise DataError(f"{path} is missing or damaged ({error}): run `gravurekit shard` again") from None
    names = ("L", "wash", "label", "box", "crc32")
    if any(name not in tensors or tensors[name].shape[:1] != (samples,) for name in names):
        raise DataError(f"{path} doesn't hold the {samples} samples of the manifest: run `gravurekit shard` again")
    return tensors
