"""colorize: prints → coloured/. Lays a colour wash under the ink of real engravings, at any size."""

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gravurekit import audit, folder, metadata, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import DataError, ModelError, PictureError, UsageError
from gravurekit.fed import Place, on_sheet, redrawn
from gravurekit.folder import State, Summary
from gravurekit.metadata import METADATA
from gravurekit.progress import Watch
from gravurekit.receipt import RECORDS, Plan, newest_finished
from gravurekit.record import Record

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.model.predictor import Prediction, Predictor

REVISION = 3
MODEL = "model.safetensors"


class Settings(base.Settings):
    """How the network's colours come onto the picture."""

    photo: bool = Field(False, description="The picture is a photograph: keep its lightness, add colour to it.")
    feed: Literal["style", "tone"] = Field(
        "style", description="What the network sees of a print: lines drawn anew in the training style, or its tone."
    )
    saturation: float = Field(1.0, ge=0, le=10, description="Factor on the chroma that the network gives.")
    work_size: int = Field(0, ge=0, le=4096, description="Long side that the network sees, px; 0: as it was trained.")
    panel: bool = Field(False, description="Also write a panel: original | L | result.")
    overwrite: bool = Field(False, description="Replace a file of the same name that isn't the same picture's.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the network runs.")


@dataclass(frozen=True)
class Job:
    """What is to be coloured: `prints` (pictures, or folders of them), with `model` (a run's folder), or the newest
    finished run below `runs`."""

    prints: Sequence[Path]
    out: Path
    model: Path | None
    runs: Path
    settings: Settings


@dataclass(frozen=True)
class _Print:
    """A picture to colour; the name of what comes of it; and the digest of all that decides that."""

    path: Path
    sha256: str
    name: str
    made_from: str


def check(job: Job) -> None:
    """Raises UsageError if there is nothing to colour, or for an output folder of others."""
    if not job.prints:
        raise UsageError("name a picture or a folder of pictures to colour")
    for path in job.prints:
        if not path.exists():
            raise UsageError(f"{path}: no such picture or folder")
    folder.check_places(job.out, "colorize")


def look(job: Job) -> State:
    """Whether exactly these prints are coloured already. Raises as `run` does."""
    pictures = _expand(job.prints)
    state = folder.look(job.out, _plan(job, pictures))
    if state.done:
        missing = [name for name in state.done.facts["files"] if not (job.out / name).is_file()]
        return State(None, (f"{job.out / missing[0]} is missing",)) if missing else state
    return state


def run(job: Job, watch: Watch) -> Summary:
    """Colour. The output folder only grows; what is in it of the very same print, model and settings is kept.

    Raises UsageError for a print that isn't there or an output that would be overwritten, ModelError for a model that
    can't be used, DataError if there is no run or no print could be read.
    """
    began = time.monotonic()
    check(job)
    state = look(job)
    if state.done:
        return state.done
    pictures = _expand(job.prints)
    plan = _plan(job, pictures)
    with folder.opened(job.out, "colorize", state.reasons, watch):
        known = _known(job.out)
        prints = _named(job, pictures, known, plan)
        done, dropped = _colour_all(job, prints, known, watch)
        if not done:
            first = f"{dropped[0].title}: {dropped[0].detail}"
            raise DataError(f"none of {len(prints)} pictures could be coloured ({first})")
        known |= {item.file_name: item for item in done}
        metadata.write_lines(job.out / METADATA, (known[name] for name in sorted(known)))
        metadata.write_lines(job.out / metadata.DROPPED, dropped)
        files = [file for item in done for file in _files(item, job.settings)]
        outputs = (METADATA, metadata.DROPPED)
        return folder.seal(
            job.out, plan, len(done), dropped, outputs, time.monotonic() - began, {"files": files}
        )  # fmt: skip


def _expand(prints: Sequence[Path]) -> dict[Path, str]:
    """The pictures, with the sha256 of each."""
    found: list[Path] = []
    for path in prints:
        if path.is_dir():
            found += [path / item.file_name for item in folder.read(path)]
        else:
            found.append(path)
    try:
        return {path: metadata.file_sha256(path) for path in found}
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None


def _plan(job: Job, pictures: dict[Path, str]) -> Plan:
    knobs = job.settings.model_dump(mode="json", exclude={"device", "overwrite"})
    listed = base.digest([[path.name, sha256] for path, sha256 in pictures.items()])
    model = folder.side_digest(_model(job) / MODEL, "model")
    return Plan(stage="colorize", revision=REVISION, settings=knobs, inputs={RECORDS: listed, "model": model})


def _model(job: Job) -> Path:
    found = job.model or newest_finished(job.runs)
    if found is None:
        raise DataError(f"no finished training in {job.runs}: run `gravurekit train`, or name a run with --model")
    if not (found / MODEL).is_file():
        raise ModelError(f"no model file at {found / MODEL}; check the path, or run `gravurekit train` first")
    return found


def _known(out: Path) -> dict[str, Record]:
    """What earlier runs coloured, by file name; lines that are torn or no Records are as if not written."""
    found: dict[str, Record] = {}
    for entry in storage.read_json_lines(out / METADATA):
        with suppress(DataError):
            item = records.from_json(json.dumps(entry), str(out / METADATA))
            found[item.file_name] = item
    return found


