"""Rows: what was measured of pictures, by the sha256 of their bytes, in one file; most of it stays on disk.

A line of JSON (what the rows are), the keys, the rows. It is a cache: one that is missing, cut short, or of another
revision or form is empty, and is measured anew.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import storage

if TYPE_CHECKING:  # the verbs are listed without it
    import numpy as np

KEY_BYTES = 32


@dataclass(frozen=True)
class Rows:
    """`data` (N,) of one dtype, maybe on disk; `places`: the row of each sha256 (32 bytes)."""

    data: "np.ndarray"
    places: dict[bytes, int]

    def __contains__(self, sha256: bytes) -> bool:
        return sha256 in self.places

    def of(self, keys: Iterable[bytes]) -> "np.ndarray":
        """(M,) int64: the places of the rows of `keys`."""
        import numpy as np

        return np.array([self.places[key] for key in keys], np.int64)


def read(path: Path, kind: "np.dtype", revision: str) -> Rows:
    """The rows of a file; none if it isn't there, or isn't what is asked for."""
    import numpy as np

    nothing = Rows(np.zeros(0, kind), {})
    try:
        with open(path, "rb") as file:
            head = json.loads(file.readline(1 << 16))
            count = int(head["count"])
            start = file.tell()
            if head != _head(kind, revision, count) or not count:
                return nothing
            if path.stat().st_size != start + count * (KEY_BYTES + kind.itemsize):
                return nothing
            keys = file.read(count * KEY_BYTES)
        data = np.memmap(path, kind, "r", offset=start + len(keys), shape=(count,))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return nothing
    return Rows(data, {keys[n * KEY_BYTES : (n + 1) * KEY_BYTES]: n for n in range(count)})


def write(path: Path, revision: str, kind: "np.dtype", keys: Sequence[bytes], rows: Iterable["np.ndarray"]) -> None:
    """Write the rows, given in arrays (…,) of `kind`, one after the other, in the order of their keys."""
    storage.write_chunks(path, _chunks(revision, kind, keys, rows))


def merged(
    keys: Iterable[bytes], old: Rows, fresh: Mapping[bytes, str], load: Callable[[str], "np.ndarray"]
) -> Iterator["np.ndarray"]:
    """The rows of `keys`, one by one: from what was there before, or, for those that are `fresh`, from the file and the
    place in it that are said of them ("FILE 7"). `load` gives the rows of a file; those of one file come together."""
    last, rows = "", None
    for key in keys:
        if key not in fresh:
            yield old.data[old.places[key]]
            continue
        file, place = fresh[key].split()
        if rows is None or file != last:
            last, rows = file, load(file)
        yield rows[int(place)]


def _chunks(revision: str, kind: "np.dtype", keys: Sequence[bytes], rows: Iterable["np.ndarray"]) -> Iterator[bytes]:
    import numpy as np

    yield json.dumps(_head(kind, revision, len(keys))).encode() + b"\n"
    yield b"".join(keys)
    for piece in rows:
        yield np.ascontiguousarray(piece, kind).tobytes()


def _head(kind: "np.dtype", revision: str, count: int) -> dict[str, Any]:
    return {"revision": revision, "rows": json.loads(json.dumps(kind.descr)), "count": count}
