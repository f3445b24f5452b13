"""Openverse, the search engine for openly licensed pictures: version 1 of its API at https://api.openverse.org.

It needs no key, and then gives 240 pictures a query, 20 answers a minute and 200 a day. A token in the environment
variable OPENVERSE_TOKEN (how to get one: https://api.openverse.org/v1/#tag/auth) makes all of that more. It has a safe
search. Openverse verifies no licence: what it says is kept beside the page where the picture lies.
"""

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode

from pydantic import Field

from gravurekit import licenses, settings
from gravurekit.errors import Blocked, FetchError, UnknownLayout, UsageError
from gravurekit.pace import Pace
from gravurekit.sources import Connection, Result, Terms
from gravurekit.sources._text import at, link, parsed, plain
from gravurekit.web import Web

NEEDS_KEYWORDS = True
TELLS_LICENSES = True
ASKS_A_HOST = True
PACES = {"api.openverse.org": Pace(at_once=1, per_second=20 / 60)}

ADDRESS = "https://api.openverse.org/v1/images/"
TOKEN = "OPENVERSE_TOKEN"
MAX_QUERY = 200  # characters; the rest isn't read
# What asks for the licences of a wish; a comma in `license_type` means both
LICENSES: Mapping[licenses.Wish, Mapping[str, str]] = {
    "any": {},
    "open": {"license_type": "commercial,modification"},
    "public-domain": {"license": "cc0,pdm"},
    "commercial": {"license_type": "commercial"},
    "derivatives": {"license_type": "modification"},
}

Fetch = Callable[[str], Awaitable[bytes]]


class Settings(settings.Settings):
    """Openverse's own filters; empty means any."""

    source: str = Field(
        "",
        pattern=r"^([a-z0-9_-]+(,[a-z0-9_-]+)*)?$",
        description="Only from these collections, with commas between them: wikimedia, flickr, met, rijksmuseum, ….",
    )
    category: Literal["", "photograph", "illustration", "digitized_artwork"] = Field(
        "", description="The kind of picture; most have none, and are left out then."
    )
    aspect_ratio: Literal["", "tall", "wide", "square"] = Field("", description="The shape of the picture.")
    size: Literal["", "small", "medium", "large"] = Field("", description="The size of the picture.")
    extension: Literal["", "jpg", "png", "gif", "webp"] = Field("", description="The format of the picture's file.")


@dataclass(frozen=True)
class Allowance:
    """How much of a search may be seen."""

    page_size: int
    pages: int


ANONYMOUS, REGISTERED = Allowance(20, 12), Allowance(100, 100)


@dataclass(frozen=True)
class Page:
    """One answer: its results, how many items were left out as unfit for children, and the number of pages."""

    found: list[Result]
    hidden: int
    pages: int


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection to Openverse's picture search. Raises UsageError for a token that can't be one."""
    token = os.environ.get(TOKEN, "").strip()
    if not re.fullmatch(r"[!-~]*", token):
        raise UsageError(f"{TOKEN} in the environment is no token of Openverse: set it anew, or unset it")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    allowance = REGISTERED if token else ANONYMOUS
    yield Connection(
        lambda query: search(
            query, settings, terms, lambda url: web.get_page("openverse", url, headers=headers), allowance
        )
    )


def address(query: str, settings: Settings, terms: Terms, number: int, page_size: int) -> str:
    """The URL of a page of results, from 1."""
    asked = {"q": query[:MAX_QUERY], "page": str(number), "page_size": str(page_size)}
    asked |= {"mature": "false" if terms.safe else "true"}
    asked |= LICENSES[terms.license]
    asked |= {name: value for name, value in settings.model_dump().items() if value}
    return f"{ADDRESS}?{urlencode(asked, quote_via=quote, errors='replace')}"


async def search(
    query: str, settings: Settings, terms: Terms, fetch: Fetch, allowance: Allowance = ANONYMOUS
) -> AsyncIterator[Result]:
    """The pictures that a query finds, best first, each once; `fetch` gives the bytes of an answer.

    Raises Blocked, UnknownLayout, FetchError; UsageError for a token or a setting that Openverse doesn't take.
    """
    seen: set[str] = set()
    for number in range(1, allowance.pages + 1):
        try:
            body = await fetch(address(query, settings, terms, number, allowance.page_size))
        except FetchError as error:
            if error.reason == "http-404" and number > 1:  # there are fewer pages now than there were
                return
            raise _failure(error, settings, allowance) from None
        page, before = read_page(body, terms.safe), len(seen)
        for item in page.found:
            if item.url not in seen:
                seen.add(item.url)
                yield item
        if number >= page.pages or (len(seen) == before and not page.hidden):
            return


def read_page(body: bytes, safe: bool = True) -> Page:
    """What one answer holds; an item without an address of the web is left out.

    Raises UnknownLayout if it is no list of results, or none of them can be read.
    """
    answer = parsed("openverse", body)
    items = at(answer, "results")
    if not isinstance(items, list):
        raise _unknown("the answer holds no results")
    read = [item for item in items if link(at(item, "url"))]
    if items and not read:
        raise _unknown(f"none of the {len(items)} results of a page can be read")
    fit = [item for item in read if not (safe and _is_sensitive(item))]
    pages = at(answer, "page_count")
    return Page([_result(item) for item in fit], len(read) - len(fit), pages if isinstance(pages, int) else 10**9)


def _is_sensitive(item: Any) -> bool:
    return at(item, "mature") is True or bool(at(item, "unstable__sensitivity"))


def _result(item: Any) -> Result:
    # "by-sa" and "4.0"
    words = [plain(at(item, key)) for key in ("license", "license_version")]
    license = licenses.read(" ".join(words) if words[0] else "", link(at(item, "license_url")))
    return Result(
        url=link(at(item, "url")),
        page_url=link(at(item, "foreign_landing_url")),
        title=plain(at(item, "title")),
        creator=plain(at(item, "creator")),
        license=license.name,
        license_url=license.url,
    )


def _failure(error: FetchError, settings: Settings, allowance: Allowance) -> Exception:
    """What an answer that isn't 200 means; the error itself if it means nothing more."""
    said, fields = _explanation(error.body)
    said = said or error.detail
    if error.reason == "http-401" and allowance is not ANONYMOUS:
        return UsageError(f"openverse doesn't take the token in {TOKEN} ({said}): get a new one, or unset it")
    if error.reason in ("http-401", "http-403", "http-429"):
        return Blocked(
            f"openverse: {said}: without a token it gives 20 answers a minute and 200 a day; go on later, "
            f"or set {TOKEN} (https://api.openverse.org/v1/#tag/auth)"
        )
    if error.reason == "http-400":
        if knobs := [name for name, value in settings.model_dump().items() if value and name in fields]:
            return UsageError(f"[crawl.openverse] {', '.join(knobs)}: Openverse refuses it ({said})")
        return _unknown(f"it refuses the request ({said})")
    return _unknown(f"nothing answers at {ADDRESS} ({said})") if error.reason == "http-404" else error


def _explanation(body: bytes) -> tuple[str, list[Any]]:
    """What an error answer says, and of which parameters it speaks."""
    try:
        answer = parsed("openverse", body)
    except UnknownLayout:
        return "", []
    detail, fields = at(answer, "detail"), at(answer, "fields")
    return plain(detail)[:300], fields if isinstance(fields, list) else []


def _unknown(said: str) -> UnknownLayout:
    return UnknownLayout(f"openverse: {said}: its API may have changed; use another source")
