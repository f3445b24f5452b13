"""What the search engines have in common: addresses as icrawler's feeders make them, one page after the other, and the
walls that stand before results: captchas, consent pages, refusals.
"""

import queue
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

from icrawler import Feeder
from icrawler.utils import Signal
from lxml import etree, html  # type: ignore[import-untyped]

from gravurekit.errors import Blocked, FetchError, UnknownLayout
from gravurekit.sources import Result
from gravurekit.sources._text import link, plain

Fetch = Callable[[str], Awaitable[bytes]]
Read = Callable[[bytes], list[Result]]

MAX_OFFSET = 1000  # past it the engines repeat themselves, or give nothing
MAX_TITLE = 500  # letters of a title, tags included
BEGINNING = 1 << 20  # bytes that are looked at of a page without results: walls are small
REFUSALS = {"http-401", "http-403", "http-429", "http-451"}

_WALL = etree.XPath("""
    //form[contains(@action, 'captcha') or contains(@action, '//consent.') or contains(@action, '/sorry')]
    | //*[self::script or self::iframe][contains(@src, 'captcha') or contains(@src, '//challenges.')]
    | //*[contains(@class, 'captcha') or contains(@id, 'captcha')]
    | //*[contains(@id, 'turnstile') or contains(@name, 'turnstile')]
    | //*[contains(@href, '//wappass.') or contains(@content, '//wappass.')]
""")
_WALL_WORDS = re.compile(
    "unusual traffic from your|solve the challenge below|before you continue to google|verify you are (a )?human"
    "|百度安全验证",
    re.IGNORECASE,
)
_SEEN = etree.XPath("//text()[not(parent::script or parent::style)]")


def addresses(feeder: type[Feeder], keyword: str, filters: dict[str, str]) -> Iterator[str]:
    """The addresses of the result pages, as an icrawler feeder makes them of a keyword that is ready for its format."""
    maker = feeder(1, Signal(), None)
    maker.out_queue = queue.SimpleQueue()
    maker.feed(keyword, 0, MAX_OFFSET, filters=filters or None)
    while not maker.out_queue.empty():
        yield maker.out_queue.get()


async def results(name: str, pages: Iterable[str], read: Read, fetch: Fetch) -> AsyncIterator[Result]:
    """The results of all pages, each picture once, until a page brings nothing new. `fetch` gives the bytes of a page.

    Raises Blocked for a refusal, FetchError, and what `read` raises.
    """
    seen: set[str] = set()
    for url in pages:
        before = len(seen)
        for result in read(await _answer(name, url, fetch)):
            if result.url not in seen:
                seen.add(result.url)
                yield result
        if len(seen) == before:
            return


async def _answer(name: str, url: str, fetch: Fetch) -> bytes:
    try:
        return await fetch(url)
    except FetchError as error:
        if error.reason in REFUSALS or is_wall(tree(error.body[:BEGINNING])):
            raise blocked(name, f"it refuses to answer ({error.detail})") from error
        raise


def tree(page: bytes) -> Any:
    """The HTML of an answer as an lxml tree, whatever the bytes are."""
    # libxml2 stops at a byte that is no UTF-8 or zero, and takes an empty page for an error
    text = page.decode("utf-8", "replace").replace("\0", "")
    return html.document_fromstring(f"<html>{text}".encode(), html.HTMLParser(encoding="utf-8", huge_tree=True))


def words(root: Any) -> str:
    """What a reader of a page sees, and its title."""
    return " ".join(" ".join(_SEEN(root)).split())


def is_wall(root: Any) -> bool:
    """Whether a page asks who is there: a captcha, another challenge, or a consent page."""
    return bool(_WALL(root)) or bool(_WALL_WORDS.search(words(root)))


def address(value: object) -> str:
    """A web address as the engine gave it, if it has one whole; "" for what is none."""
    whole = isinstance(value, str) and value.strip().lower().startswith(("http://", "https://"))
    return link(value) if whole else ""


def title(value: object) -> str:
    """The title of a picture as plain text; "" for what is none."""
    return plain(value[:MAX_TITLE]) if isinstance(value, str) else ""


def blocked(name: str, said: str) -> Blocked:
    """The failure of a source that won't answer."""
    return Blocked(f"{name}: {said}: wait some hours, or use another source")


def unknown(name: str, said: str) -> UnknownLayout:
    """The failure of a source whose answer can't be read."""
    return UnknownLayout(f"{name}: {said}: its layout may have changed; use another source")
