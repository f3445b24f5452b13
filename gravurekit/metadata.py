"""What lies in a Folder beside its pictures: metadata.jsonl and dropped.jsonl, a Record a line, and the marker."""

import gc
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gravurekit import record as records
from gravurekit import storage
from gravurekit.errors import DataError
from gravurekit.record import Record

METADATA = "metadata.jsonl"
DROPPED = "dropped.jsonl"
MARKER = ".gravurekit"  # holds the name of the stage whose output a folder is
LOCK = ".gravurekit.lock"  # held by the process that works in the folder
EXPORTS = "exports.jsonl"  # which exports were made of a folder: no part of what its stage wrote
PARTS = "parts"  # what a stage has done so far


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_lines(path: Path) -> list[Record]:
    """The Records of a metadata.jsonl or dropped.jsonl. Raises DataError naming the line that is none."""
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise DataError(f"{path} is no file: move it away and make the folder again")
    try:
        with open(path, "rb") as file, no_collection():
            return records.from_lines(file, str(path))
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): make the folder again") from None


@contextmanager
def no_collection() -> Iterator[None]:
    """No looking for garbage: Records are none while they are read, and Python would go through all of them again and
    again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def write_lines(path: Path, found: Iterable[Record]) -> None:
    """Write Records, one a line, whole or not at all."""
    storage.write_lines(path, (item.to_json() for item in found))


def input_digest(found: Iterable[Record]) -> str:
    """The digest of a stage's input: of its Records, which hold the sha256 of every file."""
    total = hashlib.sha256()
    for item in found:
        total.update(item.to_json().encode() + b"\n")
    return total.hexdigest()


def files_of(item: Record) -> dict[str, str]:
    """The files, relative to its folder, that a Record names, with their sha256."""
    named = {
        item.file_name: item.sha256,
        item.plain_file_name: item.plain_sha256,
        item.wash_file_name: item.wash_sha256,
    }
    return {name: sha256 for name, sha256 in named.items() if name}


def owner_of(path: Path) -> str:
    """The stage whose output folder `path` is; empty if it is none."""
    marker = path / MARKER
    try:
        return marker.read_text("utf-8", "replace").strip() if marker.is_file() else ""  # a pipe would wait for ever
    except OSError:
        return ""
