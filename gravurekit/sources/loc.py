"""The Library of Congress: photographs, prints and drawings, through the JSON of https://www.loc.gov/photos/. It holds
the albums of Abdul Hamid II, for one.

Needs no key. More than 20 requests a minute end in a captcha for an hour, so there are 18; its robot guard may ask the
first request for one already. What it says of rights is said of each item, in words. It has no safe-search parameter.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import Field

from gravurekit import licenses, settings
from gravurekit.errors import Blocked, FetchError, UnknownLayout
from gravurekit.pace import Pace
from gravurekit.sources import Connection, Result, Terms
from gravurekit.sources._text import at, link, parsed, plain
from gravurekit.web import Web

NEEDS_KEYWORDS = True
TELLS_LICENSES = True
ASKS_A_HOST = True
PACES = {"www.loc.gov": Pace(at_once=1, per_second=0.3), "tile.loc.gov": Pace(at_once=2, per_second=2)}

ADDRESS = "https://www.loc.gov/photos/"
PER_PAGE = 100
MANY = 5  # results, of which one at least has a word on its picture
MAX_CREATORS = 10
MAX_WORDS = 1000  # of what is said of an item's rights
MAX_LOOK = 100_000  # bytes of an answer that are looked through for a captcha
MAX_PAGES = 1000  # the Library shows the first 100,000 items of a search
REFUSALS = {"http-401", "http-403", "http-429"}
CHANGED = "its API has changed, so leave this source out until gravurekit knows the change"
NO_PICTURES = {"collection", "web page", "archived web site"}
NOTHING = re.compile(rb'^\s*\{.*("status"\s*:\s*404\b|"results"\s*:\s*(null|\[\s*\]))', re.DOTALL)
CAPTCHA = re.compile(
    rb"^\s*<.*(captcha|just a moment|cf[-_](chl|challenge)|challenges\.cloudflare|verify you are)",
    re.DOTALL | re.IGNORECASE,
)
# "No known restrictions. For information see …": where more is said takes nothing back, unless it does
POINTER = re.compile(r"[.;,]? *for (general |more |further )?(rights )?information,? see\b.*", re.IGNORECASE)
DOUBT = re.compile(r"\b(restricted|not evaluated|permission|copyrighted|in copyright|protected)\b", re.IGNORECASE)

Fetch = Callable[[str], Awaitable[bytes]]


class Settings(settings.Settings):
    """What is asked of the Library of Congress."""

    side: int = Field(
        1024, ge=1, description="The smallest copy whose longer side has this many pixels is taken, or the largest."
    )
    collection: str = Field(
        "", description='Only items that are part of this, like "abdul hamid ii collection", as the Library names it.'
    )
    date_begin: int = Field(0, ge=0, le=9999, description="Made in this year or later; 0: any.")
    date_end: int = Field(0, ge=0, le=9999, description="Made in this year or earlier; 0: any.")


@dataclass(frozen=True)
class Page:
    """One answer: its items by their ids, and whether another follows."""

    items: dict[str, dict[str, Any]]
    more: bool


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection to the Library's search for photographs, prints and drawings."""
    yield Connection(lambda query: search(query, settings, lambda url: web.get_page("loc", url)))


async def search(query: str, settings: Settings, fetch: Fetch) -> AsyncIterator[Result]:
    """The pictures that a query finds, best first; `fetch` gives the bytes of an answer. Raises Blocked, UnknownLayout,
    FetchError."""
    seen: set[str] = set()
    given: set[str] = set()
    for number in range(1, MAX_PAGES + 1):
        page = await _page(address(query, settings, number), fetch)
        fresh = [item for name, item in page.items.items() if name not in seen]
        seen |= page.items.keys()
        for item in results(fresh, settings):
            if item.url not in given:
                given.add(item.url)
                yield item
        if not fresh or not page.more:
            return


async def _page(url: str, fetch: Fetch) -> Page:
    try:
        return read_page(await fetch(url))
    except FetchError as error:
        if error.reason in REFUSALS or CAPTCHA.search(error.body):
            raise _blocked(error.detail) from None
        if error.reason == "http-404":
            if NOTHING.search(error.body):
                return Page({}, False)
            raise UnknownLayout(f"loc: no search where there was one ({error.detail}): {CHANGED}") from None
        raise


def _blocked(detail: str) -> Blocked:
    advice = "run the same command again in an hour, or leave this source out"
    return Blocked(f"loc: the Library of Congress takes us for a robot ({detail}): {advice}")


