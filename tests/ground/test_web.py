"""The way out to the web, against a server on this machine that does everything wrong."""

import asyncio
import hashlib
import ipaddress
import random
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import trustme
from hostile import SECRET, Site, serving

from gravurekit import addresses, pace, web
from gravurekit.errors import FetchError
from gravurekit.pace import Pace
from gravurekit.web import Download, Limits, Web

QUICK = Limits(tries=1, total_seconds=5)


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def site(server: Site) -> Site:
    server.forget()
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

    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    clock = {"monotonic": lambda: time.monotonic() + sum(made), "time": time.time}
    for module in (web, pace):
        monkeypatch.setattr(module, "time", SimpleNamespace(**clock))
        monkeypatch.setattr(module, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": pause}))
    return made


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
    assert [error.reason for error in errors] == ["http-429"] * 3 and sum(site.asked.values()) == 1
    assert errors[1].detail == errors[2].detail == "the host answered 429 before, and wants long quiet"


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


PRIVATE = [
    "127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]", "[2001:db8::1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]", "[::127.0.0.1]", "[::10.0.0.1]", "[fec0::1]",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "[2606:4700::1111]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::808:808]",
    "172.32.0.1",
    "100.128.0.1",
]
DISGUISES = [
    "2130706433", "127.1", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "0", "localhost",
    "LOCALHOST", "user@127.0.0.1", "user:word@127.0.0.1", "１２７.0.0.1", "127。0。0。1", "①27.0.0.1", "127.0.0.1%00",
    "%31%32%37.0.0.1", "127.0.0.1\\@example.invalid", "example.invalid\\@127.0.0.1", "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE + PUBLIC)
def test_only_the_open_internet_is_public(host: str) -> None:
    assert addresses.is_public(ipaddress.ip_address(host.strip("[]"))) == (host in PUBLIC)


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
        return await addresses.GuardedResolver(False).resolve("mixed.example", 80)

    found = asyncio.run(resolved())
    assert [item["host"] for item in found] == ["93.184.216.34"]


@pytest.mark.parametrize("host", PRIVATE + ["inside.example"])
def test_a_redirect_from_a_public_name_to_a_private_address_is_refused(
    host: str, names: dict[str, list[str]], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 127.0.0.1 plays the open internet for this one name; the guard sees a public address
    names |= {"public.example": ["127.0.0.1"], "inside.example": ["10.0.0.1"]}
    guard = addresses.is_public
    seen: list[str] = []

    def is_public(address: Any) -> bool:
        seen.append(str(address))
        return guard(address) if len(seen) > 1 else True

    monkeypatch.setattr(addresses, "is_public", is_public)
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


# ---- pictures ------------------------------------------------------------------------------------------


def download(url: str, folder: Path, limits: Limits = QUICK, trusted: bool = False, **knobs: Any) -> Download:
    async def downloaded() -> Download:
        async with Web(limits, **({"allow_private": True} | knobs)) as client:
            return await client.download(url, folder, trusted)

    return asyncio.run(downloaded())


def not_downloaded(url: str, folder: Path, *reasons: str, **knobs: Any) -> FetchError:
    """The FetchError of a picture that mustn't come, with one of the reasons; nothing of it may lie about."""
    with pytest.raises(FetchError) as caught:
        download(url, folder, **knobs)
    assert caught.value.reason in reasons, str(caught.value)
    assert not folder.exists() or not list(folder.iterdir())
    return caught.value


def test_a_download_has_the_name_of_its_bytes(site: Site, tmp_path: Path) -> None:
    got = download(site.url("/fine"), tmp_path / "in")
    assert got == Download(hashlib.sha256(SECRET).hexdigest(), len(SECRET), "allowed")
    assert [path.name for path in (tmp_path / "in").iterdir()] == [got.sha256]
    assert (tmp_path / "in" / got.sha256).read_bytes() == SECRET


@pytest.mark.parametrize(
    ("path", "reasons"),
    [
        ("/status?404", {"http-404"}), ("/reset", {"connection", "short-body"}), ("/short", {"short-body"}),
        ("/endless", {"too-big"}), ("/overstated", {"too-big"}), ("/bomb", {"too-big"}), ("/slow", {"timeout"}),
        ("/silent", {"timeout"}), ("/loop?1", {"redirects"}), ("/to?file:///etc/passwd", {"bad-url"}),
        ("/to?http://169.254.169.254/latest/meta-data/", {"blocked-address"}), ("/noise", {"connection"}),
    ],
)  # fmt: skip
def test_what_doesnt_come_whole_leaves_nothing(path: str, reasons: set[str], site: Site, tmp_path: Path) -> None:
    limits = Limits(max_bytes=1_000_000, total_seconds=0.5, tries=1)
    not_downloaded(site.url(path), tmp_path / "in", *reasons, limits=limits)


@pytest.mark.parametrize("target", ["http://[::1]", "http://10.0.0.1", "http://127.0.0.1", "http://localhost"])
def test_a_downloads_redirect_to_a_private_address_is_refused(target: str, site: Site, tmp_path: Path) -> None:
    url = site.url(f"/to?{target}:{site.port}/fine")
    not_downloaded(url, tmp_path, "blocked-address", trusted=True, allow_private=False)
    assert site.asked["/fine"] == 0


NEVER = [
    "169.254.169.254", "169.254.0.1", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "100.100.100.200",
]  # fmt: skip


@pytest.mark.parametrize("host", NEVER)
def test_where_clouds_keep_their_keys_nobody_is_sent_even_if_private_addresses_are_right(
    host: str, site: Site, names: dict[str, list[str]]
) -> None:
    names["cloud.example"] = [host.strip("[]")]
    for name in (host, "cloud.example"):
        refused(site.url("/fine", name), "blocked-address", allow_private=True)
    assert not site.asked


def test_a_silent_host_isnt_waited_for_as_long_as_one_that_sends(site: Site, tmp_path: Path) -> None:
    limits = Limits(connect_seconds=0.1, first_byte_seconds=0.1, total_seconds=600, tries=1)
    assert "no answer began" in not_downloaded(site.url("/silent"), tmp_path, "timeout", limits=limits).detail


# ---- TLS -----------------------------------------------------------------------------------------------


def certificate(*names: str, authority: trustme.CA, **dates: Any) -> ssl.SSLContext:
    """What a server needs to be `names`, as `authority` says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **dates).configure_cert(context)
    return context


@pytest.mark.parametrize("fault", ["unknown authority", "another's name", "expired", "none"])
def test_a_host_must_be_who_it_says_it_is(fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known, unknown = trustme.CA(), trustme.CA()
    known.cert_pem.write_to_path(tmp_path / "authorities.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", ssl.create_default_context())
    name = "elsewhere.example" if fault == "another's name" else "localhost"
    dates = {"not_after": datetime(2001, 1, 1, tzinfo=UTC), "not_before": datetime(2000, 1, 1, tzinfo=UTC)}
    context = certificate(
        name, authority=unknown if fault == "unknown authority" else known, **(dates if fault == "expired" else {})
    )
    with serving(context) as site:
        url = f"https://localhost:{site.port}/fine"
        if fault == "none":
            assert download(url, tmp_path / "in").size == len(SECRET)
        else:
            not_downloaded(url, tmp_path / "in", "tls")
            assert not site.asked


# ---- manners -------------------------------------------------------------------------------------------


@pytest.fixture
def town() -> Iterator[Site]:
    """A server of its own, whose robots.txt a test may write."""
    with serving() as site:
        site.bodies = {"a.jpg": SECRET, "b.jpg": SECRET, "private/c.jpg": SECRET}
        yield site


def test_robots_txt_is_asked_for_once_and_heeded(town: Site, tmp_path: Path) -> None:
    town.robots = "User-agent: *\nDisallow: /pictures/private/\n"

    async def several() -> list[Download | BaseException]:
        async with Web(QUICK, allow_private=True) as client:
            urls = [town.url(f"/pictures/{name}") for name in ("a.jpg", "b.jpg", "private/c.jpg")]
            return await asyncio.gather(*(client.download(url, tmp_path) for url in urls), return_exceptions=True)

    got = asyncio.run(several())
    assert [getattr(item, "robots", None) for item in got[:2]] == ["allowed", "allowed"]
    assert isinstance(got[2], FetchError) and got[2].reason == "robots" and "forbids" in got[2].detail
    assert town.asked["/robots.txt"] == 1 and town.asked["/pictures/private/c.jpg"] == 0


def test_a_redirect_leads_past_no_robots_txt(town: Site, tmp_path: Path) -> None:
    town.robots = "User-agent: gravurekit\nDisallow: /pictures/private/\n"
    not_downloaded(town.url("/to?/pictures/private/c.jpg"), tmp_path, "robots")
    assert town.asked["/pictures/private/c.jpg"] == 0


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"X-Robots-Tag": "noai"}, "noai"), ({"X-Robots-Tag": "noindex, NoImageAI"}, "noimageai"),
        ({"X-Robots-Tag": "gravurekit: noml"}, "noml"), ({"TDM-Reservation": "1"}, "tdm-reservation"),
        ({"X-Robots-Tag": "otherbot: noai"}, ""), ({"X-Robots-Tag": "noindex"}, ""), ({"TDM-Reservation": "0"}, ""),
    ],
)  # fmt: skip
def test_who_says_no_beside_a_picture_is_heeded_unless_overruled(
    headers: dict[str, str], word: str, town: Site, tmp_path: Path
) -> None:
    town.headers["a.jpg"] = headers
    url = town.url("/pictures/a.jpg")
    if word:
        assert word in not_downloaded(url, tmp_path / "in", "robots").detail
    else:
        assert download(url, tmp_path / "in").robots == "allowed"
    said = download(url, tmp_path / "overruled", obedient=False).robots
    assert said == (f"overruled: {word}" if word else "not asked")


def test_robots_txt_isnt_asked_for_if_it_isnt_to_be_heeded(town: Site, tmp_path: Path) -> None:
    town.robots = "User-agent: *\nDisallow: /\n"
    assert download(town.url("/pictures/a.jpg"), tmp_path, obedient=False).robots == "not asked"
    assert town.asked["/robots.txt"] == 0


@pytest.mark.parametrize(
    ("robots", "allowed"),
    [
        ("404", True), ("403", True), ("410", True), ("500", False), ("503", False),
        ("to?/robots", True), ("loop?1", True), ("silent", False), ("noise", False),
    ],
)  # fmt: skip
def test_a_robots_txt_that_isnt_there_allows_and_one_in_trouble_forbids(
    robots: str, allowed: bool, town: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9309, sections 2.3.1.3 and 2.3.1.4."""
    path = f"/status?{robots}" if robots.isdigit() else f"/{robots}"
    monkeypatch.setattr(web.robots, "address_of", lambda url: town.url(path))
    limits = Limits(tries=1, total_seconds=0.5)
    if allowed:
        assert download(town.url("/pictures/a.jpg"), tmp_path, limits).robots == "allowed"
    else:
        not_downloaded(town.url("/pictures/a.jpg"), tmp_path, "robots", "timeout", "connection", limits=limits)


def test_whoever_asks_says_who_they_are(town: Site) -> None:
    fetch(town.url("/fine"), allow_private=True, contact="mail@example.org")
    assert town.agent.startswith("gravurekit/") and town.agent.endswith(" (mail@example.org)")


# ---- pace ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("total", "host", "most"), [(4, 16, 4), (16, 3, 3), (2, 2, 2)])
def test_no_more_downloads_at_once_than_were_allowed(total: int, host: int, most: int, tmp_path: Path) -> None:
    """A host that answers nobody before so many have come, or it has waited a while for one more."""
    here, highest, gate = 0, 0, asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal here, highest
        await reader.readuntil(b"\r\n\r\n")
        here += 1
        highest = max(highest, here)
        if here == most:
            asyncio.get_running_loop().call_later(0.1, gate.set)  # time for one too many
        await gate.wait()
        here -= 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
        await writer.drain()
        writer.close()

    async def crowd() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        limits = Limits(connections=total, host=Pace(host))
        async with server, Web(limits, allow_private=True, obedient=False) as client:
            urls = [f"http://127.0.0.1:{port}/{n}" for n in range(3 * most)]
            await asyncio.gather(*(client.download(url, tmp_path) for url in urls))

    asyncio.run(crowd())
    assert highest == most


@pytest.mark.parametrize("limits", [Limits(per_second=2), Limits(host=Pace(8, per_second=2))])
def test_no_more_downloads_a_second_than_were_allowed(
    limits: Limits, site: Site, patience: list[float], tmp_path: Path
) -> None:
    async def crowd() -> None:
        async with Web(limits, allow_private=True, obedient=False) as client:
            for n in range(5):
                await client.download(site.url(f"/fine?{n}"), tmp_path)

    asyncio.run(crowd())
    assert sum(patience) == pytest.approx(2.0, abs=0.3)


# ---- several hosts -------------------------------------------------------------------------------------


def test_a_key_is_for_the_host_that_it_was_given_to(site: Site) -> None:
    async def ask(url: str) -> None:
        async with Web(QUICK, allow_private=True) as client:
            await client.get(url, headers={"Authorization": "Bearer secret", "X-A": "b"})

    with serving() as other:
        for target, kept in ((f"{other.address}/echo", False), ("/echo", True)):
            asyncio.run(ask(site.url(f"/to?{target}")))
            last = site if kept else other
            assert ("Authorization" in last.headers_seen) is kept and last.headers_seen["X-A"] == "b"


def test_a_redirect_waits_for_its_turn_at_its_own_host(tmp_path: Path) -> None:
    """Two hosts lead to a third, which lets nobody go before a moment has passed."""
    here, highest = 0, 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal here, highest
        await reader.readuntil(b"\r\n\r\n")
        here += 1
        highest = max(highest, here)
        await asyncio.sleep(0.03)
        here -= 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
        await writer.drain()
        writer.close()

    async def crowd() -> None:
        server = await asyncio.start_server(slow, "127.0.0.1", 0)
        target = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with serving() as one, serving() as two:
            limits = Limits(host=Pace(at_once=2))
            async with server, Web(limits, allow_private=True, obedient=False) as client:
                urls = [host.url(f"/to?{target}/{n}") for n in range(8) for host in (one, two)]
                await asyncio.gather(*(client.download(url, tmp_path) for url in urls))

    asyncio.run(crowd())
    assert highest == 2


def test_quiet_is_for_the_host_that_asked_for_it(site: Site, patience: list[float]) -> None:
    async def both(other: Site) -> list[Any]:
        async with Web(Limits(), allow_private=True) as client:
            urls = [site.url(f"/to?{other.address}/status?429&3600"), site.url("/fine?1"), other.url("/fine?2")]
            return [await ask(client, url) for url in urls]

    async def ask(client: Web, url: str) -> Any:
        try:
            return await client.get(url)
        except FetchError as error:
            return error.reason

    with serving() as other:
        assert asyncio.run(both(other)) == ["http-429", SECRET, "http-429"]
        assert other.asked["/fine?2"] == 0


def test_a_bad_link_keeps_nobody_else_waiting(site: Site, patience: list[float]) -> None:
    async def crowd() -> None:
        async with Web(Limits(host=Pace(at_once=1)), allow_private=True) as client:
            await asyncio.gather(
                client.get(site.url("/status?500")), client.get(site.url("/fine")), return_exceptions=True
            )

    asyncio.run(crowd())
    assert site.order == ["/status?500", "/fine", "/status?500", "/status?500"]
