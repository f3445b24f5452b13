"""The embedded source: a small picture search engine on this machine, with pictures drawn by code. Needs no network.

It speaks Bing's format, and the code that reads Bing reads it, broken links, copies and all.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from gravurekit import settings
from gravurekit.sample.engine import Engine
from gravurekit.sources import Connection, Result, Terms, _bing
from gravurekit.web import Web, rebased

NEEDS_KEYWORDS = True
TELLS_LICENSES = False
ASKS_A_HOST = False

# The engine's port changes from run to run; in Records its pictures keep this name, which no real host can have.
HOST = "http://sample.invalid"


class Settings(settings.Settings):
    """The sample engine has no knobs."""


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """Starts the engine on a free loopback port for as long as the context lasts."""
    with Engine() as engine:

        async def fetch(url: str) -> bytes:
            return await web.get(rebased(url, engine.address), trusted=True)

        async def search(query: str) -> AsyncIterator[Result]:
            async for item in _bing.search(query, {}, fetch):
                yield replace(item, url=rebased(item.url, HOST), page_url=rebased(item.page_url, HOST))

        yield Connection(search, locate=lambda url: rebased(url, engine.address))
