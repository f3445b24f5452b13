"""Mirrors: folders on this disk in which those of object stores are worked on.

A mirror holds what lies right in its folder (metadata, receipt, marker …), as it is on the store when a command begins,
and what is put there from here; pictures and tensors are fetched when they are opened.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from gravurekit import objects
from gravurekit.errors import DataError
from gravurekit.objects import Entry
from gravurekit.storage import _fetched
from gravurekit.storage._fetched import ASIDE
from gravurekit.storage._files import explained_for

BESIDE = (".jsonl", ".json", ".md", ".csv", ".parquet")
NAMELESS = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
_LISTED: dict[str, dict[str, int]] = {}  # sizes of what lay in folders of stores when it was asked for, by URL


def place(name: str | Path) -> Path:
    """The folder of a name: a path, or the mirror of a URL, brought up to date. Raises UsageError for a URL that can't
    be one, DataError if its store doesn't answer."""
    path = Path(name)
    if objects.is_url(str(name)):
        path = objects.mirror_of(str(name))
    if objects.url_of(path):
        _LISTED.clear()
        _refresh(path)
    return path


def _refresh(path: Path) -> None:
    """Fetch what changed of the files right in a folder, and remove those that are gone there. Folders in it are made,
    and stay empty."""
    url = objects.key_of(path)
    files, folders = objects.listing(url)
    with explained_for(path):
        _drop_gone(path, url, path.iterdir() if path.is_dir() else (), files)
        if files or folders:
            path.mkdir(parents=True, exist_ok=True)
        for name in folders:
            (path / name).mkdir(exist_ok=True)
        for name, entry in files.items():
            if _may_be_ours(name):
                _pull_if_changed(path / name, f"{url}/{name}", entry)


def _may_be_ours(name: str) -> bool:
    """Whether a file right in a folder may be one of those that stages keep beside pictures and shards."""
    return (name.startswith(".") and not objects.is_lock(name)) or Path(name).suffix in BESIDE


def _drop_gone(path: Path, url: str, here: Iterable[Path], there: Collection[str]) -> None:
    """Remove the files of a mirror that were on its store, and that somebody took away."""
    for file in [file for file in here if file.is_file()]:
        name = file.relative_to(path).as_posix()
        if name not in there and _fetched.marked(f"{url}/{name}"):
            file.unlink()
            _fetched.unmark(f"{url}/{name}")


def pull(path: Path) -> bool:
    """Have the file of a mirror as its key is now; False if there is no such key, and then no file. Outside of mirrors
    whether it is there."""
    url = objects.key_of(path)
    if not url:
        return path.is_file()
    entry = objects.entry(url)
    if entry is None:
        path.unlink(missing_ok=True)
        _fetched.unmark(url)
        return False
    with explained_for(path):
        _pull_if_changed(path, url, entry)
    return True


def pull_all(path: Path) -> None:
    """Have all files below a folder of a mirror in it, as they are now: somebody's pictures, of which nothing is
    known."""
    url = objects.key_of(path)
    if not url:
        return
    found = objects.below(url)
    with explained_for(path):
        _drop_gone(path, url, path.rglob("*"), found)
        with ThreadPoolExecutor(objects.AT_ONCE) as pool:
            list(pool.map(lambda name: _pull_if_changed(path / name, f"{url}/{name}", found[name]), found))


def pull_new(path: Path) -> None:
    """Have a file of a mirror in it that never changes, and that another process or machine may have put there."""
    if objects.key_of(path) and not path.exists():
        pull(path)


def thin_out(path: Path) -> None:
    """Let go of pictures and tensors that lie in a mirror; they stay on the store."""
    if objects.url_of(path):
        for file in [file for file in path.rglob("*") if objects.is_bulk(file)]:
            file.unlink(missing_ok=True)


def clear_mirror(path: Path) -> None:
    """Forget what a folder of a mirror holds; nothing happens on its store, or to a folder that is no mirror."""
    if objects.key_of(path) and path.is_dir():
        with explained_for(path):
            shutil.rmtree(path)


def pull_below(path: Path, suffix: str) -> None:
    """Have those files right in a folder of a mirror in it that aren't there yet: such as never change."""
    url = objects.key_of(path)
    if not url:
        return
    files, _ = objects.listing(url)
    with explained_for(path):
        for name, entry in files.items():
            if name.endswith(suffix) and not (path / name).exists():
                _pull_if_changed(path / name, f"{url}/{name}", entry)


def _pull_if_changed(path: Path, url: str, entry: Entry) -> None:
    """Raises DataError for a key that no file can have: too long, or others have it as their folder."""
    try:
        if path.is_file() and _fetched.marked(url) == entry.stamp:
            return
        with suppress(OSError):
            path.rmdir()  # keys lay below it, and do no more
        path.parent.mkdir(parents=True, exist_ok=True)
        _pull(path, url, entry)
    except OSError as error:
        if error.errno not in NAMELESS:
            raise
        raise DataError(
            f"{url} is a key that no file can have ({error.strerror}): rename or remove it there"
        ) from error


def _pull(path: Path, url: str, entry: Entry) -> None:
    handle, name = tempfile.mkstemp(suffix=ASIDE, dir=path.parent)  # of its own name: there may be no room for both
    os.close(handle)
    aside = Path(name)
    try:
        if objects.get(url, aside):
            _fetched.stamp(aside, url, entry)
            os.chmod(aside, 0o644)
            os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


# ---- what is there -------------------------------------------------------------------------------------


def exists(path: Path) -> bool:
    """Whether a file is there, on this disk or on its store."""
    return path.is_file() or size_of(path) is not None


def size_of(path: Path) -> int | None:
    """Its size in bytes; None if it isn't there."""
    url = objects.key_of(path)
    if not url:
        return path.stat().st_size if path.is_file() else None
    folder = url.rpartition("/")[0]
    if folder not in _LISTED:  # many are asked for one after the other, and each would take a question of its own
        _LISTED[folder] = {name: entry.size for name, entry in objects.listing(folder)[0].items()}
    if path.name not in _LISTED[folder] and (entry := objects.entry(url)):  # it came since
        _LISTED[folder][path.name] = entry.size
    return _LISTED[folder].get(path.name)


def times_in(folder: Path) -> Iterator[tuple[str, int]]:
    """The files right in a folder, and when each was written (ns since 1970); none if there is no such folder. Times
    are comparable among files of one folder: a store has a clock of its own. Raises OSError, ValueError as scandir."""
    if url := objects.key_of(folder):
        files, _ = objects.listing(url)
        yield from ((name, entry.mtime_ns) for name, entry in files.items())
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                yield entry.name, entry.stat().st_mtime_ns


def names_in(folder: Path) -> list[str]:
    """The names of all that is right in a folder, sorted; none if there is no such folder."""
    here: Iterable[str] = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    there: Iterable[str] = objects.listing(url)[0] if (url := objects.key_of(folder)) else ()
    return sorted({*here, *there})
