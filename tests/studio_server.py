"""A real studio on loopback, in the workspace of a test, and a client for it."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from gravurekit import pipeline
from gravurekit.studio import Settings
from gravurekit.studio.server import listening

MARK = {"X-Gravurekit": "studio"}  # what the page sends with whatever changes something


class Client:
    """Asks a studio as its page does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.root = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}"
        self._session = requests.Session()

    def get(self, path: str, **more: Any) -> requests.Response:
        return self._session.get(self.root + path, timeout=60, **more)

    def post(self, path: str, body: Any = None, data: Any = None, headers: Any = None) -> requests.Response:
        own = MARK if headers is None else headers
        return self._session.post(self.root + path, json=body, data=data, headers=own, timeout=120)

    def upload(self, data: bytes, name: str = "picture.png") -> requests.Response:
        return self.post("/api/uploads", data=data, headers=MARK | {"X-Name": quote(name)})

    def work(self, path: str, body: Any) -> list[dict[str, Any]]:
        """The lines that are answered: how many are before one, then what came of it."""
        response = self.post(path, body)
        assert response.status_code == 200, response.text
        return [json.loads(line) for line in response.text.splitlines()]


@contextmanager
def studio(folder: Path, **knobs: Any) -> Iterator[Client]:
    """A studio in `folder`, which has the settings file that lies there. The test works there, too, meanwhile."""
    os.chdir(folder)
    file = folder / "gravurekit.toml"
    wishes = pipeline.Wishes(pipeline.read_wishes(file if file.is_file() else None))
    settings = Settings(**{"port": 0, "jobs": 1} | knobs)
    address: Future[str] = Future()
    ending: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        ending.set_result((asyncio.get_running_loop(), over))
        async with listening(wishes, settings) as (found, _):
            address.set_result(found)
            await over.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if address.done():
                raise
            address.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Client(address.result(30))
    finally:
        loop, over = ending.result(30)
        if thread.is_alive():
            loop.call_soon_threadsafe(over.set)
        thread.join(30)
        assert not thread.is_alive()
