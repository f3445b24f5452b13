"""Google's picture pages: icrawler's feeder makes their addresses, and this reads them.

Results come in scripts, as data: `[0, ID, [thumbnail, …], [picture, height, width], …, {"2003": [null, ID, page,
title, …]}]` somewhere in what `AF_initDataCallback` or `var m` is given. Where in it has changed often; that a picture
follows its thumbnail hasn't. Plain pages link to `/imgres?imgurl=…&imgrefurl=…` instead.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

from icrawler.builtin.google import GoogleFeeder
from lxml import etree  # type: ignore[import-untyped]

from gravurekit.sources import Result, _pages
from gravurekit.sources._text import encodable

MAX_PAYLOADS = 100  # a page has five or so; each that is damaged costs a walk through the page
SHELL = 1000  # a page with less to read than this has nothing but its scripts

_PAYLOAD = re.compile(
    r"AF_initDataCallback\(\{[^][{}]{0,200}?\bdata:\s*(?:function\s*\(\)\s*\{\s*return\s*)?|\bvar m\s*=\s*(?=\{)"
)
_THUMBNAIL = re.compile(r"https://encrypted-tbn\d*\.gstatic\.com/")
_NOTHING = re.compile(
    r"did not match any (image results|documents)|aren't any great matches|no results found for", re.IGNORECASE
)
_LINKS = etree.XPath("//a[contains(@href, '/imgres?')]/@href")
_DECODER = json.JSONDecoder(strict=False)


def page_urls(query: str, filters: dict[str, str], safe: bool = True) -> Iterator[str]:
    """The addresses of the result pages, in English, so that the words for "nothing found" are known."""
    for url in _pages.addresses(GoogleFeeder, encodable(query), filters):
        yield f"{url}&hl=en&safe={'active' if safe else 'off'}"


def read_page(page: bytes) -> list[Result]:
    """The results of one page.

    Raises Blocked for a captcha, a consent page or a page that wants a browser, UnknownLayout if the page is neither
    results nor the one that says that there are none.
    """
    text = page.decode("utf-8", "replace")
    payloads = list(_payloads(text))
    found = [result for data in payloads for result in _pictures(data)]
    if found:
        return found
    root = _pages.tree(page if b"/imgres?" in page else page[: _pages.BEGINNING])
    links = _LINKS(root)
    found = [result for link in links if (result := _linked(link))]
    if found:
        return found
    if _pages.is_wall(root):
        raise _pages.blocked("google", "it asks for a captcha or for consent")
    seen = _pages.words(root)
    if not links and (_NOTHING.search(seen) or (payloads and not any(payloads))):
        return []
    if "/httpservice/retry/enablejs" in text and len(seen) < SHELL:
        raise _pages.blocked("google", "it answers browsers only")
    raise _pages.unknown("google", "a page holds no results, and isn't the one that says so")


def _payloads(text: str) -> Iterator[Any]:
    """The data that the scripts of a page are given."""
    for start in islice(_PAYLOAD.finditer(text), MAX_PAYLOADS):
        try:
            yield _DECODER.raw_decode(text, start.end())[0]
        except (ValueError, RecursionError):
            continue


def _pictures(data: object) -> Iterator[Result]:
    """The results in nested lists and objects, in their order."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(reversed(value.values()))
        elif isinstance(value, list):
            yield from _neighbours(value)
            waiting.extend(reversed(value))


def _neighbours(values: list[Any]) -> Iterator[Result]:
    """A result for each picture that follows its thumbnail in this list."""
    for n in range(len(values) - 1):
        if not _is_thumbnail(values[n]) or _is_thumbnail(values[n + 1]):
            continue
        if url := _pages.address(_first(values[n + 1])):
            page, title = _described(values, n + 2)
            yield Result(url=url, page_url=page, title=title)


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else None


def _is_thumbnail(value: object) -> bool:
    first = _first(value)
    return isinstance(first, str) and _THUMBNAIL.match(first) is not None


def _described(values: list[Any], start: int) -> tuple[str, str]:
    """The page and the title of a picture, from what follows it up to the next thumbnail."""
    for n in range(start, len(values)):
        if _is_thumbnail(values[n]):
            break
        about = values[n].get("2003") if isinstance(values[n], dict) else None
        if isinstance(about, list) and len(about) > 3:
            return _pages.address(about[2]), _pages.title(about[3])
    return "", ""


def _linked(href: str) -> Result | None:
    """The result that a plain page's link leads to; None if it leads to none."""
    try:
        asked = parse_qs(urlsplit(href).query, max_num_fields=100)
    except ValueError:
        return None
    url, page = (_pages.address(asked.get(name, [""])[0]) for name in ("imgurl", "imgrefurl"))
    return Result(url=url, page_url=page) if url else None


def search(query: str, filters: dict[str, str], fetch: _pages.Fetch, safe: bool = True) -> AsyncIterator[Result]:
    """Results of all pages until one brings nothing new; `fetch` gives the bytes of a page."""
    return _pages.results("google", page_urls(query, filters, safe), read_page, fetch)
