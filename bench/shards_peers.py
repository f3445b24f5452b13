"""The contestants of bench/shards.py: ways to keep samples on disk, and to read them back a batch at a time.

    python bench/shards_peers.py NAME HOME SOURCE     what bench/shards.py starts: one process a contestant

Each writes its data itself into HOME from SOURCE/L.npy (N, 1, H, W) and SOURCE/ab.npy (N, 2, H, W), both uint8, and
then does one round whenever it is told to, so that rounds of all can be had in turn. It is told by a line of JSON
([command, arguments…]) and answers with one. Right before and right after it has read, it copies from memory to memory
in the same order: its share of the limit is of that.

Other people's libraries lie in a folder each (`installed`), put there without what they depend on but for what these
ways of use need: numpy and torch are the project's own for all, so that none is replaced and none is read with another
numpy than the rest. What they import of what isn't there is put in place empty.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from shards_ours import OURS, Ours

BATCH = 64
ATLEAST, ATMOST = 0.3, 3.0  # seconds of a round: the quick go over the samples again, the slow stop before the end
BESIDE = 0.1  # seconds of memcpy before a round, and as much after it
FEW = 1024  # samples that are in memory for that
SHARD = 512  # samples of a file, where that can be said

# What was seen to work together
PEERS = {
    "WebDataset": ["webdataset==1.0.2", "braceexpand==0.1.7"],
    "litdata": [
        "litdata==0.2.76", "boto3==1.44.8", "botocore==1.44.8", "jmespath==1.1.0", "lightning-utilities==0.15.3",
        "obstore==0.12.1", "python-dateutil==4.0.0", "s3transfer==0.19.3", "tifffile==2026.3.3",
    ],
    "MosaicML MDS": [
        "mosaicml-streaming==0.13.0", "brotli==1.2.1", "catalogue==2.0.10", "cramjam==2.14.0", "python-snappy==0.7.3",
        "tqdm==4.70.1", "xxhash==4.1.0", "zstd==1.5.7.2",
    ],
    "Parquet": ["pyarrow==26.0.1"],
}  # fmt: skip

Buffers = dict[str, np.ndarray]


def installed(name: str, peers: Path) -> Path:
    """The folder in which a peer lies; it is put there once. Raises OSError with pip's words if that can't be done."""
    home = peers / name.lower().replace(" ", "-")
    mark = home / "installed.json"
    if not mark.is_file() or json.loads(mark.read_text()) != PEERS[name]:
        shutil.rmtree(home, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(home), *PEERS[name]]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
        mark.write_text(json.dumps(PEERS[name]))
    return home


def empty(name: str, **holds: type) -> None:
    """A module in place of one that isn't here, for those who import it and don't need it."""
    module = ModuleType(name)
    module.__dict__.update(holds)
    sys.modules[name] = module


class Contestant:
    """`modes`: what it offers. `batches` fills the buffers again and again and gives the numbers of the samples in
    them; `order` is None for the order in which they lie."""

    modes: tuple[str, ...] = ("sequential", "random")

    def write(self, source: Buffers, home: Path) -> None:
        raise NotImplementedError

    def open(self, home: Path) -> None:
        raise NotImplementedError

    def batches(self, order: np.ndarray | None, buffers: Buffers) -> Iterator[np.ndarray]:
        raise NotImplementedError

    def shuffled(self, buffers: Buffers) -> Iterator[np.ndarray]:
        """Its own way to shuffle, for those that don't give any sample that is asked for."""
        raise NotImplementedError


def rows_into(rows: Iterable[tuple[int, np.ndarray, np.ndarray]], buffers: Buffers) -> Iterator[np.ndarray]:
    """Copy samples (number, L, ab) into the buffers, one after the other; what is left over at the end as well."""
    numbers: list[int] = []
    L, ab = buffers["L"], buffers["ab"]
    for number, row_L, row_ab in rows:
        place = len(numbers)
        L[place], ab[place] = row_L, row_ab
        numbers.append(number)
        if len(numbers) == BATCH:
            yield np.array(numbers)
            numbers = []
    if numbers:
        yield np.array(numbers)


