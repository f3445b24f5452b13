"""Pictures from hosts that do everything wrong, and the manners with which they are asked."""

import asyncio
import hashlib
import ssl
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from fetching import QUICK, download, fetch, not_downloaded
from hostile import SECRET, Site, serving

from gravurekit import web
from gravurekit.errors import FetchError
from gravurekit.pace import Host, Pace
from gravurekit.web import Download, Limits, Web


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
        assert asyncio.run(both(other)) == ["http-429", SECRET, "not-asked"]
        assert other.asked["/fine?2"] == 0


def test_a_bad_link_keeps_nobody_else_waiting(site: Site, patience: list[float]) -> None:
    async def crowd() -> None:
        async with Web(Limits(host=Pace(at_once=1)), allow_private=True) as client:
            await asyncio.gather(
                client.get(site.url("/status?500")), client.get(site.url("/fine")), return_exceptions=True
            )

    asyncio.run(crowd())
    assert site.order == ["/status?500", "/fine", "/status?500", "/status?500"]


def test_a_host_that_refuses_again_and_again_is_given_up(site: Site, patience: list[float]) -> None:
    async def crowd() -> list[Any]:
        async with Web(Limits(host=Pace(at_once=2)), allow_private=True) as client:
            urls = [site.url("/status?503&2")] * 20
            return await asyncio.gather(*map(client.get, urls), return_exceptions=True)

    errors = asyncio.run(crowd())
    assert {error.reason for error in errors} == {"http-503", "not-asked"}
    assert len(site.order) <= 8 and sum(patience) < 20


def test_a_host_that_listens_again_is_forgiven(site: Site, patience: list[float]) -> None:
    async def one_by_one() -> list[bytes]:
        async with Web(Limits(), allow_private=True) as client:
            return [await client.get(site.url(f"/flaky?503&1&1&{n}.jpg")) for n in range(6)]

    site.bodies = {f"{n}.jpg": SECRET for n in range(6)}
    assert asyncio.run(one_by_one()) == [SECRET] * 6


def test_only_refusals_that_pass_ask_for_quiet(site: Site, patience: list[float]) -> None:
    async def both() -> list[Any]:
        async with Web(Limits(), allow_private=True) as client:
            urls = [site.url("/status?404&3600"), site.url("/fine")]
            return [await asyncio.gather(client.get(url), return_exceptions=True) for url in urls]

    (missing,), (fine,) = asyncio.run(both())
    assert missing.reason == "http-404" and fine == SECRET and not patience


def test_who_waits_for_a_hosts_rate_waits_for_its_quiet_as_well() -> None:
    async def crowd() -> list[float]:
        host, began = Host(Pace(at_once=8, per_second=50), 30), time.monotonic()

        async def ask() -> float:
            async with host.turn(nullcontext()):
                return time.monotonic() - began

        async with host.turn(nullcontext()):
            others = [asyncio.create_task(ask()) for _ in range(4)]
            await asyncio.sleep(0)  # they wait for the rate now
            host.hush(0.3, FetchError("http-429", "quiet"))
        return await asyncio.gather(*others)

    assert min(asyncio.run(crowd())) >= 0.3
