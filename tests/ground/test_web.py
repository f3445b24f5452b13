"""The way out to the web, against a server on this machine that does everything wrong."""

import asyncio
import gzip
import ipaddress
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_plus

import aiohttp
import pytest

from gravurekit import web
from gravurekit.errors import FetchError
from gravurekit.web import Limits, Web

SECRET = b"what only this machine may see"
QUICK = Limits(tries=1, total_seconds=5)


@dataclass
class Site:
    """The server: its address, and how often each path was asked for."""

    port: int
    asked: Counter[str] = field(default_factory=Counter)
    ended: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


class Hostile(BaseHTTPRequestHandler):
    """One method a path; `self.site` counts."""

    site: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        path, _, query = unquote_plus(self.path).partition("?")
        self.site.asked[self.path] += 1
        self.close_connection = True
        try:
            getattr(self, path.strip("/").replace("-", "_") or "fine", self.fine)(query)
        except OSError:
            pass  # the client has left, as it should

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def fine(self, query: str) -> None:
        self.answer(200, SECRET)

    def echo(self, query: str) -> None:
        self.answer(200, self.path.encode())

    def status(self, query: str) -> None:
        self.answer(int(query))

    def flaky(self, query: str) -> None:
        """`STATUS&FAILURES&RETRY-AFTER`: so many failures, then a body."""
        status, failures, patience = query.split("&", 2)
        if self.site.asked[self.path] > int(failures):
            return self.answer(200, SECRET)
        if patience == "date":
            patience = formatdate(time.time() + 20, usegmt=True)
        self.answer(int(status), b"wait", **({"Retry_After": patience} if patience else {}))

    def reset(self, query: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"x" * 1000)
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def short(self, query: str) -> None:
        self.answer(200, b"half", Content_Length="8")

    def endless(self, query: str) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.site.ended.is_set():
            self.wfile.write(b"x" * 65536)

    def bomb(self, query: str) -> None:
        self.answer(200, gzip.compress(b"\0" * 20_000_000), Content_Encoding="gzip")

    def no_gzip(self, query: str) -> None:
        self.answer(200, b"this is no gzip", Content_Encoding="gzip")

    def slow(self, query: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b"x")
            if self.site.ended.wait(0.05):
                return

    def silent(self, query: str) -> None:
        self.site.ended.wait(20)

    def noise(self, query: str) -> None:
        self.wfile.write(b"\x00\xff not HTTP \r\n\r\n")

    def to(self, query: str) -> None:
        self.answer(302, Location=query)

    def loop(self, query: str) -> None:
        self.answer(302, Location=f"/loop?{int(query) + 1}")

    def count(self, query: str) -> None:
        self.answer(307, Location=f"/count?{int(query) - 1}" if query != "1" else "/fine")

    def nowhere(self, query: str) -> None:
        self.answer(302)


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None: ...

    with Server(("127.0.0.1", 0), Hostile) as running:
        Hostile.site = Site(running.server_port)
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield Hostile.site
        Hostile.site.ended.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def site(server: Site) -> Site:
    server.asked.clear()
    return server


def fetch(url: str, limits: Limits = QUICK, trusted: bool = False, **knobs: Any) -> bytes:
    async def fetched() -> bytes:
        async with Web(limits, **knobs) as client:
            return await client.get(url, trusted)

    return asyncio.run(fetched())


