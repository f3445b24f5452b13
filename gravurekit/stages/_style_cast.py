"""Which pictures are measured, and which ones the judges learn from: never the same photograph in both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gravurekit import folder, foreign
from gravurekit.errors import UsageError
from gravurekit.record import Record

LEAST_PHOTOS = 8


@dataclass(frozen=True)
class Drawing:
    """A picture of the style, its layers if it has them, and the photograph that it was drawn of, if that is known."""

    name: str
    plain: Path
    print: Path | None
    wash: Path | None
    photo: Path | None


@dataclass(frozen=True)
class Cast:
    """`drawings` are measured, and so are the `controls`, made of photographs (those of the drawings, if they are
    known); judges learn from `lessons`, other photographs, and from the pictures of `books`."""

    drawings: list[Drawing]
    controls: list[Path]
    lessons: list[Path]
    books: dict[str, list[Path]]


def cast(styled: Path, photos: Path, prints: Path, pictures: int, book_pictures: int, lessons: int) -> Cast:
    """Choose at most so many of each. Pictures go by their keys, which are digests, so the first ones are any ones.
    Raises UsageError if there are too few photographs or books, DataError for a damaged folder."""
    books = books_of(prints, book_pictures)
    known = folder.read(photos)
    if len(known) < LEAST_PHOTOS:
        raise UsageError(f"{photos} holds {len(known)} photographs: at least {LEAST_PHOTOS} are needed")
    room = min(pictures, len(known) // 2)  # the other half is for the judges
    drawings, used = _drawings(styled, folder.read(styled), photos, known, room)
    if not used:
        used = {item.key for item in known[:room]}
    controls = [photos / item.file_name for item in known if item.key in used]
    rest = [photos / item.file_name for item in known if item.key not in used]
    return Cast(drawings, controls, rest[:lessons], books)


def books_of(prints: Path, most: int) -> dict[str, list[Path]]:
    """The pictures of each folder in `prints`, at most so many, evenly out of the whole book. Raises UsageError if
    there are fewer than two books."""
    folders = sorted(path for path in prints.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = {path.name: [path / name for name in foreign.picture_files(path)] for path in folders}
    found = {name: files for name, files in found.items() if files}
    if len(found) < 2:
        raise UsageError(f"{prints} holds {len(found)} folders of pictures: each is a book, and two are the least")
    return {name: _evenly(files, most) for name, files in found.items()}


def _evenly(files: Sequence[Path], most: int) -> list[Path]:
    count = min(most, len(files))
    return [files[n * len(files) // count] for n in range(count)]


def _drawings(
    styled: Path, found: Sequence[Record], photos: Path, known: Sequence[Record], room: int
) -> tuple[list[Drawing], set[str]]:
    """At most `room` drawings of different photographs, and the keys of these; any drawings if none is known to be of
    one of the photographs."""
    keys = {item.key for item in known}
    stems = {Path(item.file_name).stem: item.key for item in known}
    files = {item.key: photos / item.file_name for item in known}
    paired: dict[str, Record] = {}
    for item in found:
        own = item.photo_key or item.key
        key = own if own in keys else stems.get(Path(item.file_name).stem, "")
        if key:
            paired.setdefault(key, item)
    if not paired:
        return [_drawing(styled, item, None) for item in found[:room]], set()
    chosen = sorted(paired)[:room]
    return [_drawing(styled, paired[key], files[key]) for key in chosen], set(chosen)


def _drawing(styled: Path, item: Record, photo: Path | None) -> Drawing:
    """A picture of a folder that isn't ours has no layers: its luma is the ink."""
    if not item.plain_file_name:
        return Drawing(item.file_name, styled / item.file_name, None, None, photo)
    wash = styled / item.wash_file_name if item.wash_file_name else None
    return Drawing(item.file_name, styled / item.plain_file_name, styled / item.file_name, wash, photo)
