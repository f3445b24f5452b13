"""The desk: what the handlers of all tabs have in common."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from aiohttp import web

from gravurekit import storage
from gravurekit.errors import GravurekitError, UsageError
from gravurekit.pipeline import Paths, Wishes
from gravurekit.studio import Settings, guard
from gravurekit.studio.line import Line
from gravurekit.studio.shelf import Kept, Shelf

Told = Callable[[int], None]  # hears how many are before one


@dataclass(frozen=True)
class Desk:
    """`root`: the workspace, resolved; `uploads`: pictures that were dropped in, by their sha256; `results`: what was
    made of them."""

    root: Path
    wishes: Wishes
    settings: Settings
    line: Line
    uploads: Shelf
    results: Shelf

    @property
    def paths(self) -> Paths:
        """The table [paths]."""
        found: Paths = self.wishes.settings("paths")
        return found

    def place(self, name: str) -> Path:
        """A folder, or a file, that the settings name."""
        return self.root / storage.place(name)  # an absolute one stays what it is

    def allowed(self, path: Path) -> bool:
        """Whether a path truly lies in the workspace, or in a folder that the settings name: whoever wrote those may
        look there."""
        real = _real(path)
        return real is not None and any(real == root or root in real.parents for root in self._roots)

    @cached_property
    def _roots(self) -> list[Path]:
        """Once: of a folder on an object store its listing is fetched."""
        named = (self.paths.raw, self.paths.clean, self.paths.styled, self.paths.runs)
        return [self.root, *(root for name in named if name and (root := self._root_of(name)))]

    def _root_of(self, name: str) -> Path | None:
        """None for a folder that can't be had, as one on a store that doesn't answer."""
        try:
            return _real(self.place(name))
        except GravurekitError:
            return None

    def keep(self, data: bytes, kind: str, name: str = "") -> str:
        """Keep what was made for a while; its address."""
        return f"/results/{self.results.put(Kept(data, kind, name))}"


def _real(path: Path) -> Path | None:
    """Where a path leads; None if that is nowhere."""
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL in it; links that go in circles
        return None


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises UsageError for anything else."""
    try:
        said = json.loads(await request.read())  # whatever charset it says to have
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise UsageError("a JSON object is expected")
    return said


async def streamed(request: web.Request, work: Callable[[Told], Awaitable[dict[str, Any]]]) -> web.StreamResponse:
    """Answer as JSON, a line each: {"ahead": 3} while others are before this one, then {"done": …} or {"error": …}."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    places: asyncio.Queue[int] = asyncio.Queue()
    working = asyncio.ensure_future(work(places.put_nowait))
    place = asyncio.ensure_future(places.get())
    try:
        while not working.done():
            await asyncio.wait({working, place}, return_when=asyncio.FIRST_COMPLETED)
            if place.done():
                ahead, place = place.result(), asyncio.ensure_future(places.get())
                await _put(response, {"ahead": ahead})
        await _put(response, {"done": await working})
    except ConnectionError:  # whoever asked went away
        raise
    except Exception as error:  # noqa: BLE001 (it is the asker's, who gets it)
        said, status = guard.explained(error)
        await _put(response, {"error": said, "status": status})
    finally:
        working.cancel()  # whoever asked went away
        place.cancel()
    return response


async def _put(response: web.StreamResponse, value: Any) -> None:
    await response.write(json.dumps(value).encode() + b"\n")
