"""Folders on object stores: `s3://BUCKET/KEY`, `gs://…`, and `memory://…`, which lives in one process (extra `cloud`).

A store knows no rename, no append and no map, so such a folder is worked on in its mirror, a folder on this disk whose
path says which one it is of: whoever has a path knows the URL, in whichever process and on whichever machine. A key is
written in one go, from a file that is whole, and is there only once it is.
"""

import errno
import os
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from gravurekit.errors import DataError, GravurekitError, MissingExtra, StorageError, UsageError

SCHEMES = ("s3", "gs", "memory")
SCRATCH, PARTS = "incoming", "parts"  # folders in ours: the first stays on this disk, files of the second never change
MIRRORS = ".gravurekit-mirrors"  # a folder of this name holds them all: MIRRORS/SCHEME/BUCKET/KEY
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(.*)", re.DOTALL)  # of a Path it has but one slash
VERSION = "?versionId="  # what follows is no part of a key to the stores' libraries
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # of this disk; no store answers so
AT_ONCE = 16  # keys that are asked for at the same time: a store takes long to answer, and has many hands
PATIENCE = (1.0,)  # seconds before it is tried again; the stores' own libraries have tried some times by then


@dataclass(frozen=True)
class Entry:
    """What a store says of a key: its size, when it was written by the store's own clock (ns since 1970), and a word
    that changes when it does."""

    size: int
    mtime_ns: int
    stamp: str


# ---- names ---------------------------------------------------------------------------------------------


def is_url(name: str) -> bool:
    """Whether a folder lies on an object store, by its name; also of a store that isn't known here."""
    found = URL.match(name)
    return found is not None and (found[1].lower() in SCHEMES or "://" in name)


def mirror_of(url: str) -> Path:
    """The folder on this disk in which that of a URL is worked on. Raises UsageError for a URL that can't be one."""
    found = URL.match(url)
    scheme, key = (found[1].lower(), found[2].rstrip("/")) if found else ("", "")
    if scheme not in SCHEMES:
        raise UsageError(f"{url}: folders lie on a disk, or on {', '.join(f'{name}://' for name in SCHEMES)}")
    parts = PurePosixPath(key).parts
    odd = key.startswith("/") or "//" in key or VERSION in key or not key.isprintable()
    if odd or not parts or ".." in parts or MIRRORS in parts:
        raise UsageError(f"{url} names no folder of a bucket: write {scheme}://BUCKET/FOLDER")
    if taken := {SCRATCH, PARTS} & set(parts):
        raise UsageError(f"{url}: {min(taken)} is what gravurekit calls a folder in its own: name another one")
    if scheme != "memory" and len(parts) < 2:
        raise UsageError(f"{url} is a whole bucket: name a folder in it, {scheme}://{key}/FOLDER")
    return cache_folder() / MIRRORS / scheme / key


def url_of(path: Path) -> str:
    """The URL of a mirror, or of what lies in one; empty for a path that is just on this disk."""
    parts = path.parts
    if MIRRORS not in parts:
        return ""
    scheme, *key = PurePosixPath(os.path.normpath(PurePosixPath(*parts[parts.index(MIRRORS) + 1 :]))).parts
    return f"{scheme}://{'/'.join(key)}" if scheme in SCHEMES and key else ""


def key_of(path: Path) -> str:
    """The URL under which a file of a mirror is put on its store; empty for what stays on this disk: that, and
    downloads that nobody has looked at yet."""
    return "" if MIRRORS not in path.parts or SCRATCH in _inside(path) else url_of(path)


def shown(text: str) -> str:
    """A message with the URLs of mirrors in the place of their paths."""
    cache = re.escape(str(cache_folder()))  # which may hold spaces
    return re.sub(rf"(?:{cache}|[^\s'\"]*)/{re.escape(MIRRORS)}/([a-z0-9]+)/", r"\1://", text)


def is_bulk(path: Path) -> bool:
    """Whether a file of a mirror is a picture or a shard, of which there are too many to keep them all there."""
    if is_of_a_part(path):
        return False
    return path.parent.name in ("images", "plain", "wash") or path.suffix == ".safetensors"


