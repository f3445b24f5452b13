"""A folder of pictures on this disk: `--source folder:PATH`. Files are linked or copied, never moved; a picture's label
is the name of the folder it lies in. Who made the pictures, and under which licence, is the same for all, and said by
knobs: `--set folder.license=CC0-1.0`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import Field

from gravurekit import foreign, licenses, settings
from gravurekit.errors import SourceError, UsageError
from gravurekit.sources import Connection, Result, Terms
from gravurekit.sources._text import link, plain
from gravurekit.web import Web

NEEDS_KEYWORDS = False
TELLS_LICENSES = True  # if the knobs do
ASKS_A_HOST = False


class Settings(settings.Settings):
    """What is the same for all pictures of a folder."""

    license: str = Field("", description="Their licence, as in CC0-1.0 or CC BY 4.0; empty: nothing is known of it.")
    license_url: str = Field("", description="Where that licence can be read.")
    creator: str = Field("", description="Who made them.")
    page_url: str = Field("", description="Where they were published.")


@asynccontextmanager
async def connect(argument: str, settings: Settings, web: Web, terms: Terms) -> AsyncIterator[Connection]:
    """A Connection whose Search gives every picture below `argument`, by path, whatever the query. Raises SourceError
    if there is no such folder, UsageError if a licence is wanted and none is said."""
    if not argument:
        raise UsageError("--source folder needs the folder: --source folder:PATH")
    root = Path(argument).absolute()
    if not root.is_dir():
        raise SourceError(f"--source folder:{argument}: no such folder")

    license = licenses.read(plain(settings.license), _address("license_url", settings.license_url))
    if not licenses.meets(license.name, terms.license):
        said = f"{license.name} doesn't allow that" if license.name else "say which one the pictures have"
        raise UsageError(f"--license {terms.license}: {said}: --set folder.license=CC0-1.0")
    page_url = _address("page_url", settings.page_url)

    async def search(query: str) -> AsyncIterator[Result]:
        for name in foreign.picture_files(root):
            label, path = "".join(foreign.folder_label(name)), root / name
            url, stamp = f"folder:{root.name}/{name}", foreign.stamp(path)
            yield Result(
                url=url,
                page_url=page_url,
                title=path.name,
                creator=plain(settings.creator),
                license=license.name,
                license_url=license.url,
                label=label,
                path=str(path),
                stamp=stamp,
            )

    yield Connection(search)


def _address(name: str, said: str) -> str:
    if said and not link(said):
        raise UsageError(f"folder.{name} = {said[:80]!r} is no address of a page: write it as https://…")
    return link(said)
