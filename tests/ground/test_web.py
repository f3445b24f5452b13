"""The way out to the web, against a server on this machine that does everything wrong."""

import asyncio
import socket
import time
from typing import Any

import aiohttp
import pytest
from fetching import QUICK, fetch, refused
from hostile import SECRET, Site

from gravurekit import web
from gravurekit.errors import FetchError
from gravurekit.pace import Pace
from gravurekit.web import Limits, Web


def test_a_body_comes_whole_with_its_query(site: Site) -> None:
    assert fetch(site.url("/fine"), allow_private=True) == SECRET
    assert fetch(site.url("/echo?a=1&b=%26"), allow_private=True) == b"/echo?a=1&b=%26"
    assert fetch(site.url("/k\u0131rm\u0131z\u0131"), allow_private=True) == SECRET
    assert list(site.asked)[-1] == "/k%C4%B1rm%C4%B1z%C4%B1"


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 451])
def test_an_answer_that_will_stay_is_asked_for_once(status: int, site: Site) -> None:
    url = site.url(f"/status?{status}")
    assert str(status) in refused(url, f"http-{status}", limits=Limits(), allow_private=True).detail
    assert sum(site.asked.values()) == 1


@pytest.mark.parametrize(
    ("story", "pauses"),
    [
        ("429&1&0", []), ("429&1&1", [1]), ("429&2&7", [7, 7]), ("429&1&date", [20]), ("503&1&", [0.5]),
        ("500&2&", [0.5, 1]), ("502&1&soon", [0.5]), ("504&1&²", [0.5]),
        ("503&1&Fri, 01 Jan 1999 00:00:00 GMT", []), ("520&1&", [0.5]),
        ("503&1&Fri, 31 Dec 99999999999999999999 23:59:59 GMT", [0.5]),
        ("503&1&Fri, 31 Dec 2020 23:59:59 +99999999999999", [0.5]), ("503&1&30", [30]),
    ],
)  # fmt: skip
def test_a_host_that_asks_for_patience_gets_it(
    story: str, pauses: list[float], site: Site, patience: list[float]
) -> None:
    assert fetch(site.url("/flaky?" + story), Limits(), allow_private=True) == SECRET
    assert patience == pytest.approx(pauses, abs=2 if "date" in story else 0.1)


@pytest.mark.parametrize(("after", "asked"), [("31", 1), ("9" * 400, 1), ("0", 3)])
def test_patience_has_an_end(after: str, asked: int, site: Site, patience: list[float]) -> None:
    error = refused(site.url(f"/flaky?429&99&{after}"), "http-429", limits=Limits(), allow_private=True)
    assert error.retry_after == float(after) and sum(site.asked.values()) == asked and not patience


def test_a_host_that_wants_more_quiet_than_we_wait_for_isnt_asked_again(site: Site, patience: list[float]) -> None:
    async def crowd() -> list[Any]:
        async with Web(Limits(host=Pace(at_once=1)), allow_private=True) as client:
            urls = [site.url("/flaky?429&99&3600"), site.url("/fine?1"), site.url("/fine?2")]
            return await asyncio.gather(*map(client.get, urls), return_exceptions=True)

    errors = asyncio.run(crowd())
    assert [error.reason for error in errors] == ["http-429", "not-asked", "not-asked"] and len(site.order) == 1
    assert errors[1].detail == errors[2].detail == "the host answered 429 to others, and wants quiet for long"


def test_a_host_that_asked_for_quiet_is_left_quiet_by_all(site: Site, patience: list[float]) -> None:
    async def crowd() -> list[bytes]:
        async with Web(Limits(host=Pace(at_once=1)), allow_private=True) as client:
            urls = [site.url("/flaky?429&1&9"), site.url("/fine?1"), site.url("/fine?2")]
            return await asyncio.gather(*map(client.get, urls))

    assert asyncio.run(crowd()) == [SECRET] * 3
    assert [round(pause) for pause in patience] == [9]


