"""Sources: where pictures come from. A source is one file; its name is its name on the command line.

    class Settings(Settings)                               its knobs, the table [crawl.NAME]
    NEEDS_KEYWORDS = True                                  False: it gives what it has, whatever the keyword
    connect(argument, settings, web)                       an async context manager that gives a Connection;
                                                           `argument` is what follows the colon in `--source NAME:…`

A Search is `search(query) -> async iterator of Result`, best first, endless or not. It raises FetchError when the
source can't be reached, SourceError when it answers something that it can't read.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One picture that a source knows of. Exactly one of `url` with http(s), or `path`, leads to its bytes."""

    url: str  # the picture's name in all Records; for a file, "folder:" and its path below the root
    page_url: str = ""
    title: str = ""
    creator: str = ""
    license: str = ""
    license_url: str = ""
    label: str = ""  # for sources without keywords
    path: str = ""  # a file on this disk, copied or linked, never moved
    stamp: str = ""  # of a file: changes when the file does


Search = Callable[[str], AsyncIterator[Result]]


def _itself(url: str) -> str:
    return ""


@dataclass(frozen=True)
class Connection:
    """An open source: its Search, and `locate`, which gives the address behind a URL where that is another one, namely
    of a server of our own. Such an address holds for this connection only, so it is never written down."""

    search: Search
    locate: Callable[[str], str] = _itself
