"""Bing's asynchronous picture pages: icrawler's feeder makes their addresses, and this reads them.

icrawler's own parser keeps .jpg only, cuts query strings and drops titles; here each `a.iusc` holds a JSON in its
attribute `m`: `murl` the picture, `purl` its page, `t` the title.
"""

import json
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import quote_plus

import requests
from bs4 import BeautifulSoup
from icrawler.builtin.bing import BingFeeder
from icrawler.utils import Signal

from gravurekit.errors import SourceError
from gravurekit.sources import Result

MAX_OFFSET = 1000  # past it Bing repeats itself


def page_urls(query: str, filters: dict[str, str]) -> Iterator[str]:
    """The addresses of the result pages, as icrawler's feeder makes them; the query is encoded, so "&" survives."""
    feeder = BingFeeder(1, Signal(), requests.Session())
    feeder.out_queue = queue.Queue()
    feeder.feed(quote_plus(query), 0, MAX_OFFSET, filters=filters or None)
    while not feeder.out_queue.empty():
        yield feeder.out_queue.get()


def read_page(page: bytes) -> list[Result]:
    """The results of one page; items whose JSON is damaged or names no picture are left out.

    Raises SourceError if the page is neither results nor Bing's empty answer: its layout changed, or it asks for a
    captcha.
    """
    soup = BeautifulSoup(page.decode("utf-8", "replace"), "lxml")
    items = soup.select("a.iusc[m]")
    found = []
    for item in items:
        try:
            about = json.loads(str(item["m"]))
            url = about["murl"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(url, str) and url:
            found.append(Result(url=_text(url), page_url=_text(about.get("purl")), title=_text(about.get("t"))))
    if items or not soup.get_text(strip=True) or soup.select_one(".dgControl, .imgpt, .b_no, #b_results"):
        return found
    raise SourceError("Bing answered a page without results that isn't its empty page: a captcha or a new layout")


def _text(value: object) -> str:
    """A string that UTF-8 can hold: Bing cuts titles in half an emoji."""
    return str(value).encode("utf-8", "replace").decode() if isinstance(value, str) else ""


async def search(
    query: str, filters: dict[str, str], fetch: Callable[[str], Awaitable[bytes]]
) -> AsyncIterator[Result]:
    """Results of all pages until one brings nothing new; `fetch` gives the bytes of a page."""
    seen: set[str] = set()
    for address in page_urls(query, filters):
        new = [item for item in read_page(await fetch(address)) if item.url not in seen]
        if not new:
            return
        for item in new:
            if item.url not in seen:
                seen.add(item.url)
                yield item
