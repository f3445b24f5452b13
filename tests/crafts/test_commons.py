"""Wikimedia Commons: batches that come in parts, errors that pass and errors that don't, licences, hostile answers."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wild import VALUES, fit, spoiled

from gravurekit.errors import Blocked, FetchError, SourceError, UnknownLayout
from gravurekit.sources import Result, Terms, commons

UPLOAD = "https://upload.wikimedia.org/wikipedia/commons"
PD = {"LicenseShortName": "Public domain"}


def said(**words: object) -> dict[str, Any]:
    return {name: {"value": value, "source": "commons-desc-page"} for name, value in words.items()}


def info(name: str = "A.jpg", width: object = 2400, **words: object) -> dict[str, Any]:
    return {
        "url": f"{UPLOAD}/8/8d/{name}",
        "thumburl": f"{UPLOAD}/thumb/8/8d/{name}/1280px-{name}",
        "descriptionurl": f"https://commons.wikimedia.org/wiki/File:{name}",
        "width": width,
        "mime": "image/jpeg",
        "extmetadata": said(**(words or PD)),
    }


def page(number: int, **about: Any) -> dict[str, Any]:
    return {"pageid": number, "ns": 6, "title": f"File:{number}.jpg", "index": number,
            "imageinfo": [info(f"{number}.jpg")]} | about  # fmt: skip


def answer(*pages: Any, more: Any = None, whole: bool = True) -> dict[str, Any]:
    told: dict[str, Any] = {"batchcomplete": True} if whole else {}
    return told | ({"continue": more} if more else {}) | ({"query": {"pages": list(pages)}} if pages else {})


def thumb(number: int) -> str:
    return f"{UPLOAD}/thumb/8/8d/{number}.jpg/1280px-{number}.jpg"


def read(*pages: dict[str, Any], settings: commons.Settings | None = None, safe: bool = True) -> list[Result]:
    return list(commons.results(pages, settings or commons.Settings(), Terms(safe=safe)))


def one(**about: Any) -> Result | None:
    return next(iter(read(page(1, imageinfo=[info() | about]))), None)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of them longer than an instant."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(commons, "sleep", sleep)
    return made


def found(
    *answers: object, query: str = "dress", terms: Terms | None = None, most: int | None = None
) -> tuple[list[str], list[dict[str, str]]]:
    """The URLs that a search gives over these answers (objects, bytes, or errors), and what each request asked."""
    asked: list[dict[str, str]] = []

    async def fetch(url: str) -> bytes:
        asked.append({key: value[0] for key, value in parse_qs(urlsplit(url).query, keep_blank_values=True).items()})
        said = answers[len(asked) - 1]
        if isinstance(said, FetchError):
            raise said
        return said if isinstance(said, bytes) else json.dumps(said).encode()

    async def search() -> list[str]:
        urls = []
        results = commons.search(query, commons.Settings(), terms or Terms(), fetch)
        async for result in results:
            urls.append(result.url)
            if len(urls) == most:
                await results.aclose()
        return urls

    return asyncio.run(search()), asked


def test_a_file_is_told_whole() -> None:
    words = {
        "ObjectName": "A <i>red</i> dress &amp; hat",
        "Artist": '<a href="//commons.wikimedia.org/wiki/User:X" title="User:X">Müller</a>',
        "LicenseShortName": "CC BY-SA 4.0",
        "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0",
    }
    assert read(page(1, imageinfo=[info("A.jpg", **words)])) == [
        Result(
            url=f"{UPLOAD}/thumb/8/8d/A.jpg/1280px-A.jpg",
            page_url="https://commons.wikimedia.org/wiki/File:A.jpg",
            title="A red dress & hat",
            creator="Müller",
            license="CC-BY-SA-4.0",
            license_url="https://creativecommons.org/licenses/by-sa/4.0",
        )
    ]


@pytest.mark.parametrize("query", ["gowns & kaftans", "100% #1 c++ ?", "kırmızı elbise", 'a "b" -c', "half \ud83d"])
def test_a_query_reaches_the_host_whole(query: str) -> None:
    settings = commons.Settings(category='Women\'s "fashion"', width=960)
    url = commons.address(query, settings, {"gsroffset": "50", "continue": "gsroffset||"})
    parts = urlsplit(url)
    asked = {key: value[0] for key, value in parse_qs(parts.query).items()}
    assert (parts.hostname, parts.path, parts.fragment) == ("commons.wikimedia.org", "/w/api.php", "")
    assert asked["gsrsearch"].startswith('filetype:bitmap deepcat:"Women\'s  fashion" ')
    assert asked["gsrsearch"].endswith(query.replace("\ud83d", "?"))
    assert (asked["iiurlwidth"], asked["formatversion"], asked["maxlag"]) == ("960", "2", "5")
    assert (asked["gsroffset"], asked["continue"]) == ("50", "gsroffset||")


def test_what_a_host_wants_carried_on_changes_nothing_else() -> None:
    url = commons.address("dress", commons.Settings(), {"action": "login", "generator": "random"})
    assert "action=query" in url and "generator=search" in url


@pytest.mark.parametrize(
    "width, expected",
    [(2400, "thumb"), (1281, "thumb"), (1280, "original"), (30, "original"), (None, "original"), ("2400", "original")],
)
def test_only_a_wider_picture_comes_as_a_thumb(width: object, expected: str) -> None:
    result = one(width=width)
    assert result and ("/thumb/" in result.url) == (expected == "thumb")


def test_a_thumb_that_isnt_there_is_no_loss() -> None:
    result = one(thumburl=None)
    assert result and result.url == f"{UPLOAD}/8/8d/A.jpg"


@pytest.mark.parametrize(
    "words, name, url",
    [
        (PD, "public-domain", ""),
        ({"LicenseShortName": "CC0", "LicenseUrl": "http://creativecommons.org/publicdomain/zero/1.0/deed.en"},
         "CC0-1.0", "http://creativecommons.org/publicdomain/zero/1.0/deed.en"),
        ({"LicenseShortName": "CC BY 2.0", "License": "cc-by-sa-4.0"}, "CC-BY-2.0",
         "https://creativecommons.org/licenses/by/2.0/"),
        ({"License": "cc-by-sa-4.0"}, "CC-BY-SA-4.0", "https://creativecommons.org/licenses/by-sa/4.0/"),
        ({"UsageTerms": "Creative Commons Attribution-Share Alike 4.0"}, "CC-BY-SA-4.0",
         "https://creativecommons.org/licenses/by-sa/4.0/"),
        ({"LicenseShortName": "See below"}, "See below", ""),
        ({"LicenseShortName": None}, "", ""),
        ({"Artist": "X"}, "", ""),
    ],
)  # fmt: skip
def test_the_licence_is_the_one_in_words(words: dict[str, object], name: str, url: str) -> None:
    result = one(extmetadata=said(**words))
    assert result and (result.license, result.license_url) == (name, url)


def test_a_file_without_a_name_has_the_title_of_its_page() -> None:
    assert read(page(1, title="File:Robe à la française, ca. 1760.tiff"))[0].title == "Robe à la française, ca. 1760"


@pytest.mark.parametrize(
    "about",
    [{"mime": "image/svg+xml"}, {"mime": "application/pdf"}, {"mime": "video/webm"}, {"url": None, "thumburl": None},
     {"url": "ftp://x/y", "thumburl": "data:x"}, {"extmetadata": said(Restrictions="2257|personality")}],
    ids=str,
)  # fmt: skip
def test_what_is_no_bitmap_or_not_wanted_is_left_out(about: dict[str, Any]) -> None:
    assert one(**about) is None


def test_without_safe_search_nothing_is_left_out_for_what_it_shows() -> None:
    assert len(read(page(1, imageinfo=[info(Restrictions="2257")]), safe=False)) == 1


def test_results_come_in_the_order_of_the_search() -> None:
    pages = [page(3, index=2), page(1, index=3), page(2, index=1), page(4, index=None)]
    assert [result.url for result in read(*pages)] == [thumb(n) for n in (2, 3, 1, 4)]


def test_format_version_1_is_read_too() -> None:
    old = {"batchcomplete": "", "query": {"pages": {"7": page(7), "8": page(8, extmetadata=[])}}}
    assert found(old)[0] == [thumb(7), thumb(8)]


@pytest.mark.parametrize("about", [{}, {"batchcomplete": ""}, {"warnings": {}}, {"query": {"pages": []}}], ids=str)
def test_no_hits_are_no_results_and_no_failure(about: dict[str, Any]) -> None:
    assert found({"batchcomplete": True} | about)[0] == []


def test_a_batch_in_parts_is_laid_together_before_anything_is_given() -> None:
    bare = [{key: value for key, value in page(n).items() if key != "imageinfo"} for n in (1, 2)]
    first = answer(page(2), bare[0], more={"iistart": "x", "continue": "||"}, whole=False)
    second = answer(page(1), bare[1] | {"imageinfo": []}, more={"gsroffset": 50, "continue": "gsroffset||"})
    urls, asked = found(first, second, answer(page(3)))
    assert urls == [thumb(n) for n in (1, 2, 3)]
    assert [request.get("iistart") for request in asked] == [None, "x", None]
    assert [request.get("gsroffset") for request in asked] == [None, None, "50"]


def test_a_part_that_leads_nowhere_ends_the_search() -> None:
    assert found(answer(page(1), whole=False))[0] == [thumb(1)]


def test_a_batch_that_never_ends_is_a_failure() -> None:
    parts = [answer(page(n), more={"iistart": str(n)}, whole=False) for n in range(99)]
    with pytest.raises(UnknownLayout, match="50 answers"):
        found(*parts)


def test_a_search_ends_where_nothing_is_new() -> None:
    more = {"gsroffset": 50}
    urls, asked = found(answer(page(1), page(2), more=more), answer(page(2), page(1), more=more), answer(page(3)))
    assert (urls, len(asked)) == ([thumb(1), thumb(2)], 2)


def test_a_file_under_two_names_is_given_once() -> None:
    assert found(answer(page(1), page(2, imageinfo=[info("1.jpg")])))[0] == [thumb(1)]


@pytest.mark.parametrize("offset, requests", [(9950, 2), (10_000, 1), ("10000", 1), ("9" * 3000, 1), ("next", 2)])
def test_a_search_ends_at_its_window(offset: object, requests: int) -> None:
    _, asked = found(answer(page(1), more={"gsroffset": offset}), answer(page(2)))
    assert len(asked) == requests


def test_who_has_enough_asks_no_more() -> None:
    urls, asked = found(answer(page(1), page(2), more={"gsroffset": 50}), answer(page(3)), most=1)
    assert (urls, len(asked)) == ([thumb(1)], 1)


def test_missing_files_are_left_out() -> None:
    missing = [page(n, imageinfo=None, filemissing=True) for n in (1, 2)]
    assert found(answer(*missing, page(3)))[0] == [thumb(3)]
    assert found(answer(*missing))[0] == []


def test_many_results_without_a_single_file_are_a_new_layout() -> None:
    with pytest.raises(UnknownLayout, match="addresses"):
        found(answer(*(page(n, imageinfo=[{"src": "x"}]) for n in range(1, 6))))


@pytest.mark.parametrize("code", ["maxlag", "ratelimited", "internal_api_error_DBQueryError"])
def test_a_busy_host_is_asked_again(code: str, pauses: list[float]) -> None:
    busy = {"error": {"code": code, "info": "Waiting for a database server: 5.3 seconds lagged."}}
    assert found(busy, busy, answer(page(1)))[0] == [thumb(1)]
    assert pauses == [0.0, *commons.PAUSES[:2]]


def test_a_host_that_stays_busy_blocks() -> None:
    with pytest.raises(Blocked, match=r"ratelimited: Slow down.*later"):
        found(*[{"error": {"code": "ratelimited", "info": "Slow <b>down</b>"}}] * 9)


@pytest.mark.parametrize(
    "error, kind, words",
    [
        ({"code": "cirrussearch-query-too-long", "info": "Too long."}, UnknownLayout, "Too long"),
        ({"code": "blocked", "info": "You have been blocked."}, Blocked, "blocked"),
        ({"code": 7}, UnknownLayout, "error"),
        ("no", UnknownLayout, "error"),
    ],
)
def test_an_error_that_wont_pass_is_told(error: object, kind: type[SourceError], words: str) -> None:
    with pytest.raises(kind, match=words):
        found({"error": error})


@pytest.mark.parametrize(
    "strange",
    [b"", b"<html><title>Wikimedia Error</title></html>", b"[" * 100_000, b"null", b"[]", b"7", b"{}", b'{"query": 7}',
     b'{"query": {"pages": 7}}', b'{"query": {}}', b'{"query": {"pages": [7, {"id": 1}]}}',
     b'{"batchcomplete": true, "query": {"pages": "x"}}', b"\xff\xfe"],
    ids=lambda page: page[:20],
)  # fmt: skip
def test_what_is_no_answer_of_the_api_is_a_failure(strange: bytes) -> None:
    with pytest.raises(UnknownLayout, match=r"^commons: .*leave this source out"):
        found(strange)


@pytest.mark.parametrize("reason", ["http-403", "http-429"])
@pytest.mark.parametrize("contact, advice", [("", "--contact you@example.org"), ("me@example.org", "in an hour")])
def test_a_refusal_says_what_to_do(reason: str, contact: str, advice: str) -> None:
    with pytest.raises(Blocked, match=advice):
        found(FetchError(reason, "the host refused"), terms=Terms(contact=contact))


def test_other_failures_of_the_host_stay_what_they_are() -> None:
    with pytest.raises(FetchError, match="timeout"):
        found(FetchError("timeout", "no answer"))


def test_trouble_on_a_later_page_costs_nothing_that_was_given() -> None:
    got: list[str] = []
    answers = iter([json.dumps(answer(page(1), more={"gsroffset": 50})).encode(), b"<html>"])

    async def fetch(url: str) -> bytes:
        return next(answers)

    async def search() -> None:
        async for result in commons.search("dress", commons.Settings(), Terms(), fetch):
            got.append(result.url)

    with pytest.raises(UnknownLayout):
        asyncio.run(search())
    assert got == [thumb(1)]


def test_an_open_source_asks_through_the_web() -> None:
    asked: list[tuple[str, str]] = []

    class Web:
        async def get_page(self, source: str, url: str) -> bytes:
            asked.append((source, url))
            return json.dumps(answer(page(1))).encode()

    async def first() -> str:
        async with commons.connect("", commons.Settings(), Web(), Terms()) as source:  # type: ignore[arg-type]
            return [result.url async for result in source.search("dress")][0]

    assert asyncio.run(first()) == thumb(1)
    assert [(source, url.partition("?")[0]) for source, url in asked] == [("commons", commons.ADDRESS)]


@given(data=st.data())
def test_whatever_a_host_answers_is_a_result_or_a_failure_of_the_source(data: st.DataObject) -> None:
    whole = answer(page(1), page(2), more={"gsroffset": 50, "continue": "gsroffset||"})
    wild = spoiled(whole, data.draw) if data.draw(st.booleans()) else data.draw(VALUES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commons, "PAUSES", ())
        try:
            read_all = commons.read_page(json.dumps(wild).encode())
            for result in commons.results(read_all.pages.values(), commons.Settings(), Terms()):
                fit(result)
            commons.address("dress", commons.Settings(), read_all.more)
            found(wild, answer(page(3)))
        except SourceError as error:
            assert str(error).startswith("commons: ")