def refused(url: str, *reasons: str, **knobs: Any) -> FetchError:
    """The FetchError that `url` must give, with one of the reasons."""
    with pytest.raises(FetchError) as caught:
        fetch(url, **knobs)
    assert caught.value.reason in reasons, str(caught.value)
    assert caught.value.detail
    return caught.value


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which took its time."""
    made: list[float] = []

    async def pause(seconds: float) -> None:
        made.append(seconds)

    clock = {"monotonic": lambda: time.monotonic() + sum(made), "time": time.time}
    monkeypatch.setattr(web, "time", SimpleNamespace(**clock))
    monkeypatch.setattr(web, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": pause}))
    return made


def test_a_body_comes_whole_with_its_query(site: Site) -> None:
    assert fetch(site.url("/fine"), allow_private=True) == SECRET
    assert fetch(site.url("/echo?a=1&b=%26"), allow_private=True) == b"/echo?a=1&b=%26"
    assert fetch(site.url("/k\u0131rm\u0131z\u0131"), allow_private=True) == SECRET
    assert list(site.asked)[-1] == "/k%C4%B1rm%C4%B1z%C4%B1"


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 451, 501])
def test_an_answer_that_will_stay_is_asked_for_once(status: int, site: Site) -> None:
    url = site.url(f"/status?{status}")
    assert str(status) in refused(url, f"http-{status}", limits=Limits(), allow_private=True).detail
    assert sum(site.asked.values()) == 1


@pytest.mark.parametrize(
    ("story", "pauses"),
    [
        ("429&1&0", []), ("429&1&1", [1]), ("429&2&7", [7, 7]), ("429&1&date", [20]), ("503&1&", [0.5]),
        ("500&2&", [0.5, 1]), ("502&1&soon", [0.5]), ("504&1&²", [0.5]),
        ("503&1&Fri, 01 Jan 1999 00:00:00 GMT", []), ("503&1&30", [30]),
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


def test_a_host_that_asked_for_quiet_is_left_quiet_by_all(site: Site, patience: list[float]) -> None:
    async def crowd() -> list[bytes]:
        async with Web(Limits(per_host=1), allow_private=True) as client:
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
    refused(site.url(path), "too-big", limits=Limits(max_bytes=1_000_000), allow_private=True)
    assert site.asked[path] == 1


def test_a_body_as_long_as_the_cap_is_whole(site: Site) -> None:
    assert fetch(site.url("/fine"), Limits(max_bytes=len(SECRET)), allow_private=True) == SECRET
    refused(site.url("/fine"), "too-big", limits=Limits(max_bytes=len(SECRET) - 1), allow_private=True)


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


PRIVATE = [
    "127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]", "[2001:db8::1]",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "172.32.0.1", "100.128.0.1"]
DISGUISES = [
    "2130706433", "127.1", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "0", "localhost",
    "LOCALHOST", "user@127.0.0.1", "user:word@127.0.0.1", "１２７.0.0.1", "127。0。0。1", "①27.0.0.1", "127.0.0.1%00",
    "%31%32%37.0.0.1", "127.0.0.1\\@example.invalid", "example.invalid\\@127.0.0.1", "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE + PUBLIC)
def test_only_the_open_internet_is_public(host: str) -> None:
    assert web.is_public(ipaddress.ip_address(host.strip("[]"))) == (host in PUBLIC)


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_never_asked(host: str, site: Site) -> None:
    refused(site.url("/fine", host), "blocked-address", limits=Limits())
    assert not site.asked


@pytest.mark.parametrize("host", DISGUISES)
def test_no_disguise_of_this_machine_is_asked(host: str, site: Site) -> None:
    refused(site.url("/fine", host), "blocked-address", "bad-url", "connection")
    assert not site.asked


def test_a_trusted_address_of_our_own_is_asked(site: Site) -> None:
    assert fetch(site.url("/fine"), trusted=True) == SECRET


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]", "10.0.0.1", "localhost"])
def test_trust_ends_at_the_first_hop(host: str, site: Site) -> None:
    refused(site.url(f"/to?http://{host}:{site.port}/fine"), "blocked-address", trusted=True)
    assert site.asked["/fine"] == 0


Resolve = Callable[..., Awaitable[list[dict[str, Any]]]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What each name stands for, instead of a name server."""
    known: dict[str, list[str]] = {}

    async def resolve(_: object, host: str, port: int = 0, family: int = socket.AF_INET) -> list[dict[str, Any]]:
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in known[host]
        ]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    return known


@pytest.mark.parametrize("address", [host.strip("[]") for host in PRIVATE] + ["fe80::1%eth0"])
def test_a_name_that_stands_for_a_private_address_is_never_asked(
    address: str, names: dict[str, list[str]], site: Site
) -> None:
    names["innocent.example"] = [address]
    error = refused(site.url("/fine", "innocent.example"), "blocked-address", limits=Limits())
    assert "innocent.example" in error.detail and not site.asked


def test_of_a_names_addresses_only_the_public_ones_are_connected_to(names: dict[str, list[str]]) -> None:
    names["mixed.example"] = ["127.0.0.1", "93.184.216.34", "::1", "10.0.0.1"]

    async def resolved() -> list[Any]:
        return await web._PublicResolver(False).resolve("mixed.example", 80)

    found = asyncio.run(resolved())
    assert [item["host"] for item in found] == ["93.184.216.34"]


@pytest.mark.parametrize("host", PRIVATE + ["inside.example"])
def test_a_redirect_from_a_public_name_to_a_private_address_is_refused(
    host: str, names: dict[str, list[str]], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 127.0.0.1 plays the open internet for this one name; the guard sees a public address
    names |= {"public.example": ["127.0.0.1"], "inside.example": ["10.0.0.1"]}
    guard = web.is_public
    seen: list[str] = []

    def is_public(address: Any) -> bool:
        seen.append(str(address))
        return guard(address) if len(seen) > 1 else True

    monkeypatch.setattr(web, "is_public", is_public)
    refused(site.url(f"/to?http://{host}:{site.port}/fine", "public.example"), "blocked-address", limits=Limits())
    assert site.asked["/fine"] == 0 and sum(site.asked.values()) == 1


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
