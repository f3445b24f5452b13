"""What a crawl left behind, as its tests look at it."""

import re
from pathlib import Path
from urllib.parse import unquote

from hostile import Site
from typer.testing import Result

from gravurekit import metadata, storage
from gravurekit.record import Record


def pictures(site: Site, *numbers: int) -> list[str]:
    """Links to pictures of the site."""
    return [site.url(f"/pictures/{n}.jpg") for n in numbers]


def listed(site: Site, folder: Path, *numbers: int) -> Path:
    """A file with links to pictures of the site."""
    storage.write_text(folder / "links.txt", "\n".join(pictures(site, *numbers)) + "\n")
    return folder / "links.txt"


def kept(out: Path = Path("raw")) -> list[Record]:
    """The Records of the pictures that are there."""
    return metadata.read_lines(out / metadata.METADATA)


def dropped(out: Path = Path("raw")) -> dict[str, Record]:
    """The other Records, by the path of the URL, as it would be read."""
    items = metadata.read_lines(out / metadata.DROPPED)
    return {unquote(re.sub(r"^http://[^/]*", "", item.url)): item for item in items}


def said(result: Result) -> str:
    """All that a run has said, for a test that fails."""
    return f"{result.stdout}\n{result.stderr}\n{result.exception}"
