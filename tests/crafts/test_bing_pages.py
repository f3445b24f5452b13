"""Bing's pages as they are, as they were, and as they may become."""

import asyncio
import html
import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wild import fit, read_or_refused

from gravurekit.errors import Blocked, FetchError, SourceError, UnknownLayout
from gravurekit.sources import Result, Terms, _bing, _pages, bing


def item(about: object) -> str:
    text = about if isinstance(about, str) else json.dumps(about)
    return f'<li><div class="imgpt"><a class="iusc" href="#" m="{html.escape(text)}"><img/></a></div></li>'


def page(*items: object) -> bytes:
    body = "".join(item(about) for about in items)
    return f'<html><body><div class="dgControl"><ul>{body}</ul></div></body></html>'.encode()


FIRST = {"murl": "https://a.example/1.png?w=9&h=8", "purl": "https://a.example/p?q=1&r=2", "t": "A “red” dress & hat"}
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
    with pytest.raises(UnknownLayout, match="none of the 2 results"):
        _bing.read_page(page(damaged, damaged))


@pytest.mark.parametrize(
    "url", ["x-raw-image:///7f3a", "data:image/png;base64,AAAA", "/th?id=1", "javascript:alert(1)", "ftp://a.example/1"]
)
def test_a_picture_that_lies_nowhere_in_the_web_is_left_out(url: str) -> None:
    assert [result.url for result in _bing.read_page(page({"murl": url}, FIRST))] == [FIRST["murl"]]
    with pytest.raises(UnknownLayout):
        _bing.read_page(page({"murl": url}))
    assert _bing.read_page(page(FIRST | {"purl": url}))[0].page_url == ""


@pytest.mark.parametrize("nothing", [None, "", ...])
def test_a_title_that_isnt_there_is_empty(nothing: object) -> None:
    about = {"murl": "https://a.example/1.png"} | ({} if nothing is ... else {"t": nothing, "purl": nothing})
    assert _bing.read_page(page(about)) == [Result(url="https://a.example/1.png")]


def test_a_title_cut_in_half_an_emoji_can_still_be_written() -> None:
    cut = '{"murl": "https://a.example/1.png", "t": "dress \\ud83d", "purl": "https://a.example/\\ud83d"}'
    for result in _bing.read_page(page(cut)):
        assert result.title.startswith("dress")
        (result.title + result.page_url + result.url).encode()


def test_a_title_is_plain_text() -> None:
    said = "\ue000Red\ue001  <strong>dress</strong> &amp;\n hat"
    assert _bing.read_page(page(FIRST | {"t": said}))[0].title == "Red dress & hat"


def test_a_second_imgpt_without_a_link_is_no_result() -> None:
    body = item(FIRST) + '<div class="imgpt"><a class="inflnk">related</a></div>' + item(SECOND)
    assert len(_bing.read_page(body.encode())) == 2


@pytest.mark.parametrize(
    "empty",
    [b"", b"   \n", b"\0\0", b"<html><body></body></html>", page(), b"<div></div>", b"<!-- -->",
     b'<html><div id="b_results"><p>no results</p></div></html>',
     b'<html><script>1</script><ol id="b_results"><li class="b_no">There are no results for a captcha</ol></html>',
     b'<div class="b_no">There are no results</div>'],
)  # fmt: skip
def test_an_empty_answer_is_no_result_and_no_failure(empty: bytes) -> None:
    assert _bing.read_page(empty) == []


@pytest.mark.parametrize(
    "wall",
    ["<h1>One last step</h1><p>Please solve the challenge below to continue</p>",
     '<ol id="b_results"><li class="b_ans"><div class="captcha"><div>Noch ein Schritt</div></div></li></ol>',
     '<script src="https://challenges.cloudflare.com/turnstile/v0/api.js"></script>',
     '<iframe src="https://www.google.com/recaptcha/api2/anchor"></iframe>',
     '<form action="https://consent.example.com/save"><button>Accept</button></form>',
     '<input name="cf-turnstile-response" type="hidden">', '<form action="/checkcaptcha?key=7"></form>'],
)  # fmt: skip
def test_a_page_that_asks_who_is_there_says_so(wall: str) -> None:
    with pytest.raises(Blocked, match="bing: .*captcha"):
        _bing.read_page(f"<html><body>{wall}</body></html>".encode())


