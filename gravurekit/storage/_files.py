"""Writing files. One under its final name is whole: it is written aside, flushed to the disk, renamed."""

import errno
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from gravurekit import objects
from gravurekit.errors import StorageError
from gravurekit.storage import _fetched
from gravurekit.storage._fetched import ASIDE

_NUMBERS = itertools.count()  # of files aside: threads may put the same file at the same time


@contextmanager
def explained_for(path: Path, size: int = 0) -> Iterator[None]:
    """What the disk refuses becomes one StorageError; `size`: the bytes that are to be written, if that is known."""
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
            errno.EISDIR: "a folder stands where a file is needed: move it away",
            errno.EEXIST: "a file stands where a folder is needed: choose another output folder",
        }.get(error.errno or 0, error.strerror or str(error))
        where = str(path)
        if objects.url_of(path):  # it's this disk that refuses
            where = f"{objects.cache_folder()} for {path}"
            todo = f"{error.strerror or error}: make room there, or set GRAVUREKIT_CACHE to another folder"
        raise StorageError(f"can't write {where}{_needed(error, path, size)}: {todo}") from error


def _needed(error: OSError, path: Path, size: int) -> str:
    """How much room was asked for, and how much there is, where it's that what is wanting."""
    if not size or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    free = ""
    if error.errno == errno.ENOSPC:
        with suppress(OSError):
            free = f", of which {shutil.disk_usage(path.parent).free:,} are free"
    return f", {size:,} bytes{free}"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """For what a library writes by itself below `path`: the system's refusal becomes a StorageError that says what to
    do. Such files aren't whole at every moment, so nothing may depend on them."""
    with explained_for(path):
        yield


