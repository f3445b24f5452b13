"""The Metropolitan Museum of Art, through its Collection API: search v1.1 and objects v1 of
https://collectionapi.metmuseum.org.

Needs no key. The search gives numbers, and each object costs a request of its own; more than about thirty quick ones
end in half a minute of HTML with status 403, so there are two a second, and a 403 is waited for. What the museum
believes to be in the public domain is CC0. It has no safe-search parameter.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
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
PACES = {
    "collectionapi.metmuseum.org": Pace(at_once=1, per_second=2),
    "images.metmuseum.org": Pace(at_once=2, per_second=4),
}
PATIENCE = {"http-403": 35.0}  # seconds until the museum listens again

SEARCH = "https://collectionapi.metmuseum.org/public/collection/v1.1/search"
OBJECT = "https://collectionapi.metmuseum.org/public/collection/v1/objects/"
PAGE = "https://www.metmuseum.org/art/collection/search/"
WINDOW = 10_000  # results of one search that the API gives
PER_PAGE = 500
MAX_LOST = 10  # objects in a row that can't be had, before it isn't the objects' fault
ALL_YEARS = (-10_000, 3000)
REFUSALS = {"http-401", "http-403", "http-429"}
LATER = "run the same command again in an hour"
CHANGED = "its API has changed, so leave this source out until gravurekit knows the change"

Fetch = Callable[[str], Awaitable[bytes]]


class Settings(settings.Settings):
    """What is asked of the Metropolitan Museum."""

    # Some 600 px are more than a tensor holds and about what `stylize` draws, for a hundredth of an original's bytes
    size: Literal["small", "original"] = Field(
        "small", description="small: some 600 px, enough for training; original: often 4000 px and several MB."
    )
    additional_images: bool = Field(False, description="Take an object's other views too; they come as originals.")
    department: int = Field(0, ge=0, description="Number of the department (9: Drawings and Prints); 0: all.")
    medium: str = Field("", description="What objects are made of or are, like Prints or Textiles; several with |.")
    place: str = Field("", description="Where objects come from, like Turkey; several with |.")
    date_begin: int = Field(0, description="Made in this year or later; before Christ is negative, 0 is any.")
    date_end: int = Field(0, description="Made in this year or earlier; before Christ is negative, 0 is any.")


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection to the museum's search."""

    async def fetch(url: str) -> bytes:
        return await web.get_page("met", url, patience=PATIENCE)

    yield Connection(lambda query: search(query, settings, terms, fetch))


async def search(query: str, settings: Settings, terms: Terms, fetch: Fetch) -> AsyncIterator[Result]:
    """The pictures of the objects that a query finds, best first; `fetch` gives the bytes of an answer. Raises Blocked,
    UnknownLayout, FetchError."""
    seen: set[int] = set()
    given: set[str] = set()
    offset = lost = 0
    while offset < WINDOW:
        numbers = await _numbers(address(query, settings, terms, offset), fetch)
        fresh = [number for number in dict.fromkeys(numbers) if number not in seen]
        if not fresh:
            return
        seen.update(fresh)
        offset += len(numbers)
        for number in fresh:
            about, trouble = await _object(number, fetch)
            lost = lost + 1 if trouble else 0
            if lost == MAX_LOST:
                raise UnknownLayout(f"met: {lost} objects in a row can't be had ({trouble}): try again tomorrow")
            for item in read_object(about, number, settings):
                if item.url not in given:
                    given.add(item.url)
                    yield item


async def _numbers(url: str, fetch: Fetch) -> list[int]:
    try:
        return read_numbers(await _answer(url, fetch))
    except FetchError as error:
        if error.reason == "http-404":
            raise UnknownLayout(f"met: no search where there was one ({error.detail}): {CHANGED}") from None
        raise


async def _object(number: int, fetch: Fetch) -> tuple[dict[str, Any], str]:
    """What the museum says of an object, or why it says nothing: loans come and go."""
    try:
        about = parsed("met", await _answer(f"{OBJECT}{number}", fetch))
    except FetchError as error:
        if error.reason.startswith("http-"):
            return {}, error.detail
        raise
    if isinstance(about, dict) and "primaryImage" in about:
        return about, ""
    if trouble := plain(at(about, "message")):
        return {}, trouble
    raise UnknownLayout(f"met: object {number} doesn't speak of its picture: {CHANGED}")


async def _answer(url: str, fetch: Fetch) -> bytes:
    """What lies at an address. Raises Blocked for a refusal, else FetchError."""
    try:
        page = await fetch(url)
    except FetchError as error:
        if error.reason in REFUSALS:
            raise Blocked(f"met: the museum refuses to answer ({error.detail}): {LATER}") from None
        raise
    if b"_Incapsula_" in page[:10_000]:
        raise Blocked(f"met: the museum answers with a check for robots: {LATER}")
    return page


def address(query: str, settings: Settings, terms: Terms, offset: int) -> str:
    """The URL of a page of results."""
    asked = {"hasImages": "true"}
    if terms.license != "any":
        asked["isPublicDomain"] = "true"
    if settings.department:
        asked["departmentId"] = str(settings.department)
    if settings.medium:
        asked["medium"] = settings.medium
    if settings.place:
        asked["geoLocation"] = settings.place
    if settings.date_begin or settings.date_end:  # the API heeds them together only
        asked["dateBegin"] = str(settings.date_begin or ALL_YEARS[0])
        asked["dateEnd"] = str(settings.date_end or ALL_YEARS[1])
    asked |= {"q": query, "offset": str(offset), "limit": str(min(PER_PAGE, WINDOW - offset))}
    return f"{SEARCH}?{urlencode(asked, quote_via=quote, errors='replace')}"


def read_numbers(page: bytes) -> list[int]:
    """The numbers of the objects on a page of results. Raises UnknownLayout if it is none."""
    data = parsed("met", page)
    if not isinstance(data, dict) or "objectIDs" not in data:
        said = plain(at(data, "message"))
        raise UnknownLayout(f"met: an answer without objectIDs{said and f' ({said})'}: {CHANGED}")
    named = data["objectIDs"] or []
    listed = named if isinstance(named, list) else []
    numbers = [number for number in listed if type(number) is int and 0 < number < 10**12]
    if named and not numbers:
        raise UnknownLayout(f"met: objectIDs that are no numbers: {CHANGED}")
    return numbers


def read_object(about: dict[str, Any], number: int, settings: Settings) -> Iterator[Result]:
    """The pictures of one object; it may have none, or none that may be shown."""
    if not about.get("primaryImage"):
        return
    small = settings.size == "small" and link(about.get("primaryImageSmall"))
    urls = [small or link(about.get("primaryImage"))]
    others = about.get("additionalImages")
    if settings.additional_images and isinstance(others, list):
        urls += [link(url) for url in others]
    license = _license(about)
    for url in filter(None, urls):
        yield Result(
            url=url,
            page_url=f"{PAGE}{number}",  # their objectURL names a host of theirs now and then that isn't public
            title=plain(about.get("title")) or plain(about.get("objectName")),
            creator=plain(about.get("artistDisplayName")),
            license=license.name,
            license_url=license.url,
        )


def _license(about: dict[str, Any]) -> licenses.License:
    if about.get("isPublicDomain") is True:
        return licenses.read("CC0")
    return licenses.read(plain(about.get("rightsAndReproduction")))
