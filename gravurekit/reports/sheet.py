"""The contact sheet: one HTML file with what a folder keeps and what was dropped, each with its reason.

It is opened from disk, years later and without a network, so everything is in it and nothing is fetched. It is also
what one looks at when something is wrong, so it shows what can still be read of a damaged folder, its faults on top.
Titles, links and file names came from the web: no word of them is trusted.
"""

import base64
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path, PurePosixPath

from pydantic import Field

from gravurekit import record as records
from gravurekit import settings as base
from gravurekit import storage
from gravurekit.audit import Fault, inspect
from gravurekit.errors import DataError, PictureError, UsageError
from gravurekit.executor import Executor
from gravurekit.foreign import folder_label, picture_files
from gravurekit.metadata import DROPPED, METADATA, file_sha256, owner_of
from gravurekit.parts import TASK_SIZE
from gravurekit.progress import Watch
from gravurekit.receipt import Receipt, receipt_if_any
from gravurekit.record import Record
from gravurekit.reports import Sheet, _page

QUALITY = 80  # of the thumbnails' JPEG


class Settings(base.Settings):
    """How much of a folder the contact sheet shows."""

    thumb: int = Field(160, ge=32, le=1024, description="Long side of the thumbnails, px.")
    limit: int = Field(500, ge=1, description="Pictures shown of each keyword or label, and of each reason to drop.")


def write(source: Path, out: Path, settings: Settings, executor: Executor, watch: Watch) -> Sheet:
    """Write the contact sheet of the folder `source` to `out`.

    Raises UsageError if there is no such folder, or it holds none of pictures; DataError if there is nothing in it, or
    a newer gravurekit made it.
    """
    _page.refuse_to_overwrite(out)
    content = _look(source)
    kept = _groups(content.in_order, content.group_of, settings.limit)
    dropped = _groups(content.dropped, lambda item: item.reason, settings.limit)
    dropped.sort(key=lambda group: -group.count)
    chosen = [item for group in [*kept, *dropped] for item in group.chosen]
    files = dict.fromkeys(file for item in chosen for _, file in content.shots(item) if file.path)
    executor.reach(None, [source])
    thumbs = _thumbnails(list(files), settings.thumb, executor, watch)
    places = _fill([*kept, *dropped], content, thumbs)
    page = {"content": content, "kept": kept, "dropped": dropped, "places": places, "thumb": settings.thumb}
    template = _page.template("sheet.html", host=_host, size=_size)
    storage.write_lines(out, _page.lines(template.generate(page)))
    return Sheet(out, len(content.kept), {group.name: group.count for group in dropped}, len(chosen))


# ---- what is in the folder -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    """A picture on disk. An empty `path` is one that must not be read; if `sha256` is given, only those very bytes are
    shown; `sized`: its size in px is known, so a reduced reading will do."""

    path: str
    sha256: str = ""
    sized: bool = False


@dataclass(frozen=True)
class _Content:
    """What a folder holds, as far as it can be read. `listed`: its Records were made from the names of its files;
    `input`: the folder that its stage read, where what was dropped still lies."""

    path: Path
    stage: str
    receipt: Receipt | None
    kept: list[Record]
    dropped: list[Record]
    faults: list[Fault]
    listed: bool
    input: Path | None

    @property
    def name(self) -> str:
        return Path(os.path.abspath(self.path)).name or str(self.path)

    @property
    def grouping(self) -> str:
        """What the kept pictures are grouped by: what was searched for, or what it is to become in a training."""
        return "keyword" if self.stage == "crawl" else "label"

    def group_of(self, item: Record) -> str:
        """The name of a kept picture's group. A picture that no keyword brought came from a folder: its label stands
        in."""
        return item.keywords[0] if self.grouping == "keyword" and item.keywords else item.label

    @property
    def in_order(self) -> list[Record]:
        """The kept pictures: of a crawl what its source thought best first, else as they lie in the folder."""
        return sorted(self.kept, key=lambda item: item.rank or sys.maxsize) if self.stage == "crawl" else self.kept

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many came in, were kept, and dropped for each reason: as the receipt says, or else as was found."""
        if self.receipt:
            return self.receipt.counts
        reasons: dict[str, int] = {}
        for item in self.dropped:
            reasons[item.reason] = reasons.get(item.reason, 0) + 1
        return {"in": len(self.kept) + len(self.dropped), "kept": len(self.kept), **reasons}

    @property
    def knobs(self) -> dict[str, str]:
        """The settings of the stage, by name; those of the table [NAME] as NAME.KNOB."""
        return _page.knobs(self.receipt.plan) if self.receipt else {}

    @property
    def seconds(self) -> float | None:
        said = self.receipt.measured.get("seconds") if self.receipt else None
        return float(said) if isinstance(said, int | float) else None

    @cached_property
    def _by_key(self) -> dict[str, Record]:
        return {item.key: item for item in reversed(self.kept)}

    def shots(self, item: Record) -> list[tuple[str, _File]]:
        """The pictures of a Record's tile, each with a caption: a styled one has three; a dropped one has its own, if
        it is still where it came from, and that of its kept twin."""
        if not item.reason:
            names = {"": item.file_name}
            if item.plain_file_name or item.wash_file_name:
                names = {"print": item.file_name, "plain": item.plain_file_name, "wash": item.wash_file_name}
            return [(caption, self._file(item, name)) for caption, name in names.items()]
        if not (self.input and item.file_name and item.sha256):
            return []
        # the receipt names a folder elsewhere: nothing of it is shown but the very file that was judged
        shots = [("dropped", _File(_below(self.input, item.file_name), item.sha256, bool(item.width)))]
        if twin := self._by_key.get(item.kept_key):
            shots.append(("kept instead", self._file(twin, twin.file_name)))
        return shots

    def _file(self, item: Record, name: str) -> _File:
        return _File(str(self.path / name) if self.listed else _below(self.path, name), sized=bool(item.width))


