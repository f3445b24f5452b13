"""evaluate style: is what a style draws taken for a print? No link of the chain: it changes nothing but its own report.

Measured are the `plain` pictures of a styled folder, beside controls made of the same photographs, and real books that
the judge of the moment has never seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from gravurekit import settings as base
from gravurekit import storage
from gravurekit.errors import DataError, PictureError, UsageError
from gravurekit.progress import Watch
from gravurekit.stages._evaluation import (
    Case,
    check_out,
    digest_of,
    revisions,
    rounded,
    told,
    versions,
    write_cases,
)
from gravurekit.stages._style_cast import Cast, Drawing, cast
from gravurekit.stages._style_judges import Judge, judges, readable

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.measures.judge import Pains
    from gravurekit.measures.style import Deviation, Look, Row

REVISION = 1
KIND = "gravurekit evaluate style"  # what a report of ours says of itself
CASE_SIDE = 480  # px, of what is shown of a case


class Settings(base.Settings):
    """How much is measured, and how long judges learn."""

    pictures: int = Field(24, ge=4, le=10_000, description="Drawings that are measured, of different photographs.")
    book_pictures: int = Field(30, ge=4, le=10_000, description="Pictures of each book, evenly out of the whole.")
    lessons: int = Field(100, ge=4, le=10_000, description="Other photographs, of which judges see fakes.")
    patches: int = Field(800, ge=16, le=100_000, description="Patches of each book that judges learn from.")
    epochs: int = Field(8, ge=1, le=1000, description="Times that judges see each patch.")
    resamples: int = Field(100, ge=10, le=100_000, description="Resamples of the pictures for each interval.")
    seed: int = Field(0, ge=0, description="Seed of what is left to chance.")


@dataclass(frozen=True)
class Job:
    """What is measured: the drawings of `styled`, of the photographs in `photos`, against `prints`, whose sub-folders
    are books. The report goes to `out` (JSON) and a PNG beside it, trained judges to `cache`."""

    styled: Path
    photos: Path
    prints: Path
    out: Path
    cache: Path
    settings: Settings


@dataclass(frozen=True)
class Evaluation:
    """What came of it. `doubts`: controls that the measure can't tell from real books, so that it isn't to be believed;
    `deviations`: the figures of the texture, those first that lie farthest outside of what books have."""

    out: Path
    sheet: Path
    style: "Row"
    controls: "list[Row]"
    books: "list[Row]"
    deviations: "list[Deviation]"
    doubts: list[str]


def check(job: Job) -> None:
    """Raises UsageError for a folder that isn't there, or an output that is somebody else's."""
    for path in (job.styled, job.photos, job.prints):
        if not path.is_dir():
            raise UsageError(f"{path}: no such folder")
    check_out(job.out, KIND)


def run(job: Job, watch: Watch) -> Evaluation:
    """Measure. Raises UsageError for too few photographs or books, DataError if no drawing can be read."""
    check(job)
    knobs = job.settings
    chosen = cast(job.styled, job.photos, job.prints, knobs.pictures, knobs.book_pictures, knobs.lessons)
    jury = judges(chosen, _pains(knobs), knobs.seed, job.cache, watch)
    looks = _Looks(jury, watch)
    drawings = looks.drawings(chosen.drawings)
    if not any(len(item.texture) for item in drawings):
        raise DataError(f"{job.styled}: no drawing with something on it could be read")
    books = {name: looks.book(name, files) for name, files in chosen.books.items()}
    if empty := [name for name, found in books.items() if not any(len(item.texture) for item in found)]:
        raise DataError(f"{job.prints / empty[0]}: no picture with something on it could be read")
    made = _rows(job, drawings, looks.controls(chosen.controls, knobs.seed), books, watch)
    _write(job, made, jury, chosen, drawings, books)
    return made


def _pains(knobs: Settings) -> "Pains":
    from gravurekit.measures.judge import Pains

    return Pains(knobs.patches, knobs.epochs)


@dataclass(frozen=True)
class _Looks:
    """How pictures are looked at, and by which judges."""

    jury: Sequence[Judge]
    watch: Watch

    def drawings(self, chosen: Sequence[Drawing]) -> "list[Look]":
        """Of the style; those that can't be read are left out."""
        return self._all("look at drawings", chosen, self._drawing)

    def book(self, name: str, files: Sequence[Path]) -> "list[Look]":
        """Of a real book, by the judges who have never seen it."""
        from gravurekit.measures import patches, style

        strangers = [judge.weights for judge in self.jury if name in judge.held]
        return self._all(
            f"look at {name}"[:24],
            files,
            lambda path: style.look(path.name, patches.grey(patches.read(path)), strangers),
        )

    def controls(self, files: Sequence[Path], seed: int) -> "dict[str, list[Look]]":
        """Of each control, what is made of the photographs in `files`."""
        from gravurekit.measures import controls

        photos = readable(files)
        return {
            name: self._all(f"look at {name}"[:24], list(enumerate(photos)), _control(make, self._weights, seed))
            for name, make in controls.CONTROLS.items()
        }

    @property
    def _weights(self) -> "list[Any]":
        return [judge.weights for judge in self.jury]

    def _drawing(self, item: Drawing) -> "Look":
        from gravurekit import images
        from gravurekit.measures import kept, patches, style

        grey = patches.grey(images.read(item.plain).pixels)
        left = None
        if item.photo:
            layers = (patches.read(path) if path else None for path in (item.print, item.wash))
            left = kept.kept(patches.read(item.photo), grey, *layers)
        return style.look(item.name, grey, self._weights, left)

    def _all(self, what: str, items: Sequence[Any], look: "Callable[[Any], Look]") -> "list[Look]":
        self.watch.begin(what, len(items))
        found = []
        for item in items:
            try:
                found.append(look(item))
            except PictureError:
                pass  # it isn't counted in the row
            self.watch.advance()
        return found


