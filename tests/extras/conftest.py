"""What the tests of optional packages share: a browser, and a studio in it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from browsing import browsing, looking
from studio_server import Client, studio


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser, for the tests of one file: as long as it is led, no other event loop runs in this process."""
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[Client]:
    """A studio in the workspace that the test file makes."""
    with studio(place) as found:
        yield found


@pytest.fixture
def tab(browser: Any, client: Client) -> Iterator[Callable[..., Any]]:
    """Opens the studio at a tab."""
    with ExitStack() as opened:

        def open_tab(name: str, size: str = "wide", scheme: str = "light", **more: Any) -> Any:
            page = opened.enter_context(looking(browser, f"{client.root}/#{name}", size, scheme, **more))
            page.wait_for_selector("body[data-ready]")
            return page

        yield open_tab