def is_of_a_part(path: Path) -> bool:
    """Whether a file of a mirror is what a stage has done so far."""
    return PARTS in _inside(path)


def _inside(path: Path) -> tuple[str, ...]:
    """What follows in a path of a mirror after the folder of all mirrors, wherever that is."""
    return path.parts[path.parts.index(MIRRORS) + 1 :]


def is_lock(name: str) -> bool:
    """Whether a key of this name says who works in the folder."""
    return name.endswith(".lock")


def in_one_process(path: Path) -> bool:
    """Whether other processes couldn't see what lies there."""
    return url_of(path).startswith("memory://")


def cache_folder() -> Path:
    """Where mirrors and what was fetched lie: $GRAVUREKIT_CACHE, or the user's cache folder."""
    if own := os.environ.get("GRAVUREKIT_CACHE"):
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "gravurekit"


# ---- keys ----------------------------------------------------------------------------------------------


def put(file: Path, url: str) -> None:
    """Write a whole file to a key. Raises StorageError."""
    with _explained(f"can't write {url}", StorageError):
        if not file.exists():
            raise _cache_is_gone(f"can't write {url}")
        _again(lambda: _store(url).put_file(str(file), url))


def get(url: str, file: Path) -> bool:
    """Fetch a key into a file; False if there is no such key. Raises DataError."""
    with _explained(f"can't read {url}", DataError):
        try:
            _again(lambda: _store(url).get_file(url, str(file)))
        except FileNotFoundError:
            if not file.parent.is_dir():
                raise _cache_is_gone(f"can't read {url}") from None
            return False
        return True


def write(url: str, data: bytes) -> None:
    """Write a few bytes to a key. Raises StorageError."""
    with _explained(f"can't write {url}", StorageError):
        _again(lambda: _store(url).pipe_file(url, data))


def read(url: str) -> bytes | None:
    """The bytes of a small key; None if there is none. Raises DataError."""
    with _explained(f"can't read {url}", DataError):
        try:
            return bytes(_again(lambda: _store(url).cat_file(url)))
        except FileNotFoundError:
            return None


def entry(url: str) -> Entry | None:
    """What is said of a key; None if there is none."""
    with _explained(f"can't read {url}", DataError):
        try:
            found = _again(lambda: _store(url).info(url))
        except FileNotFoundError:
            return None
        return _entry(found) if found["type"] == "file" else None


def listing(url: str) -> tuple[dict[str, Entry], list[str]]:
    """The keys right below a folder by name, and the names of the folders in it; none if there is no such folder."""
    with _explained(f"can't list {url}", DataError):
        try:
            found = _again(lambda: _store(url).ls(url, detail=True))
        except FileNotFoundError:
            return {}, []
        root = _store(url)._strip_protocol(url).rstrip("/")
        own, found = PurePosixPath(root).name, [item for item in found if item["name"] != root]  # no folder, but a key
        named = [(PurePosixPath(item["name"].rstrip("/")).name, item) for item in found]
        _refuse_odd(url, (name for name, _ in named))
        keys = [(name, item) for name, item in named if item["type"] == "file" and not _is_marker(name, own, item)]
        folders = [name for name, item in named if item["type"] == "directory"]
        return {name: _entry(item) for name, item in keys}, folders


def below(url: str) -> dict[str, Entry]:
    """All keys below a folder, by their names relative to it."""
    with _explained(f"can't list {url}", DataError):
        root = _store(url)._strip_protocol(url).rstrip("/") + "/"
        try:
            found = _again(lambda: _store(url).find(url, detail=True))
        except FileNotFoundError:
            return {}
        keys = {name.removeprefix(root): item for name, item in found.items() if name.startswith(root)}
        keys = {name: item for name, item in keys.items() if name and not name.endswith("/")}
        _refuse_odd(url, keys)
        return {name: _entry(item) for name, item in keys.items()}


