"""Wikimedia Commons, through the MediaWiki API of https://commons.wikimedia.org/w/api.php.

Needs no key, but Wikimedia wants to know who asks: without `--contact` it may refuse (403, 429). Requests go one after
the other, pictures come at most two at once and in a width that is ready there (others are refused). It has no
safe-search parameter; with safe search on, only files that it marks as sexually explicit under US law (2257) are left
out. The licence in words, as its page shows it, is the authority: Commons' structured data may say something else, so
the query doesn't narrow by licence.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal
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
PACES = {"commons.wikimedia.org": Pace(at_once=1), "upload.wikimedia.org": Pace(at_once=2)}

ADDRESS = "https://commons.wikimedia.org/w/api.php"
WINDOW = 10_000  # results of one search that the API gives
MANY = 5  # results that can't all have lost their files
MAX_PARTS = 50  # answers that one batch may be spread over
CHANGED = "its API has changed, so leave this source out until gravurekit knows the change"
ABOUT = "LicenseShortName|License|LicenseUrl|UsageTerms|Artist|Restrictions|ObjectName"
ASKED = {
    "action": "query", "format": "json", "formatversion": "2", "maxlag": "5",
    "generator": "search", "gsrnamespace": "6", "gsrlimit": "50",
    "prop": "imageinfo", "iiprop": "url|size|mime|extmetadata", "iiextmetadatafilter": ABOUT,
}  # fmt: skip

PAUSES = (5.0, 15.0, 30.0)  # seconds, when the API asks for patience
BUSY = {"maxlag", "ratelimited", "readonly", "cirrussearch-too-busy-error", "cirrussearch-backend-error"}
REFUSING = {"blocked", "autoblocked", "permissiondenied", "readapidenied"}
REFUSALS = {"http-401", "http-403", "http-429"}
sleep = asyncio.sleep

Fetch = Callable[[str], Awaitable[bytes]]
Pages = dict[str, dict[str, Any]]


class Settings(settings.Settings):
    """What is asked of Wikimedia Commons."""

    width: Literal[250, 330, 500, 960, 1280, 1920, 3840] = Field(
        1280, description="Wider pictures come in this width, px; Wikimedia keeps these widths ready."
    )
    category: str = Field("", description="Only files of this category and those below it, as Commons names it.")


@dataclass(frozen=True)
class Part:
    """One answer: its pages by their ids, what the next request must carry, whether its batch is whole now, and why
    the API asks for patience, if it does."""

    pages: Pages
    more: dict[str, str]
    whole: bool = False
    busy: str = ""


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection to the search of Wikimedia Commons."""
    yield Connection(lambda query: search(query, settings, terms, lambda url: web.get_page("commons", url)))


async def search(query: str, settings: Settings, terms: Terms, fetch: Fetch) -> AsyncIterator[Result]:
    """The files that a query finds, best first, until there are no more; `fetch` gives the bytes of an answer. Raises
    Blocked, UnknownLayout, FetchError."""
    seen: set[str] = set()
    given: set[str] = set()
    more: dict[str, str] = {}
    while True:
        pages, more = await _batch(query, settings, terms, fetch, more)
        fresh = [page for name, page in pages.items() if name not in seen]
        seen |= pages.keys()
        if len(fresh) >= MANY and not any(at(_info(page), "url") for page in fresh):
            raise UnknownLayout(f"commons: results without the addresses of their files: {CHANGED}")
        for item in results(fresh, settings, terms):
            if item.url not in given:
                given.add(item.url)
                yield item
        if not fresh or not more or _past_the_window(more):
            return


async def _batch(
    query: str, settings: Settings, terms: Terms, fetch: Fetch, more: dict[str, str]
) -> tuple[Pages, dict[str, str]]:
    """The pages of one batch, and what leads to the next. A batch may come in several answers, each with a piece of
    what is said of its pages."""
    pages: Pages = {}
    for _ in range(MAX_PARTS):
        part = await _part(address(query, settings, more), terms, fetch)
        for name, page in part.pages.items():
            pages[name] = pages.get(name, {}) | {key: value for key, value in page.items() if value}
        more = part.more
        if part.whole or not more:
            return pages, more
    raise UnknownLayout(f"commons: a batch of results that doesn't end after {MAX_PARTS} answers: {CHANGED}")


async def _part(url: str, terms: Terms, fetch: Fetch) -> Part:
    """One answer of the API, asked for again while it says that it is busy."""
    for pause in (0.0, *PAUSES):
        await sleep(pause)
        try:
            part = read_page(await fetch(url))
        except FetchError as error:
            if error.reason in REFUSALS:
                raise _refused(error.detail, terms) from None
            raise
        if not part.busy:
            return part
    raise Blocked(f"commons: Wikimedia has no time for us ({part.busy}): run the same command again later")


