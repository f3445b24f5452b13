"""The tab Colorize: a print is dropped in, and coloured by a network of the workspace, with a hand on the brush."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from gravurekit.coloured import INK, PANEL, PAPER, WASH, beside
from gravurekit.errors import UsageError
from gravurekit.receipt import newest_finished
from gravurekit.settings import layered
from gravurekit.stages import _palettes, colorize
from gravurekit.studio import _colour, _opened, knobs
from gravurekit.studio.desk import Desk, Told, body_of, streamed
from gravurekit.studio.refusals import NotFound
from gravurekit.studio.uploads import Upload, upload_of

KNOBS = ("saturation", "strength", "paper", "photo", "like_strength", "feed")  # those with a control
COLOURED = "coloured"
KINDS = (COLOURED, INK, WASH, PAPER, PANEL)
MOST_LIKES = 8


def routes(desk: Desk) -> list[web.RouteDef]:
    """What is answered about colouring."""

    async def offer(_: web.Request) -> web.Response:
        found = models(desk)
        controls = knobs.form(colorize.Settings, KNOBS)
        return web.json_response({"runs": list(found), "knobs": controls, "kinds": KINDS})

    async def about(request: web.Request) -> web.Response:
        model = _model(desk, request.match_info["run"])
        return web.json_response(asdict(await desk.line.everywhere(_colour.about, model)))

    async def colour(request: web.Request) -> web.StreamResponse:
        task, _ = _task(desk, await body_of(request))
        return await streamed(request, lambda told: _shown(desk, task, told))

    async def write(request: web.Request) -> web.StreamResponse:
        task, kind = _task(desk, await body_of(request))
        return await streamed(request, lambda told: _written(desk, task, kind, told))

    return [
        web.get("/api/colorize", offer),
        web.get("/api/colorize/{run}", about),
        web.post("/api/colorize", colour),
        web.post("/api/colorize/file", write),
    ]


# ---- networks -------------------------------------------------------------------------------------------


def models(desk: Desk) -> dict[str, Path]:
    """The models of the workspace by the name of their run, the one that `colorize` would take first."""
    runs = desk.place(desk.paths.runs)
    found = sorted(runs.glob(f"*/{colorize.MODEL}")) if runs.is_dir() else []
    found.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    first = desk.place(desk.paths.model) if desk.paths.model else newest_finished(runs)
    if first is not None:
        found.insert(0, first if first.is_file() else first / colorize.MODEL)
    mine = desk.paths.model and found[:1]  # named in the settings, wherever it lies
    fit = [path for path in found if path.is_file() and (path in (mine or ()) or _lies_here(desk, path))]
    named: dict[str, Path] = {}
    for path in fit:
        named.setdefault(path.parent.name or path.name, path)
    return named


def _lies_here(desk: Desk, model: Path) -> bool:
    """Whether nothing that is read of a run is a link to elsewhere."""
    return desk.allowed(model) and desk.allowed(model.with_name(_palettes.FILE))


def _model(desk: Desk, name: object) -> Path:
    found = models(desk)
    if not found:
        raise NotFound("there is no trained network here: `gravurekit train` makes one")
    if not isinstance(name, str) or name not in found:
        raise NotFound("there is no such run")
    return found[name]


# ---- colouring ------------------------------------------------------------------------------------------


def _task(desk: Desk, said: Mapping[str, Any]) -> tuple[_colour.Task, str]:
    """What is to be coloured, and which of its files is wanted. Raises Gone for a picture that isn't kept, NotFound for
    a run that there isn't, UsageError for what can't be done."""
    upload = upload_of(desk.uploads, said.get("upload"))
    likes, kind = said.get("likes", []), said.get("kind", COLOURED)
    if not isinstance(likes, list) or len(likes) > MOST_LIKES:
        raise UsageError(f"`likes` is a list of at most {MOST_LIKES} pictures")
    if kind not in KINDS:
        raise UsageError(f"`kind` is one of {', '.join(KINDS)}")
    others = [upload_of(desk.uploads, like) for like in likes]
    wanted = _knobs(said) | {"panel": kind == PANEL, "layers": kind in (INK, WASH, PAPER), "device": "auto"}
    settings = layered(colorize.Settings, "colorize", wanted)
    colorize.check_knobs(settings)
    manner = tuple((other.name, _opening(desk, other)) for other in others)
    return _colour.Task(_opening(desk, upload), upload.name, _model(desk, said.get("run")), settings, manner), kind


def _knobs(said: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were said; those that name files or folders can't be."""
    own = said.get("knobs", {})
    if not isinstance(own, dict):
        raise UsageError("`knobs` is an object")
    free = {*KNOBS, "palette", "word", "hint"}
    if strange := own.keys() - free:
        raise UsageError(f"{min(map(str, strange))} can't be set here")
    return dict(own)


def _opening(desk: Desk, upload: Upload) -> _opened.Task:
    return _opened.Task(upload.data, upload.sha256, desk.settings.max_pixels * 1_000_000)


async def _shown(desk: Desk, task: _colour.Task, told: Told) -> dict[str, Any]:
    done: _colour.Shown = await desk.line.do(_colour.show, task, told=told)
    return {"picture": desk.keep(done.jpeg, "image/jpeg"), "classes": done.classes, "notes": done.notes}


async def _written(desk: Desk, task: _colour.Task, kind: str, told: Told) -> dict[str, Any]:
    files: Mapping[str, bytes] = await desk.line.do(_colour.write, task, told=told)
    name = list(files)[-1]
    chosen = name if kind == COLOURED else beside(name)[kind]
    stem = Path(name).stem
    saved = f"{stem}-{kind}.png"
    return {"file": desk.keep(files[chosen], "image/png", saved), "name": saved}
