"""Flickr, through flickr.photos.search of its REST API; icrawler's feeder makes the addresses, and this reads the
answers.

It needs a key of one's own in the environment variable FLICKR_API_KEY (https://www.flickr.com/services/apps/create/),
which allows 3600 answers an hour. A query gives 4000 photographs at most. It has a safe search.
"""

import os
import queue
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from icrawler.builtin.flickr import FlickrFeeder
from icrawler.utils import Signal
from pydantic import Field

from gravurekit import licenses, settings
from gravurekit.errors import Blocked, FetchError, SourceError, UnknownLayout, UsageError
from gravurekit.pace import Pace
from gravurekit.sources import Connection, Result, Terms
from gravurekit.sources._text import at, encodable, link, parsed, plain
from gravurekit.web import Web

NEEDS_KEYWORDS = True
TELLS_LICENSES = True
ASKS_A_HOST = True
PACES = {"api.flickr.com": Pace(at_once=1, per_second=1.0)}

KEY = "FLICKR_API_KEY"
# icrawler logs the addresses that it makes, so the key gets into them only when they are asked for
NO_KEY = "api_key=KEY"
GET_A_KEY = f"get one at https://www.flickr.com/services/apps/create/ and set it: export {KEY}=…"
INVALID_KEY, UNAVAILABLE = {"100"}, {"10", "105"}  # of Flickr's error codes

# 1600 px, 1024 px, the original, 800 px, 640 px, 500 px: the first that there is. A print needs no more than 1600 px;
# originals are many times as many bytes and may lie on their side, so only photographs too small for 1024 px come so.
URLS = [f"url_{size}" for size in "hloczm"]

# By the numbers of flickr.photos.licenses.getInfo
LICENSES = {
    "0": "All Rights Reserved",
    "1": "CC-BY-NC-SA-2.0",
    "2": "CC-BY-NC-2.0",
    "3": "CC-BY-NC-ND-2.0",
    "4": "CC-BY-2.0",
    "5": "CC-BY-SA-2.0",
    "6": "CC-BY-ND-2.0",
    "7": "no-known-restrictions",
    "8": "US-government-work",
    "9": "CC0-1.0",
    "10": "PDM-1.0",
    "11": "CC-BY-4.0",
    "12": "CC-BY-SA-4.0",
    "13": "CC-BY-ND-4.0",
    "14": "CC-BY-NC-4.0",
    "15": "CC-BY-NC-SA-4.0",
    "16": "CC-BY-NC-ND-4.0",
}

Fetch = Callable[[str], Awaitable[bytes]]


class Settings(settings.Settings):
    """Flickr's own filters; empty means any."""

    sort: Literal["relevance", "interestingness-desc", "date-posted-desc", "date-taken-desc"] = Field(
        "relevance", description="Which photographs come first."
    )
    content: Literal["", "photos", "illustrations"] = Field(
        "", description="The kind of picture; illustrations are what Flickr calls other: art, prints, drawings."
    )
    orientation: Literal["", "landscape", "portrait", "square", "panorama"] = Field(
        "", description="The shape of the picture."
    )
    commons: bool = Field(False, description="Only the Flickr Commons: old photographs from museums and archives.")


CONTENT = {"photos": 1, "illustrations": 3}


@dataclass(frozen=True)
class Page:
    """One answer: its results, and the number of pages."""

    found: list[Result]
    pages: int


def check(argument: str) -> None:
    """Raises UsageError if there is no key."""
    if not re.fullmatch(r"[0-9A-Za-z]+", os.environ.get(KEY, "").strip()):
        raise UsageError(f"flickr needs a key of your own: {GET_A_KEY}")


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection to Flickr's photo search. Raises UsageError if there is no key."""
    check(argument)
    key = os.environ[KEY].strip()

    async def fetch(url: str) -> bytes:
        try:
            return await web.get_page("flickr", url.replace(NO_KEY, f"api_key={key}"))
        except FetchError as error:  # some of its messages hold the address
            raise FetchError(error.reason, error.detail.replace(key, "KEY"), error.retry_after, error.body) from None

    yield Connection(lambda query: search(query, settings, terms, fetch))


