"""What people decided of pictures by hand: a file of JSON lines, which the filter reads and the studio writes.

{"key": "3f2a…", "keep": true}              it is kept, whatever filters say; false: it is dropped
{"key": "3f2a…", "not_copy_of": "77ab…"}    these two aren't one picture, whichever is named first
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gravurekit import storage
from gravurekit.errors import Busy, UsageError

Pair = tuple[str, str]  # of keys, the lower one first
WAIT, LOOK = 5.0, 0.02  # seconds for another who writes, and between two looks


@dataclass(frozen=True)
class Decisions:
    """`keep`: whether a picture is kept, by key; `apart`: pairs that are never taken for one picture."""

    keep: Mapping[str, bool] = field(default_factory=dict)
    apart: frozenset[Pair] = frozenset()


@dataclass(frozen=True)
class _Line:
    """A line as it is, with its end. `about`: a key, or a pair; None: it is empty."""

    data: bytes
    about: str | Pair | None = None
    keep: bool = False


def pair(one: str, other: str) -> Pair:
    """Two keys, whichever comes first."""
    return (one, other) if one <= other else (other, one)


def read(path: Path) -> Decisions:
    """The decisions of a file; of several on one picture the last counts. Raises UsageError if it can't be read, or
    naming the line that is no decision."""
    try:
        return _told(_lines(path, path.read_bytes()))
    except OSError as error:
        raise UsageError(f"decisions {path}: {error.strerror}") from None


def set_keep(path: Path, key: str, keep: bool | None) -> Decisions:
    """Write down that a picture is kept or dropped; None: that nothing is decided any more. Gives what is decided now.

    All other lines stay as they are; a file that isn't there is an empty one. Raises UsageError naming the line that is
    no decision, StorageError if the file can't be written; then it stays as it was.
    """
    line = "" if keep is None else json.dumps({"key": key, "keep": keep})
    return _changed(path, key, line)


def set_apart(path: Path, one: str, other: str, apart: bool) -> Decisions:
    """Write down that two pictures aren't one; False: that this isn't decided any more. As `set_keep` otherwise, but
    UsageError also for a picture and itself."""
    if one == other:
        raise UsageError(f"{one} is the same picture as itself")
    line = json.dumps({"key": one, "not_copy_of": other}) if apart else ""
    return _changed(path, pair(one, other), line)


def _changed(path: Path, about: str | Pair, said: str) -> Decisions:
    """Put `said` in the place of all lines that are about the same thing; empty: none. Nothing is written if that is
    what the file says already: a changed file makes the filter run again."""
    path = path.resolve()  # a link stays one
    with _held(path):
        try:
            lines = _lines(path, path.read_bytes())
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise UsageError(f"decisions {path}: {error.strerror}") from None
        new = [line for line in lines if line.about != about]
        if said:
            new += _lines(path, said.encode() + b"\n")
        if _told(new) != _told(lines):
            storage.write_bytes(path, _joined(new))
        return _told(new)


def _joined(lines: Sequence[_Line]) -> bytes:
    """The lines, one after the other; only the last may have no end."""
    ended = (line.data if line.data.endswith((b"\n", b"\r")) else line.data + b"\n" for line in lines[:-1])
    return b"".join((*ended, *(line.data for line in lines[-1:])))


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile. Raises Busy if somebody does for seconds on end."""
    storage.make_folder(path.parent)
    ended = time.monotonic() + WAIT
    lock = path.with_name(f".{path.name}.lock")
    while True:
        try:
            with storage.locked(lock):
                yield
                return
        except Busy:
            if time.monotonic() > ended:
                raise
        time.sleep(LOOK)


def _told(lines: Sequence[_Line]) -> Decisions:
    keep = {line.about: line.keep for line in lines if isinstance(line.about, str)}
    return Decisions(keep, frozenset(line.about for line in lines if isinstance(line.about, tuple)))


def _lines(path: Path, data: bytes) -> list[_Line]:
    """Raises UsageError naming the line that is no decision."""
    found = []
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        read = _line(line) if line.strip() else _Line(line)
        if read is None:
            raise UsageError(
                f'{path}, line {number}, is no decision: write {{"key": "3f2a…", "keep": false}}, or '
                '{"key": "3f2a…", "not_copy_of": "77ab…"}'
            )
        found.append(read)
    return found


def _line(data: bytes) -> _Line | None:
    """None if it is no decision."""
    try:
        entry: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
        return None
    key, keep, other = entry["key"], entry.get("keep"), entry.get("not_copy_of")
    if isinstance(keep, bool) and "not_copy_of" not in entry:
        return _Line(data, key, keep)
    if isinstance(other, str) and other != key and "keep" not in entry:
        return _Line(data, pair(key, other))
    return None
