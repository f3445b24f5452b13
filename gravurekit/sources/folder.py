"""A folder of pictures on this disk: `--source folder:PATH`. Files are linked or copied, never moved; a picture's label
is the name of the folder it lies in.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gravurekit import folder as folders
from gravurekit import settings
from gravurekit.errors import SourceError, UsageError
from gravurekit.sources import Connection, Result
from gravurekit.web import Web

NEEDS_KEYWORDS = False


class Settings(settings.Settings):
    """A folder has no knobs."""


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web) -> AsyncIterator[Connection]:
    """A Connection whose Search gives every picture below `argument`, by path, whatever the query."""
    if not argument:
        raise UsageError("--source folder needs the folder: --source folder:PATH")
    root = Path(argument).absolute()
    if not root.is_dir():
        raise SourceError(f"--source folder:{argument}: no such folder")

    async def search(query: str) -> AsyncIterator[Result]:
        for name in folders.picture_files(root):
            label = "".join(folders.folder_label(name))
            yield Result(url=f"folder:{root.name}/{name}", title=Path(name).name, label=label, path=str(root / name))

    yield Connection(search)
