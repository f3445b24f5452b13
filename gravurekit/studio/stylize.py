"""The tab Stylize: a picture is dropped in and drawn; sliders for each knob of the style; what pleases is kept as a
preset."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from gravurekit import crafts, reference, storage
from gravurekit.errors import UsageError
from gravurekit.reports._content import below
from gravurekit.settings import layered
from gravurekit.stages import _presets
from gravurekit.stages.stylize import STYLE
from gravurekit.studio import _draw, _opened, knobs
from gravurekit.studio.desk import Desk, Told, body_of, streamed
from gravurekit.studio.refusals import Refusal
from gravurekit.studio.uploads import upload_of

PRESETS = "presets"  # the folder of the workspace in which they are kept
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
OURS = "# Made in the studio: gravurekit stylize --preset "
SIDES = (128, 1024)  # px, of the short side of what is drawn here


class Taken(Refusal):
    """A preset of that name is there already."""

    status = 409


def routes(desk: Desk) -> list[web.RouteDef]:
    """What is answered about styles."""

    async def styles(_: web.Request) -> web.Response:
        return web.json_response({"chosen": STYLE, "styles": _styles(desk.root)})

    async def draw(request: web.Request) -> web.StreamResponse:
        task = _task(desk, await body_of(request))
        return await streamed(request, lambda told: _drawn(desk, task, told))

    async def save(request: web.Request) -> web.Response:
        return web.json_response(_saved(desk.root, await body_of(request)))

    return [web.get("/api/styles", styles), web.post("/api/stylize", draw), web.post("/api/presets", save)]


# ---- styles and their knobs ------------------------------------------------------------------------------


def _styles(root: Path) -> list[dict[str, Any]]:
    """Each style with its controls and presets; of one that can't be drawn here, why."""
    found = []
    for name in crafts.names("styles"):
        style = crafts.load("styles", name)
        told: dict[str, Any] = {"name": name, "help": (style.__doc__ or "").split("\n\n")[0].replace("\n", " ")}
        if hasattr(style, "STARTS_FROM"):
            told["not_here"] = (
                f"{name} takes about a minute a picture, and prints to take after: gravurekit stylize --style {name} "
                "--style-image PRINT"
            )
        else:
            told |= {"knobs": knobs.form(style.Settings), "presets": _known(name, root)}
        found.append(told)
    return found


def _known(style: str, root: Path) -> dict[str, dict[str, Any]]:
    """The presets of a style by name, those of the workspace last, each with all its knobs."""
    found = {name: dict(said) for name, said in _presets.named(style).items()}
    for path in sorted((root / PRESETS).glob("*.toml")):
        if NAME.fullmatch(path.stem) and path.is_file() and root in path.resolve().parents:
            try:
                found[path.stem] = _presets.read(style, str(path))[style]
            except (UsageError, KeyError):  # another style's, or somebody's who is writing it
                continue
    kind = crafts.load("styles", style).Settings
    return {name: layered(kind, f"stylize.{style}", said).model_dump(mode="json") for name, said in found.items()}


# ---- drawing --------------------------------------------------------------------------------------------


def _task(desk: Desk, said: Mapping[str, Any]) -> _draw.Task:
    """What is to be drawn. Raises Gone for a picture that isn't kept, UsageError for what can't be drawn so."""
    upload = upload_of(desk.uploads, said.get("upload"))
    style, own = _wanted(said)
    seed, side = (_whole(said, name, default) for name, default in (("seed", 0), ("side", 512)))
    low, high = SIDES
    if not low <= side <= high:
        raise UsageError(f"the short side of a drawing is {low} to {high} px here")
    if not 0 <= seed < 1 << 53:
        raise UsageError("a seed is a whole number from 0 up")
    picture = _opened.Task(upload.data, upload.sha256, desk.settings.max_pixels * 1_000_000)
    return _draw.Task(picture, style, own, seed, side)


def _wanted(said: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A style, and what all its knobs are set to."""
    style, own = said.get("style", STYLE), said.get("knobs", {})
    if not isinstance(style, str) or not isinstance(own, dict):
        raise UsageError("`style` is a name, `knobs` an object")
    craft = crafts.load("styles", style)
    if hasattr(craft, "STARTS_FROM"):
        raise UsageError(f"{style} isn't drawn in the studio: `gravurekit stylize --style {style}`")
    return style, layered(craft.Settings, f"stylize.{style}", own).model_dump(mode="json")


def _whole(said: Mapping[str, Any], name: str, default: int) -> int:
    value = said.get(name, default)
    if type(value) is not int:
        raise UsageError(f"`{name}` must be a whole number")
    return value


async def _drawn(desk: Desk, task: _draw.Task, told: Told) -> dict[str, Any]:
    done: _draw.Drawn = await desk.line.do(_draw.draw, task, told=told)
    layers = {name: desk.keep(data, "image/jpeg") for name, data in done.layers.items()}
    return {"width": done.width, "height": done.height, "layers": layers}


# ---- presets --------------------------------------------------------------------------------------------


def _saved(root: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """Write a preset file, which `--preset` takes. Raises UsageError for a name that is none, Taken for one that is
    there unless `replace` is said, and it is one of the studio's."""
    name = said.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UsageError("a preset's name has letters, digits, - and _, and begins with a letter or digit")
    style, own = _wanted(said)
    if name in _presets.named(style):
        raise UsageError(f"{style} itself has a preset {name}: take another name")
    path = root / PRESETS / f"{name}.toml"
    if not below(root, PRESETS):
        raise UsageError(f"{PRESETS} is a link out of the workspace: nothing is written there")
    if path.exists() or path.is_symlink():
        ours = path.is_file() and not path.is_symlink() and path.read_bytes().startswith(OURS.encode())
        if not ours:
            raise UsageError(f"{PRESETS}/{path.name} is there already, and isn't the studio's: take another name")
        if said.get("replace") is not True:
            raise Taken(f"there is a preset {name} already")
    place = f"{PRESETS}/{path.name}"
    lines = [f"{OURS}{place}", f"[stylize.{style}]", *(f"{knob} = {reference.literal(own[knob])}" for knob in own)]
    storage.write_text(path, "\n".join(lines) + "\n")
    return {"name": name, "path": place, "command": f"gravurekit stylize --style {style} --preset {place}"}
