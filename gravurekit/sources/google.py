"""Google's picture search, by the pages that its site shows. Best effort: it often answers whoever is no browser with a
consent page or a captcha, and changes its layout without notice. Never a default; name it to use it.

It needs no key, and tells no licences: its licence filter is a guess. `safe` is its "active". One page is asked for at
a time, because it takes many for a robot's.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from pydantic import Field

from gravurekit import settings
from gravurekit.pace import Pace
from gravurekit.sources import Connection, Terms, _google
from gravurekit.web import Web

NEEDS_KEYWORDS = True
TELLS_LICENSES = False
ASKS_A_HOST = True
PACES = {"www.google.com": Pace(at_once=1)}


class Settings(settings.Settings):
    """Google's own filters; empty means any."""

    type: Literal["", "photo", "face", "clipart", "linedrawing", "animated"] = Field(
        "", description="The kind of picture."
    )
    color: Literal[
        "", "color", "blackandwhite", "transparent", "red", "orange", "yellow", "green", "teal", "blue", "purple",
        "pink", "white", "gray", "black", "brown",
    ] = Field("", description="The colour that dominates.")  # fmt: skip
    size: str = Field(
        "",
        pattern=r"^(large|medium|icon|>(400x300|640x480|800x600|1024x768|([2468]|1[025]|[247]0)mp)|=[0-9]+x[0-9]+)?$",
        description="large, medium, icon, =WIDTHxHEIGHT, >400x300, >640x480, >800x600, >1024x768, or >2mp to >70mp.",
    )
    license: Literal["", "noncommercial", "commercial", "noncommercial,modify", "commercial,modify"] = Field(
        "", description="What Google believes of the licence; no proof."
    )


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection to Google's result pages."""
    filters = {name: value for name, value in settings.model_dump().items() if value}
    yield Connection(lambda query: _google.search(query, filters, lambda url: web.get_page("google", url), terms.safe))
