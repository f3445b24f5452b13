"""The chain on the sample source: every Record is counted at every stage, and a second run does nothing."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result
from workspace import KEYWORDS, digests, patchwork

from gravurekit import folder, metadata, receipt, shards
from gravurekit.sample.engine import Engine
from gravurekit.shards.reader import ShardSet


def links_of(words: str, per_keyword: int) -> set[str]:
    """The distinct links that the engine gives for these keywords."""
    from gravurekit import keywords
    from gravurekit.sample import catalogue

    return {item.name for word in keywords.parse(words) for item in catalogue.results(word.query)[:per_keyword]}


def test_in_is_kept_plus_dropped_at_every_stage(world: Path) -> None:
    came = len(links_of(KEYWORDS, 22))
    for name in ("raw", "clean", "styled"):
        kept, dropped = (metadata.read_lines(world / name / file) for file in (metadata.METADATA, metadata.DROPPED))
        counts = receipt.read_receipt(world / name).counts  # type: ignore[union-attr]
        assert counts["in"] == came == len(kept) + len(dropped)
        assert {k: v for k, v in counts.items() if k not in ("in", "kept")} == Counter(r.reason for r in dropped)
        assert all(item.reason and item.detail for item in dropped)
        assert len({item.key for item in kept}) == len(kept) > 0
        assert not any(item.reason for item in kept)
        named = {file for item in kept for file in metadata.files_of(item)}
        assert all((world / name / file).is_file() for file in named)
        lying = {path.relative_to(world / name).as_posix() for path in (world / name).glob("[!.]*/*")}
        assert lying == named
        came = len(kept)
    index = [json.loads(line) for line in (world / "shards" / shards.INDEX).read_text("utf-8").splitlines()]
    assert len(index) + len(metadata.read_lines(world / "shards" / metadata.DROPPED)) == came


def test_what_the_web_returns_is_named_by_its_reason(world: Path) -> None:
    raw = Counter(item.reason for item in metadata.read_lines(world / "raw" / metadata.DROPPED))
    assert raw["http-404"] == raw["unreadable"] == 3  # one a keyword
    assert raw["not-an-image"] == 3 and raw["same-bytes"] == 5  # the placeholder is one file under three keywords
    clean = Counter(item.reason for item in metadata.read_lines(world / "clean" / metadata.DROPPED))
    assert clean["monochrome"] >= 3 and clean["duplicate"] >= 6
    assert all(
        item.kept_key for item in metadata.read_lines(world / "clean" / metadata.DROPPED) if item.reason == "duplicate"
    )


def test_every_kept_picture_knows_its_origin_and_label(world: Path) -> None:
    for item in metadata.read_lines(world / "styled" / metadata.METADATA):
        assert item.source == "sample"
        assert item.url.startswith("http://sample.invalid/pictures/") and item.page_url and item.title
        assert item.label in ("kaftan", "salvar", "dress") and item.keywords
        assert item.key == metadata.file_sha256(next((world / "raw" / "images").glob(f"{item.key}.*")))[:16]


def test_a_shard_row_leads_back_to_its_picture(world: Path) -> None:
    from gravurekit import color, images

    styled = {item.key: item for item in metadata.read_lines(world / "styled" / metadata.METADATA)}
    index = [json.loads(line) for line in (world / "shards" / shards.INDEX).read_text("utf-8").splitlines()]
    train = [entry for entry in index if entry["split"] == "train"]
    samples = ShardSet(world / "shards", "train")
    assert len(samples) == len(train)
    batch = samples.batch(np.arange(len(train)))
    for n, entry in enumerate(train):
        item = styled[entry["key"]]
        assert samples.classes[batch["label"][n]] == item.label
        y0, x0, y1, x1 = batch["box"][n]
        wash = images.read(world / "styled" / item.wash_file_name).pixels
        lab = color.rgb_to_lab(images.resize(wash, x1 - x0, y1 - y0))
        assert np.abs(color.lab8_to_lab(np.moveaxis(batch["wash"][n], 0, -1))[y0:y1, x0:x1] - lab).max() <= 0.51
        outside = np.ones((64, 64), bool)
        outside[y0:y1, x0:x1] = False
        assert (batch["L"][n, 0][outside] == 255).all()


def test_copies_of_one_picture_share_a_split(world: Path) -> None:
    index = [json.loads(line) for line in (world / "shards" / shards.INDEX).read_text("utf-8").splitlines()]
    splits: dict[str, set[str]] = {}
    for entry in index:
        splits.setdefault(entry["cluster"], set()).add(entry["split"])
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.slow
def test_a_second_run_is_fresh_and_fetches_nothing(gravurekit: Callable[..., Result], tmp_path: Path) -> None:
    with Engine() as engine:
        crawl = ("crawl", "kaftan", "red dress", "--source", "bing", "--per-keyword", "18", "--endpoint",
                 f"bing={engine.address}", "--allow-private-addresses", "--json")  # fmt: skip
        first = json.loads(gravurekit(*crawl).stdout)
        asked = len(engine.log)
        assert first["kept"] > 10 and not first["fresh"] and asked >= 36
        second = json.loads(gravurekit(*crawl).stdout)
        assert second["fresh"] and (second["kept"], second["dropped"]) == (first["kept"], first["dropped"])
        (tmp_path / "raw" / receipt.RECEIPT).unlink()  # as if it had been killed at the very end
        again = json.loads(gravurekit(*crawl).stdout)
        assert (again["came"], again["kept"], again["dropped"]) == (first["came"], first["kept"], first["dropped"])
        assert len(engine.log) == asked
    for stage in ("filter", "stylize"):
        assert not json.loads(gravurekit(stage, "--json").stdout)["fresh"]
        before = digests(tmp_path)
        assert json.loads(gravurekit(stage, "--json").stdout)["fresh"]
        assert digests(tmp_path) == before


def test_a_lost_picture_is_fetched_again_alone(gravurekit: Callable[..., Result], tmp_path: Path) -> None:
    with Engine() as engine:
        crawl = ("crawl", "kaftan", "--source", "bing", "--per-keyword", "6", "--endpoint", f"bing={engine.address}",
                 "--allow-private-addresses")  # fmt: skip
        gravurekit(*crawl)
        before, asked = digests(tmp_path, but=("journal.jsonl",)), len(engine.log)
        sorted((tmp_path / "raw" / "images").iterdir())[0].unlink()
        assert gravurekit(*crawl).exit_code == 0
        assert len(engine.log) == asked + 1
        assert digests(tmp_path, but=("journal.jsonl",)) == before


@pytest.mark.slow
def test_serial_and_local_write_the_same_bytes(gravurekit: Callable[..., Result], tmp_path: Path) -> None:
    """All four stages that work in tasks, several tasks each, whoever does them."""
    patchwork(tmp_path / "photos", 70)
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    draw = ("--short-side", "64", "--style", "cartoon", "--variants", "2")
    found = []
    for way in (("--executor", "serial"), ("--jobs", "1"), ("--jobs", "2"), ("--jobs", "3")):
        out = f"of {' '.join(way)}"
        gravurekit("crawl", "kaftan", "--source", "sample", "--source", "folder:photos", "--out", f"{out}/raw", *way)
        gravurekit("filter", f"{out}/raw", f"{out}/clean", "--skip", "too_small", "--relevance", "none", *way)
        gravurekit("stylize", f"{out}/clean", f"{out}/styled", *draw, *way)
        gravurekit("shard", f"{out}/styled", f"{out}/shards", "--size", "32", "--samples-per-shard", "50", *way)
        found.append(digests(tmp_path / out, but=("journal.jsonl",)))  # which tells what came when
    assert len(found[0]) > 600
    for other in found[1:]:
        assert other == found[0]


def test_a_picture_found_under_two_labels_has_both(gravurekit: Callable[..., Result], tmp_path: Path) -> None:
    gravurekit("crawl", "robe: kaftan", "kaftan", "--source", "sample", "--per-keyword", "2")
    assert {item.labels for item in folder.read(tmp_path / "raw")} == {("robe", "kaftan")}


def test_a_source_that_fails_is_told_and_the_others_go_on(gravurekit: Callable[..., Result], tmp_path: Path) -> None:
    result = gravurekit("crawl", "kaftan", "--source", "folder:nowhere", "--source", "sample", "--per-keyword", "3")
    assert result.exit_code == 4 and "folder:nowhere can't be used" in result.stderr
    assert len(folder.read(tmp_path / "raw")) == 3


@pytest.mark.slow
def test_plain_folders_are_taken_by_every_verb(world: Path, gravurekit: Callable[..., Result], tmp_path: Path) -> None:
    photos = world / "raw" / "images"
    assert gravurekit("crawl", "--source", f"folder:{photos}", "--out", "copied").exit_code == 0
    assert digests(tmp_path / "copied" / "images") == digests(photos)
    assert gravurekit("filter", str(photos), "kept").exit_code == 0
    assert gravurekit("stylize", str(photos), "drawn", "--short-side", "96", "--style", "cartoon").exit_code == 0
    assert len(folder.read(tmp_path / "drawn")) == len(list(photos.iterdir()))
    assert {item.label for item in folder.read(tmp_path / "drawn")} == {""}
    assert gravurekit("shard", "drawn", "tensors", "--size", "32").exit_code == 0


@pytest.mark.slow
def test_prints_are_kept_by_a_filter_for_prints(gravurekit: Callable[..., Result], tmp_path: Path) -> None:
    gravurekit("crawl", "kaftan engraving", "--source", "sample", "--per-keyword", "6", "--out", "prints")
    gravurekit("filter", "prints", "plates", "--for", "prints")
    assert len(folder.read(tmp_path / "plates")) == 6
    gravurekit("filter", "prints", "photos")
    assert Counter(r.reason for r in metadata.read_lines(tmp_path / "photos" / metadata.DROPPED)) == {"monochrome": 6}


def test_tags_of_place_and_device_stay_in_raw(gravurekit: Callable[..., Result], tmp_path: Path) -> None:
    import io

    from PIL import Image

    from gravurekit.sample.figures import draw_figure

    picture, buffer = Image.fromarray(draw_figure("kaftan", None, 1)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    exif[0x0112] = 6  # turned
    exif.get_ifd(0x8825)[1] = "N"
    picture.save(buffer, "JPEG", exif=exif)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(buffer.getvalue())
    gravurekit("crawl", "--source", "folder:photos")
    gravurekit("filter")
    [item] = folder.read(tmp_path / "clean")
    with Image.open(tmp_path / "clean" / item.file_name) as saved:
        assert not saved.getexif() and (saved.width, saved.height) == (picture.height, picture.width)
    assert (tmp_path / "raw" / "images" / f"{item.key}.jpg").read_bytes() == buffer.getvalue()
