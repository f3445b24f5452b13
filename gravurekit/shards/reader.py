"""Reading shards: memory-mapped, a whole batch in one call, each sample's checksum proved at its first use."""

import json
import math
import os
import resource
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from gravurekit import storage
from gravurekit.errors import DataError
from gravurekit.shards import FORMAT, INDEX, MANIFEST, PLANES, SPLITS
from gravurekit.shards.layout import FIGURES, PAGE, Layout, read_layout
from gravurekit.shards.writer import Sample, checksum

AGAIN = "run `gravurekit shard` again"
ANEW = f"remove it and {AGAIN}"  # a spoilt file may keep its time, by which `shard` takes it for whole
FIELDS = ("L", "wash", "label", "box")
OTHERS = 128  # open files that are left to the rest of the process
ALL, COLOURS = slice(None), slice(1, 3)  # planes: all of them; a and b, of those of wash


# ---- the manifest --------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a shards folder. Raises DataError if it is missing, damaged, or of another format."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{folder} holds no finished shards: run `gravurekit shard`") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged ({error}): {AGAIN}") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if type(found) is int and found > FORMAT:
        raise DataError(f"{path} is of shard format {found}, newer than {FORMAT}: pip install --upgrade gravurekit")
    if found != FORMAT:
        raise DataError(f"{path} isn't of shard format {FORMAT}, but of {found!r:.40}: {AGAIN}")
    try:
        fault = _fault_of(manifest)
    except (KeyError, TypeError, ValueError) as error:
        fault = repr(error)
    if fault:
        raise DataError(f"{path} is damaged ({fault}): {AGAIN}")
    return manifest


def _fault_of(manifest: dict[str, Any]) -> str:
    """What is wrong with a manifest; empty if nothing is."""
    if not all(isinstance(name, str) for name in manifest["classes"]):
        return "classes aren't names"
    width, height = manifest["size"]
    if not (type(width) is type(height) is int and isinstance(manifest["L_mean"], float | int)):
        return "size or L_mean is no number"
    if not {"L", "wash"} <= set(manifest["tensors"]) <= set(PLANES):
        return f"tensors {manifest['tensors']}"
    for name in ("style", "licenses", "sources", "splits", "labels", "files", "settings", "palettes"):
        if not isinstance(manifest[name], dict):
            return f"{name} is no table"
    for shard in manifest["shards"]:
        named = isinstance(shard["file"], str) and Path(shard["file"]).name == shard["file"]
        named = named and isinstance(shard.get("sha256"), str)
        if not named or shard["split"] not in SPLITS or not type(shard["samples"]) is type(shard["bytes"]) is int:
            return f"no shard: {shard}"
        if shard["samples"] < 1:
            return f"no shard: {shard}"
    return ""


# ---- files ---------------------------------------------------------------------------------------------


Place = tuple[int, int, int]  # where in a batch a sample goes, its shard, and its row in that
Field = tuple[str, slice]  # a tensor, and the planes of it that are taken


class _File(Protocol):
    """An open shard."""

    layout: Layout

    def rows(self, name: str) -> np.ndarray:
        """All values of a small tensor."""

    def row(self, name: str, row: int) -> np.ndarray:
        """The values of one sample."""

    @staticmethod
    def fill(files: "Mapping[int, Any]", field: Field, places: Iterable[Place], out: np.ndarray) -> None:
        """Copy a field of several samples into a batch; `files` by shard. Threads take turns in every line of Python,
        and not while a sample is copied: the fewer lines there are between two copies, the more threads are worth."""