def copied(arrays: Buffers, order: np.ndarray | None, buffers: Buffers) -> Iterator[np.ndarray]:
    """The limit: from memory to memory, by numpy's own loop over the samples of a batch."""
    count = len(arrays["L"]) if order is None else len(order)
    for begin in range(0, count, BATCH):
        numbers = np.arange(begin, min(begin + BATCH, count)) if order is None else order[begin : begin + BATCH]
        for name, array in arrays.items():
            if order is None:
                np.copyto(buffers[name][: len(numbers)], array[begin : begin + BATCH])
            else:  # "clip", because otherwise numpy copies twice
                np.take(array, numbers, axis=0, out=buffers[name][: len(numbers)], mode="clip")
        yield numbers


class Memcpy(Contestant):
    """From memory to memory."""

    def write(self, source: Buffers, home: Path) -> None:
        for name, array in source.items():
            np.save(home / f"{name}.npy", array)

    def open(self, home: Path) -> None:
        self.arrays = {name: np.load(home / f"{name}.npy") for name in ("L", "ab")}

    def batches(self, order: np.ndarray | None, buffers: Buffers) -> Iterator[np.ndarray]:
        return copied(self.arrays, order, buffers)


class Memmap(Memcpy):
    """numpy's memory map of an .npy file, read in the same way."""

    def open(self, home: Path) -> None:
        self.arrays = {name: np.load(home / f"{name}.npy", mmap_mode="r") for name in ("L", "ab")}


