"""A crawl of a server on this machine that does everything wrong."""

from collections.abc import Callable, Iterator

import pytest
from hostile import Site, serving
from odd_pictures import drawn
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def site() -> Iterator[Site]:
    """The server, with twelve pictures."""
    with serving() as running:
        running.bodies = {f"{n}.jpg": drawn(n) for n in range(12)}
        yield running


@pytest.fixture
def crawl(site: Site, gravurekit: Run) -> Run:
    """`crawl` from Bing, or whatever source is named, at the address of the site."""

    def crawled(*words: str, source: str = "bing") -> Result:
        manners = ("--executor", "serial", "--allow-private-addresses")
        endpoint = () if ":" in source else ("--endpoint", f"{source}={site.address}")
        return gravurekit("crawl", *words, "--source", source, *manners, *endpoint)

    return crawled
