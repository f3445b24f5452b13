"""Bing's asynchronous picture pages: icrawler's feeder makes their addresses, and this reads them.

icrawler's own parser keeps .jpg only, cuts query strings and drops titles; here each `a.iusc` holds a JSON in its
attribute `m`: `murl` the picture, `purl` its page, `t` the title.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote_plus

from icrawler.builtin.bing import BingFeeder
from lxml import etree  # type: ignore[import-untyped]

from gravurekit.sources import Result, _pages
from gravurekit.sources._text import encodable

BARE = 1000  # bytes of a page that has nothing to say


def _of_class(name: str) -> str:
    return f"contains(concat(' ', normalize-space(@class), ' '), ' {name} ')"


_ITEMS = etree.XPath(f"//a[{_of_class('iusc')}]/@m")
_FRAME = etree.XPath(f"//*[@id='b_results' or {_of_class('dgControl')} or {_of_class('b_no')}]")
_FILLED = etree.XPath(f"//*[{_of_class('imgpt')} or {_of_class('iusc')} or {_of_class('b_algo')}]")
_LIVELY = etree.XPath("//script | //iframe | //form | //img | //a | //meta[@http-equiv]")
_MARKS = str.maketrans("", "", "\ue000\ue001")  # Bing puts them around the words that were searched for


def page_urls(query: str, filters: dict[str, str], safe: bool = True) -> Iterator[str]:
    """The addresses of the result pages; the query is encoded here, because icrawler wouldn't, so "&" survives."""
    for url in _pages.addresses(BingFeeder, quote_plus(encodable(query)), filters):
        yield f"{url}&adlt={'strict' if safe else 'off'}"


def read_page(page: bytes) -> list[Result]:
    """The results of one page; an item whose JSON is damaged, or that leads to no address of the web, is left out.

    Raises Blocked for a captcha, UnknownLayout if the page is neither results nor Bing's empty answer, or if all of its
    items are damaged.
    """
    root = _pages.tree(page if b"iusc" in page else page[: _pages.BEGINNING])
    items = _ITEMS(root)
    read = [about for item in items if (about := _about(item))]
    if found := [_result(about) for about in read if _pages.address(about["murl"])]:
        return found
    if items:
        raise _pages.unknown("bing", f"none of the {len(items)} results of a page can be read")
    if _pages.is_wall(root):
        raise _pages.blocked("bing", "it asks for a captcha or for consent")
    if not _is_empty(root, len(page)):
        raise _pages.unknown("bing", "a page holds no results, and isn't the one that says so")
    return []


def _about(text: str) -> dict[str, Any] | None:
    """What the JSON of an item holds; None if it is damaged or names no picture."""
    try:
        about = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return about if isinstance(about, dict) and isinstance(about.get("murl"), str) and about["murl"] else None


def _result(about: dict[str, Any]) -> Result:
    url, page = _pages.address(about["murl"]), _pages.address(about.get("purl"))
    return Result(url=url, page_url=page, title=_pages.title(about.get("t")).translate(_MARKS))


def _is_empty(root: Any, size: int) -> bool:
    """Whether a page says that there is nothing: Bing's frame without anything in it, or next to no page at all. One
    that shows nothing, but is long or runs a script, may be anything."""
    if _FRAME(root):
        return not _FILLED(root)
    return size < BARE and not _LIVELY(root) and not _pages.words(root)


def search(query: str, filters: dict[str, str], fetch: _pages.Fetch, safe: bool = True) -> AsyncIterator[Result]:
    """Results of all pages until one brings nothing new; `fetch` gives the bytes of a page."""
    return _pages.results("bing", page_urls(query, filters, safe), read_page, fetch)
