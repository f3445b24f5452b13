"""Which addresses of the internet may be asked: public ones, and others only by leave.

The check sits in the resolver that the connection uses, so the address that was checked is the one connected to.
"""

import ipaddress
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where clouds tell a machine its keys, beside 169.254.0.0/16 and fe80::/10, which are link-local
METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291, given up; so are site-local ones


class BlockedAddress(OSError):
    """A host name that stands for an address which may not be asked."""


def is_public(address: Address) -> bool:
    """Whether an address lies in the open internet: not private, loopback, link-local, shared, multicast, reserved."""
    address = _plain(address)
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast


def may_be_asked(address: Address, private: bool) -> bool:
    """Whether an address may be connected to: a public one, and if `private` addresses are right, also this machine and
    private networks; those where clouds hand out their keys never."""
    address = _plain(address)
    if address.is_link_local or address in METADATA:
        return False
    return private or is_public(address)


def wanted(private: bool) -> str:
    """What an address that was refused isn't."""
    return "an address that is ever fetched from" if private else "a public address"


def _plain(address: Address) -> Address:
    """An IPv4 address that is written as an IPv6 one, or reached through one, as itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and (address in NAT64 or (address in COMPATIBLE and int(address) > 1)):
        inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inside or address


class GuardedResolver(AbstractResolver):
    """Resolves names, and gives back only addresses that may be asked."""

    def __init__(self, allow_private: bool) -> None:
        self._inner = aiohttp.ThreadedResolver()
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises BlockedAddress if it has some, and none of them may be asked."""
        found = await self._inner.resolve(host, port, family)
        right = [item for item in found if self._is_right(item["host"])]
        if found and not right:
            raise BlockedAddress(f"{host} stands for {found[0]['host']}, which isn't {wanted(self._allow_private)}")
        return right

    def _is_right(self, address: str) -> bool:
        return may_be_asked(ipaddress.ip_address(address.partition("%")[0]), self._allow_private)

    async def close(self) -> None:
        """Done."""
        await self._inner.close()
