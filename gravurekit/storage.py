"""All writing of files. A file under its final name is whole: it is written aside, flushed to the disk, renamed.

Only this module writes (a test sees to it), so that a kill, a full disk or a forbidden folder is handled in one place.
"""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gravurekit.errors import StorageError

ASIDE = ".part"  # the suffix of files that are still being written


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        todo = {
            errno.ENOSPC: "the disk is full: make room and run the same command again",
            errno.EDQUOT: "the disk quota is used up: make room and run the same command again",
            errno.EROFS: "the disk is read-only: choose another output folder",
            errno.EACCES: "permission denied: choose another output folder or change its permissions",
            errno.EPERM: "permission denied: choose another output folder or change its permissions",
            errno.ENOTDIR: "a file stands where a folder is needed: choose another output folder",
            errno.EEXIST: "a file stands where a folder is needed: choose another output folder",
        }.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"can't write {path}: {todo}") from error


def make_folder(path: Path) -> Path:
    """Make `path` and its parents; nothing happens if it is there."""
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` under `path`, whole or not at all: aside, fsync, rename. Makes the parent folders."""
    make_folder(path.parent)
    with _explained(path):
        handle, aside = tempfile.mkstemp(prefix=path.name + ".", suffix=ASIDE, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(aside, 0o666 & ~_umask())
            os.replace(aside, path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise


def _umask() -> int:
    # mkstemp makes files private; a data set is meant to be shared as the user's umask says.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Readable JSON: sorted keys, two spaces, a newline at the end."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """JSON Lines and the like: each line ends with a newline."""
    write_text(path, "".join(line + "\n" for line in lines))


def append_line(path: Path, line: str) -> None:
    """Add one line to a journal in a single write, so that a kill tears at most that line.

    A last line that an earlier kill tore is ended first, so that it can't swallow this one.
    """
    make_folder(path.parent)
    with _explained(path), open(path, "a+b") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = "\n" + line
        file.write((line + "\n").encode())


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link where the disk allows it, else a copy. Never a move."""
    make_folder(target.parent)
    with _explained(target):
        aside = target.with_name(f"{target.name}.{os.getpid()}{ASIDE}")
        aside.unlink(missing_ok=True)
        try:
            try:
                os.link(source, aside)
            except OSError:
                _copy_to_disk(source, aside)
            os.replace(aside, target)
        finally:
            # rename() of two links to one file does nothing, so the aside name may still be there
            aside.unlink(missing_ok=True)


def _copy_to_disk(source: Path, aside: Path) -> None:
    shutil.copyfile(source, aside)
    with open(aside, "rb") as file:
        os.fsync(file.fileno())


def copy(source: Path, target: Path) -> None:
    """Copy the bytes of `source` to `target`, whole or not at all; later changes of `source` don't reach it."""
    make_folder(target.parent)
    with _explained(target):
        aside = target.with_name(f"{target.name}.{os.getpid()}{ASIDE}")
        try:
            _copy_to_disk(source, aside)
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file or a whole folder, if it is there."""
    with _explained(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def keep_only(folder: Path, names: set[str]) -> None:
    """Remove from `folder` every file whose name isn't in `names`: what an earlier run with other settings left."""
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if entry.name not in names:
                remove(entry)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; lines that a kill has torn are left out. An absent file has no lines."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries
