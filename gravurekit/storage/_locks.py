"""Who works in a folder: lock files."""

import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from gravurekit import objects
from gravurekit.errors import Busy, DataError, StorageError
from gravurekit.storage._files import explained_for

BEAT = 10.0  # seconds after which a lock on an object store is written anew
LOOKS = 4  # at such a lock, a beat
_DEAD: dict[str, objects.Entry | None] = {}  # locks whose holder wrote no more, by URL, as they were
_LEASED: set[str] = set()  # those that this process holds; it may have left one that it could not remove


@dataclass(frozen=True)
class Holder:
    """The process that wrote itself into a lock file."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid}" + (f" on {self.host}" if self.host != socket.gethostname() else "")


@contextmanager
def locked(path: Path) -> Iterator[Holder | None]:
    """Hold the lock file `path`; gives whoever left it behind. Raises Busy if another process holds it.

    The system lets go of the lock when its holder dies, however it dies, so a stale file stands in nobody's way. On a
    disk that knows no locks the process named in the file decides; on an object store, which knows none either, its
    holder writes it anew all the time.
    """
    if url := objects.url_of(path):
        with _leased(url) as before:
            yield before
        return
    with explained_for(path):
        file = _open_locked(path)
    try:
        before = _holder_in(path)
        with explained_for(path):
            file.truncate(0)
            file.seek(0)
            file.write(json.dumps(_ourselves()).encode())
            file.flush()
        yield before
    finally:
        with suppress(OSError):  # a disk that refuses; the next holder finds a stale file
            path.unlink()  # while it is still held: whoever opened it meanwhile sees that it is gone
        with suppress(OSError):  # what a full disk didn't take, closing tries once more
            file.close()


def _ourselves() -> dict[str, int | str]:
    return asdict(_us())


@contextmanager
def _leased(url: str) -> Iterator[Holder | None]:
    """`locked` on an object store."""
    before = _holder_of(objects.read(url))
    if before and _beats(before, url):
        raise Busy(url.rpartition("/")[0], str(before))
    words = json.dumps(_ourselves())
    objects.write(url, words.encode())
    if (holder := _holder_of(objects.read(url))) != _us():
        raise Busy(url.rpartition("/")[0], str(holder or "another process"))
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(url, words, ended), daemon=True)
    beating.start()
    _LEASED.add(url)
    try:
        yield before
    finally:
        _LEASED.discard(url)
        ended.set()
        beating.join()
        with suppress(StorageError, DataError):  # a store that is gone; the next holder finds a stale lock
            if _is_ours(url):
                objects.remove(url)


def _beat(url: str, words: str, ended: threading.Event) -> None:
    """Write the lock anew until it is ended, each time otherwise."""
    count = 0
    while not ended.wait(BEAT):
        count += 1
        with suppress(StorageError, DataError):  # the next time, maybe
            if not _is_ours(url):
                return  # this machine slept so long that another one took it over
            objects.write(url, f"{words}{' ' * (count % 1000)}".encode())


def _is_ours(url: str) -> bool:
    return _holder_of(objects.read(url)) == _us()


def _us() -> Holder:
    return Holder(os.getpid(), socket.gethostname())


def _beats(holder: Holder, url: str) -> bool:
    """Whether the holder of a lock lives, and holds it: it does if it writes within three beats. Clocks may differ, and
    another process may have its number by now."""
    if holder == _us():
        return url in _LEASED  # else it was left when it couldn't be removed
    if holder.host == socket.gethostname() and not _lives(holder):
        return False
    before = objects.entry(url)
    if _DEAD.get(url) == before:
        return False
    for _ in range(3 * LOOKS):
        time.sleep(BEAT / LOOKS)
        now = objects.entry(url)
        if now is None or now != before:
            return now is not None
    _DEAD[url] = before
    return False


def _open_locked(path: Path) -> IO[bytes]:
    for patience in (0.05, 0.1, 0.2, 0.4, None):  # somebody may just be looking (lock_holder)
        file = open(path, "a+b")  # noqa: SIM115 (open for as long as the lock is held)
        held = _flock(file, fcntl.LOCK_EX)
        if held is None:  # no locks on this disk
            held = not ((holder := _holder_in(path)) and _lives(holder))
        if held and path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()  # another's; or its holder ended, and removed it, in this very moment
        if patience:
            time.sleep(patience)
    raise Busy(str(path.parent), str(_holder_in(path) or "another process"))


def _flock(file: IO[bytes], kind: int) -> bool | None:
    """Whether the lock could be had; None if this disk has no locks."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def lock_holder(path: Path) -> tuple[Holder, bool] | None:
    """Who wrote themselves into the lock file `path`, and whether they still hold it; None if there is no such file."""
    if url := objects.url_of(path):
        holder = _holder_of(objects.read(url))
        return (holder, _beats(holder, url)) if holder else None
    holder = _holder_in(path)
    if holder is None:
        return None
    try:
        with open(path, "rb") as file:
            free = _flock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return None
    return holder, _lives(holder) if free is None else not free


def _holder_in(path: Path) -> Holder | None:
    try:
        return _holder_of(path.read_bytes()) if path.is_file() else None  # reading a pipe would wait for ever
    except OSError:
        return None


def _holder_of(words: bytes | None) -> Holder | None:
    try:
        entry = json.loads(words or b"")
        return Holder(int(entry["pid"]), str(entry["host"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _lives(holder: Holder) -> bool:
    """Whether that process is there; one of another machine is taken to be."""
    if holder.host != socket.gethostname():
        return True
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True