def make_folder(path: Path) -> Path:
    """Make `path` and its parents; nothing happens if it is there."""
    with explained_for(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def writing(path: Path, size: int = 0) -> Iterator[IO[bytes]]:
    """A file to write into, also for a library that seeks in it, which takes the name `path` at the end, whole or not
    at all: aside, fsync, rename. Makes the parent folders. `size`: how many bytes it will have, for a full disk to be
    told by."""
    make_folder(path.parent)
    with explained_for(path, size):
        handle, aside = tempfile.mkstemp(prefix=path.name + ".", suffix=ASIDE, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(aside, 0o666 & ~_umask())
            _name(Path(aside), path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise


def _name(aside: Path, path: Path) -> None:
    """Give a whole file its name. One of a mirror is put on its store first, and is there for all."""
    if url := objects.key_of(path):
        objects.put(aside, url)
        if objects.is_bulk(path):
            _fetched.take(aside)
            return
        if not objects.is_of_a_part(path):  # such never change
            _fetched.mark(aside, url)
    os.replace(aside, path)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` under `path`, whole or not at all."""
    write_chunks(path, [data], len(data))


def write_together(files: Mapping[Path, bytes]) -> None:
    """`write_bytes` of several; those that go to an object store, which takes long to answer, all at once."""
    if not any(objects.key_of(path) for path in files):
        for path, data in files.items():
            write_bytes(path, data)
        return
    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(write_bytes, files.keys(), files.values()))


def write_chunks(path: Path, chunks: Iterable[bytes], size: int = 0) -> None:
    """Write bytes that come piece by piece and are never all in memory, whole or not at all; `size`: how many."""
    with writing(path, size) as file:
        file.writelines(chunks)


class Pieces:
    """A file that is written in pieces, each at its place, in any order."""

    def __init__(self, aside: Path, file: IO[bytes]) -> None:
        self.name = ""
        self._aside, self._file = aside, file

    def put(self, offset: int, data: bytes | memoryview) -> None:
        """Write `data` so that it begins at byte `offset`."""
        view = memoryview(data).cast("B")
        with explained_for(self._aside.parent):
            while len(view):  # a disk that fills up may take a part
                written = os.pwrite(self._file.fileno(), view, offset)
                view, offset = view[written:], offset + written

    def sha256(self) -> str:
        """Hex sha256 of all that was written until now."""
        with explained_for(self._aside.parent), open(self._aside, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def keep(self, name: str) -> None:
        """All pieces are there: flush the file to the disk and give it its name in the same folder."""
        with explained_for(self._aside.with_name(name)):
            os.fsync(self._file.fileno())
            os.chmod(self._aside, 0o666 & ~_umask())
            _name(self._aside, self._aside.with_name(name))
        self.name = name


@contextmanager
def in_pieces(folder: Path) -> Iterator[Pieces]:
    """A file in `folder`, made if missing, that is written in pieces; without a `keep` it is gone at the end."""
    make_folder(folder)
    with explained_for(folder):
        handle, aside = tempfile.mkstemp(suffix=ASIDE, dir=folder)
    pieces = Pieces(Path(aside), os.fdopen(handle, "w+b", buffering=0))
    try:
        yield pieces
    finally:
        pieces._file.close()
        if not pieces.name:
            Path(aside).unlink(missing_ok=True)


class Arrival:
    """A file whose bytes are still coming, and whose name will be their sha256."""

    def __init__(self, aside: Path, file: IO[bytes]) -> None:
        self.size, self.kept = 0, False
        self._aside, self._file = aside, file
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Add `data`."""
        with explained_for(self._aside.parent):
            self._file.write(data)
        self._sha256.update(data)
        self.size += len(data)

    def keep(self) -> str:
        """All bytes are there: give the file its name, which is returned."""
        sha256 = self._sha256.hexdigest()
        with explained_for(self._aside.parent):
            self._file.close()
            os.replace(self._aside, self._aside.with_name(sha256))
        self.kept = True
        return sha256


@contextmanager
def arriving(folder: Path) -> Iterator[Arrival]:
    """A file in `folder` for bytes that come piece by piece; without a `keep` it is gone at the end. Thousands come a
    minute, so none is flushed to the disk by itself: `settle` does that for all. The folder must be this process's."""
    make_folder(folder)
    aside = folder / f"{next(_NUMBERS)}{ASIDE}"
    with explained_for(folder):
        file = open(aside, "wb")  # not by mkstemp, which takes longer than all the rest
    arrival = Arrival(aside, file)
    try:
        yield arrival
    finally:
        with suppress(OSError):  # of a full disk; what matters was said by `write` or `keep`
            file.close()
        if not arrival.kept:
            aside.unlink(missing_ok=True)


def write_unsettled(path: Path, data: bytes) -> None:
    """Write `data` under `path`, whole or not at all, in a folder that is there and this process's. As with `arriving`
    nothing is flushed to the disk before `settle`: for thousands of small files that can be made again."""
    aside = path.with_name(f"{next(_NUMBERS)}{ASIDE}")
    with explained_for(path, len(data)):
        try:
            aside.write_bytes(data)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


def settle() -> None:
    """Flush all that was written to the disk."""
    os.sync()


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
    """JSON Lines and the like: each line ends with a newline. The lines are never all in memory."""
    with writing(path) as file:
        file.writelines(line.encode() + b"\n" for line in lines)


def replace_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write other lines into the place of a file, whole or not at all, and leave it its time: who goes by that (the
    audit does) believes no more of what lies beside it than before."""
    with explained_for(path):
        before = path.stat()
    with writing(path) as file:
        file.writelines(line + b"\n" for line in lines)
        file.flush()
        os.utime(file.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))


class LineFile:
    """A journal: lines are added to the file at `path`, each in a single write, so that a kill tears at most that line.

    A last line that an earlier kill tore is ended first, so that it can't swallow the next one. The file is made by the
    first line, and open from then on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def add(self, line: str) -> None:
        """Add one line. Raises StorageError."""
        data = (line + "\n").encode()
        with explained_for(self.path):
            try:
                if self._opened().write(data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:  # half of it may have been written: look again the next time
                self.close()
                raise

    def close(self) -> None:
        """Nothing more comes for now."""
        if self._file is not None:
            self._file.close()
            self._file = None
            if url := objects.key_of(self.path):  # a store knows no adding: the whole of it is put there anew
                objects.put(self.path, url)
                _fetched.mark(self.path, url)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            make_folder(self.path.parent)
            self._file = open(self.path, "a+b", buffering=0)
            if self._file.tell() > 0:
                self._file.seek(-1, os.SEEK_END)
                if self._file.read(1) != b"\n":
                    self._file.write(b"\n")
        return self._file


def append_line(path: Path, line: str) -> None:
    """Add one line to a journal, as LineFile does."""
    with closing(LineFile(path)) as file:
        file.add(line)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link where the disk allows it, else a copy. Never a move. Of a
    symbolic link what it leads to."""
    source = source.resolve()
    make_folder(target.parent)
    if objects.key_of(target):  # what is kept of it here is touched when it is used, and `source` isn't ours
        copy(source, target)
        return
    with explained_for(target):
        with suppress(OSError):  # a link is whole at once, so where nothing stands in the way that's all
            os.link(source, target)
            return
        aside = target.with_name(f"{target.name}.{os.getpid()}.{next(_NUMBERS)}{ASIDE}")
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
    with explained_for(target, source.stat().st_size if source.exists() else 0):
        aside = target.with_name(f"{target.name}.{os.getpid()}.{next(_NUMBERS)}{ASIDE}")
        try:
            _copy_to_disk(source, aside)
            _name(aside, target)
        finally:
            aside.unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """Give a whole file of ours, on the same disk, its final name."""
    make_folder(target.parent)
    with explained_for(target):
        _name(source, target)


def remove(path: Path) -> None:
    """Remove a file or a whole folder, if it is there."""
    if url := objects.key_of(path):
        if path.is_dir() or not (path.suffix or path.name.startswith(".")):
            objects.remove_below(url)
        else:
            objects.remove(url)
        _fetched.unmark(url)
    with explained_for(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; lines that a kill has torn are left out. An absent file has no lines. Raises StorageError
    for what is no file."""
    if not path.exists():
        return []
    if not path.is_file():
        raise StorageError(f"{path} is no file: move it away, and run the same command again")
    entries = []
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries
