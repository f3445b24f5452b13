"""Flickr's API: its addresses and their key, pages of photographs, licences by number, failures that come as 200."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wild import gathered

from gravurekit.errors import Blocked, FetchError, UnknownLayout, UsageError
from gravurekit.licenses import Wish, meets
from gravurekit.sources import Result, Terms, flickr
from gravurekit.sources.flickr import Settings
from gravurekit.web import Limits, Web

SECRET = "0123456789abcdef0123456789abcdef"
HOST = "https://live.staticflickr.com/65535"


def photo(number: int, **about: object) -> dict[str, Any]:
    return {
        "id": str(number),
        "owner": "7478087@N06",
        "secret": "bbdbb5f761",
        "title": "Robe d'été &amp; chapeau",
        "ownername": "Jane Doe",
        "license": "4",
        "url_l": f"{HOST}/{number}_b.jpg",
        "width_l": 660,
    } | about


def page(*photos: object, pages: object = 1) -> bytes:
    return json.dumps({"photos": {"page": 1, "pages": pages, "perpage": 100, "photo": photos}, "stat": "ok"}).encode()


def url(number: int) -> str:
    return f"{HOST}/{number}_b.jpg"


class Host:
    """Gives its answers one after the other; an exception is raised. Past the last there are only empty pages."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.addresses: list[str] = []

    @property
    def asked(self) -> list[dict[str, str]]:
        return [{name: value for name, (value,) in parse_qs(urlsplit(a).query).items()} for a in self.addresses]

    async def fetch(self, address: str) -> bytes:
        assert address.startswith("https://api.flickr.com/services/rest/?")
        self.addresses.append(address)
        count = len(self.addresses)
        answer = self.answers[count - 1] if count <= len(self.answers) else page()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def get_page(self, source: str, address: str) -> bytes:
        assert source == "flickr"
        return await self.fetch(address)


def search(
    host: Host, query: str = "dress", terms: Terms = Terms(), **knobs: Any
) -> tuple[list[Result], Exception | None]:
    """What a search gives, and what ended it if it didn't just end."""
    return gathered(flickr.search(query, Settings(**knobs), terms, host.fetch))


# ---- one answer -----------------------------------------------------------------------------------------


def test_a_photograph_is_read() -> None:
    assert flickr.read_page(page(photo(1), pages=5)) == flickr.Page(
        [
            Result(
                url=url(1),
                page_url="https://www.flickr.com/photos/7478087@N06/1",
                title="Robe d'été & chapeau",
                creator="Jane Doe",
                license="CC-BY-2.0",
                license_url="https://creativecommons.org/licenses/by/2.0/",
            )
        ],
        pages=5,
    )


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [("omzclh", "h"), ("omzcl", "l"), ("omzc", "o"), ("mzc", "c"), ("mz", "z"), ("m", "m")],
)
def test_the_largest_reasonable_size_is_taken(sizes: str, chosen: str) -> None:
    about = {key: value for key, value in photo(1).items() if key != "url_l"}
    about |= {f"url_{size}": f"{HOST}/1_{size}.jpg" for size in sizes}
    assert [found.url for found in flickr.read_page(page(about)).found] == [f"{HOST}/1_{chosen}.jpg"]


@pytest.mark.parametrize("nothing", [None, "", [], {}, 7.5, ...], ids=str)
def test_what_isnt_there_is_empty(nothing: object) -> None:
    about = photo(1) | dict.fromkeys(("id", "owner", "title", "ownername", "license", "url_h"), nothing)
    if nothing is ...:
        about = {"url_l": url(1)}
    assert flickr.read_page(page(about)).found == [Result(url=url(1))]


@pytest.mark.parametrize("damaged", [None, 7, "text", [], {}, {"url_l": None}, {"url_l": "ftp://a.example/1"}], ids=str)
def test_a_damaged_photograph_costs_only_itself(damaged: object) -> None:
    assert [found.url for found in flickr.read_page(page(photo(1), damaged, photo(2))).found] == [url(1), url(2)]
    with pytest.raises(UnknownLayout, match="none of the 2"):
        flickr.read_page(page(damaged, damaged))


