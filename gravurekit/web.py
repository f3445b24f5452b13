"""The one way out to the web: bounded bytes and time, public addresses only, patience, and manners.

Every hop of a redirect is checked, and the address that was checked is the one connected to, because the check sits in
the resolver that the connection uses.
"""

import asyncio
import email.utils
import ipaddress
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from gravurekit import __version__, robots, storage
from gravurekit.errors import MAY_PASS, FetchError

MAX_REDIRECTS = 5
CHUNK = 1 << 16
EXPLANATION = 1 << 16  # bytes of an error page that are read

# Where clouds tell a machine its keys, beside 169.254.0.0/16 and fe80::/10, which are link-local
METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Taken = TypeVar("Taken")
Take = Callable[[aiohttp.ClientResponse], Awaitable[Taken]]
NOTHING: Mapping[str, str] = {}


class BlockedAddress(OSError):
    """A host name that stands for an address which isn't public."""


@dataclass(frozen=True)
class Pace:
    """How gently a host is asked: requests at once, and a second (0: as fast as it answers)."""

    at_once: int = 8
    per_second: float = 0.0


# Hosts with rules of their own that many sources lead to
KNOWN_PACES = {"upload.wikimedia.org": Pace(at_once=2)}


@dataclass(frozen=True)
class Limits:
    """What one fetch may cost, and how many there may be at once."""

    max_bytes: int = 64 * 1024 * 1024
    connect_seconds: float = 10.0
    first_byte_seconds: float = 30.0
    total_seconds: float = 60.0
    tries: int = 3
    max_wait: float = 30.0  # longest pause that a Retry-After may ask for
    connections: int = 16  # downloads at once, from all hosts together
    per_second: float = 0.0  # downloads a second, from all hosts together; 0: no limit
    host: Pace = Pace()


@dataclass(frozen=True)
class Download:
    """A picture's bytes, which now lie in the folder that was named, under their sha256. `robots`: what its host said
    of crawlers."""

    sha256: str
    size: int
    robots: str


