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
    """Choose at most so many of each. Of the photographs every other one, by key, is for lessons, whatever was drawn:
    the same judges serve every style. Keys are digests, so the first ones are any ones.

    Raises UsageError if there are too few photographs or books, or all drawings are of photographs for lessons;
    DataError for a damaged folder."""
    books = books_of(prints, book_pictures)
    known = folder.read(photos)
    if len(known) < LEAST_PHOTOS:
        raise UsageError(f"{photos} holds {len(known)} photographs: at least {LEAST_PHOTOS} are needed")
    pairs, unpaired = _pairs(folder.read(styled), known)
    measured = [item for item in known[::2] if item.key in pairs or not pairs][:pictures]
    if not measured:
        raise UsageError(f"{styled}: its drawings are all of photographs that judges learn from: draw more of {photos}")
    files = [photos / item.file_name for item in measured]
    if pairs:
        drawings = [_drawing(styled, pairs[item.key], file) for item, file in zip(measured, files, strict=True)]
    else:
        drawings = [_drawing(styled, item, None) for item in unpaired[:pictures]]
    return Cast(drawings, files, [photos / item.file_name for item in known[1::2]][:lessons], books)


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


def _pairs(found: Sequence[Record], known: Sequence[Record]) -> tuple[dict[str, Record], list[Record]]:
    """One drawing of each photograph, by its key, found by the key or else the file's name; and the others."""
    keys = {item.key for item in known}
    stems = {Path(item.file_name).stem: item.key for item in known}
    pairs: dict[str, Record] = {}
    others = []
    for item in found:
        own = item.photo_key or item.key
        key = own if own in keys else stems.get(Path(item.file_name).stem, "")
        if key:
            pairs.setdefault(key, item)
        else:
            others.append(item)
    return pairs, others


def _drawing(styled: Path, item: Record, photo: Path | None) -> Drawing:
    """A picture of a folder that isn't ours has no layers: its luma is the ink."""
    if not item.plain_file_name:
        return Drawing(item.file_name, styled / item.file_name, None, None, photo)
    wash = styled / item.wash_file_name if item.wash_file_name else None
    return Drawing(item.file_name, styled / item.plain_file_name, styled / item.file_name, wash, photo)
