"""Credits: who made the pictures of a folder, under which licence, and where they are. CREDITS.md is for people,
CREDITS.csv for programs; both name every kept picture once.

A run gives credit for what its network learned from, from the list that it keeps itself: the shards may be long gone.
Titles, names and links came from the web, and end here in Markdown and in a table that spreadsheets open: no word of
them may become a tag, a link of its own, a line of its own or a formula.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gravurekit import licenses, storage
from gravurekit.audit import inspect
from gravurekit.errors import DataError, UsageError
from gravurekit.metadata import DROPPED, file_sha256, owner_of
from gravurekit.receipt import read_receipt
from gravurekit.record import Record
from gravurekit.shards import INDEX, INHERITED, LEARNED, MANIFEST, index
from gravurekit.words import clean, short, web

PAGE, TABLE = "CREDITS.md", "CREDITS.csv"
OURS = "<!-- Made by `gravurekit credits`"  # how a page of ours begins
COLUMNS = ("key", "title", "creator", "license", "license_url", "page_url", "url", "source")
FACTS = (*COLUMNS, "photo_key")  # what the index of shards is asked for

# The licences ask to be told of changes
CHANGES = {
    "crawl": "as they were found",
    "filter": "as they were found, but for private tags, which were taken out",
    "stylize": "which were changed: drawn as engravings",
    "shard": "which were changed: drawn as engravings, and turned into tensors",
    "train": "from which the network in this folder learned; they were changed for it: drawn as engravings",
}


@dataclass(frozen=True)
class Credits:
    """The files that were written, how many pictures they name, how many of these have each licence, and of how many
    no licence is known."""

    files: tuple[Path, ...]
    pictures: int
    licenses: dict[str, int]
    unknown: int


def write(source: Path, out: Path) -> Credits:
    """Write CREDITS.md and CREDITS.csv of the folder or run `source` into the folder `out`.

    Raises UsageError if there is no such folder, nothing is known of its pictures, or a file of somebody else would be
    overwritten; DataError if the folder isn't finished or isn't whole, or a run doesn't know any more what it learned
    from.
    """
    _refuse(out)  # before a long list is read
    stage, found = _read(source)
    return write_for(found, stage, out)


def write_for(found: Iterable[Record], stage: str, out: Path) -> Credits:
    """Write CREDITS.md and CREDITS.csv of the pictures `found`, as `stage` left them, into the folder `out`.

    Raises UsageError if a file of somebody else would be overwritten.
    """
    _refuse(out)
    page, table = out / PAGE, out / TABLE
    groups = _groups(_credit(item) for item in _once(found))
    storage.write_lines(page, _page(groups, stage))
    storage.write_lines(table, _table(groups))
    counts = {name: len(group) for name, group in groups.items()}
    total = sum(counts.values())
    unknown = counts.pop("", 0)
    return Credits((page, table), total, counts, unknown)


def _refuse(out: Path) -> None:
    _refuse_to_overwrite(out / PAGE, OURS)
    _refuse_to_overwrite(out / TABLE, _row(COLUMNS))


def _refuse_to_overwrite(path: Path, first: str) -> None:
    """Only a file that begins as ours do gives way."""
    if path.exists() and not _begins_with(path, first.encode()):
        raise UsageError(f"{path} is there already, and not made by `gravurekit credits`: name a folder with --out")


def _begins_with(path: Path, first: bytes) -> bool:
    if not path.is_file():  # opening a pipe would wait for ever
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(first)) == first
    except OSError:
        return False


# ---- whose pictures they are ---------------------------------------------------------------------------


def _read(source: Path) -> tuple[str, list[Record]]:
    """The stage that made the folder, as far as is known, and a Record for each picture."""
    if not source.is_dir():
        raise UsageError(f"{source}: no such folder")
    findings = inspect(source)
    if findings.grave:
        raise DataError("\n  ".join(str(fault) for fault in findings.grave))
    receipt = read_receipt(source)
    stage = owner_of(source) or (receipt.plan.stage if receipt else "")
    if stage == "train" or (source / LEARNED).exists():
        return "train", _learned_from(source)
    if stage == "shard" or ((source / INDEX).exists() and (source / MANIFEST).exists()):
        return "shard", list(_entries(source / INDEX))
    if stage == "export":
        made_by = str(receipt.plan.settings.get("of", "")) if receipt else ""
        return made_by, list(_entries(source / INDEX))
    if findings.records == []:
        raise DataError(f"{source}: holds no picture ({DROPPED} says why)")
    found = findings.records or []
    if not any(item.source or item.url or item.page_url or item.creator or item.license for item in found):
        raise UsageError(
            f"nothing is known of the pictures in {source}: credit can be given for what was crawled and what was made "
            "of it (raw/, clean/, styled/, shards/), and for a run (runs/NAME)"
        )
    return stage, found


def _learned_from(run: Path) -> list[Record]:
    """What the network of a run learned from, that which it began from included. Runs of early versions keep no list:
    the shards may still lie beside."""
    if (run / LEARNED).exists():
        before = list(_entries(run / INHERITED)) if (run / INHERITED).exists() else []
        return [*before, *_entries(run / LEARNED)]
    receipt = read_receipt(run)
    home = run.resolve()
    shards = home.parent.parent / home.name.rpartition("-")[0]
    if receipt and _is(shards / MANIFEST, receipt.plan.inputs.get("manifest", "")):
        if faults := inspect(shards).grave:
            raise DataError("\n  ".join(str(fault) for fault in faults))
        return list(_entries(shards / INDEX, split="train"))
    raise DataError(
        f"{run} holds no {LEARNED}, and {shards} isn't the folder of shards that it learned from: put that back, or "
        "train anew, which keeps the list"
    )


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and file_sha256(path) == sha256


def _entries(path: Path, split: str = "") -> Iterator[Record]:
    """The pictures of an index of shards, or of a part of it. Raises DataError naming the line that is damaged."""
    for number, entry in enumerate(index.read(path), 1):
        if split in ("", entry.get("split")):
            try:
                yield Record.model_validate({name: entry[name] for name in FACTS if name in entry})
            except ValueError:
                raise DataError(f"{path}, line {number}, is damaged: make the folder again") from None


def _once(found: Iterable[Record]) -> Iterable[Record]:
    """Each photograph once, however often it was drawn."""
    return {item.photo_key or item.key: item for item in found}.values()


# ---- what is said of them ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Credit:
    """What is said of one picture: each text in one line, each link http or https, or empty. `link`: where the picture
    is; `url`: its name in all Records, which needn't be a link."""

    key: str
    title: str
    creator: str
    license: str
    license_url: str
    page_url: str
    url: str
    source: str
    link: str


