"""The Metropolitan Museum: a search that gives numbers, objects one by one, loans that are gone, its robot guard."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wild import VALUES, fit, spoiled

from gravurekit.errors import Blocked, FetchError, SourceError, UnknownLayout
from gravurekit.sources import Result, Terms, met

IMAGES = "https://images.metmuseum.org/CRDImages/ci"
CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
INCAPSULA = b'<html><head><script src="/_Incapsula_Resource?SWJIYLWA=1"></script></head><body></body></html>'
GONE = FetchError("http-404", "the host answered 404", body=b'{"message":"ObjectID not found"}')


def thing(number: int, **about: object) -> dict[str, Any]:
    return {
        "objectID": number,
        "isPublicDomain": True,
        "primaryImage": f"{IMAGES}/original/{number}.jpg",
        "primaryImageSmall": f"{IMAGES}/web-large/{number}.jpg",
        "additionalImages": [f"{IMAGES}/original/{number}b.jpg"],
        "title": "Robe <i>à la française</i>",
        "objectName": "Dress",
        "artistDisplayName": "Worth &amp; Bobergh",
        "rightsAndReproduction": "",
        "objectURL": f"https://wwwstg.metmuseum.org/art/collection/search/{number}",
    } | about


def small(number: int) -> str:
    return f"{IMAGES}/web-large/{number}.jpg"


def numbers(*found: object, total: int = 9) -> dict[str, Any]:
    return {"total": total, "objectIDs": list(found) or None}


def read(about: dict[str, Any], **knobs: Any) -> list[Result]:
    return list(met.read_object(about, 7, met.Settings(**knobs)))


class Museum:
    """Answers from tables: pages of numbers by their offset, objects by their number; what isn't there is a 404."""

    def __init__(self, pages: Mapping[int, object], things: Mapping[int, object]) -> None:
        self.pages, self.things = pages, things
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        parts = urlsplit(url)
        if parts.path.endswith("/search"):
            said = self.pages.get(int(parse_qs(parts.query)["offset"][0]), numbers())
        else:
            said = self.things.get(int(parts.path.rpartition("/")[2]), GONE)
        if isinstance(said, FetchError):
            raise FetchError(said.reason, said.detail, said.retry_after, said.body)
        return said if isinstance(said, bytes) else json.dumps(said).encode()


def found(museum: Museum, most: int | None = None, **knobs: Any) -> list[str]:
    """The URLs that a search gives, at most so many."""

    async def search() -> list[str]:
        urls = []
        results: AsyncIterator[Result] = met.search("dress", met.Settings(**knobs), Terms(), museum.fetch)
        async for result in results:
            urls.append(result.url)
            if len(urls) == most:
                await results.aclose()  # type: ignore[attr-defined]
        return urls

    return asyncio.run(search())


def test_an_object_is_told_whole() -> None:
    assert read(thing(7)) == [
        Result(
            url=small(7),
            page_url="https://www.metmuseum.org/art/collection/search/7",
            title="Robe à la française",
            creator="Worth & Bobergh",
            license="CC0-1.0",
            license_url=CC0,
        )
    ]


def test_sizes_and_other_views() -> None:
    original, other = f"{IMAGES}/original/7.jpg", f"{IMAGES}/original/7b.jpg"
    assert [item.url for item in read(thing(7), size="original")] == [original]
    assert [item.url for item in read(thing(7, primaryImageSmall=""))] == [original]
    assert [item.url for item in read(thing(7), additional_images=True)] == [small(7), other]
    assert {item.license for item in read(thing(7), additional_images=True)} == {"CC0-1.0"}
    for nothing in (None, [], [None, 7, "", "data:x"], {"0": "x"}, "x"):
        assert len(read(thing(7, additionalImages=nothing), additional_images=True)) == 1


def test_an_address_with_spaces_and_letters_can_be_asked_for() -> None:
    assert read(thing(7, primaryImageSmall=f"{IMAGES}/web-large/a b ü%20c.jpg"))[0].url == (
        f"{IMAGES}/web-large/a%20b%20%C3%BC%20c.jpg"
    )


def test_an_object_without_a_title_has_the_name_of_its_kind() -> None:
    assert read(thing(7, title=""))[0].title == "Dress"


@pytest.mark.parametrize("nothing", ["", None, 0])
def test_an_object_without_a_picture_gives_none(nothing: object) -> None:
    assert read(thing(7, primaryImage=nothing)) == []


@pytest.mark.parametrize(
    "free, rights, name",
    [
        (True, "", "CC0-1.0"),
        (True, "© someone", "CC0-1.0"),
        (False, "", ""),
        (False, None, ""),
        (False, "© 2026 Artists Rights Society (ARS)", "© 2026 Artists Rights Society (ARS)"),
        ("true", "", ""),
        (1, "", ""),
        (None, "", ""),
    ],
)
def test_only_what_the_museum_calls_free_is_free(free: object, rights: object, name: str) -> None:
    assert [item.license for item in read(thing(7, isPublicDomain=free, rightsAndReproduction=rights))] == [name]


@pytest.mark.parametrize("query", ["gowns & kaftans", "100% #1 c++ ?", "kırmızı elbise"])
def test_a_query_reaches_the_host_whole(query: str) -> None:
    knobs = met.Settings(department=9, medium="Prints|Etching", place="Turkey", date_end=1800)
    parts = urlsplit(met.address(query, knobs, Terms(license="open"), 9700))
    assert (parts.hostname, parts.path) == ("collectionapi.metmuseum.org", "/public/collection/v1.1/search")
    assert {key: value[0] for key, value in parse_qs(parts.query).items()} == {
        "q": query, "hasImages": "true", "isPublicDomain": "true", "departmentId": "9", "medium": "Prints|Etching",
        "geoLocation": "Turkey", "dateBegin": "-10000", "dateEnd": "1800", "offset": "9700", "limit": "300",
    }  # fmt: skip