@dataclass
class Web:
    """A guarded HTTP client. `endpoints` replaces scheme, host and port of a source's pages (`{"bing": "http://…"}`);
    `obedient`: downloads heed robots.txt and opt-outs; `paces` says how gently some hosts must be asked."""

    limits: Limits = field(default_factory=Limits)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    allow_private: bool = False
    contact: str = ""
    obedient: bool = True
    paces: Mapping[str, Pace] = field(default_factory=dict)

    @property
    def user_agent(self) -> str:
        """Who asks, and how to reach them."""
        return f"{robots.AGENT}/{__version__}" + (f" ({self.contact})" if self.contact else "")

    async def __aenter__(self) -> Self:
        resolver = _GuardedResolver(self.allow_private)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit=0, ttl_dns_cache=300),
            headers={"User-Agent": self.user_agent, "Accept-Language": "en;q=0.8,*;q=0.5"},
            # `connect` counts the name's resolution too, which a dead network can draw out
            timeout=aiohttp.ClientTimeout(total=self.limits.total_seconds, connect=self.limits.connect_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        self._hosts: dict[str, _Host] = {}
        self._rules: dict[str, asyncio.Task[robots.Rules | FetchError]] = {}
        self._connections = _Places(self.limits.connections, self.limits.per_second)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._rules.values():
            task.cancel()
        await asyncio.gather(*self._rules.values(), return_exceptions=True)
        await self._session.close()

    async def get_page(
        self, source: str, url: str, headers: Mapping[str, str] = NOTHING, patience: Mapping[str, float] | None = None
    ) -> bytes:
        """`get` of a source's page, at the endpoint that was set for that source, if one was."""
        address = rebased(url, self.endpoints[source]) if source in self.endpoints else url
        return await self.get(address, headers=headers, patience=patience)

    async def get(
        self, url: str, trusted: bool = False, headers: Mapping[str, str] = NOTHING,
        patience: Mapping[str, float] | None = None,
    ) -> bytes:  # fmt: skip
        """The body behind `url`. `trusted`: an address of our own, private or not, is right. `patience`: reasons that
        pass at this host, with the seconds to wait. Raises FetchError."""
        once = partial(self._follow, url, trusted, self._body, headers)
        return await self._patiently(url, partial(self._in_turn, url, trusted, once, nullcontext()), patience or {})

    async def download(self, url: str, folder: Path, trusted: bool = False) -> Download:
        """Put a picture into `folder`. Never more than a chunk of it is in memory. Raises FetchError, StorageError."""
        heedful = self.obedient and not trusted
        if heedful:
            await self._heed(url)
        headers = {"Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
        take = partial(self._save, folder=folder, trusted=trusted)
        once = partial(self._follow, url, trusted, take, headers, heedful)
        return await self._patiently(url, partial(self._in_turn, url, trusted, once, self._connections), {})

    async def _patiently(
        self, url: str, attempt: Callable[[], Awaitable[Taken]], patience: Mapping[str, float]
    ) -> Taken:
        """The outcome of `attempt`, tried again with growing pauses where that may help."""
        for tried in range(1, self.limits.tries + 1):
            try:
                return await attempt()
            except FetchError as error:
                asked = patience.get(error.reason, error.retry_after)
                if tried == self.limits.tries or not (error.reason in MAY_PASS or error.reason in patience):
                    raise
                pause = 0.5 * 2 ** (tried - 1) * random.uniform(0.5, 1.5) if asked is None else asked
                if pause > max(self.limits.max_wait, *patience.values(), 0):
                    self._host(url).close(pause, error)
                    raise
                self._host(url).hush(pause)
        raise AssertionError("the last try returns or raises")

    async def _in_turn(
        self, url: str, trusted: bool, once: Callable[[], Awaitable[Taken]], place: AbstractAsyncContextManager[None]
    ) -> Taken:
        """One attempt, when it is its turn at its host, and has a `place` among all."""
        self._check(url, trusted)
        host = self._host(url)
        async with host.places:
            await host.turn()
            async with place:
                return await self._told(url, once)

    async def _told(self, url: str, once: Callable[[], Awaitable[Taken]]) -> Taken:
        """One attempt in bounded time; whatever goes wrong becomes a FetchError."""
        name = urlsplit(url).netloc
        try:
            async with asyncio.timeout(self.limits.total_seconds):
                return await once()
        except aiohttp.ConnectionTimeoutError:
            raise FetchError("connection", f"{name}: no connection in {self.limits.connect_seconds:g} s") from None
        except TimeoutError:
            raise FetchError("timeout", f"no whole answer within {self.limits.total_seconds:g} s") from None
        except (aiohttp.ClientConnectorCertificateError, ssl.SSLError, aiohttp.ClientSSLError) as error:
            raise FetchError("tls", _brief(error)) from None
        except aiohttp.InvalidURL:
            raise FetchError("bad-url", "not a valid URL") from None
        except aiohttp.ClientPayloadError as error:
            raise FetchError("short-body", _brief(error)) from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, BlockedAddress):
                raise FetchError("blocked-address", str(error.os_error)) from None
            raise FetchError("connection", _brief(error)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchError("connection", _brief(error)) from None

    def _host(self, url: str) -> "_Host":
        name = urlsplit(url).netloc.rpartition("@")[2].lower()
        if name not in self._hosts:
            self._hosts[name] = _Host(self.paces.get(name) or KNOWN_PACES.get(name) or self.limits.host)
        return self._hosts[name]

    async def _follow(
        self, url: str, trusted: bool, take: Take[Taken], headers: Mapping[str, str], heedful: bool = False
    ) -> Taken:
        for hop in range(MAX_REDIRECTS + 1):
            self._check(url, trusted)
            if heedful and hop:
                await self._heed(url)
            async with await self._answer(url, headers) as answer:
                if answer.status in (301, 302, 303, 307, 308) and "Location" in answer.headers:
                    try:
                        url, trusted = urljoin(url, answer.headers["Location"]), False
                    except ValueError as error:
                        raise FetchError("bad-url", f"redirect: {error}") from None
                    continue
                if answer.status != 200:
                    raise await _refusal(answer)
                return await take(answer)
        raise FetchError("redirects", f"more than {MAX_REDIRECTS} redirects")

    async def _answer(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The head of an answer; a host that stays silent isn't waited for as long as one that sends."""
        most = self.limits.connect_seconds + self.limits.first_byte_seconds
        try:
            async with asyncio.timeout(most):
                return await self._session.get(url, allow_redirects=False, headers=headers)
        except aiohttp.ConnectionTimeoutError:
            raise
        except TimeoutError:
            raise FetchError("timeout", f"no answer began within {min(most, self.limits.total_seconds):g} s") from None

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in self._chunks(answer):
            body += chunk
        return bytes(body)

    async def _save(self, answer: aiohttp.ClientResponse, folder: Path, trusted: bool) -> Download:
        refused = robots.opt_out(answer.headers.getall("X-Robots-Tag", ()), answer.headers.get("TDM-Reservation", ""))
        if refused and self.obedient and not trusted:
            raise FetchError("robots", f"its host says {refused!r}: not for training")
        said = "" if trusted else "allowed" if self.obedient else f"overruled: {refused}" if refused else "not asked"
        with storage.arriving(folder) as file:
            async for chunk in self._chunks(answer):
                file.write(chunk)
            return Download(file.keep(), file.size, said)

    async def _chunks(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The body, until it is too big."""
        size, most = 0, self.limits.max_bytes
        if (answer.content_length or 0) > most:
            raise FetchError("too-big", f"{answer.content_length} bytes announced, at most {most} are taken")
        async for chunk in answer.content.iter_chunked(CHUNK):
            size += len(chunk)
            if size > most:
                raise FetchError("too-big", f"more than {most} bytes")
            yield chunk

    async def _heed(self, url: str) -> None:
        """Raises FetchError if the robots.txt of the URL's host forbids it, or the host can't be reached."""
        self._check(url, False)
        address = robots.address_of(url)
        if address not in self._rules:
            self._rules[address] = asyncio.create_task(self._rules_at(address))
        rules = await asyncio.shield(self._rules[address])
        if isinstance(rules, FetchError):  # a new one each time: a raised error collects what it was raised through
            raise FetchError(rules.reason, rules.detail)
        if not rules.allow(url):
            raise FetchError("robots", f"{address} forbids it")

    async def _rules_at(self, address: str) -> robots.Rules | FetchError:
        """A host's robots.txt. RFC 9309: one that isn't there allows all, a server in trouble allows nothing."""

        async def beginning(answer: aiohttp.ClientResponse) -> robots.Rules:
            return robots.Rules(await _read_at_most(answer, robots.MAX_BYTES))

        async def attempt() -> robots.Rules:
            await self._host(address).turn()
            return await self._told(address, partial(self._follow, address, False, beginning, NOTHING))

        try:
            return await self._patiently(address, attempt, {})
        except FetchError as error:
            if error.reason.startswith("http-5"):
                return FetchError("robots", f"{address}: {error.detail}, so nothing may be fetched there")
            gone = error.reason.startswith("http-") and error.reason != "http-429"
            return robots.Rules() if gone or error.reason in ("redirects", "bad-url") else error

    def _check(self, url: str, trusted: bool) -> None:
        try:
            urlsplit(url)
            parts = yarl.URL(url)  # what aiohttp will ask for: "１２７.0.0.1" is 127.0.0.1 there
        except ValueError as error:
            raise FetchError("bad-url", str(error)) from None
        if parts.scheme not in ("http", "https") or not parts.raw_host:
            raise FetchError("bad-url", f"{parts.scheme or 'no scheme'}: only http and https are fetched")
        if trusted:
            return
        try:
            address = ipaddress.ip_address(parts.raw_host)
        except ValueError:
            return  # a name: the resolver checks what it stands for
        if not may_be_asked(address, self.allow_private):
            raise FetchError("blocked-address", f"{parts.raw_host} isn't {_wanted(self.allow_private)}")


class _Rate:
    """Turns at even distances."""

    def __init__(self, per_second: float) -> None:
        self._distance = 1 / per_second if per_second else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Waits for the next turn."""
        now = time.monotonic()
        mine = max(now, self._next)
        self._next = mine + self._distance
        if mine > now:
            await asyncio.sleep(mine - now)


class _Host:
    """A host's places, its rate, and the quiet that it asked for."""

    def __init__(self, pace: Pace) -> None:
        self.places = asyncio.Semaphore(pace.at_once)
        self._rate = _Rate(pace.per_second)
        self._quiet_until = self._closed_until = 0.0
        self._why = ("", "")

    def close(self, seconds: float, error: FetchError) -> None:
        """It asked for more quiet than we wait for: until then nobody asks it, and all fare as the one who did."""
        if self._closed_until < time.monotonic():
            self._closed_until, self._why = time.monotonic() + seconds, (error.reason, error.detail)

    def hush(self, seconds: float) -> None:
        """It asked for quiet, so everything that waits for it waits as well."""
        self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    async def turn(self) -> None:
        """Waits until the host may be asked. Raises FetchError if that takes too long."""
        if (closed := self._closed_until - time.monotonic()) > 0:
            reason, detail = self._why
            raise FetchError(reason, f"{detail} before, and wants more quiet than a run waits for", closed)
        await self._rate.turn()
        while (wait := self._quiet_until - time.monotonic()) > 0:
            await asyncio.sleep(wait)


class _Places:
    """Places among all downloads, given away at a rate."""

    def __init__(self, count: int, per_second: float) -> None:
        self._places = asyncio.Semaphore(count)
        self._rate = _Rate(per_second)

    async def __aenter__(self) -> None:
        await self._places.acquire()
        await self._rate.turn()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._places.release()


async def _read_at_most(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The beginning of a body; the rest isn't waited for."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) >= most:
            break
    return bytes(body[:most])


async def _refusal(answer: aiohttp.ClientResponse) -> FetchError:
    """What an answer that isn't 200 means. Its body may explain, so its beginning is kept."""
    try:
        body = await _read_at_most(answer, EXPLANATION)
    except aiohttp.ClientError:
        body = b""
    pause = _retry_after(answer.headers.get("Retry-After"))
    return FetchError(f"http-{answer.status}", f"the host answered {answer.status}", pause, body)


def _brief(error: BaseException) -> str:
    """What an error says in a line; some quote all the bytes that they didn't like."""
    text = " ".join(word for word in str(error).split() if not word.startswith(("b'", 'b"')))
    return text[:200] if text.isprintable() and text else type(error).__name__


def rebased(url: str, base: str) -> str:
    """`url` with the scheme, host and port of `base`; path and query kept."""
    to, parts = urlsplit(base), urlsplit(url)
    return urlunsplit((to.scheme, to.netloc, parts.path, parts.query, ""))


def is_public(address: Address) -> bool:
    """Whether an address lies in the open internet: not private, loopback, link-local, shared, multicast, reserved."""
    address = _unmapped(address)
    return address.is_global and not address.is_multicast


def may_be_asked(address: Address, private: bool) -> bool:
    """Whether an address may be connected to: a public one, and if `private` addresses are right, also this machine and
    private networks; those where clouds hand out their keys never."""
    address = _unmapped(address)
    if address.is_link_local or address in METADATA:
        return False
    return private or is_public(address)


def _unmapped(address: Address) -> Address:
    """An IPv4 address that is written as an IPv6 one, as itself."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _wanted(private: bool) -> str:
    return "an address that is ever fetched from" if private else "a public address"


class _GuardedResolver(AbstractResolver):
    """Resolves names, and gives back only addresses that may be asked."""

    def __init__(self, allow_private: bool) -> None:
        self._inner = aiohttp.ThreadedResolver()
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        right = [item for item in found if self._is_right(item["host"])]
        if found and not right:
            raise BlockedAddress(f"{host} stands for {found[0]['host']}, which isn't {_wanted(self._allow_private)}")
        return right

    def _is_right(self, address: str) -> bool:
        return may_be_asked(ipaddress.ip_address(address.partition("%")[0]), self._allow_private)

    async def close(self) -> None:
        await self._inner.close()


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as an HTTP date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - time.time())
