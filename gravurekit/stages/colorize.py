"""colorize: prints → coloured/. Lays a colour wash under the ink of real engravings, at any size."""

import json
import time
from collections.abc import Collection, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gravurekit import audit, folder, metadata, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.coloured import INK, PANEL, PAPER, WASH, beside, sheet_name, with_it
from gravurekit.errors import DataError, ModelError, PictureError, UsageError
from gravurekit.folder import State, Summary
from gravurekit.metadata import METADATA
from gravurekit.progress import Watch
from gravurekit.receipt import RECORDS, Plan, newest_finished
from gravurekit.record import Record
from gravurekit.stages import _palettes, _prints, _steering
from gravurekit.stages._colouring import Made, Print, Room, Wanted, colour
from gravurekit.stages._prints import Pictures

if TYPE_CHECKING:
    from gravurekit.colorizer import Colorizer, Look
    from gravurekit.moods import Mood
    from gravurekit.stages._steering import Asked

REVISION = 5
MODEL = "model.safetensors"
# what changes no colour, or only how many there are; and where a palette's picture lies, which is nobody's business
NOT_SAID = {"device", "overwrite", "panel", "layers", "samples", "palette"}


class Settings(base.Settings):
    """How the network's colours come onto the picture, and what it is told."""

    photo: bool = Field(False, description="The picture is a photograph: keep its lightness, add colour to it.")
    palette: str = Field("", description="Colours to take, as in 'red,#e0b088', or a picture that has them.")
    word: str = Field(
        "", description="Take the colours that pictures of this label or keyword had in the training.",
        json_schema_extra={"flag": "--as"},
    )  # fmt: skip
    samples: int = Field(
        1,
        ge=1,
        le=_palettes.SINGLE,
        description="Colour each print so often, after other pictures of --as each.",
    )
    hint: tuple[str, ...] = Field((), description="A colour at a place: x,y,#rrggbb, px. May be repeated.")
    like_strength: float = Field(1.0, ge=0, le=1, description="How much of the manner of --like is taken.")
    paper: Literal["keep", "white", "tint"] = Field("keep", description="The paper as it is, white, or evenly tinted.")
    strength: float = Field(1.0, ge=0, le=1, description="How much of all colour there is.")
    saturation: float = Field(1.0, ge=0, le=10, description="Factor on the chroma that the network gives.")
    feed: Literal["style", "tone"] = Field(
        "style", description="What the network sees of a print: lines drawn anew in the training style, or its tone."
    )
    work_size: int = Field(
        0,
        ge=0,
        le=4096,
        description="Long side of the sheet that the network sees, px; 0: as it was trained. On an upright sheet a "
        "wide print is only as wide as that.",
    )
    layers: bool = Field(False, description="Also write ink, wash and paper apart, for an editor.")
    panel: bool = Field(False, description="Also write a panel: original | L | result.")
    seed: int = Field(0, ge=0, description="Seed of which pictures' colours --samples takes.")
    overwrite: bool = Field(False, description="Replace a file of the same name that isn't the same picture's.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the network runs.")


@dataclass(frozen=True)
class Job:
    """What is to be coloured: `prints` (pictures, or folders of them), with `model` (a run's folder), or the newest
    finished run below `runs`; in the manner of the pictures or kept moods `like`, whose mean `save_like` keeps."""

    prints: Sequence[Path]
    out: Path
    model: Path | None
    runs: Path
    settings: Settings
    like: Sequence[Path] = ()
    save_like: Path | None = None


def check(job: Job) -> None:
    """Raises UsageError if there is nothing to colour, for words that steer nothing, or for an output folder of
    others."""
    if not job.prints:
        raise UsageError("name a picture or a folder of pictures to colour")
    for path in job.prints:
        if not path.exists():
            raise UsageError(f"{path}: no such picture or folder")
    knobs = job.settings
    check_knobs(knobs)
    if knobs.like_strength != 1 and not job.like:
        raise UsageError("--like-strength says how much of --like is taken: name a picture with that")
    if job.save_like and not job.like:
        raise UsageError("--save-like keeps the manner of --like: name a picture with that")
    for path in job.like:
        if not path.is_file():
            raise UsageError(f"--like {path}: no such picture or mood")
    if job.save_like and job.save_like.suffix != ".safetensors":
        raise UsageError(f"--save-like {job.save_like}: the file's name must end with .safetensors")
    if knobs.palette:
        _steering.palette(knobs.palette)
    _steering.hints(knobs.hint)
    folder.check_places(job.out, "colorize")


def check_knobs(knobs: Settings) -> None:
    """Raises UsageError for knobs that contradict one another."""
    if knobs.palette and knobs.word:
        raise UsageError("--palette and --as both say which colours to take: leave one out")
    if knobs.samples > 1 and not knobs.word:
        raise UsageError("--samples takes the colours of several pictures of a word: name it with --as")
    if knobs.layers and knobs.photo:
        raise UsageError("a photograph has neither ink nor paper to write apart: leave out --layers or --photo")
    if knobs.photo and knobs.paper != "keep":
        raise UsageError(f"a photograph has no paper to be made anew: leave out --paper {knobs.paper} or --photo")