class _Mapped:
    """Tensors as read-only views of the file's memory map. The map goes when nothing views it any more."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout = layout
        data = np.memmap(path, np.uint8, mode="r").view(np.ndarray)  # plain arrays: memmap's own slices are slow
        self._tensors = {
            name: data[tensor.offset : tensor.end].view(tensor.dtype).reshape(tensor.shape)
            for name, tensor in layout.items()
        }

    def rows(self, name: str) -> np.ndarray:
        return self._tensors[name]

    def row(self, name: str, row: int) -> np.ndarray:
        return self._tensors[name][row]

    @staticmethod
    def fill(files: "Mapping[int, _Mapped]", field: Field, places: Iterable[Place], out: np.ndarray) -> None:
        name, planes = field
        views = {shard: file._tensors[name][:, planes] for shard, file in files.items()}
        for place, shard, row in places:
            out[place] = views[shard][row]


class _Read:
    """Tensors read by `pread`. A file that is cut short while it is open is an error here, and ends the process where
    it is mapped."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout, self._path = layout, path
        self._file = open(path, "rb", buffering=0)
        weakref.finalize(self, self._file.close)

    def rows(self, name: str) -> np.ndarray:
        tensor = self.layout[name]
        return self._read(np.empty(tensor.shape, tensor.dtype), tensor.offset)

    def row(self, name: str, row: int) -> np.ndarray:
        tensor = self.layout[name]
        return self._read(np.empty(tensor.shape[1:], tensor.dtype), tensor.offset + row * tensor.stride)

    @staticmethod
    def fill(files: "Mapping[int, _Read]", field: Field, places: Iterable[Place], out: np.ndarray) -> None:
        name, planes = field
        for place, shard, row in places:
            file = files[shard]
            tensor = file.layout[name]
            first, _, _ = planes.indices(tensor.shape[1])
            file._read(out[place], tensor.offset + row * tensor.stride + first * (tensor.stride // tensor.shape[1]))

    def _read(self, out: np.ndarray, offset: int) -> np.ndarray:
        """Fill `out` with what lies at `offset`."""
        try:
            found = os.preadv(self._file.fileno(), [out.data], offset)
        except OSError as error:
            raise DataError(f"{self._path} can't be read ({error.strerror}): {AGAIN}") from None
        if found != out.nbytes:
            raise DataError(f"{self._path} was cut short: {ANEW}")
        return out


KINDS: dict[str, type[_Mapped] | type[_Read]] = {"mmap": _Mapped, "pread": _Read}


def _most_files() -> int:
    """How many files may be open at once: each map holds one, too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 16 if soft == resource.RLIM_INFINITY else max(8, (soft - OTHERS) // 2)


# ---- samples -------------------------------------------------------------------------------------------


class ShardSet:
    """The samples of one split, in the order of the manifest. `classes` are the labels' names. Threads may share it.

    `fields`: what a batch holds: tensors of the manifest, `ab` for the last two planes of `wash`, `label`, `box`.
    `check`: prove each sample's checksum at its first use. `io`: `mmap`, or `pread` for disks whose files may be cut
    short meanwhile. `most_files`: that are open at once; by default what the system allows.
    """

    def __init__(
        self, folder: Path, split: str, fields: Sequence[str] = FIELDS, check: bool = True,
        io: Literal["mmap", "pread"] = "mmap", most_files: int | None = None,
    ) -> None:  # fmt: skip
        if split not in SPLITS:
            raise DataError(f"no split {split!r}: {', '.join(SPLITS)}")
        self.manifest = read_manifest(folder)
        self.classes: tuple[str, ...] = tuple(self.manifest["classes"])
        self.fields, self.check = tuple(fields), check
        self._planes = {name: _field(name, self.manifest) for name in fields if name not in FIGURES}
        self._folder, self._kind = folder, KINDS[io]
        self._shards = [shard for shard in self.manifest["shards"] if shard["split"] == split]
        self._ends = np.cumsum([shard["samples"] for shard in self._shards], dtype=np.int64)
        self._proved = np.full(len(self), not check)
        self._figures = {  # of all samples whose files were open: small, and quicker than a look into each file
            name: np.zeros((len(self), *FIGURES[name][0]), FIGURES[name][1]) for name in fields if name in FIGURES
        }
        self._most_files = most_files or _most_files()
        self._open: OrderedDict[int, _File] = OrderedDict()
        self._lock = threading.Lock()
        for shard in self._shards:
            _look_at(folder / shard["file"], shard["bytes"])

    def __getstate__(self) -> dict[str, Any]:
        """For another process, as a worker of torch's DataLoader, which opens the files for itself."""
        return self.__dict__ | {"_open": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """One sample, as `batch` gives several."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return {name: values[0] for name, values in self.batch(np.array([index % len(self)])).items()}

    def __getitems__(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """A batch in one call, as torch's DataLoader asks for it; `collate_fn` has nothing left to do."""
        return self.batch(np.asarray(indices, np.int64))

    def buffers(self, count: int) -> dict[str, np.ndarray]:
        """Arrays that hold a batch of `count` samples, for `batch` to fill again and again."""
        width, height = self.manifest["size"]
        found = {name: _at_a_page((count, _count(field), height, width)) for name, field in self._planes.items()}
        figures = {name: np.empty((count, *FIGURES[name][0]), np.int64) for name in self._figures}
        return {name: (found | figures)[name] for name in self.fields}

    def batch(self, indices: np.ndarray, out: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Samples by number, 0 to len - 1: of the `fields`, `L` (B, 1, H, W), `wash` (B, 3, H, W), `ab` (B, 2, H, W),
        `L_photo` (B, 1, H, W) uint8, `label` (B,) and `box` (B, 4) int64. With `out`, from `buffers`, its first B rows
        are filled and returned, so that no batch needs memory of its own.

        Raises DataError naming file, row and picture if a checksum doesn't hold; a damaged sample isn't given twice.
        IndexError for a number that no sample has: -1 isn't the last one here.
        """
        count = len(indices)
        if count and not (0 <= np.min(indices) and np.max(indices) < len(self)):
            raise IndexError(f"samples {np.min(indices)} to {np.max(indices)} of {len(self)}")
        out = {name: values[:count] for name, values in (out or self.buffers(count)).items()}
        shards = np.searchsorted(self._ends, indices, side="right")
        rows = indices - np.where(shards > 0, self._ends[shards - 1], 0)
        places = list(zip(range(count), shards.tolist(), rows.tolist(), strict=True))
        for part, files in self._opened_for(places):
            self._prove(part, files, indices)
            for name, field in self._planes.items():
                self._kind.fill(files, field, part, out[name])
        for name, values in self._figures.items():
            out[name][...] = values[indices]
        return out

    def _opened_for(self, places: list[Place]) -> Iterator[tuple[list[Place], dict[int, Any]]]:
        """The files of these samples by shard, all at once, or, where that would be too many, some at a time."""
        wanted = sorted({shard for _, shard, _ in places})
        for first in range(0, len(wanted), self._most_files):
            files = {shard: self._file(shard) for shard in wanted[first : first + self._most_files]}
            yield ([place for place in places if place[1] in files] if len(files) < len(wanted) else places), files

    def _prove(self, places: Iterable[Place], files: Mapping[int, _File], indices: np.ndarray) -> None:
        """Look at the checksums of those samples that weren't looked at before."""
        proved = self._proved[indices]
        if proved.all():
            return
        for place, shard, row in places:
            if not proved[place]:
                self._prove_one(files[shard], shard, row)
                self._proved[indices[place]] = True

    def _file(self, shard: int) -> _File:
        """An open file; the one that was used longest ago is closed when there would be too many."""
        with self._lock:
            if (file := self._open.get(shard)) is None:
                file = self._open[shard] = self._opened(shard)
                if len(self._open) > self._most_files:
                    self._open.popitem(last=False)
            else:
                self._open.move_to_end(shard)
            return file

    def _opened(self, shard: int) -> _File:
        entry = self._shards[shard]
        path = storage.at_hand(self._folder / entry["file"], entry["sha256"])
        layout = read_layout(path)
        width, height = self.manifest["size"]
        shapes = {name: (PLANES[name], height, width) for name in self.manifest["tensors"]}
        expected = shapes | {name: shape for name, (shape, _) in FIGURES.items()}
        kinds = {name: FIGURES[name][1] if name in FIGURES else np.dtype(np.uint8) for name in expected}
        if any(
            name not in layout or layout[name].shape != (entry["samples"], *shape) or layout[name].dtype != kinds[name]
            for name, shape in expected.items()
        ):
            raise DataError(f"{path} doesn't hold the {entry['samples']} samples of the manifest: {ANEW}")
        try:
            file = self._kind(path, layout)
        except OSError as error:
            raise DataError(f"{path} can't be read ({error.strerror}): {AGAIN}") from None
        end = int(self._ends[shard])
        for name, values in self._figures.items():
            values[end - entry["samples"] : end] = file.rows(name)
        return file

    def _prove_one(self, file: _File, shard: int, row: int) -> None:
        planes = (file.row(name, row) for name in PLANES if name in file.layout)
        if checksum(planes, int(file.row("label", row)), file.row("box", row).tolist()) != int(file.row("crc32", row)):
            name = self._shards[shard]["file"]
            whose = source_of(self._folder, name, row)
            raise DataError(f"{self._folder / name}, row {row}{whose}, is damaged (checksum): {ANEW}")


def _count(field: Field) -> int:
    """How many planes a field has."""
    first, last, _ = field[1].indices(PLANES[field[0]])
    return last - first


def _at_a_page(shape: tuple[int, ...]) -> np.ndarray:
    """A new uint8 array that begins at a page, as the tensors in the files do: where one begins a little after the
    other, the processor takes each read for one of what it has just written, and waits (a tenth slower)."""
    size = math.prod(shape)
    space = np.empty(size + PAGE, np.uint8)
    begin = -space.ctypes.data % PAGE
    return space[begin : begin + size].reshape(shape)


def samples_of(path: Path, rows: Iterable[int]) -> Iterator[Sample]:
    """The samples in these rows of a file, each proved. They are views of the file, and are to be used at once. Raises
    DataError naming the row that is damaged."""
    for row, sample, crc32 in raw_samples_of(path, rows):
        if sample.crc32 != crc32:
            raise DataError(f"{path}, row {row}, is damaged (checksum): {ANEW}")
        yield sample


def raw_samples_of(path: Path, rows: Iterable[int]) -> Iterator[tuple[int, Sample, int]]:
    """Row, sample, and the checksum that it should have. Raises DataError if the file doesn't hold samples."""
    file = _Mapped(path, read_layout(path))
    names = [name for name in PLANES if name in file.layout]
    if not {"L", "wash", *FIGURES} <= file.layout.keys():
        raise DataError(f"{path} doesn't hold samples: {ANEW}")
    for row in rows:
        box = tuple(file.row("box", row).tolist())
        sample = Sample({name: file.row(name, row) for name in names}, box, int(file.row("label", row)))
        yield row, sample, int(file.row("crc32", row))


def about_of(path: Path) -> dict[str, Any]:
    """What a shard's own header says of its numbers. Raises DataError."""
    read_layout(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            return dict(json.loads(json.loads(file.read(length))["__metadata__"]["gravurekit"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} doesn't say what its numbers mean ({error!r:.60}): {ANEW}") from None


def source_of(folder: Path, file: str, row: int) -> str:
    """The picture that a sample is of, for messages: " (KEY, URL)"; empty if the index doesn't tell."""
    try:
        with open(folder / INDEX, "rb") as lines:
            for line in lines:
                entry = json.loads(line)
                if entry["shard"] == file and entry["row"] == row:
                    return f" ({', '.join(str(part) for part in (entry['key'], entry.get('url')) if part)})"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return ""


def _field(name: str, manifest: Mapping[str, Any]) -> Field:
    """The tensor, and the planes of it, that the name of a field stands for."""
    tensor, planes = ("wash", COLOURS) if name == "ab" else (name, ALL)
    if tensor not in manifest["tensors"]:
        raise DataError(f"the shards hold no {name}: {', '.join(manifest['tensors'])}; {AGAIN} with it")
    return tensor, planes


def _look_at(path: Path, size: int) -> None:
    """Raises DataError if a file isn't there, or hasn't the size that the manifest says."""
    found = storage.size_of(path)
    if found is None:
        raise DataError(f"{path} is missing: {AGAIN}")
    if found != size:
        raise DataError(f"{path} has {found} bytes instead of {size}: {ANEW}")