def address(query: str, settings: Settings, number: int) -> str:
    """The URL of a page of results, of which the first is 1."""
    facets = ["online-format:image"]
    if settings.collection:
        facets.append(f"partof:{settings.collection.lower().replace('|', ' ')}")
    asked = {"q": query, "fa": "|".join(facets), "fo": "json", "at": "results,pagination"}
    asked |= {"c": str(PER_PAGE), "sp": str(number)}
    if settings.date_begin or settings.date_end:
        asked["dates"] = f"{settings.date_begin:04}/{settings.date_end or 9999:04}"
    return f"{ADDRESS}?{urlencode(asked, quote_via=quote, errors='replace')}"


def read_page(page: bytes) -> Page:
    """One answer. Raises Blocked if it is a captcha, UnknownLayout if it isn't a page of results."""
    if CAPTCHA.search(page[:MAX_LOOK]):
        raise _blocked("a captcha instead of results")
    data = parsed("loc", page)
    if at(data, "status") == 404:
        return Page({}, False)
    data = data if at(data, "results") is not None else at(data, "content")
    listed = at(data, "results")
    if not isinstance(listed, list):
        raise UnknownLayout(f"loc: an answer without results: {CHANGED}")
    items = {_name(item): item for item in listed if _name(item)}
    if listed and not items:
        raise UnknownLayout(f"loc: results without ids: {CHANGED}")
    if len(items) >= MANY and not any("image_url" in item for item in items.values()):
        raise UnknownLayout(f"loc: results that don't speak of pictures: {CHANGED}")
    pages = at(data, "pagination")
    return Page(items, not isinstance(pages, dict) or "next" not in pages or bool(pages["next"]))


def _name(item: object) -> str:
    return plain(at(item, "id")) or plain(at(item, "url"))


def results(items: Iterable[dict[str, Any]], settings: Settings) -> Iterator[Result]:
    """The pictures among items: not every item has one, and some may be seen in the reading room only."""
    for item in items:
        formats = {text.lower() for text in _texts(at(item, "original_format"))}
        url = "" if formats & NO_PICTURES or at(item, "access_restricted") is True else _picture(item, settings.side)
        if not url:
            continue
        license = rights(item)
        yield Result(
            url=url,
            page_url=link(at(item, "url")) or link(at(item, "item", "link")) or link(at(item, "id")),
            title=plain(at(item, "title")) or plain(at(item, "item", "title")),
            creator="; ".join(_creators(item)),
            license=license.name,
            license_url=license.url,
        )


def _picture(item: dict[str, Any], side: int) -> str:
    """The address of the copy that is wanted. Copies come in growing sizes, which most tell behind a "#"."""
    copies = []
    for said in _list(at(item, "image_url")):
        url = link(said)
        if url and "/static/" not in url and not url.endswith(".svg"):  # icons that stand for a missing picture
            copies.append((_side(str(said)), url))
    enough = [copy for copy in copies if copy[0] >= side]
    return min(enough, key=lambda copy: copy[0])[1] if enough else copies[-1][1] if copies else ""


def _side(url: str) -> int:
    return max((int(number) for number in re.findall(r"[#&][hw]=([0-9]{1,6})\b", url)), default=0)


def _creators(item: dict[str, Any]) -> list[str]:
    creators = [at(creator, "title") for creator in _list(at(item, "item", "creators"))]
    for said in (creators, at(item, "item", "contributors"), at(item, "contributor")):
        if names := _texts(said):
            return names[:MAX_CREATORS]
    return []


def rights(item: dict[str, Any]) -> licenses.License:
    """What is said of an item's rights. Where it says several things, they must come to the same."""
    for fields in (("rights_advisory", "rights_information"), ("rights",)):
        said = [text for field in fields for place in (at(item, "item"), item) for text in _texts(at(place, field))]
        read = {licenses.read(text if DOUBT.search(text) else POINTER.sub("", text) or text) for text in said}
        if len(read) == 1:
            license = read.pop()
            return licenses.License(license.name[:MAX_WORDS], license.url)
        if read:
            return licenses.License(" ".join(dict.fromkeys(said))[:MAX_WORDS])
    return licenses.License()


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _texts(value: object) -> list[str]:
    """The texts in a value that may be one, a list of them, or something else."""
    return [text for text in map(plain, _list(value)) if text]