def _credit(item: Record) -> _Credit:
    known = licenses.read(_line(item.license), web(item.license_url))
    return _Credit(
        key=_line(item.key),
        title=_line(item.title),
        creator=_line(item.creator),
        license=_line(known.name),
        license_url=web(known.url),
        page_url=web(item.page_url),
        url=web(item.url) or _line(item.url),
        source=_line(item.source),
        link=web(item.page_url) or web(item.url),
    )


def _line(text: str) -> str:
    return short(clean(" ".join(text.split())))


def _groups(found: Iterable[_Credit]) -> dict[str, list[_Credit]]:
    """By licence, those without one last; in a group by title."""
    groups: dict[str, list[_Credit]] = {}
    for item in sorted(found, key=lambda item: (item.title.casefold(), item.title, item.key)):
        groups.setdefault(item.license, []).append(item)
    names = sorted(groups, key=lambda name: (not name, name.casefold(), name))
    return {name: groups[name] for name in names}


# ---- for people ----------------------------------------------------------------------------------------


def _page(groups: dict[str, list[_Credit]], stage: str) -> Iterator[str]:
    """The lines of CREDITS.md."""
    total = sum(map(len, groups.values()))
    changes = f", {CHANGES[stage]}" if stage in CHANGES else ""
    yield f"{OURS}, which makes it anew: what is changed by hand is lost. -->"
    yield from ("", "# Credits", "", f"{_pictures(total)}{changes}.", "")
    yield from ("| Licence | Pictures | Commercial use | Changed copies |", "| --- | ---: | --- | --- |")
    for name, group in groups.items():
        allowed = " | ".join(_allows(name, wish) for wish in ("commercial", "derivatives"))
        yield f"| {_escaped(name) or 'not known'} | {len(group)} | {allowed} |"
    for name, group in groups.items():
        yield from ("", f"## {_escaped(name) or 'No known licence'}: {_pictures(len(group))}", "")
        yield from (_terms(name, len(group)), "")
        yield from map(_entry, group)


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def _known(name: str) -> bool:
    """Whether it is a licence whose terms we know, and not merely words that a source used."""
    return name.startswith("CC-BY") or licenses.meets(name, "open")


