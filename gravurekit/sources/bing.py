"""Bing's picture search, by the pages that its own site loads while one scrolls.

It needs no key, promises nothing, and tells no licences: its licence filter is a guess. `safe` is its "strict".
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from pydantic import Field

from gravurekit import settings
from gravurekit.sources import Connection, Terms, _bing
from gravurekit.web import Web

NEEDS_KEYWORDS = True
TELLS_LICENSES = False
ASKS_A_HOST = True


class Settings(settings.Settings):
    """Bing's own filters; empty means any."""

    type: Literal["", "photo", "clipart", "linedrawing", "transparent", "animated"] = Field(
        "", description="The kind of picture."
    )
    color: Literal[
        "", "color", "blackandwhite", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "white",
        "gray", "black", "brown",
    ] = Field("", description="The colour that dominates.")  # fmt: skip
    size: str = Field(
        "",
        pattern=r"^(large|medium|small|extralarge|>[0-9]+x[0-9]+)?$",
        description="large, medium, small, extralarge, or >WIDTHxHEIGHT.",
    )
    license: Literal[
        "", "creativecommons", "publicdomain", "noncommercial", "commercial", "noncommercial,modify",
        "commercial,modify",
    ] = Field("", description="What Bing believes of the licence; no proof.")  # fmt: skip


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection to Bing's result pages."""
    filters = {name: value for name, value in settings.model_dump().items() if value}
    yield Connection(lambda query: _bing.search(query, filters, lambda url: web.get_page("bing", url), terms.safe))
