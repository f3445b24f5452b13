"""Baidu's answers: its cipher, its odd JSON, its refusals."""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from wild import read_or_refused

from gravurekit.errors import Blocked, FetchError, UnknownLayout
from gravurekit.sources import Result, Terms, _baidu, baidu

PLAIN = "https://host.example/i1.jpg"
CIPHER = "ipprf_z2C$qAzdH3FAzdH3Fi5fp_z&e3Bjxw4rsjAzdH3Ft8_z&e3B3r2"
LETTERS = dict(zip("abcdefghijklmnopqrstuvw1234567890", "wkv1ju2it3hs4g5rq6fp7eo8dn9cm0bla", strict=True))
SIGNS = {":": "_z2C$q", ".": "_z&e3B", "/": "AzdH3F"}


def enciphered(url: str) -> str:
    return "".join(SIGNS.get(letter) or LETTERS.get(letter, letter) for letter in url)


def answer(*items: object) -> bytes:
    return json.dumps({"queryEnc": "x", "listNum": 900, "data": [*items, {}]}).encode()


@pytest.mark.parametrize(
    "url", [PLAIN, "http://f.example/pic/item/242dd42a.jpg", "https://a.example/A_B%20z?x=1&y=%E7"]
)
def test_the_cipher_is_read_and_what_isnt_enciphered_is_left_alone(url: str) -> None:
    assert _baidu.deciphered(enciphered(url)) == _baidu.deciphered(url) == url


def test_a_known_cipher_text() -> None:
    assert enciphered(PLAIN) == CIPHER
    assert _baidu.deciphered(CIPHER) == PLAIN


@pytest.mark.parametrize("value", [None, 7, "", "x", "ippr", "kiitl://kwli", [], {}, "\ud800"])
def test_what_is_no_address_is_none(value: object) -> None:
    assert _baidu.deciphered(value) == ""


BEST = {
    "replaceUrl": [
        {"ObjURL": "http://r.example/1.jpg", "FromURL": "http://r.example/"},
        {"ObjURL": "http://no.example"},
    ],
    "objURL": CIPHER,
    "hoverURL": "https://h.example/1.jpg",
    "thumbURL": "https://t.example/1.jpg",
    "fromURL": enciphered("http://p.example/1"),
    "fromPageTitle": "<strong>红色</strong>连衣裙 &amp; hat",
}


@pytest.mark.parametrize(
    "gone, url, found_on",
    [((), "http://r.example/1.jpg", "http://r.example/"),
     (("replaceUrl",), PLAIN, "http://p.example/1"),
     (("replaceUrl", "objURL"), "https://h.example/1.jpg", "http://p.example/1"),
     (("replaceUrl", "objURL", "hoverURL"), "https://t.example/1.jpg", "http://p.example/1")],
)  # fmt: skip
@pytest.mark.parametrize("bad", [..., None, "", 7, [], {}, ["x"], [{}], "nonsense"], ids=str)
def test_the_best_address_that_is_there_is_taken(gone: tuple[str, ...], url: str, found_on: str, bad: object) -> None:
    item = BEST | dict.fromkeys(gone, bad)
    item = {name: value for name, value in item.items() if value is not ...}
    assert _baidu.read_page(answer(item)) == [Result(url=url, page_url=found_on, title="红色连衣裙 & hat")]


def test_a_page_or_a_title_that_isnt_there_is_empty() -> None:
    assert _baidu.read_page(answer({"objURL": CIPHER})) == [Result(url=PLAIN)]
    replaced = {"replaceUrl": [{"FromURL": "http://r.example/"}], "objURL": PLAIN, "fromPageTitleEnc": "x"}
    assert _baidu.read_page(answer(replaced)) == [Result(url=PLAIN, page_url="http://r.example/", title="x")]


@pytest.mark.parametrize("damaged", [None, 7, "x", [], [{}], {"x": 1}, {"objURL": "x"}, {"thumbURL": None}], ids=str)
def test_a_damaged_item_costs_only_itself(damaged: object) -> None:
    assert [result.url for result in _baidu.read_page(answer(damaged, BEST))] == ["http://r.example/1.jpg"]
    with pytest.raises(UnknownLayout, match="none of the 2 results"):
        _baidu.read_page(answer(damaged, damaged))


@pytest.mark.parametrize(
    "odd, title", [(r"it\'s", "it's"), ("a\nb\tc", "a b c"), (r"\\'a", r"\'a"), (r"a\qb\"", 'aqb"')]
)
def test_json_that_isnt_quite_json_is_read(odd: str, title: str) -> None:
    text = f'{{"data":[{{"thumbURL":"http:\\/\\/t.example\\/1","fromPageTitle":"{odd}"}},{{}}]}}'
    assert _baidu.read_page(text.encode()) == [Result(url="http://t.example/1", title=title)]


@pytest.mark.parametrize("empty", [answer(), b'{"data":[]}', b'{"displayNum":0,"data":[{},{}]}'])
def test_an_empty_answer_is_no_failure(empty: bytes) -> None:
    assert _baidu.read_page(empty) == []