def _allows(name: str, wish: licenses.Wish) -> str:
    return ("yes" if licenses.meets(name, wish) else "no") if _known(name) else "ask"


def _terms(name: str, count: int) -> str:
    """What a licence asks for."""
    if not name:
        these = "this picture" if count == 1 else f"these {count} pictures"
        return f"No licence is known of {these}: ask whoever made them before you share or publish them."
    if not _known(name):
        return "Not a licence that is known here: read it before you use these pictures."
    if licenses.meets(name, "public-domain"):
        return "No rights are known to stand in the way; credit is a courtesy."
    terms = ["Asks for credit: the title, the creator, and links to the picture and to the licence."]
    if not licenses.meets(name, "commercial"):
        terms.append("NC: no commercial use.")
    if not licenses.meets(name, "derivatives"):
        terms.append("ND: changed copies may not be shared, and a drawing of a picture is one.")
    if "SA" in name.split("-"):
        terms.append("SA: what is made of them is shared under the same licence.")
    return " ".join(terms)


def _entry(item: _Credit) -> str:
    """A picture in one line: title, creator, licence, source and key."""
    title = f"“{_linked(item.title, item.link)}”" if item.title else _linked("untitled", item.link)
    where = "" if item.link or not item.url else f" ({_escaped(item.url)})"
    creator = f" by {_escaped(item.creator)}" if item.creator else ", creator unknown"
    key = item.key.replace("`", "'")
    facts = [_linked(item.license, item.license_url), _escaped(item.source), f"`{key}`"]
    return f"- {title}{where}{creator}, {', '.join(fact for fact in facts if fact)}"


def _linked(text: str, url: str) -> str:
    """Markdown of a text that leads to `url`, if there is one. A link's brackets and backticks would end it."""
    if not url:
        return _escaped(text)
    for mark in "()`":
        url = url.replace(mark, f"%{ord(mark):X}")
    return f"[{_escaped(text)}]({re.sub(r'&(?=#?[0-9A-Za-z]+;)', '&amp;', url)})"


def _escaped(text: str) -> str:
    """Markdown that shows `text` as it is. Tags are escaped as in HTML, because not all readers of Markdown know
    another way; and what looks like an address must not become a link."""
    text = re.sub(r"&(?=#?[0-9A-Za-z]+;)", "&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"[\\`*_{}\[\]|~$]", r"\\\g<0>", text)
    return re.sub(r"(?<=:)(?=//)|(?<=www)(?=\.)", r"\\", text, flags=re.IGNORECASE)


# ---- for programs --------------------------------------------------------------------------------------


def _table(groups: dict[str, list[_Credit]]) -> Iterator[str]:
    """The lines of CREDITS.csv."""
    yield _row(COLUMNS)
    for group in groups.values():
        for item in group:
            yield _row(_inert(getattr(item, name)) for name in COLUMNS)


def _inert(text: str) -> str:
    """What no spreadsheet takes for a formula; some read the wide signs of Chinese and Japanese as well."""
    return f"'{text}" if text.startswith(tuple("=+-@＝＋－＠")) else text


def _row(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="").writerow(cells)
    return line.getvalue()
