"""The Library of Congress: copies in many sizes, rights in many words, a 404 that means nothing found, captchas."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wild import VALUES, fit, spoiled

from gravurekit.errors import Blocked, FetchError, SourceError, UnknownLayout
from gravurekit.sources import Result, Terms, loc

TILE = "https://tile.loc.gov/storage-services/service/pnp/cph"
CLOUDFLARE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"
FREE = "No known restrictions on publication."
NOTHING = FetchError("http-404", "the host answered 404", body=b'{"options": {"q": "x"}, "status": 404, "title": ""}')


def item(number: int, **about: Any) -> dict[str, Any]:
    return {
        "id": f"http://www.loc.gov/item/{number}/",
        "url": f"https://www.loc.gov/item/{number}/",
        "title": f"Bride <i>no.</i> {number}",
        "image_url": [f"{TILE}/{number}_150px.jpg#h=118&w=150", f"//{TILE[8:]}/{number}r.jpg#h=504&w=640",
                      f"{TILE}/{number}v.jpg#h=807&w=1024"],
        "original_format": ["photo, print, drawing"],
        "access_restricted": False,
        "item": {"creators": [{"title": "Abdullah Frères", "role": "photographer"}], "rights_advisory": FREE},
    } | about  # fmt: skip


def largest(number: int) -> str:
    return f"{TILE}/{number}v.jpg"


def page(*items: object, following: object = "https://www.loc.gov/photos/?sp=2") -> dict[str, Any]:
    return {"results": list(items), "pagination": {"current": 1, "of": 99, "next": following}}


def read(*items: dict[str, Any], **knobs: Any) -> list[Result]:
    return list(loc.results(items, loc.Settings(**knobs)))


def found(*answers: object, most: int | None = None) -> tuple[list[str], list[str]]:
    """The URLs that a search gives over these answers (objects, bytes, or errors), and which pages it asked for."""
    asked: list[str] = []

    async def fetch(url: str) -> bytes:
        asked.append(parse_qs(urlsplit(url).query)["sp"][0])
        said = answers[len(asked) - 1]
        if isinstance(said, FetchError):
            raise FetchError(said.reason, said.detail, said.retry_after, said.body)
        return said if isinstance(said, bytes) else json.dumps(said).encode()

    async def search() -> list[str]:
        urls = []
        results: AsyncIterator[Result] = loc.search("dress", loc.Settings(), fetch)
        async for result in results:
            urls.append(result.url)
            if len(urls) == most:
                await results.aclose()  # type: ignore[attr-defined]
        return urls

    return asyncio.run(search()), asked


def test_an_item_is_told_whole() -> None:
    assert read(item(7)) == [
        Result(
            url=largest(7),
            page_url="https://www.loc.gov/item/7/",
            title="Bride no. 7",
            creator="Abdullah Frères",
            license="no-known-restrictions",
        )
    ]


@pytest.mark.parametrize("query", ["gowns & kaftans", "100% #1 c++ ?", "kırmızı elbise"])
def test_a_query_reaches_the_host_whole(query: str) -> None:
    knobs = loc.Settings(collection="Abdul Hamid II Collection", date_begin=1880, date_end=1893)
    parts = urlsplit(loc.address(query, knobs, 3))
    assert (parts.scheme, parts.hostname, parts.path) == ("https", "www.loc.gov", "/photos/")
    assert {key: value[0] for key, value in parse_qs(parts.query).items()} == {
        "q": query, "fo": "json", "c": "100", "sp": "3", "at": "results,pagination", "dates": "1880/1893",
        "fa": "online-format:image|partof:abdul hamid ii collection",
    }  # fmt: skip


@pytest.mark.parametrize("begin, end, dates", [(0, 0, None), (1880, 0, "1880/9999"), (0, 900, "0000/0900")])
def test_years_are_a_range(begin: int, end: int, dates: str | None) -> None:
    url = loc.address("dress", loc.Settings(date_begin=begin, date_end=end), 1)
    assert parse_qs(urlsplit(url).query).get("dates") == (dates and [dates])


@pytest.mark.parametrize(
    "side, expected", [(1, "7_150px.jpg"), (150, "7_150px.jpg"), (151, "7r.jpg"), (640, "7r.jpg"), (1024, "7v.jpg"),
                       (4000, "7v.jpg")]
)  # fmt: skip
def test_the_smallest_copy_that_is_big_enough_is_taken(side: int, expected: str) -> None:
    assert [result.url for result in read(item(7), side=side)] == [f"{TILE}/{expected}"]


@pytest.mark.parametrize(
    "copies, expected",
    [
        (["//a.example/s.jpg", "//a.example/b.jpg"], "https://a.example/b.jpg"),
        ("https://a.example/one.jpg#h=9&w=9", "https://a.example/one.jpg"),
        (["https://a.example/a b.jpg", 7, None, "x", "data:y"], "https://a.example/a%20b.jpg"),
        (["https://a.example/s.jpg", "https://www.loc.gov/static/images/original-format/group-of-images.svg"],
         "https://a.example/s.jpg"),
    ],
)  # fmt: skip
def test_copies_without_sizes_end_with_the_largest(copies: object, expected: str) -> None:
    assert [result.url for result in read(item(7, image_url=copies))] == [expected]


@pytest.mark.parametrize(
    "about",
    [{"image_url": []}, {"image_url": None}, {"image_url": {}}, {"access_restricted": True},
     {"image_url": ["https://www.loc.gov/static/images/original-format/group-of-images.svg"]},
     {"image_url": ["https://www.loc.gov/static/images/original-format/photo.png"]},
     {"original_format": ["Web page"]}, {"original_format": ["collection"]}, {"original_format": "collection"}],
    ids=str,
)  # fmt: skip
def test_what_has_no_picture_is_left_out(about: dict[str, Any]) -> None:
    assert read(item(7, **about)) == []


@pytest.mark.parametrize(
    "said, name",
    [
        ({"rights_advisory": FREE}, "no-known-restrictions"),
        ({"rights_advisory": [FREE]}, "no-known-restrictions"),
        ({"rights_information": "No known restrictions.", "rights_advisory": [FREE, FREE]}, "no-known-restrictions"),
        ({"rights": "<p>No known copyright restrictions</p>"}, "no-known-restrictions"),
        ({"rights_advisory": "", "rights": ["Public domain"]}, "public-domain"),
        (
            {"rights_information": "No known restrictions. For information, see U.S. Farm Security Administration"
             "/Office of War Information Black & White Photographs(http://www.loc.gov/rr/print/res/071_fsab.html)"},
            "no-known-restrictions",
        ),
        (
            {"rights_advisory": 'No known restrictions on publication. For information see "Copyright and Other '
             'Restrictions Which Apply to Publication"'},
            "no-known-restrictions",
        ),
    ],
)  # fmt: skip
def test_rights_in_many_words(said: dict[str, object], name: str) -> None:
    assert read(item(7, item=said))[0].license == name
    assert read(item(7, item=None, **said))[0].license == name


@pytest.mark.parametrize(
    "said",
    [
        {"rights_advisory": "Publication may be restricted. For information see x"},
        {"rights_advisory": "Rights status not evaluated."},
        {"rights_information": "No known restrictions on images made by the U.S. Government; images copied from other "
         "sources may be restricted."},
        {"rights_advisory": "No known restrictions on publication. For information see x; reproduction is restricted"},
        {"rights_advisory": FREE, "rights_information": "Publication may be restricted."},
        {"rights_advisory": "For information see x"},
        {"rights_advisory": "No known restrictions. For information see " + "x " * 2000 + "may be restricted"},
        {"rights_advisory": [FREE, "Permission needed."], "rights": "Public domain"},
        {"rights_advisory": None}, {"rights": 7}, {"rights": [None, {}]}, {},
    ],
    ids=str,
)  # fmt: skip
def test_words_that_give_nothing_away_allow_nothing(said: dict[str, object]) -> None:
    license = read(item(7, item=said))[0].license
    assert license != "no-known-restrictions" and license != "public-domain"
    assert bool(license) == any(isinstance(words, (str, list)) and words != [None, {}] for words in said.values())


@pytest.mark.parametrize(
    "about, creator",
    [
        ({"item": {"creators": [{"title": "A"}, {"title": "B, photographer"}, {"link": "x"}]}}, "A; B, photographer"),
        ({"item": {"contributors": ["Collins, Marjory", ""]}}, "Collins, Marjory"),
        ({"item": {"creators": []}, "contributor": ["bain news service"]}, "bain news service"),
        ({"item": {}, "contributor": "bain"}, "bain"),
        ({"item": 7}, ""),
        ({"item": {"creators": [{"title": str(n)} for n in range(99)]}}, "; ".join(map(str, range(10)))),
    ],
    ids=lambda value: str(value)[:40],
)
def test_creators_lie_in_many_places(about: dict[str, Any], creator: str) -> None:
    assert read(item(7, **about))[0].creator == creator


def test_a_page_address_is_found_where_it_is() -> None:
    assert read(item(7, url=None))[0].page_url == "http://www.loc.gov/item/7/"
    assert read(item(7, url=None, item={"link": "//www.loc.gov/pictures/item/7/"}))[0].page_url == (
        "https://www.loc.gov/pictures/item/7/"
    )


def test_pages_follow_one_another_until_there_is_none() -> None:
    urls, asked = found(page(item(1), item(2)), page(item(3)), page(item(4), following=None), page(item(5)))
    assert (urls, asked) == ([largest(n) for n in (1, 2, 3, 4)], ["1", "2", "3"])


def test_pages_that_repeat_themselves_end_the_search() -> None:
    urls, asked = found(page(item(1), item(2)), page(item(2), item(1)), page(item(3)))
    assert (urls, asked) == ([largest(1), largest(2)], ["1", "2"])


def test_a_page_without_a_single_picture_is_not_the_end() -> None:
    assert found(page(item(1, image_url=[])), page(item(2), following=""))[0] == [largest(2)]


def test_a_picture_of_two_items_is_given_once() -> None:
    assert found(page(item(1), item(2, image_url=item(1)["image_url"]), following=None))[0] == [largest(1)]


def test_an_answer_that_tells_nothing_of_pages_is_followed() -> None:
    assert found({"results": [item(1)]}, {"content": {"results": [item(2)]}}, NOTHING)[0] == [largest(1), largest(2)]


@pytest.mark.parametrize(
    "nothing",
    [NOTHING, {"status": 404}, {"results": []}, page(), FetchError("http-404", "404", body=b'{"results": [ ]}'),
     FetchError("http-404", "404", body=b' {"status" : 404, "cut off: ' + b"x" * 70_000),
     FetchError("http-404", "404", body=b'{"title": "captcha challenge", "status": 404}')],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_nothing_found_is_no_failure(nothing: object) -> None:
    assert found(nothing) == ([], ["1"])


def test_who_has_enough_asks_no_more() -> None:
    assert found(page(item(1), item(2)), page(item(3)), most=2) == ([largest(1), largest(2)], ["1"])


@pytest.mark.parametrize(
    "wall",
    [FetchError("http-403", "403", body=CLOUDFLARE), FetchError("http-429", "429"), CLOUDFLARE,
     FetchError("http-503", "503", body=CLOUDFLARE), FetchError("http-404", "404", body=CLOUDFLARE),
     b"\n<html><form id='captcha'></form></html>"],
    ids=str,
)  # fmt: skip
def test_captchas_and_refusals_block(wall: object) -> None:
    with pytest.raises(Blocked, match=r"^loc: .*in an hour"):
        found(wall)
    with pytest.raises(Blocked):
        found(page(item(1)), wall)


@pytest.mark.parametrize(
    "strange",
    [b"", b"<html><h1>Library of Congress</h1></html>", b"[" * 100_000, b"null", b"[]", b"7", b"{}", b'{"results": 7}',
     b'{"results": null}', b'{"content": {}}', b'{"status": "404"}', b'{"results": [7, {}]}',
     json.dumps({"results": [{"id": str(n), "image": "x"} for n in range(5)]}).encode(),
     FetchError("http-404", "404", body=b"<html>Not found</html>"), FetchError("http-404", "404")],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_is_no_page_of_results_is_a_failure(strange: object) -> None:
    with pytest.raises(UnknownLayout, match=r"^loc: .*leave this source out"):
        found(strange)


def test_other_failures_of_the_host_stay_what_they_are() -> None:
    with pytest.raises(FetchError, match="http-500"):
        found(FetchError("http-500", "the host answered 500", body=b"<html>oops</html>"))


def test_an_open_source_asks_through_the_web() -> None:
    class Web:
        async def get_page(self, source: str, url: str) -> bytes:
            assert (source, url.partition("?")[0]) == ("loc", loc.ADDRESS)
            return json.dumps(page(item(1), following=None)).encode()

    async def everything() -> list[str]:
        async with loc.connect("", loc.Settings(), Web(), Terms()) as source:  # type: ignore[arg-type]
            return [result.url async for result in source.search("dress")]

    assert asyncio.run(everything()) == [largest(1)]
    assert loc.PACES["www.loc.gov"].per_second * 60 < 20


@given(data=st.data())
def test_whatever_a_host_answers_is_a_result_or_a_failure_of_the_source(data: st.DataObject) -> None:
    wild = spoiled(page(item(1), item(2)), data.draw) if data.draw(st.booleans()) else data.draw(VALUES)
    try:
        whole = loc.read_page(json.dumps(wild).encode())
        for result in loc.results(whole.items.values(), loc.Settings()):
            fit(result)
        found(wild, page(item(3), following=None))
    except SourceError as error:
        assert str(error).startswith("loc: ")


@given(st.binary())
def test_whatever_bytes_a_host_answers_too(answer: bytes) -> None:
    for said in (answer, FetchError("http-404", "404", body=answer)):
        try:
            found(said)
        except SourceError as error:
            assert str(error).startswith("loc: ")