def _below(root: Path, name: str) -> str:
    """The path of the file that a Record names, if it truly lies below `root`; else empty. Names are hostile: with
    `..`, a leading slash or a link they would lead to other people's files."""
    try:
        path = (root / name).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL in it; links that go in circles
        return ""
    return str(path) if root.resolve() in path.parents else ""


def _look(path: Path) -> _Content:
    """Look a folder over, and read what can be read of it."""
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder")
    owner = owner_of(path)
    packed = owner == "export" and not any(path.glob(METADATA)) and not any(path.glob(f"*/{METADATA}"))
    if owner in ("shard", "train") or packed:
        raise UsageError(
            f"{path} holds what {owner} made, and no pictures: `gravurekit report` shows a folder of pictures, "
            "as raw, clean, styled and coloured are"
        )
    receipt = receipt_if_any(path)
    findings = inspect(path)
    faults = list(findings.faults)
    kept = _good_lines(path / METADATA, faults) if findings.records is None else findings.records
    dropped = _good_lines(path / DROPPED, faults)
    listed = findings.records is None and not kept
    if listed:
        kept = _listed(path, owner)
    if not (kept or dropped or faults or owner):
        raise DataError(f"{path}: no picture in it")
    stage = receipt.plan.stage if receipt else owner
    return _Content(path, stage, receipt, kept, dropped, faults, listed, _input(path, receipt))


def _good_lines(path: Path, faults: list[Fault]) -> list[Record]:
    """The Records of a file, whatever is between them; lines that are none become a fault, unless all are: then the
    file is another program's."""
    if not path.is_file():  # opening a pipe would wait for ever
        return []
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(records.from_json(line, ""))
        except DataError:
            continue
    if found and (lost := len(lines) - len(found)):
        said = f"{lost} of {len(lines)} lines of {path} can't be read"
        faults.append(Fault("torn", said, "what they told isn't shown here"))
    return found


def _listed(path: Path, owner: str) -> list[Record]:
    """Records for the pictures of a folder without metadata: a plain one, or one whose stage hasn't finished."""
    names = picture_files(path)
    if owner:
        names = [name for name in names if name.startswith("images/")] or names
        return [Record(key=PurePosixPath(name).stem, file_name=name) for name in names]
    return [
        Record(key=_key(path / name), file_name=name, title=name, labels=folder_label(name), source="folder")
        for name in names
    ]


def _key(path: Path) -> str:
    try:
        return records.key_of(file_sha256(path))
    except OSError:
        return ""  # its tile will say what is wrong


def _input(path: Path, receipt: Receipt | None) -> Path | None:
    """The folder that the stage read, if the receipt tells and it is still there."""
    said = receipt.measured.get("source") if receipt else None
    return path / said if isinstance(said, str) and said and os.path.isdir(path / said) else None


# ---- what is shown of it -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Thumb:
    """A small JPEG of a picture, or the `fault` that stands in its way. `size`: of the whole picture, px."""

    jpeg: bytes = b""
    width: int = 0
    height: int = 0
    size: tuple[int, int] = (0, 0)
    fault: str = ""

    @property
    def uri(self) -> str:
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode()