@pytest.mark.parametrize(
    "strange",
    ["<div class='new-layout'><img src='x'/>Images</div>", "<p>Service unavailable</p>", "<script>go()</script>",
     "<meta http-equiv='refresh' content='0;url=/x'>", '<div class="dgControl"><div class="imgpt"></div></div>',
     '<ol id="b_results"><li class="b_algo">A page of the web</li></ol>', "{}", "a { color: red }", "\ufffd",
     '<div class="dg_u"><a m=\'{ns:"images",imgurl:"http://a.example/1.gif"}\'></a></div>'],
)  # fmt: skip
def test_a_page_that_isnt_known_is_neither_empty_nor_a_wall(strange: str) -> None:
    with pytest.raises(UnknownLayout, match="bing: a page holds no results"):
        _bing.read_page(f"<html><body>{strange}</body></html>".encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["murl", "purl", "t", "x"]), inner),
    max_leaves=8,
)
PIECES = st.sampled_from(
    [item(FIRST).encode(), b'<a class="iusc" m="', b'">', b"<!--", b"<?xml version='1.0' encoding='utf-16'?>", b"\0",
     b"<html>", b"&#xd800;", b"\xff\xfe", b"<script>", b"<frameset>", b"<div class=dgControl>"]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=12), max_size=8).map(b"".join))
def test_any_bytes_are_results_or_a_failure_of_the_source(answer: bytes) -> None:
    read_or_refused(_bing.read_page, answer)


@given(JSON)
def test_any_json_costs_at_most_its_item(about: object) -> None:
    for result in _bing.read_page(page(about, FIRST)):
        fit(result)


def test_a_huge_page_is_read() -> None:
    many = page(*({"murl": f"https://a.example/{n}", "desc": "x" * 2000} for n in range(1500)))
    assert len(_bing.read_page(many)) == 1500
    deep = b"<div>" * 300_000 + b'<a class="iusc" m="{}">' + b"[" * 100_000
    with pytest.raises(SourceError):
        _bing.read_page(deep + b"<img>")


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


def test_filters_and_safety_reach_the_address() -> None:
    assert all("filterui" in address for address in _bing.page_urls("dress", {"type": "photo"}))
    for safe, said in ((True, "strict"), (False, "off")):
        addresses = list(_bing.page_urls("dress", {"type": "photo"}, safe))
        assert all(parse_qs(urlsplit(address).query)["adlt"] == [said] for address in addresses)


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


@pytest.mark.parametrize("reason", ["http-403", "http-429"])
def test_a_refusal_is_a_wall(reason: str) -> None:
    async def fetch(address: str) -> bytes:
        raise FetchError(reason, "the host answered so")

    with pytest.raises(Blocked, match="bing: it refuses to answer.*another source"):
        asyncio.run(anext(_bing.search("dress", {}, fetch)))


@pytest.mark.parametrize(
    "body, expected", [(b"", FetchError), (b"<p>busy</p>", FetchError), (b'<form id="captcha-form"></form>', Blocked)]
)
def test_what_a_host_in_trouble_says_tells_a_wall_from_a_fault(body: bytes, expected: type[Exception]) -> None:
    async def fetch(address: str) -> bytes:
        raise FetchError("http-503", "the host answered 503", body=body)

    with pytest.raises(expected):
        asyncio.run(anext(_bing.search("dress", {}, fetch)))


def test_trouble_on_a_later_page_keeps_what_came_before() -> None:
    async def fetch(address: str) -> bytes:
        return page(FIRST, SECOND) if "first=0&" in address else b"<p>One last step</p><div class='captcha'></div>"

    async def search() -> list[str]:
        urls = []
        with pytest.raises(Blocked):
            async for result in _bing.search("dress", {}, fetch):
                urls.append(result.url)
        return urls

    assert asyncio.run(search()) == [FIRST["murl"], SECOND["murl"]]


def test_a_connection_asks_with_its_knobs_and_terms() -> None:
    asked = []

    class Web:
        async def get_page(self, source: str, url: str) -> bytes:
            asked.append((source, parse_qs(urlsplit(url).query)))
            return page(FIRST)

    async def first() -> Result:
        knobs = bing.Settings(type="photo", license="publicdomain")
        async with bing.connect("", knobs, Web(), Terms(safe=False)) as connection:  # type: ignore[arg-type]
            return await anext(connection.search("red dress"))

    assert asyncio.run(first()).url == FIRST["murl"]
    ((source, query),) = asked
    assert (source, query["q"], query["adlt"], query["first"]) == ("bing", ["red dress"], ["off"], ["0"])
    assert "photo-photo" in query["qft"][0] and "license-L1" in query["qft"][0]


@pytest.mark.parametrize(
    "value", [None, 7, "", "a.example/1", "//a.example/1", "http:/a", "https://a.example/" + "x" * 5000]
)
def test_what_is_no_address_is_none(value: object) -> None:
    assert _pages.address(value) == ""