@pytest.mark.parametrize("number", [*flickr.LICENSES, "17", "-1", "x", "no restrictions"])
def test_licences_have_numbers(number: str) -> None:
    name = flickr.LICENSES.get(number, f"Flickr licence {number}")
    for said in (number, int(number)) if number.lstrip("-").isdigit() else (number,):
        (found,) = flickr.read_page(page(photo(1, license=said))).found
        assert found.license == name
    assert meets(name, "commercial") == (number in {"4", "5", "6", "7", "8", "9", "10", "11", "12", "13"})
    assert meets(name, "derivatives") == (number in {"1", "2", "4", "5", "7", "8", "9", "10", "11", "12", "14", "15"})
    assert meets(name, "public-domain") == (number in {"7", "8", "9", "10"})


@pytest.mark.parametrize(
    "strange",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"stat": "ok"}', b'{"photos": []}', b'{"photos": {"photo": {}}}',
     b'{"photos": {"photo": null}, "stat": "ok"}', b"jsonFlickrApi({})", b"[" * 100_000, b"\xff"],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_failure_of_the_source(strange: bytes) -> None:
    with pytest.raises(UnknownLayout, match="flickr"):
        flickr.read_page(strange)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [(100, UsageError, "FLICKR_API_KEY.*Out of order.*create"), ("100", UsageError, "FLICKR_API_KEY"),
     (105, Blocked, "Out of order"), (10, Blocked, "Out of order"), (111, UnknownLayout, "error 111"),
     (None, UnknownLayout, "error"), ([], UnknownLayout, "error")],
)  # fmt: skip
def test_failures_come_as_answers(code: object, kind: type[Exception], said: str) -> None:
    answer = {"stat": "fail", "code": code, "message": "Out of order"}
    with pytest.raises(kind, match=said):
        flickr.read_page(json.dumps(answer).encode())


# ---- what is asked --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["red dress", "gowns & kaftans", "100% #1 c++ ?", "kırmızı elbise", "api_key=KEY", "a\ud83d"]
)
def test_a_query_reaches_the_host_intact(query: str) -> None:
    host = Host()
    search(host, query)
    assert host.asked == [
        {
            "method": "flickr.photos.search", "api_key": "KEY", "format": "json", "nojsoncallback": "1",
            "extras": "license,owner_name,url_h,url_l,url_o,url_c,url_z,url_m", "text": query.replace("\ud83d", "?"),
            "sort": "relevance", "safe_search": "1", "per_page": "100", "page": "1", "media": "photos",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "numbers"),
    [
        ("any", None),
        ("open", "4,5,7,8,9,10,11,12"),
        ("public-domain", "7,8,9,10"),
        ("commercial", "4,5,6,7,8,9,10,11,12,13"),
        ("derivatives", "1,2,4,5,7,8,9,10,11,12,14,15"),
    ],
)
def test_the_host_filters_licences_and_what_is_safe(wish: Wish, numbers: str | None) -> None:
    host = Host()
    search(host, terms=Terms(license=wish, safe=False))
    assert (host.asked[0].get("license"), host.asked[0]["safe_search"]) == (numbers, "3")


def test_settings_reach_the_host() -> None:
    host = Host()
    search(host, sort="date-taken-desc", content="illustrations", orientation="portrait", commons=True)
    wanted = {"sort": "date-taken-desc", "content_type": "3", "orientation": "portrait", "is_commons": "1"}
    assert host.asked[0].items() >= wanted.items()


# ---- a search -------------------------------------------------------------------------------------------


def test_pages_follow_one_another_to_the_last_and_each_picture_comes_once() -> None:
    host = Host(page(photo(1), photo(2), pages=3), page(photo(2), photo(3), pages=3), page(photo(4), pages=3))
    found, ended = search(host)
    assert ([item.url for item in found], ended) == ([url(1), url(2), url(3), url(4)], None)
    assert [asked["page"] for asked in host.asked] == ["1", "2", "3"]