@pytest.mark.parametrize(
    "wall, said",
    [(b'{"antiFlag":1,"message":"Forbid spider access"}', "Forbid spider access"), (b'{"antiFlag":1}', "no"),
     ('<html><head><title>百度安全验证</title></head></html>'.encode(), "captcha"),
     (b'<a href="https://wappass.baidu.com/static/captcha/?ak=1">Found</a>', "captcha"),
     (b'<meta http-equiv="refresh" content="0;url=https://wappass.baidu.com/static/captcha/">', "captcha"),
     (b'<div id="captcha"></div>', "captcha")],
)  # fmt: skip
def test_a_wall_is_no_empty_answer(wall: bytes, said: str) -> None:
    with pytest.raises(Blocked, match=f"baidu: .*{said}.*another source"):
        _baidu.read_page(wall)


@pytest.mark.parametrize(
    "strange",
    [b"", b"\xff\x00", b"{", b"null", b"7", b"[]", b'"data"', b"{}", b'{"data":null}', b'{"data":{"x":1}}',
     b'{"data":7}', b"<html><p>nginx</p></html>", b"[" * 200_000, b'{"data":' + b"[" * 200_000, b"9" * 10_000],
)  # fmt: skip
def test_what_isnt_known_is_said(strange: bytes) -> None:
    with pytest.raises(UnknownLayout, match="baidu: the answer"):
        _baidu.read_page(strange)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([PLAIN, CIPHER]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*BEST, "ObjURL", "FromURL", "data"]), inner),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_results_or_a_failure_of_the_source(data: object) -> None:
    read_or_refused(_baidu.read_page, json.dumps(data).encode())
    read_or_refused(_baidu.read_page, json.dumps({"data": data}).encode())
    read_or_refused(_baidu.read_page, json.dumps({"antiFlag": data, "message": data, "data": [data]}).encode())


PIECES = st.sampled_from(
    [b'{"data":[', b'{"thumbURL":"http://a.example/', b'"}', b"]}", b"\\ud800", b"\\'", b"\0", b"\xff"]
)


@given(st.lists(PIECES | st.binary(max_size=8), max_size=8).map(b"".join))
def test_any_bytes_are_results_or_a_failure_of_the_source(page: bytes) -> None:
    read_or_refused(_baidu.read_page, page)


@pytest.mark.parametrize(
    "query", ["red dress", "a & b", "q=1&pn=9", "红色连衣裙", "kırmızı elbise", "100% #1 c++ ?", "\udce9"]
)
def test_a_query_survives_its_address(query: str) -> None:
    addresses = list(_baidu.page_urls(query, {"type": "face", "color": "red", "size": "=800x600"}))
    assert len(addresses) == len(set(addresses)) > 10
    for n, address in enumerate(addresses):
        parts = urlsplit(address)
        assert (parts.scheme, parts.hostname, parts.fragment) == ("https", "image.baidu.com", "")
        asked = parse_qs(parts.query)
        assert asked["word"] == [query.replace("\udce9", "?")]
        assert (asked["pn"], asked["rn"]) == ([str(30 * n)], ["30"])
        assert (asked["face"], asked["ic"], asked["width"], asked["height"]) == (["1"], ["1"], ["800"], ["600"])


def test_an_address_in_the_query_isnt_changed() -> None:
    address = next(_baidu.page_urls("http://a.example", {}))
    assert parse_qs(urlsplit(address).query)["word"] == ["http://a.example"]


@pytest.mark.parametrize("size", ["huge", ">800x600", "=800"])
def test_a_size_that_baidu_doesnt_know_is_refused(size: str) -> None:
    with pytest.raises(ValidationError):
        baidu.Settings(size=size)


class Web:
    """What a connection asks of the web."""

    def __init__(self, *pages: bytes | FetchError) -> None:
        self.pages = pages
        self.asked: list[tuple[str, str]] = []

    async def get_page(self, source: str, url: str) -> bytes:
        self.asked.append((source, parse_qs(urlsplit(url).query)["pn"][0]))
        page = self.pages[len(self.asked) - 1]
        if isinstance(page, FetchError):
            raise page
        return page


async def searched(web: Web) -> list[str]:
    async with baidu.connect("", baidu.Settings(), web, Terms()) as connection:  # type: ignore[arg-type]
        return [result.url async for result in connection.search("red dress")]


def test_a_search_goes_on_until_an_answer_brings_nothing_new() -> None:
    one, two, three = ({"thumbURL": f"https://a.example/{n}"} for n in "123")
    web = Web(answer(one, two, one), answer(two, three), answer(three, one))
    assert asyncio.run(searched(web)) == [f"https://a.example/{n}" for n in "123"]
    assert web.asked == [("baidu", "0"), ("baidu", "30"), ("baidu", "60")]
    assert asyncio.run(searched(Web(answer()))) == []


def test_a_refusal_is_a_wall_and_a_dead_host_is_none() -> None:
    with pytest.raises(Blocked, match="baidu: it refuses"):
        asyncio.run(searched(Web(FetchError("http-403", "the host answered 403"))))
    with pytest.raises(FetchError):
        asyncio.run(searched(Web(FetchError("connection", "no route"))))