def test_without_a_wish_nothing_is_narrowed() -> None:
    asked = parse_qs(urlsplit(met.address("dress", met.Settings(), Terms(), 0)).query)
    assert asked.keys() == {"q", "hasImages", "offset", "limit"}
    assert asked["limit"] == ["500"]


def test_objects_come_in_the_order_of_the_search_and_each_once() -> None:
    museum = Museum({0: numbers(3, 1, 3), 3: numbers(1, 2), 5: numbers(2, 3)}, {n: thing(n) for n in (1, 2, 3)})
    assert found(museum) == [small(3), small(1), small(2)]
    assert len(museum.asked) == 3 + 3


def test_nothing_found_is_no_failure() -> None:
    museum = Museum({}, {})
    assert (found(museum), len(museum.asked)) == ([], 1)


def test_who_has_enough_asks_for_no_more_objects() -> None:
    museum = Museum({0: numbers(1, 2, 3)}, {n: thing(n) for n in (1, 2, 3)})
    assert (found(museum, most=2), len(museum.asked)) == ([small(1), small(2)], 3)


def test_a_search_ends_at_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(met, "WINDOW", 700)
    pages = {n: numbers(*range(n + 1, n + 101)) for n in range(0, 2000, 100)}
    museum = Museum(pages, dict.fromkeys(range(1, 2001), thing(1)))
    assert found(museum) == [small(1)]
    asked = [parse_qs(urlsplit(url).query) for url in museum.asked if "/search" in url]
    assert [query["offset"] for query in asked] == [[str(n)] for n in range(0, 700, 100)]
    assert asked[-1]["limit"] == ["100"]


def test_objects_that_are_gone_cost_only_themselves() -> None:
    things: dict[int, object] = {
        1: {"message": "Not a valid object"}, 3: FetchError("http-502", "bad gateway"), 4: thing(4, primaryImage=""),
        5: thing(5),
    }  # fmt: skip
    assert found(Museum({0: numbers(1, 2, 3, 4, 5)}, things)) == [small(5)]


def test_when_no_object_can_be_had_the_museum_is_at_fault() -> None:
    museum = Museum({0: numbers(*range(1, 99))}, {})
    with pytest.raises(UnknownLayout, match=r"10 objects in a row.*404"):
        found(museum)
    assert len(museum.asked) == 11


def test_a_host_that_cant_be_reached_isnt_asked_for_each_object() -> None:
    museum = Museum({0: numbers(1, 2)}, {1: FetchError("connection", "refused")})
    with pytest.raises(FetchError, match="connection"):
        found(museum)
    assert len(museum.asked) == 2


@pytest.mark.parametrize(
    "wall", [FetchError("http-403", "403", body=INCAPSULA), FetchError("http-429", "429"), INCAPSULA]
)
@pytest.mark.parametrize("where", ["search", "object"])
def test_the_robot_guard_blocks(wall: object, where: str) -> None:
    museum = Museum({0: wall}, {}) if where == "search" else Museum({0: numbers(1)}, {1: wall})
    with pytest.raises(Blocked, match=r"^met: .*in an hour"):
        found(museum)


@pytest.mark.parametrize(
    "strange",
    [b"", b"<html>", b"[" * 100_000, b"null", b"[1]", b"{}", b'{"total": 3}', b'{"message": "Forbidden"}',
     b'{"objectIDs": 7}', b'{"objectIDs": ["7", null, true, -1, 0.5, {}]}', b'{"objectIDs": {"1": 2}}', GONE],
    ids=str,
)  # fmt: skip
def test_what_is_no_page_of_numbers_is_a_failure(strange: object) -> None:
    with pytest.raises(UnknownLayout, match="^met: "):
        found(Museum({0: strange}, {}))


def test_numbers_among_other_things_are_read() -> None:
    assert met.read_numbers(json.dumps(numbers(5, None, "6", True, 10**30, 7)).encode()) == [5, 7]


@pytest.mark.parametrize("strange", [b"", b"<html>", b"null", b"[]", b"{}", b'{"objectID": 1}', b'{"message": 7}'])
def test_what_is_no_object_is_a_failure(strange: bytes) -> None:
    with pytest.raises(UnknownLayout, match="^met: "):
        found(Museum({0: numbers(1)}, {1: strange}))


def test_an_open_source_waits_for_the_robot_guard() -> None:
    museum = Museum({0: numbers(1)}, {1: thing(1)})
    waits: list[Mapping[str, float]] = []

    class Web:
        async def get_page(self, source: str, url: str, patience: Mapping[str, float]) -> bytes:
            assert source == "met"
            waits.append(patience)
            return await museum.fetch(url)

    async def everything() -> list[str]:
        async with met.connect("", met.Settings(), Web(), Terms()) as source:  # type: ignore[arg-type]
            return [result.url async for result in source.search("dress")]

    assert asyncio.run(everything()) == [small(1)]
    assert waits and all(wait["http-403"] >= 30 for wait in waits)


@given(data=st.data())
def test_whatever_a_host_answers_is_a_result_or_a_failure_of_the_source(data: st.DataObject) -> None:
    wild = spoiled([numbers(1, 2), thing(1)], data.draw) if data.draw(st.booleans()) else data.draw(VALUES)
    page, about = wild if isinstance(wild, list) and len(wild) == 2 else (wild, wild)

    async def everything() -> None:
        museum = Museum({0: page}, {1: about, 2: thing(2)})
        async for result in met.search("dress", met.Settings(additional_images=True), Terms(), museum.fetch):
            fit(result)

    try:
        asyncio.run(everything())
    except SourceError as error:
        assert str(error).startswith("met: ")
