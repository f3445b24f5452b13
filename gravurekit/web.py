"""The one way out to the web: bounded bytes and time, addresses that may be asked, patience, and manners.

Every hop of a redirect is a request of its own: it is checked, waits for its turn at its own host, and heeds what that
host says.
"""

import asyncio
import email.utils
import ipaddress
import random
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp
import yarl

from gravurekit import __version__, addresses, robots, storage
from gravurekit.errors import FetchError, may_pass
from gravurekit.pace import KNOWN_PACES, Host, Pace, Places

MAX_REDIRECTS = 5
CHUNK = 1 << 16
EXPLANATION = 1 << 16  # bytes of an error page that are read

Taken = TypeVar("Taken")
Take = Callable[[aiohttp.ClientResponse], Awaitable[Taken]]
NOTHING: Mapping[str, str] = {}
IN_NO_HURRY: Mapping[str, float] = {}


@dataclass(frozen=True)
class Limits:
    """What one fetch may cost, and how many there may be at once."""

    max_bytes: int = 64 * 1024 * 1024  # of a picture
    page_bytes: int = 16 * 1024 * 1024  # of a source's page
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


class _Settled(FetchError):
    """Asking again wouldn't change it."""


@dataclass(frozen=True)
class _Request(Generic[Taken]):
    """What is asked of each host on the way, and what is done with the last one's answer. `heedful`: robots.txt counts;
    `place`: to be had among all requests of its kind; `patience`: reasons that pass at this host, with the seconds to
    wait."""

    take: Take[Taken]
    headers: Mapping[str, str] = field(default_factory=dict)
    heedful: bool = False
    place: AbstractAsyncContextManager[None] = field(default_factory=nullcontext)
    patience: Mapping[str, float] = field(default_factory=dict)


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
        resolver = addresses.GuardedResolver(self.allow_private)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit=0, ttl_dns_cache=300),
            headers={"User-Agent": self.user_agent, "Accept-Language": "en;q=0.8,*;q=0.5"},
            # `connect` counts the name's resolution too, which a dead network can draw out
            timeout=aiohttp.ClientTimeout(total=self.limits.total_seconds, connect=self.limits.connect_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        self._hosts: dict[str, Host] = {}
        self._rules: dict[str, asyncio.Task[robots.Rules | FetchError]] = {}
        self._connections = Places(self.limits.connections, self.limits.per_second)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._rules.values():
            task.cancel()
        await asyncio.gather(*self._rules.values(), return_exceptions=True)
        await self._session.close()

    async def get_page(
        self, source: str, url: str, headers: Mapping[str, str] = NOTHING, patience: Mapping[str, float] = IN_NO_HURRY
    ) -> bytes:
        """`get` of a source's page, at the endpoint that was set for that source, if one was."""
        address = rebased(url, self.endpoints[source]) if source in self.endpoints else url
        return await self.get(address, headers=headers, patience=patience)

    async def get(
        self, url: str, trusted: bool = False, headers: Mapping[str, str] = NOTHING,
        patience: Mapping[str, float] = IN_NO_HURRY,
    ) -> bytes:  # fmt: skip
        """The body behind `url`. `trusted`: an address of our own, private or not, is right. `patience`: reasons that
        pass at this host, with the seconds to wait. Raises FetchError."""
        return await self._patiently(url, trusted, _Request(self._body, headers, patience=patience))

    async def download(self, url: str, folder: Path, trusted: bool = False) -> Download:
        """Put a picture into `folder`. Never more than a chunk of it is in memory. Raises FetchError, StorageError."""
        headers = {"Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
        take = partial(self._save, folder=folder, trusted=trusted)
        heedful = self.obedient and not trusted
        return await self._patiently(url, trusted, _Request(take, headers, heedful, self._connections))

    async def _patiently(self, url: str, trusted: bool, request: _Request[Taken]) -> Taken:
        """What a request comes to, tried again where that may help: after growing pauses, or when the host listens."""
        before: FetchError | None = None
        for tried in range(1, self.limits.tries + 1):
            try:
                return await self._walk(url, trusted, request)
            except FetchError as error:
                if before is not None and error.reason == "not-asked":
                    raise before from None  # it was asked, and that was the answer
                before = error
                asked = request.patience.get(error.reason, error.retry_after)
                passes = may_pass(error.reason) or error.reason in request.patience
                ends = tried == self.limits.tries or isinstance(error, _Settled)
                if ends or not passes or (asked or 0) > self._longest(request):
                    raise
                if asked is None:
                    await asyncio.sleep(0.5 * 2 ** (tried - 1) * random.uniform(1, 2))
        raise AssertionError("the last try returns or raises")

    def _longest(self, request: _Request[Taken]) -> float:
        """The longest quiet that is waited for, in seconds."""
        return max(self.limits.max_wait, *request.patience.values(), 0)

    async def _walk(self, url: str, trusted: bool, request: _Request[Taken]) -> Taken:
        """A request, wherever it is sent on to; each host in its turn."""
        left = self.limits.total_seconds
        for _ in range(MAX_REDIRECTS + 1):
            self._check(url, trusted)
            if request.heedful:
                await self._heed(url)
            host = self._host(url)
            async with host.turn(request.place):
                began = time.monotonic()
                try:
                    taken = await self._told(url, partial(self._hop, url, request), left)
                except FetchError as error:
                    asked = request.patience.get(error.reason, error.retry_after)
                    if asked is not None and (may_pass(error.reason) or error.reason in request.patience):
                        host.hush(asked, error, self._longest(request))
                    raise
                host.listens()
                left -= time.monotonic() - began
            if not isinstance(taken, _Onward):
                return taken
            if _origin(taken.url) != _origin(url):  # keys are for the host that they were given to
                kept = {name: value for name, value in request.headers.items() if name != "Authorization"}
                request = replace(request, headers=kept)
            url, trusted = taken.url, False
        raise FetchError("redirects", f"more than {MAX_REDIRECTS} redirects")

    async def _hop(self, url: str, request: _Request[Taken]) -> "Taken | _Onward":
        async with await self._answer(url, request.headers) as answer:
            if answer.status in (301, 302, 303, 307, 308) and "Location" in answer.headers:
                try:
                    return _Onward(urljoin(url, answer.headers["Location"]))
                except ValueError as error:
                    raise FetchError("bad-url", f"redirect: {error}") from None
            if answer.status != 200:
                raise await _refusal(answer)
            return await request.take(answer)

    async def _told(self, url: str, once: Callable[[], Awaitable[Taken]], seconds: float) -> Taken:
        """One request in bounded time; whatever goes wrong becomes a FetchError."""
        name = urlsplit(url).netloc.rpartition("@")[2]
        try:
            async with asyncio.timeout(max(seconds, 0)):
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
            if isinstance(error.os_error, addresses.BlockedAddress):
                raise FetchError("blocked-address", str(error.os_error)) from None
            raise FetchError("connection", _brief(error)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchError("connection", _brief(error)) from None

    def pace_of(self, url: str) -> Pace:
        """How gently the host of a URL is asked."""
        name = host_of(url)
        return self.paces.get(name) or KNOWN_PACES.get(name) or self.limits.host

    def _host(self, url: str) -> Host:
        name = host_of(url)
        if name not in self._hosts:
            self._hosts[name] = Host(self.pace_of(url), self.limits.max_wait)
        return self._hosts[name]

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
        async for chunk in _chunks(answer, self.limits.page_bytes):
            body += chunk
        return bytes(body)

    async def _save(self, answer: aiohttp.ClientResponse, folder: Path, trusted: bool) -> Download:
        refused = robots.opt_out(answer.headers.getall("X-Robots-Tag", ()), answer.headers.get("TDM-Reservation", ""))
        if refused and self.obedient and not trusted:
            raise FetchError("robots", f"its host says {refused!r}: not for training")
        said = "" if trusted else "allowed" if self.obedient else f"overruled: {refused}" if refused else "not asked"
        with storage.arriving(folder) as file:
            async for chunk in _chunks(answer, self.limits.max_bytes):
                file.write(chunk)
            return Download(file.keep(), file.size, said)

    async def _heed(self, url: str) -> None:
        """Raises FetchError if the robots.txt of the URL's host forbids it, or the host can't be reached."""
        self._check(url, False)
        address = robots.address_of(url)
        if address not in self._rules:
            self._rules[address] = asyncio.create_task(self._rules_at(address))
        rules = await asyncio.shield(self._rules[address])
        if isinstance(rules, FetchError):  # a new one each time: a raised error collects what it was raised through
            raise _Settled(rules.reason, rules.detail)
        if not rules.allow(url):
            raise _Settled("robots", f"{address} forbids it")

    async def _rules_at(self, address: str) -> robots.Rules | FetchError:
        """A host's robots.txt. RFC 9309: one that isn't there allows all, a server in trouble allows nothing."""

        async def beginning(answer: aiohttp.ClientResponse) -> robots.Rules:
            return robots.Rules(await _read_at_most(answer, robots.MAX_BYTES))

        try:
            return await self._patiently(address, False, _Request(beginning))
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
        if parts.scheme not in ("http", "https"):
            raise FetchError("bad-url", f"{parts.scheme or 'no scheme'}: only http and https are fetched")
        if not parts.raw_host:
            raise FetchError("bad-url", "it names no host")
        if trusted:
            return
        try:
            address = ipaddress.ip_address(parts.raw_host)
        except ValueError:
            return  # a name: the resolver checks what it stands for
        if not addresses.may_be_asked(address, self.allow_private):
            raise FetchError("blocked-address", f"{parts.raw_host} isn't {addresses.wanted(self.allow_private)}")


@dataclass(frozen=True)
class _Onward:
    """Where an answer leads to."""

    url: str


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def host_of(url: str) -> str:
    """The host of a URL, with its port if it has one, in small letters; empty if it has none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


async def _chunks(answer: aiohttp.ClientResponse, most: int) -> AsyncIterator[bytes]:
    """The body, until it is too big."""
    size = 0
    if (answer.content_length or 0) > most:
        raise FetchError("too-big", f"{answer.content_length} bytes announced, at most {most} are taken")
    async for chunk in answer.content.iter_chunked(CHUNK):
        size += len(chunk)
        if size > most:
            raise FetchError("too-big", f"more than {most} bytes")
        yield chunk


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


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as an HTTP date."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]+\s*", value):
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError, OSError):  # years of many digits, zones beyond the earth
        return None
