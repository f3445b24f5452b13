"""The panels of a training: sheets of what the network made of the same pictures at each validation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gravurekit import storage
from gravurekit.errors import PictureError
from gravurekit.reports._gallery import evenly

PANELS, ROWS = "panels", "pictures.jsonl"  # names that a training has
PANEL = re.compile(r"(?:[0-9]{7}|[1-9][0-9]{7,})\.png")
SIDES = (1200, 2400)  # px at most
QUALITY = 82  # of their JPEG
NAMED = 30  # pictures that are named


@dataclass(frozen=True)
class Panel:
    """A panel sheet as a JPEG of so many px, or the `fault` that stands in its way."""

    step: int
    jpeg: bytes = b""
    width: int = 0
    height: int = 0
    fault: str = ""


def read(run: Path, most: int) -> Iterator[Panel]:
    """Panel sheets in the order of their steps, evenly over all, the last one among them."""
    found = steps(run)
    last = len(found) - 1
    for place in sorted({last - other for other in evenly(len(found), most)}):
        yield at(run, found[place])


def steps(run: Path) -> list[int]:
    """The steps of which there is a panel sheet, in their order. Raises OSError if the folder can't be read."""
    folder = run / PANELS
    names = [path.name for path in folder.iterdir() if PANEL.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(int(name[:-4]) for name in names)


def path_of(run: Path, step: int) -> Path:
    """Where the panel sheet of a step lies."""
    return run / PANELS / f"{step:07d}.png"


def at(run: Path, step: int) -> Panel:
    """The panel sheet of a step, small enough to be looked at."""
    from gravurekit import images

    path = path_of(run, step)
    if not path.is_file():
        return Panel(step, fault="it is no file")
    try:
        picture = images.read(path)
    except PictureError as error:
        return Panel(step, fault=f"it can't be read: {error.detail}")
    scale = min(1.0, *(most / side for most, side in zip(SIDES, (picture.width, picture.height), strict=True)))
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return Panel(step, images.encode_jpeg(images.resize(picture.pixels, width, height), QUALITY), width, height)


def rows(run: Path) -> Iterator[str]:
    """Whose pictures the rows of the panels show. Who wants a picture to be forgotten finds this page by its key."""
    path = run / PANELS / ROWS
    if not path.is_file():
        return
    try:
        entries = storage.read_json_lines(path)[:NAMED]
    except OSError:
        return
    for entry in entries:
        said = (entry.get(name) for name in ("key", "photo_key", "label", "split", "file"))
        if words := [word for word in said if isinstance(word, str) and word]:
            yield ", ".join(dict.fromkeys(words))
