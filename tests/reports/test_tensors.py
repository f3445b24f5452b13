"""The page of shards: its pictures come from the tensors, its counts from the index, and damage is told."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import EVIL, Page, check_closed
from workspace import run_here

from gravurekit import storage
from gravurekit.errors import DataError, UsageError
from gravurekit.executor import Serial, make_executor
from gravurekit.progress import SILENT
from gravurekit.reports import Report, tensors
from gravurekit.shards import INDEX, MANIFEST, SPLITS, reader


@pytest.fixture
def shards(world: Path, tmp_path: Path) -> Path:
    shutil.copytree(world / "shards", tmp_path / "shards")
    return tmp_path / "shards"


def look(source: Path, limit: int = 20_000, executor: Any = None) -> tuple[Report, Page]:
    out = source.parent / "page.html"
    made = tensors.write(source, out, 64, limit, False, executor or Serial(), SILENT)
    return made, Page(out.read_text("utf-8"))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / INDEX).read_text("utf-8").splitlines()]


def test_every_sample_is_there_with_its_tensors_and_its_source(world: Path, tmp_path: Path) -> None:
    source = world / "shards"
    made = tensors.write(source, tmp_path / "p.html", 64, 20_000, False, Serial(), SILENT)
    page = Page((tmp_path / "p.html").read_text("utf-8"))
    check_closed(page)
    entries = lines(source)
    assert made.kind == "shards" and made.facts["shown"] == len(entries) == len(page.items)
    assert made.facts["samples"] == {split: sum(entry["split"] == split for entry in entries) for split in SPLITS}
    assert all(item["shots"] == [tensors.INK, tensors.TARGET, tensors.PRINT] for item in page.items)
    by_place = {(entry["shard"], entry["row"]): entry for entry in entries}
    for item in page.items:
        entry = by_place[item["facts"]["shard"], int(item["facts"]["row"])]
        assert (item["key"], item["group"], item["facts"]["picture"]) == (entry["key"], entry["split"], entry["url"])
    labels = [attrs["aria-label"] for attrs in page.all("svg") if attrs.get("class") == "plot"]
    assert labels[:3] == ["Samples of each label", "Lightness of the input", "Colours of all"] and len(labels) > 3


def test_the_lightness_that_is_drawn_is_that_of_the_tensors(world: Path) -> None:
    """Against a count of the tensors by safetensors' own reader."""
    from safetensors.numpy import load_file

    expected = np.zeros(tensors.LEVELS, int)
    wanted = []
    for shard in reader.read_manifest(world / "shards")["shards"]:
        found = load_file(world / "shards" / shard["file"])
        path = str(world / "shards" / shard["file"])
        for row, (y0, x0, y1, x1) in enumerate(found["box"].tolist()):
            wanted.append([tensors.Tensor(path, shard["sha256"], row, tensors.INK, 32)])
            values = found["L"][row, 0, y0:y1, x0:x1].astype(int) * tensors.LEVELS // 256
            expected += np.bincount(values.ravel(), minlength=tensors.LEVELS)
    _, levels = tensors._pictures(tuple(wanted))
    assert [levels.get(n, 0) for n in range(tensors.LEVELS)] == expected.tolist()


def test_ink_and_wash_together_are_the_print(world: Path) -> None:
    grey, white = np.full((1, 2, 2), 128, np.uint8), np.full((1, 2, 2), 255, np.uint8)
    red = np.stack([np.full((2, 2), value, np.uint8) for value in (136, 208, 195)])  # L 53, a 80, b 67
    assert np.array_equal(
        tensors._seen({"L": white, "wash": red}, tensors.PRINT),
        tensors._seen({"L": white, "wash": red}, tensors.TARGET),
    )
    both = tensors._seen({"L": grey, "wash": red}, tensors.PRINT)[0, 0]
    wash, ink = tensors._seen({"wash": red}, tensors.TARGET)[0, 0], tensors._seen({"L": grey}, tensors.INK)[0, 0]
    assert wash[0] > 240 and max(wash[1:]) < 20 and ink.min() == ink.max() and both[0] < min(wash[0], ink[0]) + 1


def test_the_same_bytes_from_worker_processes(shards: Path) -> None:
    look(shards)
    one = (shards.parent / "page.html").read_bytes()
    look(shards, executor=make_executor("local", 2))
    assert (shards.parent / "page.html").read_bytes() == one


def test_of_many_some_of_each_split_are_shown(shards: Path) -> None:
    made, page = look(shards, limit=6)
    groups = [item["group"] for item in page.items]
    assert made.facts["shown"] == 6 and all(groups.count(split) == 2 for split in SPLITS)
    assert [total for _, _, total in page.data["groups"]] == [made.facts["samples"][split] for split in SPLITS]


def test_damage_is_shown_where_it_is(shards: Path) -> None:
    manifest = reader.read_manifest(shards)
    train, val = (next(one for one in manifest["shards"] if one["split"] == split) for split in ("train", "val"))
    with open(shards / train["file"], "r+b") as file:
        file.seek(4096 + 5)
        file.write(b"\xff\x00\xff")
    (shards / val["file"]).unlink()
    with open(shards / INDEX, "a") as file:
        file.write('{"split": "train"')
    page = look(shards)[1]
    assert "Something is wrong with these shards" in page.words and f"{val['file']} is missing" in page.words
    unseen = {(item["group"], item["facts"]["row"]) for item in page.items if not item["shots"]}
    assert ("train", "0") in unseen and len([one for one in unseen if one[0] == "train"]) == 1
    assert len([one for one in unseen if one[0] == "val"]) == val["samples"]


def test_no_word_of_the_index_becomes_part_of_the_page_and_no_other_file_is_opened(shards: Path) -> None:
    entries = lines(shards)
    entries[0] |= {"key": EVIL, "url": "javascript:alert(1)", "labels": [EVIL], "keywords": [EVIL, 7], "license": EVIL}
    entries[1] |= {"shard": "../../../etc/passwd"}
    entries[2] |= {"row": 1 << 40}
    entries[3] |= {"row": -1}
    storage.write_lines(shards / INDEX, map(json.dumps, entries))
    page = look(shards)[1]
    check_closed(page)
    assert EVIL in page.words and "<script>alert" not in (shards.parent / "page.html").read_text("utf-8")
    unseen = [item for item in page.items if not item["shots"]]
    assert len(unseen) == 3 and "has no row" in page.words


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}'])
def test_without_a_manifest_there_is_nothing_to_show(text: str, shards: Path) -> None:
    storage.write_text(shards / MANIFEST, text)
    with pytest.raises(DataError, match="manifest"):
        look(shards)
    assert not (shards.parent / "page.html").exists()


def test_nobody_elses_file_is_written_over(shards: Path) -> None:
    storage.write_text(shards.parent / "page.html", "mine")
    with pytest.raises(UsageError, match="no report"):
        look(shards)


def test_the_verb_makes_it(shards: Path) -> None:
    told = run_here("-C", str(shards.parent), "report", "shards", "--png", "--json", "--quiet")
    said = json.loads(told.stdout)
    assert told.exit_code == 0 and said["kind"] == "shards" and said["out"] == "reports/shards/report.html"
    assert all((shards.parent / path).is_file() for path in said["plots"]) and len(said["plots"]) > 3