@pytest.mark.parametrize(
    ("path", "reasons"),
    [
        ("/reset", {"connection", "short-body"}), ("/short", {"short-body"}), ("/noise", {"connection"}),
        ("/no-gzip", {"connection", "short-body"}), ("/status?500", {"http-500"}),
    ],
)  # fmt: skip
def test_a_failure_that_may_pass_is_tried_again(
    path: str, reasons: set[str], site: Site, patience: list[float]
) -> None:
    refused(site.url(path), *reasons, limits=Limits(tries=3), allow_private=True)
    assert site.asked[path] == 3 and [round(pause, 1) for pause in patience] == [0.5, 1.0]


@pytest.mark.parametrize("path", ["/endless", "/bomb"])
def test_a_body_ends_at_the_cap(path: str, site: Site) -> None:
    refused(site.url(path), "too-big", limits=Limits(page_bytes=1_000_000), allow_private=True)
    assert site.asked[path] == 1


def test_a_body_as_long_as_the_cap_is_whole(site: Site) -> None:
    assert fetch(site.url("/fine"), Limits(page_bytes=len(SECRET)), allow_private=True) == SECRET
    refused(site.url("/fine"), "too-big", limits=Limits(page_bytes=len(SECRET) - 1), allow_private=True)


@pytest.mark.parametrize("path", ["/slow", "/silent"])
def test_time_ends_also_where_a_byte_comes_now_and_then(path: str, site: Site) -> None:
    began = time.monotonic()
    refused(site.url(path), "timeout", limits=Limits(total_seconds=0.3, tries=1), allow_private=True)
    assert time.monotonic() - began < 3


def test_nobody_at_home_is_a_connection_that_failed(patience: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and listening to nobody
        refused(f"http://127.0.0.1:{taken.getsockname()[1]}/", "connection", limits=Limits(), allow_private=True)
    assert len(patience) == 2


def test_redirects_are_followed_to_an_end(site: Site) -> None:
    assert fetch(site.url(f"/count?{web.MAX_REDIRECTS}"), allow_private=True) == SECRET
    refused(site.url(f"/count?{web.MAX_REDIRECTS + 1}"), "redirects", allow_private=True)
    refused(site.url("/loop?1"), "redirects", limits=Limits(), allow_private=True)
    refused(site.url("/nowhere"), "http-302", allow_private=True)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://example.invalid/", "data:,x", "gopher://x/", "http://["]
)
def test_a_redirect_leads_nowhere_but_to_the_web(target: str, site: Site) -> None:
    refused(site.url(f"/to?{target}"), "bad-url", limits=Limits(tries=1), allow_private=True)


@pytest.mark.parametrize(
    "url",
    ["", "x", "http://", "http:///x", "//example.com/", "file:///etc/passwd", "javascript:alert(1)", "data:,x", "http://[",
     "http://[::1", "http://]/", "http://x:99999/", "http://x:abc/", "http://\ud800/", "http://[zz]/", "ftp://x/",
     "http://[::1%lo/", "http://a\u2100b/"],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_address_of_the_web_is_a_bad_url(url: str) -> None:
    refused(url, "bad-url", "blocked-address", limits=Limits())


@pytest.mark.parametrize("url", ["http://a b.invalid/", "http://..../", "http://a..b/", f"http://{'a' * 70}.invalid/"])
def test_a_name_that_cant_be_resolved_costs_one_link(url: str, patience: list[float]) -> None:
    refused(url, "bad-url", "connection", limits=Limits())


def test_a_page_is_fetched_where_its_source_was_said_to_be(site: Site) -> None:
    async def page(source: str) -> bytes:
        async with Web(QUICK, endpoints={"bing": site.url("")}, allow_private=True) as client:
            return await client.get_page(source, "https://www.bing.invalid/echo?q=a+b&first=1#top")

    assert asyncio.run(page("bing")) == b"/echo?q=a+b&first=1"
    with pytest.raises(FetchError, match="connection"):
        asyncio.run(page("other"))


def test_a_name_that_nobody_resolves_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", hang)

    async def ask() -> None:
        async with Web(Limits(tries=1, connect_seconds=0.1, total_seconds=600)) as client:
            await client.get("http://nobody.example/")

    with pytest.raises(FetchError, match="connection: nobody.example: no connection in 0.1 s"):
        asyncio.run(ask())
