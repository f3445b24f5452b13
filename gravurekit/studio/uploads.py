"""Pictures that people drop in: read up to a bound, proven by the guarded decoder in a process that may die of them."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from gravurekit.studio import _opened
from gravurekit.studio.desk import Desk
from gravurekit.studio.refusals import Late, TooLarge
from gravurekit.studio.shelf import Kept, Shelf
from gravurekit.words import clean, short

PATIENCE, STALL = 120.0, 10.0  # seconds for a file to arrive, and for its next bytes: others wait for it
AT_ONCE = 4  # files that arrive, or are opened, at a time; others wait
NAME = 80  # characters


@dataclass(frozen=True)
class Upload:
    """A picture that was dropped in: its name, bytes and their sha256 (hex)."""

    name: str
    data: bytes = field(repr=False)
    sha256: str


def routes(desk: Desk) -> list[web.RouteDef]:
    """What is answered about dropped pictures, and what was made of them."""
    arriving = asyncio.Semaphore(AT_ONCE)

    async def take(request: web.Request) -> web.Response:
        async with arriving:
            data = await _read(request, desk.settings.max_upload * 1_000_000)
            said = await _taken(desk, data, _named(request.headers.get("X-Name", "")))
        return web.json_response(said)

    async def give(request: web.Request) -> web.Response:
        kept = desk.results.get(request.match_info["name"])
        headers = {"Cache-Control": "private, max-age=3600, immutable"}
        if kept.name:
            headers["Content-Disposition"] = _attachment(kept.name)
        return web.Response(body=kept.data, content_type=kept.kind, headers=headers)

    return [web.post("/api/uploads", take), web.get("/results/{name}", give)]


async def _taken(desk: Desk, data: bytes, name: str) -> dict[str, Any]:
    """Have a picture proven, and keep it. Raises PictureError."""
    sha256 = hashlib.sha256(data).hexdigest()
    most = desk.settings.max_pixels * 1_000_000
    seen: _opened.Seen = await desk.line.do(_opened.see, _opened.Task(data, sha256, most), quick=True)
    desk.uploads.put(Kept(data, name=name), sha256)
    preview = desk.keep(seen.preview, "image/jpeg")
    return {"id": sha256, "name": name, "width": seen.width, "height": seen.height, "preview": preview}


async def _read(request: web.Request, most: int) -> bytes:
    """The bytes that are sent. Raises TooLarge as soon as that is known."""
    refusal = TooLarge(f"files of more than {most // 1_000_000} MB aren't taken here: `gravurekit colorize` takes them")
    if (request.content_length or 0) > most:
        raise refusal
    found = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            while piece := await asyncio.wait_for(request.content.readany(), STALL):
                found += piece
                if len(found) > most:
                    raise refusal
    except TimeoutError:
        raise Late("this file arrives too slowly: try again") from None
    return bytes(found)


def upload_of(uploads: Shelf, name: object) -> Upload:
    """The picture that was dropped in under this id. Raises Gone."""
    sha256 = name if isinstance(name, str) else ""
    kept = uploads.get(sha256)
    return Upload(kept.name, kept.data, sha256)


def _named(said: str) -> str:
    """What a file is called, without the folders that it is said to lie in; only ever shown, or offered for saving."""
    last = unquote(said).replace("\\", "/").rsplit("/", 1)[-1]
    return short(" ".join(clean(last).split()).strip(". "), NAME) or "picture"


def _attachment(name: str) -> str:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name)
    return f'attachment; filename="{plain}"'
