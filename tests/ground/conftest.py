"""What the ground floor's tests share: drawn pictures, their files, functions that worker processes can import,
and a web without a network."""

import asyncio
import importlib
import io
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import aiohttp
import numpy as np
import pytest
from hostile import Site, serving
from PIL import Image

from gravurekit import pace, web

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """(40, 56, 3) uint8 sRGB: a figure in a coloured dress, different in each corner, smooth enough for a JPEG."""
    y, x = np.mgrid[0:40, 0:56].astype(np.float32)
    picture = np.stack([40 + 3 * x, 30 + 5 * y, 220 - 2 * x - 1.5 * y], axis=-1)
    picture[(np.abs(x - 24) < 4 + y / 4) & (y > 8)] = (190, 40, 60)
    picture[(x - 24) ** 2 + (y - 6) ** 2 < 20] = (230, 190, 160)
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def encode() -> Encode:
    """`encode(image or array, "PNG", **options)`: the bytes of a file as Pillow writes it."""

    def encoded(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        picture.save(buffer, kind, **options)
        return buffer.getvalue()

    return encoded


@pytest.fixture(scope="session")
def png(encode: Encode) -> Callable[[int], bytes]:
    """`png(n)`: the n-th of many small PNG files, all different."""
    return lambda n: encode(np.full((4, 5, 3), (n % 256, n // 256, 7), np.uint8), "PNG")


@pytest.fixture(scope="session")
def tasks() -> Iterator[ModuleType]:
    """The module `worker_tasks`, found by this process and by those that it spawns."""
    here = str(Path(__file__).parent)
    sys.path.insert(0, here)
    yield importlib.import_module("worker_tasks")
    sys.path.remove(here)


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def site(server: Site) -> Site:
    server.forget()
    return server


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
