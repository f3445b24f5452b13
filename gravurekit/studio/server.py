"""The studio's server: which address is answered by whom, from the first request to Ctrl-C."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import cv2  # noqa: F401 (it changes sys.path meanwhile, which a process that is spawned just then would inherit)
from aiohttp import http, web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gravurekit import executor, reports
from gravurekit.errors import UsageError
from gravurekit.pipeline import Wishes
from gravurekit.stages.stylize import STYLE
from gravurekit.studio import Settings, _draw, colorize, guard, review, runs, stylize, uploads
from gravurekit.studio.desk import Desk
from gravurekit.studio.guard import Guard, is_loopback
from gravurekit.studio.line import Line
from gravurekit.studio.refusals import NotFound
from gravurekit.studio.shelf import Shelf
from gravurekit.workers import Limits

PAGE = Path(__file__).with_name("page")
LOOKS = Path(reports.__file__).with_name("page") / "page.css"  # of the reports' pages
UPLOADS, RESULTS = 256_000_000, 256_000_000  # bytes that are kept
EVERYWHERE = ("0.0.0.0", "::")  # addresses of no machine: all that this one has
LINGERING = 2.0  # seconds for which the rest of a body that is refused is thrown away, so that a browser hears why
FAREWELL = 0.5  # seconds that Ctrl-C leaves to answers on their way
MOST_SAID = 1 << 20  # bytes of JSON in a request
KINDS = {".css": "text/css", ".js": "text/javascript"}
TABS = (review, stylize, colorize, runs, uploads)


def run(wishes: Wishes, settings: Settings, ready: Callable[[str], None]) -> None:
    """Answer until Ctrl-C, which is the way to end it. Raises UsageError for an address that can't be listened at."""

    async def until_the_end() -> None:
        async with listening(wishes, settings) as (address, line):
            ready(address)
            await line.everywhere(_draw.warm_up, STYLE)  # else the first picture would wait for it
            await asyncio.Event().wait()

    try:
        asyncio.run(until_the_end())
    except KeyboardInterrupt:
        return


@asynccontextmanager
async def listening(wishes: Wishes, settings: Settings) -> AsyncIterator[tuple[str, Line]]:
    """A studio that answers meanwhile, in the workspace that is the current folder: the address of its page, and who
    does its work."""
    token = secrets.token_urlsafe(24) if settings.token or not is_loopback(settings.host) else ""
    line = Line(settings.jobs or executor.cores(), Limits(settings.time_limit, settings.memory_limit), settings.waiting)
    desk = Desk(Path.cwd().resolve(), wishes, settings, line, Shelf(UPLOADS), Shelf(RESULTS))
    runner = web.AppRunner(
        application(desk, Guard(token)),
        handler_cancellation=True,
        access_log=None,
        logger=_log(),
        lingering_time=LINGERING,
        shutdown_timeout=FAREWELL,
    )
    try:
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except (OSError, OverflowError, UnicodeError) as error:
            said = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            if isinstance(error, socket.gaierror | UnicodeError):
                said = "there is no such name"
            raise UsageError(
                f"can't listen at {settings.host}, port {settings.port} ({said}): name another --port (0: a free one), "
                "or another --host"
            ) from None
        yield _address(runner, settings.host, token), line
    finally:
        await runner.cleanup()
        await line.close()


def _log() -> logging.Logger:
    """For faults of ours. Whoever sends what is no HTTP is told so, and the terminal isn't; nor is it of
    those who go away."""
    log = logging.getLogger(__name__)
    log.addFilter(_is_ours)
    return log


def _is_ours(said: logging.LogRecord) -> bool:
    theirs = http.HttpProcessingError | web.RequestPayloadError | ConnectionResetError
    return not (said.exc_info and isinstance(said.exc_info[1], theirs))


def application(desk: Desk, keeper: Guard) -> web.Application:
    """The application of aiohttp."""
    app = web.Application(middlewares=[guard.middleware(keeper)], client_max_size=MOST_SAID)
    app.on_response_prepare.append(guard.sign)
    page = _page(desk)

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    app.add_routes([web.get("/", show), web.get("/static/{name}", _static)])
    for tab in TABS:
        app.add_routes(tab.routes(desk))
    return app


def _page(desk: Desk) -> str:
    """The page: all tabs, of which one is shown."""
    room = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return room.get_template("index.html").render(
        workspace=desk.root.name, upload=desk.settings.max_upload, pixels=desk.settings.max_pixels
    )


async def _static(request: web.Request) -> web.Response:
    """A file of the page; its name is looked up, never made a path of."""
    files = {path.name: path for path in PAGE.iterdir() if path.suffix in KINDS} | {LOOKS.name: LOOKS}
    found = files.get(request.match_info["name"])
    if found is None:
        raise NotFound("there is no such file")
    return web.Response(
        text=found.read_text("utf-8"), content_type=KINDS[found.suffix], headers={"Cache-Control": "no-cache"}
    )


def _address(runner: web.AppRunner, host: str, token: str) -> str:
    port = runner.addresses[0][1]
    host = socket.gethostname() if host in EVERYWHERE else host
    name = f"[{host}]" if ":" in host else host
    said = f"?{urlencode({'token': token})}" if token else ""
    return f"http://{name}:{port}/{said}"
