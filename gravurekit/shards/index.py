"""The index of shards, a line of JSON a sample, and lists of the same form, such as what a network has learned from."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from gravurekit.errors import DataError
from gravurekit.shards import INDEX

WORDS = ("split", "shard", "key", "photo_key", "license", "source")
KINDS: dict[str, Any] = dict.fromkeys(WORDS, str) | {"row": int, "crc32": int, "variant": int | None}
KINDS |= {"labels": list, "keywords": list}


def read(path: Path, needed: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """The lines, one by one, each of which has at least the facts `needed` (of KINDS). Raises DataError naming the line
    that is damaged."""
    again = "run `gravurekit shard` again" if path.name == INDEX else "make the folder again"
    if not path.is_file():  # opening a pipe would wait for ever
        raise DataError(f"{path} is missing, or no file: {again}")
    try:
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                entry = _entry(line, needed)
                if entry is None:
                    raise DataError(f"{path}, line {number}, is damaged: {again}")
                yield entry
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): allow it, or {again}") from None


def _entry(line: bytes, needed: Collection[str]) -> dict[str, Any] | None:
    """The facts of a line; None if it has none, or not those that are needed."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(entry, dict) and all(name in entry and isinstance(entry[name], KINDS[name]) for name in needed)
    return entry if whole else None