def _control(make: Any, weights: "list[Any]", seed: int) -> "Callable[[tuple[int, np.ndarray]], Look]":
    def look(item: "tuple[int, np.ndarray]") -> "Look":
        import numpy as np

        from gravurekit.measures import kept, style

        number, photo = item
        grey = make(photo, np.random.default_rng([seed, number]))
        return style.look(str(number), grey, weights, kept.kept(photo, grey))

    return look


def _rows(
    job: Job, drawings: "list[Look]", controls: "dict[str, list[Look]]", books: "dict[str, list[Look]]", watch: Watch
) -> Evaluation:
    from gravurekit.measures import style

    stick, knobs = style.yardstick(books), job.settings
    watch.begin("resample", 1 + len(controls) + len(books))

    def row(name: str, looks: "list[Look]", book: str = "") -> "Row":
        watch.advance()
        return style.row(name, looks, stick, knobs.resamples, knobs.seed, book)

    own = row(job.styled.resolve().name, drawings)
    others = [row(name, looks) for name, looks in controls.items()]
    real = [row(name, looks, name) for name, looks in books.items()]
    deviations = style.deviations(drawings, books, stick.scale)
    deviations.sort(key=lambda item: (-item.outside, -abs(item.value)))
    sheet = job.out.with_suffix(".png")
    return Evaluation(job.out, sheet, own, others, real, deviations, style.doubts(others, real))


def _write(
    job: Job,
    made: Evaluation,
    jury: Sequence[Judge],
    chosen: Cast,
    drawings: "list[Look]",
    books: "dict[str, list[Look]]",
) -> None:
    from gravurekit import images
    from gravurekit.measures import patches, sheet

    names = [*books]
    real = [item for looks in books.values() for item in looks]
    first = [drawing.plain for drawing in chosen.drawings[: sheet.EXAMPLES]]
    pages = [(made.style.name, first), *((name, chosen.books[name][-sheet.EXAMPLES :]) for name in names)]
    shown = [(name, [patches.grey(pixels) for pixels in readable(files)]) for name, files in pages]
    picture = sheet.sheet(f"{job.styled} against {len(names)} books", table(made), drawings, real, shown)
    storage.write_bytes(made.sheet, images.encode_png(picture))
    cases = write_cases(job.out, {"drawings": _cases(drawings, chosen)})
    storage.write_json(job.out, _report(job, made, jury, chosen) | {"cases": cases})


def _cases(drawings: "list[Look]", chosen: Cast) -> list[Case]:
    """The drawings, from the one that is taken for a print's most often."""
    from gravurekit import images
    from gravurekit.measures import patches, style

    files = {drawing.name: drawing for drawing in chosen.drawings}
    found = []
    for one in drawings:
        drawing = files[one.name]
        figures = {"J judged": float((one.sure > style.SURE).mean()) if one.sure.size else 0.0}
        if one.kept:
            figures |= {"K tone": one.kept.tone, "K edges": one.kept.edges}
        seen = {"ink": images.fit_long_side(patches.grey(images.read(drawing.plain).pixels), CASE_SIDE)}
        if drawing.photo:
            seen = {"photograph": images.fit_long_side(patches.read(drawing.photo), CASE_SIDE)} | seen
        found.append(Case(one.name, "", {name: round(value, 4) for name, value in figures.items()}, seen))
    return sorted(found, key=lambda case: (-case.figures["J judged"], case.key))


def _report(job: Job, made: Evaluation, jury: Sequence[Judge], chosen: Cast) -> dict[str, Any]:
    """What the JSON holds: the figures, and all that decided them."""
    from gravurekit.measures import controls, judge, kept, patches, style, texture

    drawn = [path for item in chosen.drawings for path in (item.plain, item.print, item.wash) if path]
    inputs = {
        "drawings": digest_of(drawn),
        "photographs": digest_of(chosen.controls),
        "lessons": digest_of(chosen.lessons),
        **{name: digest_of(files) for name, files in chosen.books.items()},
    }
    said = {name: value for name, value in asdict(made).items() if name not in ("out", "sheet")}
    return dict(rounded(said)) | {
        "kind": KIND,
        "revision": REVISION,
        "revisions": revisions(controls, judge, kept, patches, style, texture),
        "versions": versions(),
        "settings": job.settings.model_dump(mode="json"),
        "inputs": inputs,
        "judges": [item.digest for item in jury],
        "features": list(texture.FEATURES),
    }


HEAD = ("", "pictures", "J judged", "T texture", "T at most", "K tone", "K edges", "hue, print", "hue, wash")


def table(made: Evaluation) -> list[tuple[str, ...]]:
    """The figures as text, a head and a line a row: the style, the controls, the books."""
    lines: list[tuple[str, ...]] = [HEAD]
    for item in (made.style, *made.controls, *made.books):
        most = f"{max(item.to_books.values()):.2f}" if item.to_books else "–"
        kept = (item.tone, item.edges, item.print_hue, item.wash_hue)
        cells = (told(item.judged), told(item.texture), most, *(told(figure) for figure in kept))
        lines.append((item.name, str(item.pictures), *cells))
    return lines
