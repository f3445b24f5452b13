"""Traces: whatever in a workspace tells of a picture, and which of them belong together.

A trace matches what is to be forgotten by any of its marks: key, sha256, pixels, link. What it gives is matched by
others in turn, until nothing more is found: so copies go with the picture they were dropped for, and the other way
round, drawings with their photograph, links with the bytes they led to.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gravurekit import record as records
from gravurekit.errors import UsageError
from gravurekit.metadata import DROPPED, METADATA
from gravurekit.shards import INDEX, INHERITED, LEARNED
from gravurekit.sources._text import link
from gravurekit.stages._journal import GONE, INCOMING
from gravurekit.tombstones import REASON, Hash, fits, hash_of

JOURNAL = "journal.jsonl"
LINES = (METADATA, DROPPED, INDEX, LEARNED, INHERITED)  # files of lines with the fields of a Record
LONGEST = 8192  # characters of a line in a list
KEYS = ("key", "photo_key", "kept_key", "cluster")
DRAWN = ("stylize", "colorize", "shard", "train")  # stages whose files are no longer the picture that was crawled
ON_DISK = "folder:"  # how the link of a file begins: a name, which elsewhere may be another picture's


@dataclass(frozen=True, slots=True)
class Trace:
    """What one line, or one file's name, tells. There may be a million of them."""

    place: Path
    url: str
    marks: tuple[Hash, ...]
    given: int  # of the marks: the first ones, by which others are matched in turn

    @property
    def gives(self) -> tuple[Hash, ...]:
        """By what other traces are matched."""
        return self.marks[: self.given]


@dataclass(frozen=True)
class Word:
    """A key, its beginning, or a link, as people wrote it; `where`, if it stands in a list."""

    text: str
    where: str = ""

    @property
    def is_link(self) -> bool:
        """Else it is a key."""
        return ":" in self.text

    @property
    def links(self) -> list[str]:
        """The link as it was written, and as sources write it; none of a key."""
        return [url for url in dict.fromkeys((self.text, link(self.text))) if url] if self.is_link else []


def words(texts: Sequence[str], listed: Path | None) -> list[Word]:
    """What people want to be forgotten, each once. Raises UsageError for what is neither a key nor a link, with the
    line of the list."""
    found = [Word(text.strip()) for text in texts]
    if listed is not None:
        found += _listed(listed)
    for word in found:
        _check(word)
    if not found:
        raise UsageError("name the picture: gravurekit forget KEY | URL, or --file LIST with one a line")
    return list({word.text: word for word in found}.values())


def _listed(path: Path) -> Iterator[Word]:
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise UsageError(f"--file {path} is no file: give the path of one")
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except (OSError, ValueError) as error:  # a ValueError: no path has a NUL
        raise UsageError(f"--file {path} can't be read: {getattr(error, 'strerror', error)}") from None
    for number, line in enumerate(data.split(b"\n"), 1):
        where = f"{path}, line {number}"
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            raise UsageError(f"{where}, isn't UTF-8: save the list as UTF-8") from None
        if text and not text.startswith("#"):
            yield Word(text, where)


def _check(word: Word) -> None:
    said = f"{word.where}: " if word.where else ""
    shown = repr(word.text[:80])
    if len(word.text) > LONGEST or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", word.text):
        raise UsageError(f"{said}{shown} holds more or other characters than a key or a link: correct it")
    if not word.is_link and not re.fullmatch("[0-9a-fA-F]{8,16}", word.text):
        raise UsageError(
            f"{said}{shown} is neither a link nor a key: 8 to 16 hexadecimal digits, as in the name of a picture's file"
        )


def key_of(word: Word, found: Sequence[str]) -> str:
    """The key that a word means, of those that were `found`, in their order. Raises UsageError if it begins none, or
    several."""
    said = f"{word.where}: " if word.where else ""
    begun = word.text.lower()
    if len(begun) == records.KEY_LENGTH:
        return begun
    first, last = bisect_left(found, begun), bisect_left(found, f"{begun}g")  # the first letter that no key has
    fitting = found[first:last]
    if len(fitting) > 1:
        some = ", ".join(fitting[:5])
        raise UsageError(f"{said}{word.text} begins {len(fitting)} keys ({some}, …): write more digits")
    if not fitting:
        raise UsageError(f"{said}no picture's key begins with {word.text}: write all 16 digits of one that isn't here")
    return fitting[0]


def traces(place: Path, owner: str) -> Iterator[Trace]:
    """All traces in a folder that `owner` made. Lines that are torn tell nothing."""
    for name in LINES:
        if (place / name).is_file():
            found = map(entry_of, lines_of(place / name))
            yield from (trace(place, owner, entry) for entry in found if entry.get("reason") != REASON)
    for entry in map(entry_of, lines_of(place / JOURNAL)):
        yield from (trace(place, owner, item) for item in _told(entry))
    if (place / INCOMING).is_dir():
        for path in (place / INCOMING).iterdir():
            yield trace(place, owner, {"sha256": path.name, "key": records.key_of(path.name)})


def _told(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What an event of a journal tells, as fields of Records."""
    if isinstance(entry.get("results"), list):
        for item in entry["results"]:
            if isinstance(item, dict) and not str(item.get("url", "")).startswith(GONE):
                yield {name: item.get(name) for name in ("url", "page_url")}
    elif "url" in entry or "sha256" in entry:
        url, sha256 = _text(entry, "url"), _text(entry, "sha256")
        yield {"url": url, "sha256": sha256, "key": records.key_of(sha256) or records.key_of_url(url)}


def trace(place: Path, owner: str, entry: Mapping[str, Any]) -> Trace:
    """The trace of one line, whose values may be anything."""
    url, page = _text(entry, "url"), _text(entry, "page_url")
    said = [("key", _text(entry, name)) for name in KEYS] + [("pixels_sha256", _text(entry, "pixels_sha256"))]
    if owner not in DRAWN and not _text(entry, "photo_key"):  # an export may be of drawings, and blank ones are equal
        said.append(("sha256", _text(entry, "sha256")))
    gives = [mark for mark in dict.fromkeys(said) if fits(*mark)]
    links = [("url", hash_of(found)) for found in dict.fromkeys((url, page)) if found]
    if url and not url.startswith(ON_DISK):
        gives.append(links.pop(0))
    return Trace(place, url, (*gives, *links), len(gives))


def _text(entry: Mapping[str, Any], name: str) -> str:
    found = entry.get(name)
    return found if isinstance(found, str) else ""


def closure(found: Sequence[Trace], seed: Iterable[Hash]) -> tuple[set[Hash], list[Trace]]:
    """The seed and all that belongs to it, and the traces that do."""
    known, waiting, inside = set(seed), list(found), list[Trace]()
    while True:
        near = [item for item in waiting if not known.isdisjoint(item.marks)]
        if not near:
            return known, inside
        waiting = [item for item in waiting if known.isdisjoint(item.marks)]
        inside += near
        known.update(*(item.gives for item in near))


def is_gone(entry: Mapping[str, Any], owner: str, known: set[Hash]) -> bool:
    """Whether a line is of something that is to be forgotten."""
    return entry.get("reason") != REASON and not known.isdisjoint(trace(Path(), owner, entry).marks)


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file, also torn ones; none if it isn't there."""
    return [line for line in path.read_bytes().split(b"\n") if line] if path.is_file() else []


def entry_of(line: bytes) -> dict[str, Any]:
    """What a line holds; nothing if it is torn."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