@pytest.mark.parametrize("pages", [None, "many", 10**6, 1e300], ids=str)
def test_a_search_ends_whatever_the_number_of_pages(pages: object) -> None:
    endless = Host(*(page(*(photo(100 * n + m) for m in range(100)), pages=pages) for n in range(99)))
    assert (len(search(endless)[0]), len(endless.addresses)) == (4000, 40)
    repeating = Host(*[page(photo(1), pages=pages)] * 99)
    assert (len(search(repeating)[0]), len(repeating.addresses)) == (1, 2)


def test_an_empty_answer_is_no_result_and_no_failure() -> None:
    assert search(Host(page(pages=0))) == ([], None)


def test_trouble_on_a_later_page_keeps_what_was_found() -> None:
    busy, slow = FetchError("http-429", "the host answered 429"), FetchError("timeout", "nothing came")
    for trouble, kind in ((b"<html>", UnknownLayout), (busy, Blocked), (slow, FetchError)):
        found, ended = search(Host(page(photo(1), pages=9), trouble))
        assert [item.url for item in found] == [url(1)]
        assert isinstance(ended, kind)


# ---- the key --------------------------------------------------------------------------------------------


def connected(web: Any) -> list[Result]:
    async def results() -> list[Result]:
        async with flickr.connect("", Settings(), web, Terms()) as connection:
            return [result async for result in connection.search("dress")]

    return asyncio.run(results())


@pytest.mark.parametrize("key", [None, "", " ", "two words", "a&b", "schlüssel"])
def test_without_a_key_it_says_where_to_get_one(key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLICKR_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("FLICKR_API_KEY", key)
    with pytest.raises(UsageError, match="https://www.flickr.com/services/apps/create/.*FLICKR_API_KEY"):
        connected(Host())


def test_the_key_is_sent_and_nowhere_written(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("FLICKR_API_KEY", f" {SECRET}\n")
    host = Host(page(photo(1)))
    (result,) = connected(host)
    assert host.asked[0]["api_key"] == SECRET
    assert SECRET not in "".join(astuple(result)) + caplog.text


def test_no_message_holds_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLICKR_API_KEY", SECRET)
    for reason in ("http-404", "http-403", "connection"):
        with pytest.raises((FetchError, Blocked)) as caught:
            connected(Host(FetchError(reason, f"https://api.flickr.com/?api_key={SECRET}&x=1")))
        assert "api_key=KEY&x=1" in str(caught.value)
        assert SECRET not in str(caught.value)


@pytest.fixture
def noise() -> Iterator[str]:
    """The address of a server that doesn't speak HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"\x00\xff this is no HTTP \r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_no_message_of_the_http_client_holds_the_key(noise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLICKR_API_KEY", SECRET)

    async def asked() -> None:
        async with Web(Limits(tries=1), {"flickr": noise}, allow_private=True) as web:
            async with flickr.connect("", Settings(), web, Terms()) as connection:
                async for _ in connection.search("dress"):
                    ...

    with pytest.raises(FetchError) as caught:
        asyncio.run(asked())
    assert SECRET not in str(caught.value)


# ---- whatever comes -------------------------------------------------------------------------------------

WORDS = st.sampled_from(["photos", "photo", "pages", "stat", "ok", "fail", "code", "100", url(1), "\ud83d", "<b>"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.sampled_from(list(photo(1))), inner, max_size=6)
    ),
    max_leaves=20,
)
ANSWERS = (
    JSON
    | st.fixed_dictionaries({"stat": st.just("fail")}, optional={"code": JSON, "message": JSON})
    | st.fixed_dictionaries({"photos": st.fixed_dictionaries({"photo": st.lists(JSON, max_size=3)})})
)


@given(ANSWERS)
def test_any_json_is_results_or_one_of_the_failures(answer: object) -> None:
    found, ended = search(Host(*[json.dumps(answer).encode()] * 3))
    assert ended is None or isinstance(ended, (UnknownLayout, Blocked, UsageError))
    str(ended).encode()
    for result in found:
        assert result.url.startswith("http")
        "".join(astuple(result)).encode()
