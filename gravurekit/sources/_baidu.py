"""Baidu's picture answers, JSON: icrawler's feeder makes their addresses, and this reads them.

The addresses of pictures (`objURL`) and of their pages (`fromURL`) are enciphered, letter by letter; now and then one
isn't, and a decoder that doesn't look would spoil it.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote_plus

from icrawler.builtin.baidu import BaiduFeeder

from gravurekit.sources import Result, _pages
from gravurekit.sources._text import encodable, plain

_SIGNS = {"_z2C$q": ":", "_z&e3B": ".", "AzdH3F": "/"}
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_LETTERS = str.maketrans("wkv1ju2it3hs4g5rq6fp7eo8dn9cm0bla", "abcdefghijklmnopqrstuvw1234567890")
_ESCAPE = re.compile(r'\\(["\\/bfnrtu])?')


def page_urls(query: str, filters: dict[str, str]) -> Iterator[str]:
    """The addresses of the answers; the query is encoded here, because icrawler wouldn't, and they ask in private."""
    for url in _pages.addresses(BaiduFeeder, quote_plus(encodable(query)), filters):
        yield url.replace("http://", "https://", 1)


def read_page(page: bytes) -> list[Result]:
    """The results of one answer; an item that names no picture is left out.

    Raises Blocked if it is a captcha or forbids crawlers, UnknownLayout if it is something else, or if no item at all
    names a picture.
    """
    answer = _parsed(page)
    if answer is None and _pages.is_wall(_pages.tree(page[: _pages.BEGINNING])):
        raise _pages.blocked("baidu", "it asks for a captcha")
    if not isinstance(answer, dict):
        raise _pages.unknown("baidu", "the answer isn't the JSON that it was")
    if answer.get("antiFlag"):
        raise _pages.blocked("baidu", f"it says {plain(answer.get('message')) or 'no'!r}")
    if not isinstance(answer.get("data"), list):
        raise _pages.unknown("baidu", "the answer has no list of results")
    items = [item for item in answer["data"] if item != {}]  # the last one is always {}
    found = [result for item in items if isinstance(item, dict) and (result := _result(item))]
    if items and not found:
        raise _pages.unknown("baidu", f"none of the {len(items)} results of an answer can be read")
    return found


def _parsed(page: bytes) -> Any:
    """The JSON of an answer, which may hold line ends in its strings, and escapes that JSON doesn't have, like \\'.
    None if it is no JSON even so."""
    text = page.decode("utf-8", "replace")
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        text = _ESCAPE.sub(lambda found: found[0] if found[1] else "", text)
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _result(item: dict[str, Any]) -> Result | None:
    replaced = item.get("replaceUrl")
    first = replaced[0] if isinstance(replaced, list) and replaced and isinstance(replaced[0], dict) else {}
    pages = [deciphered(about.get(name)) for about, name in ((item, "fromURL"), (first, "FromURL"))]
    title = _pages.title(item.get("fromPageTitle")) or _pages.title(item.get("fromPageTitleEnc"))
    if url := deciphered(first.get("ObjURL")):
        return Result(url=url, page_url=pages[1] or pages[0], title=title)
    for name in ("objURL", "hoverURL", "thumbURL"):
        if url := deciphered(item.get(name)):
            return Result(url=url, page_url=pages[0] or pages[1], title=title)
    return None


def deciphered(value: object) -> str:
    """An address that may be enciphered or not; "" if it is neither."""
    if url := _pages.address(value):
        return url
    if not isinstance(value, str):
        return ""
    return _pages.address(_SIGN.sub(lambda sign: _SIGNS[sign[0]], value).translate(_LETTERS))


def search(query: str, filters: dict[str, str], fetch: _pages.Fetch) -> AsyncIterator[Result]:
    """Results of all answers until one brings nothing new; `fetch` gives the bytes of an answer."""
    return _pages.results("baidu", page_urls(query, filters), read_page, fetch)
