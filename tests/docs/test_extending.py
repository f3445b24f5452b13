"""docs/extending.md: its files are put into a copy of the package, and what it shows is done."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from manuscript import DOCS, REPOSITORY, blocks, play, steps
from odd_pictures import drawn

from gravurekit import images, metadata
from gravurekit.storage import write_bytes, write_text

PAGE = DOCS / "extending.md"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package, to which the page's files were added."""
    root = tmp_path_factory.mktemp("house")
    shutil.copytree(REPOSITORY / "gravurekit", root / "gravurekit", ignore=shutil.ignore_patterns("__pycache__"))
    for block in blocks(PAGE):
        if block.language == "python":
            assert not (root / block.title).exists(), f"{block.title} is there already"
            write_text(root / block.title, block.text)
    return root


@pytest.mark.slow
def test_what_the_page_shows_works(house: Path, tmp_path: Path) -> None:
    for block in blocks(PAGE):
        if block.language == "json":
            write_text(tmp_path / block.title, block.text)
    for number in (1, 2, 3):
        write_bytes(tmp_path / f"archive/plate-{number}.png", drawn(number, "PNG"))
    play(steps(PAGE), tmp_path, house)

    reasons = {item.reason for item in metadata.read_lines(tmp_path / "clean" / metadata.DROPPED)}
    assert "too-red" in reasons  # and where it is left out:
    assert "too-red" not in {item.reason for item in metadata.read_lines(tmp_path / "all" / metadata.DROPPED)}
    assert (tmp_path / "clean/dropped.jsonl").read_text("utf-8").count("% is red, more than 20 %") > 0

    for folder, tones in (("posters", 3), ("bold", 2)):
        plain = [images.read(path).pixels for path in (tmp_path / folder / "plain").iterdir()]
        assert plain and all(len(np.unique(pixels)) <= tones for pixels in plain)
    assert (tmp_path / "bold/receipt.json").read_text("utf-8").count('"tones": 2') == 1

    found = {item.title: item for item in metadata.read_lines(tmp_path / "found" / metadata.METADATA)}
    assert set(found) == {"Red dress, front", "Green dress"}
    assert found["Red dress, front"].license == "CC-BY-4.0" and found["Red dress, front"].keywords == ("red",)
    assert "A. Weber" in (tmp_path / "found/CREDITS.md").read_text("utf-8")

    ink, colours = ({path.stem for path in (tmp_path / "pairs" / name).iterdir()} for name in ("ink", "colours"))
    assert ink == colours != set()
    index = [json.loads(line) for line in (tmp_path / "pairs/index.jsonl").read_text("utf-8").splitlines()]
    assert all((tmp_path / "pairs" / line["plain_file_name"]).is_file() for line in index) and len(index) == len(ink)
