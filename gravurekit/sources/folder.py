"""A folder of pictures on this disk: `--source folder:PATH`. Files are linked or copied, never moved; a picture's label
is the name of the folder it lies in.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gravurekit import foreign, settings
from gravurekit.errors import SourceError, UsageError
from gravurekit.sources import Connection, Result, Terms
from gravurekit.web import Web

NEEDS_KEYWORDS = False
TELLS_LICENSES = False
ASKS_A_HOST = False


class Settings(settings.Settings):
    """A folder has no knobs."""


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection whose Search gives every picture below `argument`, by path, whatever the query."""
    if not argument:
        raise UsageError("--source folder needs the folder: --source folder:PATH")
    root = Path(argument).absolute()
    if not root.is_dir():
        raise SourceError(f"--source folder:{argument}: no such folder")

    async def search(query: str) -> AsyncIterator[Result]:
        for name in foreign.picture_files(root):
            label, path = "".join(foreign.folder_label(name)), root / name
            url, stamp = f"folder:{root.name}/{name}", foreign.stamp(path)
            yield Result(url=url, title=path.name, label=label, path=str(path), stamp=stamp)

    yield Connection(search)
