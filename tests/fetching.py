"""Fetching pages and pictures, and the failures that must come of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gravurekit.errors import FetchError
from gravurekit.web import Download, Limits, Web

QUICK = Limits(tries=1, total_seconds=5)


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
