"""Baidu's picture search, by the JSON that its own site loads (`acjson`). It knows Chinese best, needs no key, and
tells no licences. It often forbids crawlers; one answer is asked for at a time.

No parameter for safe search is known, so `safe` changes nothing here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from pydantic import Field

from gravurekit import settings
from gravurekit.pace import Pace
from gravurekit.sources import Connection, Terms, _baidu
from gravurekit.web import Web

NEEDS_KEYWORDS = True
TELLS_LICENSES = False
ASKS_A_HOST = True
PACES = {"image.baidu.com": Pace(at_once=1)}


class Settings(settings.Settings):
    """Baidu's own filters; empty means any."""

    type: Literal["", "portrait", "face", "clipart", "linedrawing", "animated", "static"] = Field(
        "", description="The kind of picture."
    )
    color: Literal[
        "", "red", "orange", "yellow", "green", "purple", "pink", "teal", "blue", "brown", "white", "black",
        "blackandwhite",
    ] = Field("", description="The colour that dominates.")  # fmt: skip
    size: str = Field(
        "",
        pattern=r"^(extralarge|large|medium|small|=[0-9]+x[0-9]+)?$",
        description="extralarge, large, medium, small, or =WIDTHxHEIGHT.",
    )


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection to Baidu's answers."""
    filters = {name: value for name, value in settings.model_dump().items() if value}
    yield Connection(lambda query: _baidu.search(query, filters, lambda url: web.get_page("baidu", url)))
