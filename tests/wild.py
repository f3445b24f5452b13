"""Answers of hosts as nobody expects them, and what must hold of what is made of them."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import astuple
from typing import Any

from hypothesis import strategies as st

from gravurekit.errors import FetchError, SourceError, UsageError
from gravurekit.sources import Result

WORDS = st.text(st.characters(), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.sampled_from(["//a/b c", "https://é/ü#x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested objects and lists, as its container and its key."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def spoiled(whole: Any, draw: Callable[..., Any]) -> Any:
    """An answer in which one place holds something else."""
    answer = copy.deepcopy(whole)
    container, key = draw(st.sampled_from(list(places(answer))))
    container[key] = draw(VALUES)
    return answer


def fit(result: Result) -> None:
    """A result must lead into the web, and be fit to be written down."""
    assert result.url.startswith(("https://", "http://"))
    "".join(astuple(result)).encode()


def read_or_refused(read: Callable[[bytes], list[Result]], page: bytes) -> None:
    """A page that may be anything gives fit results, or a failure of its source that can be told."""
    try:
        found = read(page)
    except SourceError as error:
        str(error).encode()
    else:
        for result in found:
            fit(result)


def gathered(results: AsyncIterator[Result]) -> tuple[list[Result], Exception | None]:
    """What a search gives, and what ended it if it didn't just end."""
    found: list[Result] = []

    async def gather() -> None:
        async for result in results:
            found.append(result)

    try:
        asyncio.run(gather())
    except (SourceError, FetchError, UsageError) as error:
        return found, error
    return found, None