def addresses(query: str, settings: Settings, terms: Terms) -> Iterator[str]:
    """The URLs of the pages of results, with KEY for the key."""
    asked = {"text": encodable(query), "sort": settings.sort, "safe_search": 1 if terms.safe else 3, "per_page": 100}
    if terms.license != "any":
        asked["license"] = ",".join(number for number, name in LICENSES.items() if licenses.meets(name, terms.license))
    if settings.content:
        asked["content_type"] = CONTENT[settings.content]
    if settings.orientation:
        asked["orientation"] = settings.orientation
    if settings.commons:
        asked["is_commons"] = 1
    feeder = FlickrFeeder(1, Signal(), None)
    feeder.out_queue = queue.SimpleQueue()
    feeder.feed(NO_KEY.partition("=")[2], extras=",".join(["license", "owner_name", *URLS]), **asked)
    while not feeder.out_queue.empty():
        yield f"{feeder.out_queue.get()}&media=photos"


async def search(query: str, settings: Settings, terms: Terms, fetch: Fetch) -> AsyncIterator[Result]:
    """The photographs that a query finds, each once; `fetch` gives the bytes of an answer.

    Raises Blocked, UnknownLayout, FetchError; UsageError if Flickr doesn't know the key.
    """
    seen: set[str] = set()
    for number, url in enumerate(addresses(query, settings, terms), 1):
        try:
            page = read_page(await fetch(url))
        except FetchError as error:
            if error.reason in ("http-403", "http-429"):
                raise Blocked(f"flickr: {error.detail}: wait an hour, or use another source") from error
            raise
        before = len(seen)
        for item in page.found:
            if item.url not in seen:
                seen.add(item.url)
                yield item
        if number >= page.pages or len(seen) == before:
            return


def read_page(body: bytes) -> Page:
    """What one answer holds; a photograph that leads to no address of the web is left out.

    Raises UsageError if Flickr doesn't know the key, Blocked if it is out of order, UnknownLayout if the answer is no
    list of photographs, or none of them can be read.
    """
    answer = parsed("flickr", body)
    if at(answer, "stat") == "fail":
        raise _failure(answer)
    photos, pages = at(answer, "photos", "photo"), at(answer, "photos", "pages")
    if not isinstance(photos, list):
        raise _unknown("the answer holds no photographs")
    found = [result for photo in photos if (result := _result(photo)).url]
    if photos and not found:
        raise _unknown(f"none of the {len(photos)} photographs of a page can be read")
    return Page(found, pages if isinstance(pages, int) else 10**9)


def _result(photo: Any) -> Result:
    sizes = (link(at(photo, url)) for url in URLS)
    owner, number = (quote(plain(at(photo, key)), safe="@") for key in ("owner", "id"))
    terms = _code(at(photo, "license"))
    license = licenses.read(LICENSES.get(terms, terms and f"Flickr licence {terms}"))
    return Result(
        url=next((url for url in sizes if url), ""),
        page_url=f"https://www.flickr.com/photos/{owner}/{number}" if owner and number else "",
        title=plain(at(photo, "title")),
        creator=plain(at(photo, "ownername")),
        license=license.name,
        license_url=license.url,
    )


def _failure(answer: Any) -> SourceError | UsageError:
    """What Flickr's own error means."""
    code, said = _code(at(answer, "code")), plain(at(answer, "message"))[:300] or "no message"
    if code in INVALID_KEY:
        return UsageError(f"flickr doesn't take the key in {KEY} ({said}): {GET_A_KEY}")
    if code in UNAVAILABLE:
        return Blocked(f"flickr: {said}: go on later, or use another source")
    return _unknown(f"it answers with its error {code} ({said})")


def _code(value: object) -> str:
    """A number of Flickr's, which may come as one or as text."""
    return plain(str(value) if isinstance(value, int) else value)[:40]


def _unknown(said: str) -> UnknownLayout:
    return UnknownLayout(f"flickr: {said}: its API may have changed; use another source")