def _refused(detail: str, terms: Terms) -> Blocked:
    advice = "run the same command again in an hour"
    if not terms.contact:
        advice = "it wants to know who asks, so set --contact you@example.org"
    return Blocked(f"commons: Wikimedia refuses to answer ({detail}): {advice}")


def address(query: str, settings: Settings, more: dict[str, str]) -> str:
    """The URL that asks for files; `more` is what the last answer said of the rest."""
    category = settings.category.replace('"', " ").strip()
    words = f'filetype:bitmap deepcat:"{category}" {query}' if category else f"filetype:bitmap {query}"
    asked = more | ASKED | {"gsrsearch": words, "iiurlwidth": str(settings.width)}
    return f"{ADDRESS}?{urlencode(asked, quote_via=quote, errors='replace')}"


def read_page(page: bytes) -> Part:
    """One answer of the API, of format version 2 or 1. Raises Blocked or UnknownLayout if it is an error that won't
    pass, UnknownLayout if it is no answer of this API."""
    data = parsed("commons", page)
    if at(data, "error"):
        return Part({}, {}, busy=_error(at(data, "error")))
    more = at(data, "continue")
    whole = at(data, "batchcomplete") not in (None, False)  # version 1 says it by an empty string
    pages = at(data, "query", "pages")
    pages = list(pages.values()) if isinstance(pages, dict) else pages
    empty = not at(data, "query") and (whole or more)
    if not isinstance(pages, list) and not empty:
        raise UnknownLayout(f"commons: an answer without pages that isn't its empty one: {CHANGED}")
    named = {_name(page): page for page in pages or [] if _name(page)}
    if pages and not named:
        raise UnknownLayout(f"commons: results without names: {CHANGED}")
    said = more.items() if isinstance(more, dict) else ()
    following = {key: str(value) for key, value in said if isinstance(value, (str, int))}
    return Part(named, following, whole)


def _name(page: object) -> str:
    name = at(page, "pageid") or at(page, "title")
    return str(name) if isinstance(name, (str, int)) else ""


def _error(error: object) -> str:
    """What an error says that will pass. Raises Blocked or UnknownLayout if it won't."""
    code = plain(at(error, "code"))
    said = f"{code}: {plain(at(error, 'info'))}"
    if code in BUSY or code.startswith("internal_api_error"):
        return said
    if code in REFUSING:
        raise Blocked(f"commons: Wikimedia refuses to answer ({said}): use another source")
    raise UnknownLayout(f"commons: the API answers an error ({said}): change the query or the settings of commons")


def _past_the_window(more: dict[str, str]) -> bool:
    offset = more.get("gsroffset", "")
    return len(offset) > 9 or (offset.isdecimal() and int(offset) >= WINDOW)


def results(pages: Iterable[dict[str, Any]], settings: Settings, terms: Terms) -> Iterator[Result]:
    """The files among pages, in the order of the search: the answer has them in another."""
    for page in sorted(pages, key=_index):
        if result := _result(plain(page.get("title")), _info(page), settings, terms):
            yield result


def _info(page: dict[str, Any]) -> object:
    infos = page.get("imageinfo")
    return infos[0] if isinstance(infos, list) and infos else None


def _index(page: dict[str, Any]) -> int:
    index = page.get("index")
    return index if isinstance(index, int) else WINDOW


def _result(title: str, info: object, settings: Settings, terms: Terms) -> Result | None:
    """One file; None if it is missing, no bitmap, or not wanted."""
    mime = at(info, "mime")
    if isinstance(mime, str) and (not mime.startswith("image/") or "svg" in mime):
        return None
    if terms.safe and "2257" in _said(info, "Restrictions"):
        return None
    width = at(info, "width")
    wider = isinstance(width, int) and width > settings.width
    url = (wider and link(at(info, "thumburl"))) or link(at(info, "url"))
    if not url:
        return None
    words = _said(info, "LicenseShortName") or _said(info, "License") or _said(info, "UsageTerms")
    license = licenses.read(words, link(at(info, "extmetadata", "LicenseUrl", "value")))
    return Result(
        url=url,
        page_url=link(at(info, "descriptionurl")),
        title=_said(info, "ObjectName") or re.sub(r"^File:|\.\w{2,5}$", "", title),
        creator=_said(info, "Artist"),
        license=license.name,
        license_url=license.url,
    )


def _said(info: object, what: str) -> str:
    return plain(at(info, "extmetadata", what, "value"))
