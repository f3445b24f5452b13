"""Tombstones: what `gravurekit forget` has taken out, as hashes alone, so that a later crawl and filter know it again.

`forgotten.jsonl` lies in the workspace. A line holds one hash, {"KIND": "HEX"}, and nothing tells which of them belong
together:

    key              a picture's key
    sha256           of a file's bytes
    url              sha256 of a link
    pixels_sha256    of decoded pixels
    phash            imagehash.phash, 64 bits
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gravurekit import record as records
from gravurekit import storage
from gravurekit.errors import DataError
from gravurekit.record import Record
from gravurekit.settings import digest

FILE = "forgotten.jsonl"
REASON = "forgotten"
DETAIL = "it was taken out by `gravurekit forget`"
DIGITS = {"key": records.KEY_LENGTH, "sha256": 64, "url": 64, "pixels_sha256": 64, "phash": 16}

Hash = tuple[str, str]  # its kind, and its hex digits


@dataclass(frozen=True)
class Tombstones:
    """Hashes by their kind. False if there are none."""

    hashes: Mapping[str, Collection[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(self.hashes.values())

    @property
    def all(self) -> set[Hash]:
        """Each hash with its kind."""
        return {(kind, digits) for kind, found in self.hashes.items() for digits in found}

    @property
    def digest(self) -> str:
        """The digest of all."""
        return digest(sorted(self.all))

    def of(self, kind: str) -> Collection[str]:
        """The hashes of a kind."""
        return self.hashes.get(kind, ())

    def has_link(self, *urls: str) -> bool:
        """Whether one of these links was forgotten."""
        known = self.of("url")
        return bool(known) and any(hash_of(url) in known for url in urls if url)

    def has_file(self, sha256: str) -> bool:
        """Whether a file with these bytes was forgotten."""
        return sha256 in self.of("sha256") or records.key_of(sha256) in self.of("key")

    def has(self, item: Record) -> bool:
        """Whether a Record is of something that was forgotten, whatever its pixels look like."""
        known = item.key in self.of("key") or (item.sha256 != "" and self.has_file(item.sha256))
        return known or item.pixels_sha256 in self.of("pixels_sha256") or self.has_link(item.url, item.page_url)


NONE = Tombstones()


def hash_of(url: str) -> str:
    """The sha256 of a link."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def record(key: str) -> Record:
    """The dropped Record of what was forgotten: its key, and nothing else that is known of it."""
    return Record(key=key, reason=REASON, detail=DETAIL)


def fits(kind: str, digits: str) -> bool:
    """Whether these are the digits of a hash of this kind."""
    return len(digits) == DIGITS.get(kind, 0) and re.fullmatch("[0-9a-f]+", digits) is not None


def gathered(hashes: Iterable[Hash]) -> Tombstones:
    """Tombstones of these hashes."""
    found: dict[str, set[str]] = {}
    for kind, digits in hashes:
        found.setdefault(kind, set()).add(digits)
    return Tombstones(found)


def seen_from(*folders: Path) -> Path:
    """The tombstones that hold for work on these folders: those that lie here, or, if the command is given elsewhere,
    beside one of them."""
    there = (folder.absolute().parent / FILE for folder in folders)
    return next((path for path in (Path(FILE), *there) if path.exists()), Path(FILE))


def read(path: Path) -> Tombstones:
    """The tombstones of a workspace; none if there is no such file. Raises DataError naming the line that is none: to
    pass it over would bring back what somebody wanted to be gone."""
    if not path.exists() and not path.is_symlink():
        return NONE
    if not path.is_file():  # opening a pipe would wait for ever
        raise DataError(f"{path} is no file: move it away, and put the list of what was forgotten back")
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): allow it") from None
    return gathered(_hash(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip())


def _hash(line: bytes, where: str) -> Hash:
    try:
        ((kind, digits),) = json.loads(line).items()
        good = fits(kind, digits)
    except (ValueError, TypeError, AttributeError, RecursionError):
        good = False
    if not good:
        raise DataError(f"{where}, is no tombstone: mend the line, or take it out if you know whose it was")
    return kind, digits


def write(path: Path, known: Tombstones) -> None:
    """Write them, sorted, whole or not at all."""
    storage.write_lines(path, sorted(json.dumps({kind: digits}) for kind, digits in known.all))
