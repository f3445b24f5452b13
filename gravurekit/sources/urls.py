"""A list of picture addresses in a file of one's own: `--source urls:FILE`. Its suffix says how it is read.

    .txt           an address a line; lines that begin with "#" are comments
    .csv, .tsv     a table whose header has a column `url`, and any of COLUMNS
    .jsonl         a JSON object a line, with the same names; so the metadata.jsonl of a folder will do

All are UTF-8, with or without BOM. A password in an address is left out, because addresses are written down. An
address that can't be fetched becomes a dropped Record, like any dead link.
"""

import csv
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gravurekit import licenses, settings
from gravurekit.errors import UsageError
from gravurekit.sources import Connection, Result, Terms
from gravurekit.sources._text import encodable, link, plain
from gravurekit.web import Web
from gravurekit.words import clean

NEEDS_KEYWORDS = False
TELLS_LICENSES = True
ASKS_A_HOST = False

COLUMNS = ("url", "page_url", "title", "caption", "creator", "license", "license_url", "label")
DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Settings(settings.Settings):
    """A list has no knobs."""


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection whose Search gives every address of the file `argument`, in its order, whatever the query.

    Raises UsageError if the file is missing or can't be read.
    """
    if not argument:
        raise UsageError("--source urls needs the list: --source urls:FILE, with FILE a .txt, .csv, .tsv or .jsonl")
    found = read(Path(argument))

    async def search(query: str) -> AsyncIterator[Result]:
        for item in found:
            yield item

    yield Connection(search)


def read(path: Path) -> list[Result]:
    """The addresses of a list, each once. Raises UsageError that names the file, and the line if it is one line's
    fault."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise UsageError(f"the list {path} is no file: give the path of one")
        lines = path.read_text("utf-8-sig").split("\n")  # and not where UTF-8 knows other ends of lines
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} isn't UTF-8 (byte {error.start}): save it as UTF-8") from None
    except (OSError, ValueError) as error:  # a ValueError: no path has a NUL
        raise UsageError(f"the list {path} can't be read: {getattr(error, 'strerror', error)}") from None
    found: dict[str, Result] = {}
    for item in _items(path, lines):
        found.setdefault(item.url, item)
    return list(found.values())


def _items(path: Path, lines: list[str]) -> Iterator[Result]:
    kind = path.suffix.lower()
    if kind == ".txt":
        found = (line.strip() for line in lines if not line.startswith("#"))
        return (Result(url=link(url) or clean(url)) for url in found if url)
    if kind in DELIMITERS:
        return _of_table(path, lines, DELIMITERS[kind])
    if kind == ".jsonl":
        return _of_objects(path, lines)
    raise UsageError(f"the list {path} has a suffix that says nothing: name it .txt, .csv, .tsv or .jsonl")


def _of_table(path: Path, lines: list[str], delimiter: str) -> Iterator[Result]:
    rows = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        if "url" not in header:
            raise UsageError(
                f"{path} has no column `url`: its first line must name its columns, of {', '.join(COLUMNS)}"
            )
        for row in rows:
            if any(cell.strip() for cell in row):
                yield _result(dict(zip(header, row, strict=False)), f"{path}, line {rows.line_num}")
    except csv.Error as error:
        raise UsageError(f"{path}, line {rows.line_num}: no row of a table ({error}): correct it") from None


def _of_objects(path: Path, lines: list[str]) -> Iterator[Result]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            about = json.loads(line)
        except (ValueError, RecursionError):
            about = None
        if not isinstance(about, dict):
            raise UsageError(f"{where}: no JSON object: correct it, or take it out")
        yield _result(about, where)


def _result(about: Mapping[str, Any], where: str) -> Result:
    """The Result of one row or object. Raises UsageError if it names no address."""
    url = _word(about, "url")
    if not url:
        raise UsageError(f"{where}: no `url`: give it one, or take it out")
    license = licenses.read(_word(about, "license"), _word(about, "license_url"))
    return Result(
        url=link(url) or clean(url),  # one that is none is handed on, to be counted
        page_url=link(about.get("page_url")),
        title=plain(about.get("title")) or plain(about.get("caption")),
        creator=plain(about.get("creator")),
        license=license.name,
        license_url=link(license.url),
        label=plain(about.get("label")),
    )


def _word(about: Mapping[str, Any], name: str) -> str:
    value = about.get(name)
    return encodable(value.strip()) if isinstance(value, str) else ""
