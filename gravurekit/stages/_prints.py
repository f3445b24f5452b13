"""The prints that colorize is given: what they are, and which names are free for what comes of them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gravurekit import folder, metadata
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.coloured import all_of, beside, named, sample_name, with_it
from gravurekit.errors import PictureError, UsageError
from gravurekit.receipt import Plan
from gravurekit.record import Record
from gravurekit.stages import _steering
from gravurekit.stages._colouring import Print, whose

if TYPE_CHECKING:
    from gravurekit.swatches import Hint

Pictures = Mapping[Path, tuple[str, Record]]  # sha256, and what is known of it


def found(prints: Sequence[Path], out: Path) -> Pictures:
    """The pictures that are named, and those in folders that are named, each once, in an order of their own: what is
    made of them mustn't depend on how they were listed. What lies in the folder `out` that is filled is no print.

    Raises UsageError for what can't be read, or for the results themselves as prints; as `folder.read` does.
    """
    listed: dict[Path, Record] = {}
    for path in prints:
        if _lies_in(path, out):
            raise UsageError(f"{path} is a result, in the folder that is filled: name the prints, or another --out")
        if path.is_dir():
            inside = {path / item.file_name: item for item in folder.read(path)}
            listed |= {name: item for name, item in inside.items() if not _lies_in(name, out)}
        else:
            listed.setdefault(path, Record(key=""))
    try:
        read = {path: (metadata.file_sha256(path), item) for path, item in listed.items()}
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    return dict(sorted(read.items(), key=lambda pair: (pair[0].name, pair[1][0], str(pair[0]))))


def _lies_in(path: Path, out: Path) -> bool:
    place = out.resolve()
    return place in (path.resolve(), *path.resolve().parents)


def digest_of(path: Path, sha256: str, item: Record) -> str:
    """Of a print, and of all that its result tells of it."""
    return base.digest([path.name, sha256, whose(item)])


def check_hints(hints: "Sequence[Hint]", pictures: Pictures) -> None:
    """Raises UsageError for a hint that lies outside of one of the pictures, by their headers; what can't be opened is
    told later."""
    from gravurekit import images

    for path in pictures if hints else ():
        try:
            size = images.size_in(images.contents(path))
        except PictureError:
            continue
        _steering.check_inside(hints, *size, path.name)


def with_names(
    pictures: Pictures, plan: Plan, samples: int, known: Mapping[str, Record], out: Path, kinds: Collection[str] | None
) -> list[Print]:
    """Names for what comes of each picture, after its own; two of one name, or of a panel's, are told apart by a
    number.

    known  what earlier runs coloured, by file name
    kinds  of the files beside it that are wanted; None: whatever is there may be overwritten

    Raises UsageError if a file is there already that isn't known to have come of the same picture, unless it may be
    overwritten.
    """
    prints: list[Print] = []
    taken: set[str] = set()
    for path, (sha256, item) in pictures.items():
        number = 1
        while all_of(name := named(path.stem, number), samples) & taken:
            number += 1
        names = (name,) if samples == 1 else tuple(sample_name(name, n + 1) for n in range(samples))
        if kinds is not None:
            _check_free(names, records.key_of(sha256), kinds, known, out)
        about = digest_of(path, sha256, item)
        made_from = tuple(plan.digest_for(f"{about} {n}" if samples > 1 else about) for n in range(samples))
        prints.append(Print(path, sha256, item, names, made_from))
        taken |= all_of(name, samples)
    return prints


def _check_free(names: Sequence[str], key: str, kinds: Collection[str], known: Mapping[str, Record], out: Path) -> None:
    own = {name for name in names if name in known and known[name].key == key}
    others = {name for name in names if name not in own}
    for name in names:
        around = with_it(name, is_sample=len(names) > 1)
        wanted = {file for kind, file in beside(name).items() if kind in kinds} | (around - set(beside(name).values()))
        others |= wanted & known.keys()  # another print's file of colours
        if name not in own:
            others |= around - known.keys()
    if there := sorted(name for name in others if (out / name).exists()):
        raise UsageError(
            f"{out / there[0]} is there already, and not known to be of this picture: --overwrite, or another --out"
        )
