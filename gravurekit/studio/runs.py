"""The tab Runs: the trainings of the workspace, and their curves and panels, also of those that are going on."""

import time
from dataclasses import asdict
from typing import Any

from aiohttp import web

from gravurekit.studio._pace import Pace
from gravurekit.studio._run_page import Drawn, draw, panel
from gravurekit.studio._trainings import Glance, Known, Seen, look_over
from gravurekit.studio.desk import Desk
from gravurekit.studio.refusals import NotFound

LEAST = 3.0  # seconds until the page asks again
GLANCE = 0.5  # seconds for which the list of the trainings isn't made anew
FOR_EVER = "private, max-age=31536000, immutable"  # a panel, whose address says when it was made


class Trainings:
    """What the tab knows of the trainings."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._folder = desk.place(desk.paths.runs)
        self._seen: Pace[Seen] = Pace(lambda seen: seen.seconds, GLANCE)
        self._drawn: Pace[Drawn] = Pace(lambda drawn: drawn.seconds, LEAST)
        self._known: dict[str, Known] = {}

    async def all(self) -> tuple[dict[str, Known], float]:
        """The trainings by name, and the seconds until one may ask again."""
        seen, rest = await self._seen.get("", self._look)
        return dict(seen.known), max(LEAST, rest)

    async def one(self, name: str) -> tuple[Drawn, float]:
        """A training as it is shown, and the seconds until one may ask again. Raises NotFound."""
        known = await self.known(name)
        path = self._folder / name
        drawn, rest = await self._drawn.get(
            name,
            lambda: self._desk.line.do(draw, path, quick=True),
            lambda drawn: drawn.signature == known.signature,
        )
        return drawn, max(LEAST, rest)

    async def known(self, name: str) -> Known:
        """A training by its name, which must be one of those that are listed. Raises NotFound."""
        found, _ = await self.all()
        if name not in found:
            raise NotFound("there is no such training")
        return found[name]

    async def panel(self, name: str, step: int) -> bytes:
        """A panel sheet, a JPEG. Raises NotFound, and PictureError if it can't be shown."""
        await self.known(name)
        found = await self._desk.line.do(panel, (self._folder / name, step), quick=True)
        return bytes(found.jpeg)

    async def _look(self) -> Seen:
        seen: Seen = await self._desk.line.do(look_over, Glance(self._folder, self._known), quick=True)
        self._known = dict(seen.known)
        return seen


def routes(desk: Desk) -> list[web.RouteDef]:
    """What is answered about trainings."""
    trainings = Trainings(desk)

    async def listed(_: web.Request) -> web.Response:
        found, again = await trainings.all()
        rows = [asdict(known.training) | {"signature": known.signature} for known in found.values()]
        return web.json_response({"runs": rows, "folder": desk.paths.runs, "now": time.time(), "again": again})

    async def shown(request: web.Request) -> web.Response:
        drawn, again = await trainings.one(request.match_info["name"])
        if request.query.get("since") == drawn.signature:
            return web.json_response({"same": True, "again": again})
        return web.json_response(_told(drawn) | {"again": again})

    async def sheet(request: web.Request) -> web.Response:
        jpeg = await trainings.panel(request.match_info["name"], int(request.match_info["step"]))
        headers = {"Cache-Control": FOR_EVER} if request.query.get("made") else {}
        return web.Response(body=jpeg, content_type="image/jpeg", headers=headers)

    return [
        web.get("/api/runs", listed),
        web.get("/api/runs/{name}", shown),
        web.get("/api/runs/{name}/panels/{step:[0-9]{1,15}}", sheet),
    ]


def _told(drawn: Drawn) -> dict[str, Any]:
    return {name: value for name, value in asdict(drawn).items() if name != "seconds"}
