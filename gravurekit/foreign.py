"""Folders that other programs filled: any folder of pictures is an input."""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from gravurekit import record as records
from gravurekit import storage
from gravurekit.errors import DataError
from gravurekit.metadata import file_sha256
from gravurekit.record import Record

# Names that may hold a picture, whatever is in it: who opens it tells
PICTURE_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".ppm", ".pgm",
    ".pnm", ".pbm", ".jp2", ".j2k", ".heic", ".heif", ".apng", ".avifs", ".mpo",
}  # fmt: skip

# How pictures begin, for those of other names: JPEG, PNG, GIF, WebP, TIFF, AVIF, JPEG 2000
BEGINNINGS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8|RIFF....WEBP|II\*\0|MM\0\*|....ftypavi|\0\0\0\x0cjP  |\xff\x4f\xff\x51", re.DOTALL
)


def picture_files(root: Path) -> list[str]:
    """Paths, relative to `root` and with "/", of the files below it that are pictures by their name, or by how they
    begin; sorted. Raises DataError for names that aren't UTF-8."""
    storage.pull_all(root)
    found = [name for name in _files(root) if is_picture_name(name) or _begins_as_picture(root / name)]
    found = [name for name in found if not _is_pipe(root / name)]
    if strange := [name for name in found if name.encode("utf-8", "replace").decode() != name]:
        listed = ", ".join(f"{name!a}" for name in strange[:5]) + ", …" * (len(strange) > 5)
        raise DataError(f"{root}: names of files that aren't UTF-8: {listed}: rename them")
    return sorted(found)


def others(root: Path) -> int:
    """How many files below `root` are no pictures, by their name and by how they begin."""
    return sum(not is_picture_name(name) and not _begins_as_picture(root / name) for name in _files(root))


def _files(root: Path) -> Iterator[str]:
    """All but hidden ones."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from ((Path(folder) / name).relative_to(root).as_posix() for name in files if not name.startswith("."))


def _begins_as_picture(path: Path) -> bool:
    if _is_pipe(path):
        return False
    try:
        with open(path, "rb") as file:
            return bool(BEGINNINGS.match(file.read(16)))
    except OSError:
        return False


def _is_pipe(path: Path) -> bool:
    """Whether it is there and no file, but a pipe, socket or device, whose opening might wait for ever."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False  # a link to nowhere, say: who reads it tells


def is_picture_name(name: str) -> bool:
    """Whether a file of this name may be a picture; hidden files are none."""
    return Path(name).suffix.lower() in PICTURE_SUFFIXES and not name.startswith(".")


def stamp(path: Path) -> str:
    """What changes when a file does: its size and the time of its last change. Empty if it can't be asked."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def folder_label(name: str) -> tuple[str, ...]:
    """The label of a picture in a plain folder: its parent folder's name, if it has one below the root."""
    parent = Path(name).parent.name
    return (parent,) if parent else ()


def read_pictures(root: Path) -> list[Record]:
    """Records for the pictures below `root`, sorted by key. Equal files are one picture: the first by name gives the
    facts, the others their labels. Raises DataError if two pictures share a key or a name isn't UTF-8."""
    return _unique(_record(root, name) for name in picture_files(root))


def _record(root: Path, name: str) -> Record:
    try:
        sha256 = file_sha256(root / name)
    except OSError as error:
        raise DataError(f"{root / name} can't be read ({error.strerror}): allow it, or move it out") from None
    return Record(
        key=records.key_of(sha256), file_name=name, sha256=sha256, labels=folder_label(name), source="folder",
        url=f"folder:{name}",
    )  # fmt: skip


def _unique(found: Iterable[Record]) -> list[Record]:
    by_key: dict[str, Record] = {}
    for item in found:
        first = by_key.get(item.key)
        if first is None:
            by_key[item.key] = item
        elif first.sha256 != item.sha256:
            raise DataError(f"{first.file_name} and {item.file_name} share the key {item.key}: remove one of them")
        else:
            labels = tuple(dict.fromkeys(first.labels + item.labels))
            by_key[item.key] = first.but(labels=labels)
    return [by_key[key] for key in sorted(by_key)]