def look(job: Job) -> State:
    """Whether exactly these prints are coloured already. Raises as `run` does."""
    state = folder.look(job.out, _plan(job, _prints.found(job.prints, job.out)))
    if state.done:
        missing = [name for name in state.done.facts["files"] if not (job.out / name).is_file()]
        if job.save_like and not job.save_like.exists():
            missing.append(str(job.save_like))
        return State(None, (f"{job.out / missing[0]} is missing",)) if missing else state
    return state


def run(job: Job, watch: Watch) -> Summary:
    """Colour. The output folder only grows; what is in it of the very same print, model and settings is kept. Nothing
    is changed before all is known that can be known beforehand.

    Raises UsageError for a print that isn't there, an output that would be overwritten, or words that can't be obeyed;
    ModelError for a model that can't be used, DataError if there is no run or no print could be read.
    """
    began = time.monotonic()
    check(job)
    state = look(job)
    if state.done:
        return state.done
    pictures = _prints.found(job.prints, job.out)
    plan = _plan(job, pictures)
    palettes = _palettes_of(job)
    _prints.check_hints(_steering.hints(job.settings.hint), pictures)
    with folder.opened(job.out, "colorize", state.reasons, watch, adding=True):
        known = _known(job.out)
        kinds = None if job.settings.overwrite else _kinds(job.settings)
        prints = _prints.with_names(pictures, plan, job.settings.samples, known, job.out, kinds)
        done, dropped = _colour_all(job, prints, palettes, known, watch)
        if not done:
            first = f"{dropped[0].title}: {dropped[0].detail}"
            raise DataError(f"none of {len(prints)} pictures could be coloured ({first})")
        folder.unseal(job.out)
        files = list(dict.fromkeys(file for item in done for file in _files(item, job.settings)))
        stay = {name: item for name, item in known.items() if name not in files}  # what was overwritten is no more
        stay |= {item.file_name: item for item in done}
        metadata.write_lines(job.out / METADATA, (stay[name] for name in sorted(stay)))
        metadata.write_lines(job.out / metadata.DROPPED, dropped)
        outputs = (METADATA, metadata.DROPPED)
        return folder.seal(
            job.out, plan, len(done), dropped, outputs, time.monotonic() - began, {"files": files}
        )  # fmt: skip


def _plan(job: Job, pictures: Pictures) -> Plan:
    knobs = job.settings.model_dump(mode="json", exclude={"device", "overwrite"})
    listed = base.digest([_prints.digest_of(path, sha256, item) for path, (sha256, item) in pictures.items()])
    model = _model(job)
    inputs = {RECORDS: listed, "model": folder.side_digest(model, "model")}
    kept = model.with_name(_palettes.FILE)
    if job.settings.word and kept.is_file():  # if it isn't, `_palettes_of` tells
        inputs["palettes"] = folder.side_digest(kept, "palettes")
    if picture := _steering.palette_picture(job.settings.palette):  # what it is counts, not where it lies
        inputs["palette"] = _named_digest(picture, "palette")
        knobs["palette"] = ""
    if job.like:
        inputs["like"] = base.digest([_named_digest(path, "like") for path in job.like])
    return Plan(stage="colorize", revision=REVISION, settings=knobs, inputs=inputs)


def _named_digest(path: Path, name: str) -> str:
    """Of a picture's bytes, and of its name, which metadata tell."""
    return base.digest([path.name, folder.side_digest(path, name)])


def _model(job: Job) -> Path:
    """The model's file."""
    found = job.model or newest_finished(job.runs)
    if found is None:
        raise DataError(f"no finished training in {job.runs}: run `gravurekit train`, or name a run with --model")
    file = found if found.is_file() else found / MODEL
    if not file.is_file():
        raise ModelError(f"no model file at {file}; check the path, or run `gravurekit train` first")
    return file


def _palettes_of(job: Job) -> "list[Asked | None]":
    """A palette for each sample, or None."""
    knobs = job.settings
    if knobs.palette:
        return [_steering.palette(knobs.palette)]
    if knobs.word:
        return [*_steering.as_word(_model(job), knobs.word, knobs.samples, knobs.seed)]
    return [None]


def _known(out: Path) -> dict[str, Record]:
    """What earlier runs coloured, by file name; lines that are torn or no Records are as if not written."""
    found: dict[str, Record] = {}
    for entry in storage.read_json_lines(out / METADATA):
        with suppress(DataError):
            item = records.from_json(json.dumps(entry), str(out / METADATA))
            found[item.file_name] = item
    return found


