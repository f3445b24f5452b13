"""No address that may not be asked is asked, however it is written, named or reached."""

import asyncio
import ipaddress
from typing import Any

import pytest
from fetching import fetch, refused
from hostile import SECRET, Site

from gravurekit import addresses
from gravurekit.web import Limits

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
