"""What the studio's tests share: studios that are asked by many tests, each in a workspace of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from colouring import write_run
from studio_server import Client, studio

from gravurekit.storage import write_text


@pytest.fixture(scope="session")
def painting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a trained network, and one that can't be told anything."""
    folder = tmp_path_factory.mktemp("painting")
    write_run(folder / "runs" / "loud", whole=True)
    plain = {"palette": False, "hints": False, "lightness": True}
    write_run(folder / "runs" / "plain", whole=True, **plain)
    (folder / "runs" / "plain" / "palettes.json").unlink()
    write_text(folder.parent / "secret.txt", "what nobody may read")
    return folder


@pytest.fixture(scope="module")
def open_studio(painting: Path) -> Iterator[Client]:
    """A studio in the workspace `painting`; at most 2 MB and a million px are taken."""
    with studio(painting, max_upload=2, max_pixels=1) as client:
        yield client
