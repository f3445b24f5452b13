"""Do other machines see what this one sees: the folder that is written, those that are read, the same packages?

Nobody can tell from a path whether it leads to the same disk on two machines, so a token is written here and looked for
there. No clock is compared with another.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from gravurekit import __version__, objects, storage
from gravurekit.errors import GravurekitError

# ends like what a killed run leaves behind: whoever opens the folder next sweeps it away
TOKEN = f".seen{storage.ASIDE}"
PACKAGES = ("numpy", "opencv-python-headless", "pillow", "scipy", "numba")  # pixels depend on them
LARGE = 256  # so many files of a folder are looked at, of the others the names
PATIENCE = 5.0  # seconds that a network's file system may take to show a new file
STALE = 70.0  # and those that NFS may believe an old list of a folder, by default
LOOK = 0.2


@dataclass(frozen=True)
class Sign:
    """What a machine must see that works with this one. Paths are absolute."""

    out: Path | None
    token: str
    sources: tuple[tuple[Path, str], ...]  # each with its fingerprint
    versions: tuple[tuple[str, str], ...]


def sign_of(out: Path | None, sources: Sequence[Path]) -> Sign:
    """What is to be seen of these folders; the token isn't there yet."""
    seen = tuple((path.absolute(), fingerprint(path)) for path in dict.fromkeys(sources))
    return Sign(out and out.absolute(), uuid.uuid4().hex, seen, versions())


@contextmanager
def put_up(sign: Sign) -> Iterator[None]:
    """While others look for it, the token is in the folder that is written."""
    if sign.out is None:
        yield
        return
    write_token(sign.out, sign.token)
    try:
        yield
    finally:
        storage.remove(sign.out / TOKEN)


def write_token(folder: Path, token: str) -> None:
    """Leave the token in a folder."""
    storage.write_text(folder / TOKEN, token)


def read_token(folder: Path) -> str:
    """The token that is in a folder; empty if there is none."""
    with suppress(OSError, GravurekitError):
        storage.pull(folder / TOKEN)
        return (folder / TOKEN).read_text("utf-8")
    return ""


def fingerprint(path: Path) -> str:
    """Tells a folder from one with other names or sizes of files, or none, without opening any; hidden ones, which come
    and go with the work, aren't looked at. Of a file its size."""
    if url := objects.url_of(path):
        return _fingerprint_there(url)
    try:
        if not path.is_dir():
            return str(path.stat().st_size)
        names = sorted(name for name in os.listdir(path) if not name.startswith("."))
        sizes = [(path / name).stat().st_size for name in names[:LARGE] if not (path / name).is_dir()]
    except OSError:
        return "none"
    return hashlib.sha256(repr((names, sizes)).encode()).hexdigest()


def _fingerprint_there(url: str) -> str:
    try:
        files, folders = objects.listing(url)
    except GravurekitError:  # no credentials there, say
        return "none"
    seen = [(name, entry.stamp) for name, entry in sorted(files.items()) if not name.startswith(".")]
    return hashlib.sha256(repr((seen, sorted(folders))).encode()).hexdigest()


def versions() -> tuple[tuple[str, str], ...]:
    """Ourselves and the packages that decide what comes out, with their versions here."""
    found = [("gravurekit", __version__)]
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found.append((name, metadata.version(name)))
    return tuple(found)


def faults(sign: Sign, patience: float = PATIENCE, stale: float = STALE) -> list[str]:
    """What this machine doesn't see as it should, as ends of "it …"; waits a while for it."""
    here = dict(versions())
    found = [f"has {name} {here.get(name, 'not at all')}, here it is {v}" for name, v in sign.versions
             if here.get(name) != v]  # fmt: skip
    began = time.monotonic()
    while unseen := list(_unseen(sign)):
        shared = sign.out is None or read_token(sign.out) == sign.token  # so what is wrong with the sources may be old
        if time.monotonic() - began >= (stale if shared else patience):
            break
        time.sleep(LOOK)
    return found + unseen


def _unseen(sign: Sign) -> Iterator[str]:
    if sign.out is not None and read_token(sign.out) != sign.token:
        yield f"doesn't see {sign.out}" if not sign.out.is_dir() else f"sees another folder as {sign.out}"
    for path, expected in sign.sources:
        if (found := fingerprint(path)) != expected:
            yield f"doesn't see {path}" if found == "none" else f"sees another folder as {path}"
