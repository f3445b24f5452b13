"""Sources: where pictures come from. A source is one file; its name is its name on the command line.

    class Settings(Settings)                               its knobs, the table [crawl.NAME]
    NEEDS_KEYWORDS = True                                  False: it gives what it has, whatever the keyword
    TELLS_LICENSES = True                                  False: its results come without licences
    ASKS_A_HOST = True                                     False: it asks nobody whom `--endpoint` could replace
    PACES = {"api.example.org": Pace(at_once=1)}           optional: how gently these hosts must be asked
    check(argument)                                        optional: raises UsageError for what `connect` would refuse
    connect(argument, settings, web, terms)                an async context manager that gives a Connection;
                                                           `argument` is what follows the colon in `--source NAME:…`

A Search is `search(query) -> async iterator of Result`, best first, endless or not; one that gives nothing at all says
that the source knows nothing of the query. It raises Blocked for a consent page, a captcha or a refusal, UnknownLayout
for an answer that it can't read, FetchError when the source can't be reached.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from gravurekit.licenses import Wish


@dataclass(frozen=True)
class Terms:
    """What is wanted of every source, and asked of those that can be asked; `license` is checked again afterwards.
    `contact`: how the host can reach whoever crawls."""

    license: Wish = "any"
    safe: bool = True  # leave out what isn't for children, where the source can
    contact: str = ""


@dataclass(frozen=True)
class Result:
    """One picture that a source knows of. Exactly one of `url` with http(s), or `path`, leads to its bytes. Its place
    among the results of its search is its rank."""

    url: str  # the picture's name in all Records; for a file, "folder:" and its path below the root
    page_url: str = ""
    title: str = ""
    creator: str = ""
    license: str = ""  # as `licenses.read` names it
    license_url: str = ""
    label: str = ""  # for sources without keywords
    path: str = ""  # a file on this disk, copied or linked, never moved
    stamp: str = ""  # of a file: changes when the file does


Search = Callable[[str], AsyncIterator[Result]]


def _itself(url: str) -> str:
    return url


@dataclass(frozen=True)
class Connection:
    """An open source: its Search, and `locate`, which gives the address behind a URL where that is another one, namely
    of a server of our own. Such an address holds for this connection only, so it is never written down."""

    search: Search
    locate: Callable[[str], str] = _itself
