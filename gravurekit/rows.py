"""Rows: what was measured of pictures, by the sha256 of their bytes, in one file; most of it stays on disk.

A line of JSON (what the rows are), the keys, the rows, the sha256 of keys and rows. It is a cache: one that is missing,
damaged, or of another revision or form is empty, and is measured anew.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gravurekit import storage

if TYPE_CHECKING:  # the verbs are listed without it
    import numpy as np

KEY_BYTES = SEAL_BYTES = 32


@dataclass(frozen=True)
class Rows:
    """`data` (N,) of one dtype, maybe on disk; `places`: the row of each sha256 (32 bytes)."""

    data: "np.ndarray"
    places: dict[bytes, int]

    def __contains__(self, sha256: bytes) -> bool:
        return sha256 in self.places

    def row(self, sha256: bytes) -> "np.ndarray":
        """The row of a key."""
        return self.data[self.places[sha256]]

    def of(self, keys: Iterable[bytes]) -> "np.ndarray":
        """(M,) int64: the places of the rows of `keys`."""
        import numpy as np

        return np.array([self.places[key] for key in keys], np.int64)


def read(path: Path, kind: "np.dtype", revision: str) -> Rows:
    """The rows of a file; none if it isn't there, isn't what is asked for, or isn't as it was written."""
    import numpy as np

    nothing = Rows(np.zeros(0, kind), {})
    try:
        with open(path, "rb") as file:
            head = json.loads(file.readline(1 << 16))
            count = int(head["count"])
            start = file.tell()
            if head != _head(kind, revision, count) or not count:
                return nothing
            if path.stat().st_size != start + count * (KEY_BYTES + kind.itemsize) + SEAL_BYTES:
                return nothing
            keys = file.read(count * KEY_BYTES)
            if not _sealed(file, keys, count * kind.itemsize):
                return nothing
        data = np.memmap(path, kind, "r", offset=start + len(keys), shape=(count,))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return nothing
    return Rows(data, {keys[n * KEY_BYTES : (n + 1) * KEY_BYTES]: n for n in range(count)})


def _sealed(file: IO[bytes], keys: bytes, size: int) -> bool:
    """Whether the sha256 at the end is that of the keys and of the `size` bytes that come now."""
    total = hashlib.sha256(keys)
    while size and (piece := file.read(min(size, 1 << 16))):
        total.update(piece)
        size -= len(piece)
    return file.read(SEAL_BYTES) == total.digest()


def write(path: Path, revision: str, kind: "np.dtype", keys: Sequence[bytes], rows: Iterable["np.ndarray"]) -> None:
    """Write the rows, given in arrays (…,) of `kind`, one after the other, in the order of their keys."""
    storage.write_chunks(path, _chunks(revision, kind, keys, rows))


def merged(
    keys: Iterable[bytes],
    held: Callable[[bytes], "np.ndarray"],
    fresh: Mapping[bytes, str],
    load: Callable[[str], "np.ndarray"],
) -> Iterator["np.ndarray"]:
    """The rows of `keys`, one by one: as they are `held`, or, for those that are `fresh`, from the file and the place
    in it that are said of them ("FILE 7"). `load` gives the rows of a file; those of one file come together."""
    last, rows = "", None
    for key in keys:
        if key not in fresh:
            yield held(key)
            continue
        file, place = fresh[key].split()
        if rows is None or file != last:
            last, rows = file, load(file)
        yield rows[int(place)]


def holds(path: Path, keys: Collection[bytes]) -> bool:
    """Whether a file has a row of any of the keys."""
    try:
        with open(path, "rb") as file:
            held = file.read(int(json.loads(file.readline(1 << 16))["count"]) * KEY_BYTES)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, MemoryError):
        return False
    return any(held[n : n + KEY_BYTES] in keys for n in range(0, len(held), KEY_BYTES))


def take_out(path: Path, keys: Collection[bytes]) -> int:
    """Take the rows of `keys` out of a file, whatever its rows are; how many those were. One that can't be read by
    anybody is removed: nobody could tell what is in it."""
    try:
        with open(path, "rb") as file:
            head = json.loads(file.readline(1 << 16))
            count, start = int(head["count"]), file.tell()
            size, odd = divmod(path.stat().st_size - start - SEAL_BYTES, max(count, 1))
            held = file.read(count * KEY_BYTES)
            if odd or count < 1 or size < KEY_BYTES or not _sealed(file, held, count * (size - KEY_BYTES)):
                raise ValueError
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        storage.remove(path)
        return 0
    listed = [held[n * KEY_BYTES : (n + 1) * KEY_BYTES] for n in range(count)]
    stay = [n for n, key in enumerate(listed) if key not in keys]
    if len(stay) < count:
        head["count"] = len(stay)
        begin = start + len(held)
        pieces = _pieces(path, [(begin + n * (size - KEY_BYTES), size - KEY_BYTES) for n in stay])
        storage.write_chunks(path, _sealing(head, b"".join(listed[n] for n in stay), pieces))
    return count - len(stay)


def _pieces(path: Path, places: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Pieces of a file: where each begins, and its size."""
    with open(path, "rb") as file:
        for begin, size in places:
            file.seek(begin)
            yield file.read(size)


def _chunks(revision: str, kind: "np.dtype", keys: Sequence[bytes], rows: Iterable["np.ndarray"]) -> Iterator[bytes]:
    import numpy as np

    pieces = (np.ascontiguousarray(piece, kind).tobytes() for piece in rows)
    return _sealing(_head(kind, revision, len(keys)), b"".join(keys), pieces)


def _sealing(head: Mapping[str, Any], keys: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a file, from the line that says what it holds to its seal."""
    yield json.dumps(head).encode() + b"\n"
    total = hashlib.sha256()
    for data in itertools.chain([keys], pieces):
        total.update(data)
        yield data
    yield total.digest()


def _head(kind: "np.dtype", revision: str, count: int) -> dict[str, Any]:
    return {"revision": revision, "rows": json.loads(json.dumps(kind.descr)), "count": count}
