"""A real browser for tests of pages: Chromium, as Debian has it, led by playwright; axe-core looks for what
people with other eyes or hands can't use."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
MARKS = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of other people's packages
    pytest.mark.skipif(not CHROMIUM, reason="no browser: apt-get install chromium"),
]


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser."""
    driver = pytest.importorskip("playwright.sync_api", reason="pip install -c constraints.txt -e '.[browser]'")
    with driver.sync_playwright() as leading:
        found = leading.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def looking(browser: Any, address: str, size: str = "wide", scheme: str = "light", **more: Any) -> Iterator[Any]:
    """A page at this address. At the end nothing was asked of another host, and nothing went wrong that nobody
    expected."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce", **more
    )
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if "Failed to load" not in message.text else None)
    page.goto(address)
    yield page
    root = address.partition("#")[0].partition("?")[0]
    assert all(url.startswith((root, "data:", "blob:")) for url in asked), asked
    assert not said, said
    context.close()


def grave(page: Any) -> list[tuple[str, str]]:
    """What axe-core calls serious or critical: the rule, and the first place."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]


def sideways(page: Any) -> int:
    """By how many px the page is wider than the screen."""
    return int(page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth"))