def _colour_all(
    job: Job, prints: Sequence[Print], palettes: "Sequence[Asked | None]", known: dict[str, Record], watch: Watch
) -> tuple[list[Record], list[Record]]:
    """Records of what is coloured now, also by earlier runs, and of what couldn't be."""
    done: list[Record] = []
    dropped: list[Record] = []
    alike = {name: known[name] for p in prints for name, made in zip(p.names, p.made_from, strict=True)
             if name in known and known[name].made_from == made}  # fmt: skip
    # a kill between the line and the file leaves an older file: only its bytes can tell
    lost = audit.changed_or_missing(job.out, alike.values(), deep=True)
    waiting = [p for p in prints if not _is_there(job, p, alike, lost)]
    done += [alike[name] for p in prints if p not in waiting for name in p.names]
    told: set[str] = set()

    def noted(notes: Sequence[str]) -> None:
        for note in notes:
            if note not in told:
                watch.note(note)
                told.add(note)

    watch.begin("colorize", len(prints))
    watch.advance(len(prints) - len(waiting))
    if waiting or job.save_like:
        colorizer = _loaded(job)
        all_of_it = wanted(job.settings, palettes, _mood(job, colorizer))
        with closing(_each(waiting, colorizer, all_of_it)) as coming:  # ended in the middle, no more are begun
            for each, made in zip(waiting, coming, strict=True):
                if isinstance(made, PictureError):
                    watch.note(f"{each.path} can't be coloured: {made}")
                    key = records.key_of_url(str(each.path))
                    dropped.append(Record(key=key, title=each.path.name, reason=made.reason, detail=made.detail))
                else:
                    _write(job.out, made, known.keys())
                    done += made.items
                    noted(made.notes)
                watch.advance()
    return sorted(done, key=lambda item: item.file_name), dropped


def _each(
    waiting: Sequence[Print], colorizer: "Colorizer", wanted: Wanted
) -> "Generator[Made | PictureError, None, None]":
    """What comes of each print, in their order. Some are coloured at once, in threads: nearly all of it is done in
    libraries that let other threads go on."""
    from gravurekit.colorizer import at_once

    room = Room()

    def tried(each: Print) -> Made | PictureError:
        try:
            return colour(each, colorizer, wanted, room)
        except PictureError as error:
            return error

    return at_once(tried, waiting)


def _write(out: Path, made: Made, known: Collection[str]) -> None:
    """First the lines, then the files: killed in between, the next run still knows whose files they are. What lay
    beside them and was made with other settings, or of another picture, goes, but for what is `known` as a file of
    colours."""
    folder.unseal(out)
    for item in made.items:
        for name in with_it(item.file_name, item.variant is not None) - made.files.keys() - set(known):
            storage.remove(out / name)
        storage.append_line(out / METADATA, item.to_json())
    for name, data in made.files.items():
        storage.write_bytes(out / name, data)


def _is_there(job: Job, each: Print, alike: dict[str, Record], lost: set[str]) -> bool:
    """Whether all that is wanted of a print is there, as it would be made now."""
    beside_it = {name for item in each.names if item in alike for name in _files(alike[item], job.settings)}
    known = all(name in alike and name not in lost for name in each.names)
    return known and all((job.out / name).is_file() for name in beside_it)


def _files(item: Record, settings: Settings) -> list[str]:
    """The files that are wanted of a picture's colours."""
    names = beside(item.file_name)
    sheet = [] if item.variant is None else [sheet_name(item.file_name)]
    return [item.file_name, *(names[kind] for kind in _kinds(settings)), *sheet]


def _kinds(settings: Settings) -> list[str]:
    """What is wanted beside a file of colours."""
    return ([PANEL] if settings.panel else []) + ([INK, WASH, PAPER] if settings.layers else [])


# ---- what the network is told --------------------------------------------------------------------------


def _loaded(job: Job) -> "Colorizer":
    from gravurekit.colorizer import Colorizer

    return Colorizer.load(_model(job), job.settings.device)


def look_of(knobs: Settings) -> "Look":
    """How colours come onto a picture."""
    from gravurekit.colorizer import Look

    return Look(knobs.photo, knobs.feed, knobs.paper, knobs.strength, knobs.saturation, knobs.work_size)


def wanted(knobs: Settings, palettes: "Sequence[Asked | None]", mood: "Mood | None") -> Wanted:
    """What all prints that are coloured with these knobs have in common."""
    from gravurekit.colorizer import Steer

    steer = Steer(None, _steering.hints(knobs.hint), None if mood is None else mood.vector, knobs.like_strength)
    said: dict[str, Any] = {"settings": knobs.model_dump(mode="json", exclude=NOT_SAID)}
    if mood is not None:
        said["like"] = list(mood.of)
    return Wanted(look_of(knobs), palettes, steer, said, knobs.panel, knobs.layers)


def _mood(job: Job, colorizer: "Colorizer") -> "Mood | None":
    """That of --like, which is written if it is to be kept. Raises UsageError for a picture that can't be read, or a
    mood of another model."""
    from gravurekit import moods

    seen = look_of(job.settings)
    mood = _steering.mood(job.like, colorizer.digest, lambda pixels: colorizer.mood(pixels, seen))
    if mood is not None and job.save_like:
        _keep_mood(job.save_like, moods.to_bytes(mood), job.settings.overwrite)
    return mood


def _keep_mood(path: Path, data: bytes, overwrite: bool) -> None:
    """Write a mood's file; one that is there and says something else may be anything, another model say."""
    if path.is_file() and path.read_bytes() == data:
        return
    if path.exists() and not overwrite:
        raise UsageError(f"--save-like {path} is there already, and says something else: --overwrite, or another name")
    storage.write_bytes(path, data)
