"""The one way out to the web: bounded bytes and time, public addresses only, retries with patience.

Every hop of a redirect is checked, and the address that was checked is the one connected to, because the check sits in
the resolver that the connection uses.
"""

import asyncio
import email.utils
import ipaddress
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from gravurekit import __version__
from gravurekit.errors import FetchError

MAX_REDIRECTS = 5
RETRIED = {"timeout", "connection", "http-429", "http-500", "http-502", "http-503", "http-504", "short-body"}
USER_AGENT = f"gravurekit/{__version__}"


class BlockedAddress(OSError):
    """A host name that stands for an address which isn't public."""


@dataclass(frozen=True)
class Limits:
    """What one fetch may cost."""

    max_bytes: int = 64 * 1024 * 1024
    connect_seconds: float = 10.0
    total_seconds: float = 60.0
    tries: int = 3
    max_wait: float = 30.0  # longest pause that a Retry-After may ask for
    per_host: int = 8


@dataclass
class Web:
    """A guarded HTTP client. `endpoints` replaces scheme, host and port of a source's pages (`{"bing": "http://…"}`)."""

    limits: Limits = field(default_factory=Limits)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    allow_private: bool = False
    user_agent: str = USER_AGENT

    async def __aenter__(self) -> Self:
        resolver = _PublicResolver(self.allow_private)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit=0, ttl_dns_cache=300),
            headers={"User-Agent": self.user_agent, "Accept-Language": "en;q=0.8,*;q=0.5"},
            # `connect` counts the name's resolution too, which a dead network can draw out
            timeout=aiohttp.ClientTimeout(total=self.limits.total_seconds, connect=self.limits.connect_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        self._hosts: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(self.limits.per_host))
        self._quiet_until: dict[str, float] = defaultdict(float)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get_page(self, source: str, url: str) -> bytes:
        """`get` of a source's page, at the endpoint that was set for that source, if one was."""
        return await self.get(rebased(url, self.endpoints[source]) if source in self.endpoints else url)

    async def get(self, url: str, trusted: bool = False) -> bytes:
        """The body behind `url`. Raises FetchError. `trusted`: an address of our own, private or not, is right."""
        for attempt in range(1, self.limits.tries + 1):
            try:
                return await self._once(url, trusted)
            except FetchError as error:
                if error.reason not in RETRIED or attempt == self.limits.tries:
                    raise
                pause = 0.5 * 2 ** (attempt - 1) if error.retry_after is None else error.retry_after
                if pause > self.limits.max_wait:
                    raise
                # the host asked for quiet, so everything that waits for it waits as well
                host = urlsplit(url).netloc
                self._quiet_until[host] = max(self._quiet_until[host], time.monotonic() + pause)
        raise AssertionError("the last try returns or raises")

    async def _once(self, url: str, trusted: bool) -> bytes:
        self._check(url, trusted)
        host = urlsplit(url).netloc
        async with self._hosts[host]:
            while (wait := self._quiet_until[host] - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            try:
                async with asyncio.timeout(self.limits.total_seconds):
                    return await self._follow(url, trusted)
            except aiohttp.ConnectionTimeoutError:
                raise FetchError("connection", f"{host}: no connection in {self.limits.connect_seconds:g} s") from None
            except TimeoutError:
                raise FetchError("timeout", f"no whole answer within {self.limits.total_seconds:g} s") from None
            except (aiohttp.ClientConnectorCertificateError, ssl.SSLError, aiohttp.ClientSSLError) as error:
                raise FetchError("tls", str(error)) from None
            except aiohttp.InvalidURL:
                raise FetchError("bad-url", "not a valid URL") from None
            except aiohttp.ClientPayloadError as error:
                raise FetchError("short-body", str(error)) from None
            except aiohttp.ClientConnectorError as error:
                if isinstance(error.os_error, BlockedAddress):
                    raise FetchError("blocked-address", str(error.os_error)) from None
                raise FetchError("connection", str(error)) from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise FetchError("connection", str(error) or type(error).__name__) from None

    async def _follow(self, url: str, trusted: bool) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            self._check(url, trusted)
            async with self._session.get(url, allow_redirects=False) as answer:
                if answer.status in (301, 302, 303, 307, 308) and "Location" in answer.headers:
                    try:
                        url, trusted = urljoin(url, answer.headers["Location"]), False
                    except ValueError as error:
                        raise FetchError("bad-url", f"redirect: {error}") from None
                    continue
                if answer.status != 200:
                    pause = _retry_after(answer.headers.get("Retry-After"))
                    raise FetchError(f"http-{answer.status}", f"the host answered {answer.status}", pause)
                return await self._body(answer)
        raise FetchError("redirects", f"more than {MAX_REDIRECTS} redirects")

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > self.limits.max_bytes:
                raise FetchError("too-big", f"more than {self.limits.max_bytes} bytes")
        return bytes(body)

    def _check(self, url: str, trusted: bool) -> None:
        try:
            urlsplit(url)
            parts = yarl.URL(url)  # what aiohttp will ask for: "１２７.0.0.1" is 127.0.0.1 there
        except ValueError as error:
            raise FetchError("bad-url", str(error)) from None
        if parts.scheme not in ("http", "https") or not parts.raw_host:
            raise FetchError("bad-url", f"{parts.scheme or 'no scheme'}: only http and https are fetched")
        if trusted or self.allow_private:
            return
        try:
            address = ipaddress.ip_address(parts.raw_host)
        except ValueError:
            return  # a name: the resolver checks what it stands for
        if not is_public(address):
            raise FetchError("blocked-address", f"{parts.raw_host} isn't a public address")


def rebased(url: str, base: str) -> str:
    """`url` with the scheme, host and port of `base`; path and query kept."""
    to, parts = urlsplit(base), urlsplit(url)
    return urlunsplit((to.scheme, to.netloc, parts.path, parts.query, ""))


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address lies in the open internet: not private, loopback, link-local, shared, multicast, reserved."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_global and not address.is_multicast


class _PublicResolver(AbstractResolver):
    """Resolves names, and gives back public addresses only."""

    def __init__(self, allow_private: bool) -> None:
        self._inner = aiohttp.ThreadedResolver()
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if self._allow_private:
            return found
        public = [item for item in found if is_public(ipaddress.ip_address(item["host"].partition("%")[0]))]
        if found and not public:
            raise BlockedAddress(f"{host} stands for {found[0]['host']}, which isn't a public address")
        return public

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