@dataclass(frozen=True)
class _Tile:
    """A Record with its pictures, each with a caption. `number`: its place on the page, for links to it."""

    number: int
    item: Record
    thumbs: list[tuple[str, _Thumb]]

    @property
    def size(self) -> tuple[int, int]:
        return (self.item.width, self.item.height) if self.item.width else self.thumbs[0][1].size


@dataclass(frozen=True)
class _Group:
    """Pictures of one keyword or label, or dropped for one reason: `count` of them, of which `chosen` are shown; those
    with a picture in `tiles`, the others in `rows` of a table."""

    name: str
    count: int
    chosen: list[Record]
    tiles: list[_Tile] = field(default_factory=list)
    rows: list[Record] = field(default_factory=list)

    @property
    def across(self) -> int:
        """Pictures side by side in a tile, at most."""
        return max((len(tile.thumbs) for tile in self.tiles), default=1)


def _groups(found: Iterable[Record], name_of: Callable[[Record], str], limit: int) -> list[_Group]:
    """By name, the nameless last; of more than `limit` pictures every so-many-th."""
    members: dict[str, list[Record]] = {}
    for item in found:
        members.setdefault(name_of(item), []).append(item)
    names = sorted(members, key=lambda name: (not name, name.casefold(), name))
    return [_Group(name, len(members[name]), _spread(members[name], limit)) for name in names]


def _spread(items: Sequence[Record], limit: int) -> list[Record]:
    if len(items) <= limit:
        return list(items)
    return [items[n * len(items) // limit] for n in range(limit)]


def _fill(groups: Iterable[_Group], content: _Content, thumbs: Mapping[_File, _Thumb]) -> dict[str, int]:
    """Make tiles and rows of what was chosen. The places of kept pictures by key, for links from their twins."""
    outside = _Thumb(fault="not shown: its name leads out of the folder")
    numbers = count()
    places: dict[str, int] = {}
    for group in groups:
        for item in group.chosen:
            shots = [(caption, thumbs.get(file, outside)) for caption, file in content.shots(item)]
            if item.reason and not (shots and shots[0][1].jpeg):
                group.rows.append(item)
                continue
            group.tiles.append(_Tile(next(numbers), item, shots))
            if not item.reason:
                places.setdefault(item.key, group.tiles[-1].number)
    return places


# ---- thumbnails ----------------------------------------------------------------------------------------


def _thumbnails(files: Sequence[_File], side: int, executor: Executor, watch: Watch) -> dict[_File, _Thumb]:
    """Thumbnails of the files. One that kills its process costs only itself."""
    watch.begin("thumbnails", len(files))
    thumbs: dict[_File, _Thumb] = {}
    killers: list[_File] = []
    tasks = [(side, tuple(files[n : n + TASK_SIZE])) for n in range(0, len(files), TASK_SIZE)]
    for outcome in executor.map(thumbnails, tasks):
        done = tasks[outcome.index][1]
        if outcome.value is None:
            killers += done
        else:
            thumbs |= zip(done, outcome.value, strict=True)
            watch.advance(len(done))
    for single in executor.map(thumbnails, [(side, (file,)) for file in killers]):
        died = _Thumb(fault=f"reading it {single.lost}")
        thumbs[killers[single.index]] = single.value[0] if single.value else died
        watch.advance()
    return thumbs


def thumbnails(task: tuple[int, tuple[_File, ...]]) -> list[_Thumb]:
    """A _Thumb of each file, `side` px on its long side, or smaller if the picture is."""
    side, files = task
    return [_thumbnail(file, side) for file in files]


def _thumbnail(file: _File, side: int) -> _Thumb:
    from gravurekit import images

    if not os.path.isfile(file.path):  # nor is a pipe or a device ever opened
        return _Thumb(fault="missing")
    try:
        picture = images.read(Path(file.path), reduce_to=side if file.sized else None)
        if file.sha256 and file_sha256(Path(file.path)) != file.sha256:
            return _Thumb(fault="no longer the file that was judged")
    except PictureError as error:
        return _Thumb(fault=f"can't be read: {error.detail}")
    except OSError as error:  # gone in between
        return _Thumb(fault=f"can't be read: {error.strerror}")
    scale = min(1.0, side / max(picture.width, picture.height))
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    jpeg = images.encode_jpeg(images.resize(picture.pixels, width, height), QUALITY, subsampling=2)
    return _Thumb(jpeg, width, height, (picture.width, picture.height))


# ---- the page ------------------------------------------------------------------------------------------


def _host(url: str) -> str:
    return re.split("[/?#]", url)[2].rpartition("@")[2] or url


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}\u00a0×\u00a0{size[1]}\u00a0px" if size[0] else "size unknown"
