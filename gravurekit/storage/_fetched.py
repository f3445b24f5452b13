"""What was fetched from object stores, or put there from here: a cache of files by their sha256, of bounded size; and
of which version the files in a mirror are.
"""

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gravurekit import objects
from gravurekit.errors import DataError, StorageError, UsageError

ASIDE = ".gravurekit.part"  # the suffix of files that are still being written
BOUND = "GRAVUREKIT_CACHE_GB"  # the variable that says how much is kept
USUAL = 50.0  # GB
NAMED = re.compile(r"[0-9a-f]{64}")  # how what is kept is named; other files are somebody's
YOUNG = 600.0  # seconds for which what was used stays whatever there is: somebody may be about to open it
LOOKS = 50  # how many times the whole bound may be filled up between two looks at all that is kept: one in so many
LARGE = 2**24  # bytes: what is larger is proved once by each process, all else whenever it is used
_PROVEN: set[str] = set()


@dataclass
class _Added:
    """Bytes that this process added since it looked at all that is kept; it looks at the first."""

    bytes: float = float("inf")


_ADDED = _Added()


def at_hand(path: Path, sha256: str = "") -> Path:
    """A file on this disk with what lies at `path`: that itself, or, if it is in a mirror, what is kept of it here, or
    is fetched now. With its `sha256` (hex) it is surely that file. If there is none the path itself, as of any file
    that isn't there. Raises DataError if it is another file, or can't be fetched."""
    url = objects.key_of(path)
    if not url:
        return path
    if sha256 and (known := _known(sha256)):
        return known
    if path.is_file() and (not sha256 or _sha256(path) == sha256):
        return path
    return _fetched(url, sha256) or path


def bring(files: Iterable[tuple[Path, str]]) -> None:
    """Have files at hand that are opened next, with their sha256 (""; if unknown nothing is done): many at once."""
    wanted = [(path, sha256) for path, sha256 in files if sha256 and objects.key_of(path)]
    if wanted:
        with ThreadPoolExecutor(objects.AT_ONCE) as pool:
            for coming in [pool.submit(at_hand, *one) for one in wanted]:
                with suppress(DataError):  # who opens it is told
                    coming.result()


def take(file: Path) -> None:
    """Keep a file that was put on its store; it goes from where it is."""
    place = _place(_sha256(file))
    size = file.stat().st_size
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(file, place)
    _ADDED.bytes += size
    if _ADDED.bytes > (bound := _bound()) / LOOKS:
        _ADDED.bytes = 0
        _shrink(bound, place)


def forget_fetched() -> None:
    """Let go of all that was fetched: it can be fetched again, if it is still there."""
    for entry in _kept():
        with suppress(FileNotFoundError):
            os.unlink(entry)


def _known(sha256: str) -> Path | None:
    """What is kept of a file, if it is still that: a disk may have lost some of it since."""
    place = _place(sha256)
    try:
        os.utime(place)  # used just now
        if sha256 in _PROVEN or _sha256(place) == sha256:
            if place.stat().st_size > LARGE:
                _PROVEN.add(sha256)
            return place
        place.unlink()
    except OSError:
        pass
    return None


def _fetched(url: str, sha256: str) -> Path | None:
    """Fetch a key, and prove it; None if there is none."""
    folder = objects.cache_folder() / "fetched"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=ASIDE, dir=folder)
        os.close(handle)
    except OSError as error:
        raise StorageError(f"can't write {folder}: {error.strerror}: set GRAVUREKIT_CACHE to another folder") from error
    aside = Path(name)
    try:
        if not objects.get(url, aside):
            return None
        found = _sha256(aside)
        if sha256 and found != sha256:
            raise DataError(f"{url} isn't the file that was written (sha256): make it again by its stage")
        take(aside)
        return _place(found)
    finally:
        aside.unlink(missing_ok=True)


def _place(sha256: str) -> Path:
    return objects.cache_folder() / "fetched" / sha256[:2] / sha256


def _sha256(file: Path) -> str:
    with open(file, "rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


# ---- how much is kept ----------------------------------------------------------------------------------


def _shrink(bound: float, newest: Path) -> None:
    """What wasn't used for the longest time goes, if there is too much."""
    found = []
    for entry in _kept():
        with suppress(OSError):  # another process was quicker
            found.append((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path))
    total = sum(size for _, size, _ in found)
    for used, size, name in sorted(found):
        if total <= bound or used > (time.time() - YOUNG) * 1e9 or name == str(newest):
            return
        with suppress(OSError):
            os.unlink(name)
        total -= size


def _kept() -> Iterator[os.DirEntry[str]]:
    folder = objects.cache_folder() / "fetched"
    for below in folder.iterdir() if folder.is_dir() else ():
        if below.is_dir():
            with os.scandir(below) as entries:
                yield from (entry for entry in entries if NAMED.fullmatch(entry.name))


def _bound() -> float:
    said = os.environ.get(BOUND, "")
    try:
        bound = float(said or USUAL) * 1e9
    except ValueError:
        bound = 0
    if not bound > 0:
        raise UsageError(f"{BOUND}={said}: how many GB of fetched files are kept, as in {BOUND}={USUAL:g}")
    return bound


# ---- versions ------------------------------------------------------------------------------------------


def mark(file: Path, url: str) -> None:
    """The file is what its key holds now: it gets the key's time, and the key's version is remembered."""
    if entry := objects.entry(url):
        stamp(file, url, entry)


def stamp(file: Path, url: str, entry: objects.Entry) -> None:
    """The file is what its key held when this was said of it."""
    os.utime(file, ns=(entry.mtime_ns, entry.mtime_ns))
    place = _stamp_of(url)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(entry.stamp)


def unmark(url: str) -> None:
    """The key is gone."""
    _stamp_of(url).unlink(missing_ok=True)


def marked(url: str) -> str:
    """Which version of the key the mirror holds; empty if it isn't known."""
    try:
        return _stamp_of(url).read_text("utf-8")
    except OSError:
        return ""


def _stamp_of(url: str) -> Path:
    name = hashlib.sha256(url.encode()).hexdigest()
    return objects.cache_folder() / "versions" / name[:2] / name