def remove(url: str) -> None:
    """Remove a key; nothing happens if there is none. Raises StorageError."""
    with _explained(f"can't remove {url}", StorageError), suppress(FileNotFoundError):
        _again(lambda: _store(url).rm_file(url))


def remove_below(url: str) -> None:
    """Remove all keys below a folder. Raises StorageError."""
    with _explained(f"can't remove {url}", StorageError), suppress(FileNotFoundError):
        if set("*?[") & set(url):  # of which fsspec's `rm` makes a pattern, that other folders may match as well
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda name: remove(f"{url}/{name}"), below(url)))
        else:
            _again(lambda: _store(url).rm(url, recursive=True))


def _refuse_odd(url: str, names: Iterable[str]) -> None:
    """Raises DataError for a key that would lie elsewhere than in its mirror, or nowhere."""
    for name in names:
        if (
            {".", ".."} & set(name.split("/"))
            or name.startswith("/")
            or any(part in name for part in ("\0", "//", VERSION))
        ):
            raise DataError(f"{url} holds a key that no file can have, {name!a}: remove it, or name another folder")


def _is_marker(name: str, own: str, item: dict[str, Any]) -> bool:
    """Whether a key stands for the folder itself, as some programs write it: empty, and of the folder's own name."""
    return name == own and not item["size"] and item["name"].endswith("/")


def _entry(found: dict[str, Any]) -> Entry:
    when = next((found[key] for key in ("LastModified", "mtime", "updated", "created") if found.get(key)), None)
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    seconds = when.timestamp() if isinstance(when, datetime) else float(when or 0)
    stamp = found.get("ETag") or found.get("md5Hash") or seconds
    return Entry(int(found["size"]), int(seconds * 1e9), f"{stamp} {found['size']}")


@cache
def _of_scheme(scheme: str, _pid: int) -> Any:
    """The store; credentials and addresses are the environment's (AWS_…, FSSPEC_S3_…), a profile's or the machine's."""
    try:
        import fsspec

        return fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True)
    except (ImportError, ValueError):
        raise MissingExtra(f"{scheme}://", "cloud") from None


def forget_stores() -> None:
    """Look for credentials and addresses anew."""
    _of_scheme.cache_clear()


def _store(url: str) -> Any:
    return _of_scheme(url.partition(":")[0], os.getpid())


def _again(call: Any) -> Any:
    """What `call` gives. What may pass, a line that broke or a store that is busy, is tried again, some times."""
    for seconds in (*PATIENCE, None):
        try:
            return call()
        except (FileNotFoundError, PermissionError, GravurekitError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 (each store's library has errors of its own)
            if seconds is None or not _may_pass(error):
                raise
            time.sleep(seconds)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in FULL:
        return False
    return "credentials" not in str(error).lower() and not isinstance(error, ValueError | TypeError)


@contextmanager
def _explained(what: str, kind: type[GravurekitError]) -> Iterator[None]:
    """What a store refuses becomes one error that says what to do."""
    try:
        yield
    except GravurekitError:
        raise
    except PermissionError as error:
        todo = "allow it there, or give other credentials"
        raise kind(f"{what}: permission denied ({_brief(error)}): {todo}, and run the same command again") from error
    except FileNotFoundError as error:
        raise kind(f"{what}: no such bucket ({_brief(error)}): make it, or name another place") from error
    except Exception as error:  # noqa: BLE001 (as above)
        if isinstance(error, OSError) and error.errno in FULL:
            todo = f"make room in {cache_folder()}, or set GRAVUREKIT_CACHE to a folder on another disk"
            raise StorageError(f"{what} ({error.strerror}): {todo}, and run the same command again") from error
        todo = "see to it that the store answers (address, credentials, network)"
        raise kind(f"{what} ({_brief(error)}): {todo}, and run the same command again") from error


def _cache_is_gone(what: str) -> StorageError:
    return StorageError(f"{what}: somebody emptied {cache_folder()} meanwhile: run the same command again")


def _brief(error: BaseException) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0][:200]
