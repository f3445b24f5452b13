"""Keyword files: a keyword a line, `#` starts a comment, `label: query` gives several queries one label."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gravurekit.errors import UsageError


@dataclass(frozen=True)
class Keyword:
    """What is searched for, and the class of what is found."""

    query: str
    label: str


def parse(text: str) -> list[Keyword]:
    """The keywords of a file's text, in order, without repetitions. Empty queries and labels are left out."""
    found: dict[Keyword, None] = {}
    for line in text.splitlines():
        if keyword := _keyword(line.split("#", 1)[0]):
            found[keyword] = None
    return list(found)


def _keyword(words: str) -> Keyword | None:
    """`label: query`, or what is both; None if nothing is said. The colon of "12:30 clock" makes no label."""
    label, *rest = (part.strip() for part in re.split(r":(?:\s|$)", words.strip(), maxsplit=1))
    query = rest[0] if rest and rest[0] else label
    return Keyword(query, label or query) if query else None


def read(path: Path) -> list[Keyword]:
    """The keywords of a UTF-8 file (with or without BOM). Raises UsageError if it is missing, empty, or not UTF-8."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} isn't UTF-8 (byte {error.start}): save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"keyword file {path}: {error.strerror}") from None
    found = parse(text)
    if not found:
        raise UsageError(f"{path} holds no keyword: write one a line, for example `dress: red dress`")
    return found


def resolve(words: list[str]) -> list[Keyword]:
    """Keywords from the command line: each word is a keyword file if such a file exists or its name ends in .txt, else
    a keyword (`label: query` works too)."""
    found: dict[Keyword, None] = {}
    for word in words:
        path = Path(word)
        if path.suffix == ".txt" or os.path.isfile(path):
            found |= dict.fromkeys(read(path))
        elif keyword := _keyword(word):  # and "c# code" has no comment
            found[keyword] = None
    return list(found)
