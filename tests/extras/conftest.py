"""What the tests of optional packages share: a browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import browsing


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser, for the tests of one file: as long as it is led, no other event loop runs in this process."""
    with browsing() as found:
        yield found
