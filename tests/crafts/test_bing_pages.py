"""Bing's pages as they are, as they were, and as they may become."""

import asyncio
import html
import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from gravurekit.errors import SourceError
from gravurekit.sources import Result, _bing


def item(about: object) -> str:
    text = about if isinstance(about, str) else json.dumps(about)
    return f'<li><div class="imgpt"><a class="iusc" href="#" m="{html.escape(text)}"><img/></a></div></li>'


def page(*items: object) -> bytes:
    body = "".join(item(about) for about in items)
    return f'<html><body><div class="dgControl"><ul>{body}</ul></div></body></html>'.encode()


FIRST = {"murl": "https://a.example/1.png?w=9&h=8#x", "purl": "https://a.example/p?q=1&r=2", "t": "A “red” dress & hat"}
SECOND = {"murl": "https://b.example/2.webp", "purl": "https://b.example/", "t": "kırmızı elbise"}


def test_results_keep_their_order_their_query_and_their_title() -> None:
    assert _bing.read_page(page(FIRST, SECOND)) == [
        Result(url=FIRST["murl"], page_url=FIRST["purl"], title=FIRST["t"]),
        Result(url=SECOND["murl"], page_url=SECOND["purl"], title=SECOND["t"]),
    ]


def test_the_extension_says_nothing() -> None:
    urls = [
        f"https://a.example/{n}{suffix}" for n, suffix in enumerate((".jpg", ".png", ".webp", ".avif", "", "?id=3"))
    ]
    assert [result.url for result in _bing.read_page(page(*({"murl": url} for url in urls)))] == urls


@pytest.mark.parametrize(
    "damaged",
    [
        "{",
        "",
        "null",
        "[]",
        "7",
        '"text"',
        {},
        {"purl": "x"},
        {"murl": ""},
        {"murl": None},
        {"murl": 7},
        {"murl": ["x"]},
    ],
    ids=str,
)
def test_a_damaged_item_costs_only_itself(damaged: object) -> None:
    assert [result.url for result in _bing.read_page(page(FIRST, damaged, SECOND))] == [FIRST["murl"], SECOND["murl"]]
    assert _bing.read_page(page(damaged)) == []


@pytest.mark.parametrize("nothing", [None, "", ...])
def test_a_title_that_isnt_there_is_empty(nothing: object) -> None:
    about = {"murl": "https://a.example/1.png"} | ({} if nothing is ... else {"t": nothing, "purl": nothing})
    assert _bing.read_page(page(about)) == [Result(url="https://a.example/1.png")]


def test_a_title_cut_in_half_an_emoji_can_still_be_written() -> None:
    cut = '{"murl": "https://a.example/1.png", "t": "dress \\ud83d", "purl": "https://a.example/\\ud83d"}'
    for result in _bing.read_page(page(cut)):
        assert result.title.startswith("dress")
        (result.title + result.page_url + result.url).encode()


def test_a_second_imgpt_without_a_link_is_no_result() -> None:
    body = item(FIRST) + '<div class="imgpt"><a class="inflnk">related</a></div>' + item(SECOND)
    assert len(_bing.read_page(body.encode())) == 2


@pytest.mark.parametrize(
    "empty",
    [b"", b"   \n", b"<html><body></body></html>", page(), b'<html><div id="b_results"><p>no results</p></div></html>',
     b'<div class="b_no">There are no results</div>', b"<div></div>"],
)  # fmt: skip
def test_an_empty_answer_is_no_result_and_no_failure(empty: bytes) -> None:
    assert _bing.read_page(empty) == []


@pytest.mark.parametrize(
    "strange",
    [b"<html><body><h1>One last step</h1><p>Please solve the challenge below</p></body></html>",
     b"<html><body><div class='new-layout'><img src='x'/>Images</div></body></html>", b"<p>Service unavailable</p>"],
)  # fmt: skip
def test_a_page_that_asks_for_a_captcha_is_a_failure_of_the_source(strange: bytes) -> None:
    with pytest.raises(SourceError, match="captcha"):
        _bing.read_page(strange)


def test_bytes_that_are_no_utf8_cost_no_page() -> None:
    broken = page(FIRST).replace(b"dress", b"dr\xffss")
    assert [result.url for result in _bing.read_page(broken)] == [FIRST["murl"]]


@pytest.mark.parametrize("query", ["red dress", "a & b", "q=1&first=9", "kırmızı elbise", "100% #1 c++ ?"])
def test_a_query_survives_its_address(query: str) -> None:
    addresses = list(_bing.page_urls(query, {}))
    assert len(addresses) == len(set(addresses)) > 10
    for address in addresses:
        parts = urlsplit(address)
        assert (parts.scheme, parts.hostname, parts.fragment) == ("https", "www.bing.com", "")
        assert parse_qs(parts.query)["q"] == [query]


def test_filters_reach_the_address() -> None:
    assert all("filterui" in address for address in _bing.page_urls("dress", {"type": "photo"}))


def found(pages: list[bytes]) -> tuple[list[str], int]:
    """The URLs of a search over these pages, and how many of them were asked for."""
    asked = 0

    async def fetch(address: str) -> bytes:
        nonlocal asked
        asked += 1
        return pages[asked - 1] if asked <= len(pages) else b""

    async def search() -> list[str]:
        results: AsyncIterator[Result] = _bing.search("dress", {}, fetch)
        return [result.url async for result in results]

    return asyncio.run(search()), asked


def test_a_search_gives_each_picture_once_and_ends_where_nothing_is_new() -> None:
    one, two, three = ({"murl": f"https://a.example/{n}"} for n in "123")
    urls = [about["murl"] for about in (one, two, three)]
    assert found([page(one, two, one), page(two, three), page(three, one), page({"murl": "never"})]) == (urls, 3)
    assert found([]) == ([], 1)