class WebDataset(Contestant):
    """tar files of .npy members. A sample that is asked for by its number isn't to be had."""

    modes = ("sequential", "shuffled")

    def write(self, source: Buffers, home: Path) -> None:
        import webdataset

        with webdataset.ShardWriter(f"{home}/%06d.tar", maxcount=SHARD, maxsize=1e12, verbose=0) as writer:
            for n in range(len(source["L"])):
                writer.write({"__key__": f"{n:08}", "l.npy": source["L"][n], "ab.npy": source["ab"][n]})

    def open(self, home: Path) -> None:
        import webdataset

        files = sorted(str(path) for path in home.glob("*.tar"))
        self.plain = webdataset.WebDataset(files, shardshuffle=False).decode()
        self.mixed = webdataset.WebDataset(files, shardshuffle=len(files), seed=0).shuffle(1000).decode()

    @staticmethod
    def _rows(samples: Iterable[dict[str, Any]]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        return ((int(sample["__key__"]), sample["l.npy"], sample["ab.npy"]) for sample in samples)

    def batches(self, order: np.ndarray | None, buffers: Buffers) -> Iterator[np.ndarray]:
        return rows_into(self._rows(self.plain), buffers)

    def shuffled(self, buffers: Buffers) -> Iterator[np.ndarray]:
        return rows_into(self._rows(self.mixed), buffers)


class Litdata(Contestant):
    """Chunks of 64 MB, its default reader."""

    modes = ("sequential", "random", "shuffled")

    def write(self, source: Buffers, home: Path) -> None:
        from litdata.streaming.cache import Cache

        cache = Cache(str(home), chunk_bytes="64MB")
        for n in range(len(source["L"])):
            cache[n] = {"n": n, "L": np.array(source["L"][n]), "ab": np.array(source["ab"][n])}
        cache.done()
        cache.merge()

    def open(self, home: Path) -> None:
        import litdata

        self.plain = litdata.StreamingDataset(str(home), shuffle=False)
        self.mixed = litdata.StreamingDataset(str(home), shuffle=True, seed=0)

    @staticmethod
    def _rows(samples: Iterable[dict[str, Any]]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        return ((int(sample["n"]), sample["L"], sample["ab"]) for sample in samples)

    def batches(self, order: np.ndarray | None, buffers: Buffers) -> Iterator[np.ndarray]:
        samples = self.plain if order is None else (self.plain[number] for number in order.tolist())
        return rows_into(self._rows(samples), buffers)

    def shuffled(self, buffers: Buffers) -> Iterator[np.ndarray]:
        return rows_into(self._rows(self.mixed), buffers)


class Mosaic(Contestant):
    """MDS shards of arrays of a fixed shape, read by LocalDataset, without hashes, which is its default."""

    @staticmethod
    def library() -> Any:
        for room in ("multimodal", "text", "vision"):  # they ask for torchvision and transformers
            empty(f"streaming.{room}")
        empty("transformers")
        empty("transformers.feature_extraction_utils", BatchFeature=type("BatchFeature", (dict,), {}))
        empty("transformers.tokenization_utils_base", BatchEncoding=type("BatchEncoding", (dict,), {}))
        return importlib.import_module("streaming")

    def write(self, source: Buffers, home: Path) -> None:
        columns = {name: f"ndarray:uint8:{','.join(map(str, array.shape[1:]))}" for name, array in source.items()}
        with self.library().MDSWriter(out=str(home / "mds"), columns=columns, size_limit=1 << 26) as writer:
            for n in range(len(source["L"])):
                writer.write({name: np.array(array[n]) for name, array in source.items()})

    def open(self, home: Path) -> None:
        self.samples = self.library().LocalDataset(str(home / "mds"))

    def batches(self, order: np.ndarray | None, buffers: Buffers) -> Iterator[np.ndarray]:
        numbers = range(len(self.samples)) if order is None else order.tolist()
        found = ((number, self.samples[number]) for number in numbers)
        return rows_into(((number, sample["L"], sample["ab"]) for number, sample in found), buffers)


class Parquet(Contestant):
    """Columns of fixed-size binary, neither compressed nor in dictionaries, row groups of one batch, memory-mapped."""

    def write(self, source: Buffers, home: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        sizes = {name: array[0].nbytes for name, array in source.items()}
        schema = pyarrow.schema([(name, pyarrow.binary(size)) for name, size in sizes.items()])
        with pyarrow.parquet.ParquetWriter(
            home / "all.parquet", schema, compression="none", use_dictionary=False, write_statistics=False
        ) as writer:
            for begin in range(0, len(source["L"]), BATCH):
                blocks = {name: np.ascontiguousarray(array[begin : begin + BATCH]) for name, array in source.items()}
                columns = [
                    pyarrow.FixedSizeBinaryArray.from_buffers(
                        pyarrow.binary(sizes[name]), len(block), [None, pyarrow.py_buffer(block)]
                    )
                    for name, block in blocks.items()
                ]
                writer.write_batch(pyarrow.record_batch(columns, schema=schema), row_group_size=BATCH)

    def open(self, home: Path) -> None:
        import pyarrow.parquet

        self.file = pyarrow.parquet.ParquetFile(home / "all.parquet", memory_map=True)

    @staticmethod
    def _array(column: Any, shape: tuple[int, ...]) -> np.ndarray:
        """A FixedSizeBinaryArray as (N, …) uint8 without a copy."""
        octets = np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, *shape)
        return octets[column.offset : column.offset + len(column)]

    def batches(self, order: np.ndarray | None, buffers: Buffers) -> Iterator[np.ndarray]:
        shapes = {name: buffer.shape[1:] for name, buffer in buffers.items()}
        if order is None:
            begin = 0
            for batch in self.file.iter_batches(BATCH, use_threads=False):
                for name, shape in shapes.items():
                    buffers[name][: len(batch)] = self._array(batch.column(name), shape)
                yield np.arange(begin, begin + len(batch))
                begin += len(batch)
            return
        yield from rows_into((self._row(number, shapes) for number in order.tolist()), buffers)

    def _row(self, number: int, shapes: dict[str, tuple[int, ...]]) -> tuple[int, np.ndarray, np.ndarray]:
        group, row = divmod(number, BATCH)
        table = self.file.read_row_group(group, use_threads=False)
        L, ab = (self._array(table.column(name).chunk(0), shape)[row] for name, shape in shapes.items())
        return number, L, ab


CONTESTANTS: dict[str, type[Contestant]] = {
    "memcpy from RAM": Memcpy,
    "np.memmap": Memmap,
    "WebDataset": WebDataset,
    "litdata": Litdata,
    "MosaicML MDS": Mosaic,
    "Parquet": Parquet,
}


def contestant(name: str) -> Contestant | Ours:
    return Ours(OURS[name]) if name in OURS else CONTESTANTS[name]()


# ---- the process of a contestant -------------------------------------------------------------------------


def empty_buffers(source: Buffers) -> Buffers:
    """For one batch; every page of them has been touched."""
    return {name: np.full((BATCH, *array.shape[1:]), 255, np.uint8) for name, array in source.items()}


class Server:
    """Does what it is told, a line each."""

    def __init__(self, name: str, home: Path, source: Path) -> None:
        self.contestant, self.home = contestant(name), home
        self.source = {name: np.load(source / f"{name}.npy", mmap_mode="r") for name in ("L", "ab")}
        self.few = {name: np.array(array[:FEW]) for name, array in self.source.items()}
        self.buffers = empty_buffers(self.source)

    def write(self) -> dict[str, Any]:
        """Write the samples. Seconds, and those until all of it is on the disk."""
        for array in self.source.values():
            array.max()  # in the page cache
        os.sync()
        began = time.perf_counter()
        self.contestant.write(self.source, self.home)
        seconds = time.perf_counter() - began
        os.sync()
        return {"seconds": seconds, "synced": time.perf_counter() - began}

    def open(self) -> dict[str, Any]:
        """Open them, look at some and compare with the source."""
        self.contestant.open(self.home)
        count = len(self.source["L"])
        order = np.random.default_rng(1).permutation(count)[: 3 * BATCH]
        compared = 0
        for mode in self.contestant.modes:
            for place, numbers in enumerate(self._batches(mode, order)):
                expected = order[place * BATCH :][:BATCH] if mode == "random" else None
                if expected is not None and not np.array_equal(expected, numbers):
                    raise ValueError(f"{mode}: other samples than asked for")
                for name, array in self.source.items():
                    if not np.array_equal(self.buffers[name][: len(numbers)], array[numbers]):
                        raise ValueError(f"{mode}: {name} isn't what was written")
                compared += len(numbers)
                if place == 2:
                    break
        return {"modes": self.contestant.modes, "compared": compared}

    def _batches(self, mode: str, order: np.ndarray) -> Iterator[np.ndarray]:
        if mode == "shuffled":
            return self.contestant.shuffled(self.buffers)
        return self.contestant.batches(order if mode == "random" else None, self.buffers)

    def round(self, mode: str, seed: int) -> dict[str, Any]:
        """Read for a while: samples a second, and its share of what memcpy does meanwhile, by the clock on the wall and
        by processor time."""
        chance = np.random.default_rng(seed)
        before = self._memcpy(mode, chance)
        read, clocks = 0, Clocks()
        while clocks.seconds < ATLEAST:
            order = chance.permutation(len(self.source["L"]))
            clocks.start()
            if isinstance(self.contestant, Ours):
                self.contestant.begin()
            for numbers in self._batches(mode, order):
                read += len(numbers)
                if clocks.running() > ATMOST:
                    break
            clocks.stop()
        after = self._memcpy(mode, chance)
        limit, limit_used = (2 / (1 / one + 1 / other) for one, other in zip(before, after, strict=True))
        rate, used = read / clocks.seconds, read / clocks.used
        return {"rate": rate, "share": rate / limit, "share used": used / limit_used}

    def _memcpy(self, mode: str, chance: np.random.Generator) -> tuple[float, float]:
        order = None if mode == "sequential" else chance.permutation(len(self.few["L"]))
        read, clocks = 0, Clocks()
        clocks.start()
        while clocks.running() < BESIDE:
            read += sum(len(numbers) for numbers in copied(self.few, order, self.buffers))
        clocks.stop()
        return read / clocks.seconds, read / clocks.used


class Clocks:
    """Seconds on the wall, and of processor time, between starts and stops."""

    def __init__(self) -> None:
        self.seconds = self.used = 0.0

    def start(self) -> None:
        self._began, self._used = time.perf_counter(), time.process_time()

    def running(self) -> float:
        return self.seconds + time.perf_counter() - self._began

    def stop(self) -> None:
        self.seconds += time.perf_counter() - self._began
        self.used += time.process_time() - self._used


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print what they like
    server = Server(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            answer = getattr(server, command)(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever other people's code raises becomes its row
            answer = {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
