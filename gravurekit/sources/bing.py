"""Bing's picture search."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import Field

from gravurekit import settings
from gravurekit.sources import Search, _bing
from gravurekit.web import Web

NEEDS_KEYWORDS = True


class Settings(settings.Settings):
    """Bing's own filters; empty means any."""

    type: str = Field("", description="photo, clipart, linedrawing, transparent or animated.")
    color: str = Field("", description="color, blackandwhite, or a colour's name.")
    size: str = Field("", description="large, medium, small, extralarge, or >WIDTHxHEIGHT.")
    license: str = Field("", description="creativecommons, publicdomain, noncommercial, commercial.")


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web) -> AsyncIterator[Search]:
    """A Search over Bing's result pages."""
    filters = {name: value for name, value in settings.model_dump().items() if value}
    yield lambda query: _bing.search(query, filters, lambda url: web.get_page("bing", url))
