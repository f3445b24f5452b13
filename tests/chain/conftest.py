"""A crawl of a server on this machine that does everything wrong, and a folder that has to be filtered."""

from collections.abc import Callable, Iterator
from pathlib import Path

import filtering
import numpy as np
import pytest
import styled
from hostile import Site, serving
from odd_pictures import drawn
from training import narrow
from typer.testing import Result

from gravurekit import images, metadata
from gravurekit.storage import write_bytes

Run = Callable[..., Result]


@pytest.fixture(scope="module", autouse=True)
def _narrow() -> Iterator[None]:
    """The chain is tried here, not what a network learns."""
    with narrow():
        yield


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


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, str]:
    """A folder of five figures, two copies, a page of one tone and a broken file; their keys by name."""
    root = tmp_path / "raw"
    keys = {f"{seed}": filtering.put(root, f"{'abc'[seed % 3]}/{seed}.jpg", filtering.drawn(seed)) for seed in range(5)}
    keys["small copy"] = filtering.put(root, "a/small.jpg", images.resize(filtering.drawn(0), 210, 280), 60)
    keys["cropped copy"] = filtering.put(root, "b/cropped.jpg", filtering.drawn(1)[8:-6, 5:-7])
    keys["blank"] = filtering.put(root, "a/blank.jpg", np.full((300, 260, 3), 244, np.uint8))
    whole = (root / "a" / "0.jpg").read_bytes()
    write_bytes(root / "c" / "torn.jpg", whole[: len(whole) // 2])
    keys["torn"] = metadata.file_sha256(root / "c" / "torn.jpg")[:16]
    return keys


@pytest.fixture
def drawings(gravurekit: Run, tmp_path: Path) -> Path:
    """A workspace with twelve drawings, and the photographs that they are of."""
    styled.write_photographs(tmp_path / "clean", range(12))
    styled.write_styled(tmp_path / "styled", range(12), source=tmp_path / "clean")
    return tmp_path