def _named(job: Job, pictures: dict[Path, str], known: dict[str, Record], plan: Plan) -> list[_Print]:
    """A file name for each picture, after its own; two of one name, or of a panel's, are told apart by a number."""
    prints: list[_Print] = []
    taken: set[str] = set()
    for path, sha256 in pictures.items():
        number = 1
        while {name := _numbered(path.stem, number), _panel_name(name)} & taken:
            number += 1
        same = name in known and known[name].key == records.key_of(sha256)
        if (job.out / name).exists() and not same and not job.settings.overwrite:
            there = f"{job.out / name} is there already, and not known to be of this picture"
            raise UsageError(f"{there}: --overwrite, or another --out")
        prints.append(_Print(path, sha256, name, plan.digest_for(sha256)))
        taken |= {name, _panel_name(name)}
    return prints


def _numbered(stem: str, number: int) -> str:
    return f"{stem}.png" if number == 1 else f"{stem}-{number}.png"


def _colour_all(
    job: Job, prints: Sequence[_Print], known: dict[str, Record], watch: Watch
) -> tuple[list[Record], list[Record]]:
    """Records of what is coloured now, also by earlier runs, and of what couldn't be."""
    from gravurekit.model.predictor import Predictor

    done, dropped = [], []
    alike = {p.name: known[p.name] for p in prints if p.name in known and known[p.name].made_from == p.made_from}
    # a kill between the line and the file leaves an older file: only its bytes can tell
    lost = audit.changed_or_missing(job.out, alike.values(), deep=True)
    waiting = [p for p in prints if p.name not in alike or not _is_there(job, p.name, lost)]
    done += [alike[p.name] for p in prints if p not in waiting]
    watch.begin("colorize", len(prints))
    watch.advance(len(done))
    if waiting:
        predictor = Predictor.load(_model(job), job.settings.device)
    for each in waiting:
        try:
            done.append(_colour(each, job, predictor))
        except PictureError as error:
            watch.note(f"{each.path} can't be coloured: {error}")
            key = records.key_of_url(str(each.path))
            dropped.append(Record(key=key, title=each.path.name, reason=error.reason, detail=error.detail))
        watch.advance()
    return sorted(done, key=lambda item: item.file_name), dropped


def _is_there(job: Job, name: str, lost: set[str]) -> bool:
    panel = not job.settings.panel or (job.out / _panel_name(name)).is_file()
    return name not in lost and panel


def _files(item: Record, settings: Settings) -> list[str]:
    return [item.file_name, _panel_name(item.file_name)] if settings.panel else [item.file_name]


def _colour(each: _Print, job: Job, predictor: "Predictor") -> Record:
    import numpy as np

    from gravurekit import images, paper, tint

    settings = job.settings
    pixels = images.read(each.path).pixels
    if settings.photo:
        fed = tint.photo_lightness(pixels)
        prediction, place = _predict(fed, predictor, settings)
        height, width = fed.shape
        ab = np.ascontiguousarray(prediction.ab[place]) * np.float32(settings.saturation)
        coloured = tint.on_photo(pixels, images.resize(ab, width, height))
    else:
        apart = paper.apart(pixels)
        style = predictor.about.get("style") if settings.feed == "style" else None
        fed = tint.grey_lightness(redrawn(apart.grey, style))
        prediction, place = _predict(fed, predictor, settings)
        lightness = None if prediction.lightness is None else prediction.lightness[place]
        wash = tint.wash(prediction.ab[place], lightness, apart, saturation=settings.saturation)
        coloured = tint.composed(pixels, apart, wash)
    data = images.encode_png(coloured)
    item = Record(
        key=records.key_of(each.sha256),
        file_name=each.name,
        sha256=hashlib.sha256(data).hexdigest(),
        width=pixels.shape[1],
        height=pixels.shape[0],
        title=each.path.name,
        made_from=each.made_from,
        scores={f"class {label}": round(odds, 4) for label, odds in prediction.classes[:3]},
    )
    # first the line, then the file: killed in between, the next run still knows whose file it is
    storage.append_line(job.out / METADATA, item.to_json())
    storage.write_bytes(job.out / each.name, data)
    if settings.panel:
        storage.write_bytes(job.out / _panel_name(each.name), images.encode_png(tint.panel(pixels, fed, coloured)))
    return item


def _predict(L: "np.ndarray", predictor: "Predictor", settings: Settings) -> "tuple[Prediction, Place]":
    """What the network says of (H, W) L, and where in that the picture lies. It sees the picture as in training: in the
    middle of a white sheet of the samples' shape."""
    sheet, place = on_sheet(L, *_sheet(predictor.trained_size, settings.work_size))
    return predictor.predict(sheet), place


def _sheet(trained: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Width and height of what the network sees: as it was trained, or of the same shape with that `long_side`."""
    scale = long_side / max(trained) if long_side else 1.0
    return max(1, round(trained[0] * scale)), max(1, round(trained[1] * scale))


def _panel_name(name: str) -> str:
    return f"{Path(name).stem}-panel.png"
