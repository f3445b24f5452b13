"""The filter as people use it: what is kept, why not, what is told, and that nothing is measured twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import odd_pictures
import pytest
from filtering import QUICK, drawn, put, reasons, records
from typer.testing import Result
from workspace import digests

from gravurekit import images, metadata
from gravurekit.metadata import DROPPED, METADATA
from gravurekit.record import Record
from gravurekit.storage import write_bytes

Run = Callable[..., Result]


def test_each_picture_ends_as_a_record_with_its_reason(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    assert gravurekit("filter", *QUICK).exit_code == 0
    found = reasons(tmp_path / "clean")
    assert {name: found.get(key) for name, key in raw.items() if key in found} == {
        "small copy": "duplicate", "cropped copy": "duplicate", "blank": "blank", "torn": "unreadable",
    }  # fmt: skip
    entries = records(tmp_path / "clean")
    assert entries.keys() == set(raw.values())
    assert entries[raw["small copy"]].kept_key == entries[raw["small copy"]].cluster == raw["0"]
    assert all(entry.phash_algorithm and entry.scores for key, entry in entries.items() if key != raw["torn"])


def test_another_threshold_opens_no_picture(
    raw: dict[str, str], gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gravurekit("filter", *QUICK)
    gravurekit("filter", "raw", "other", *QUICK, "--set", "too_small.min_side=230")
    expected = digests(tmp_path / "other")

    def refuse(*_: Any) -> None:
        raise AssertionError("a picture was decoded again")

    monkeypatch.setattr("gravurekit.probe.measure", refuse)
    assert gravurekit("filter", *QUICK, "--set", "too_small.min_side=230").exit_code == 0
    assert digests(tmp_path / "clean") == expected


def test_no_copy_of_an_earlier_folder_is_kept(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    put(tmp_path / "earlier", "x.jpg", images.resize(drawn(3), 230, 307), 70)
    key = put(tmp_path / "earlier", "y.jpg", drawn(17))
    assert gravurekit("filter", "--against", "earlier", *QUICK).exit_code == 0
    entry = records(tmp_path / "clean")[raw["3"]]
    assert entry.reason == "duplicate" and entry.kept_key != key  # although the earlier one is smaller
    assert raw["3"] not in {path.stem for path in (tmp_path / "clean" / "images").iterdir()}
    assert "side input changed: against" in gravurekit("filter", *QUICK).stderr
    assert gravurekit("filter", "--against", "nowhere", *QUICK).exit_code == 2
    assert gravurekit("filter", "--against", "raw", *QUICK).exit_code == 2


def test_what_is_kept_by_hand_stays_in_its_cluster(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    lines = [{"key": raw["small copy"], "keep": True}, {"key": raw["1"], "keep": False}]
    (tmp_path / "by-hand.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    gravurekit("filter", "--decisions", "by-hand.jsonl", *QUICK)
    entries = records(tmp_path / "clean")
    assert not entries[raw["small copy"]].reason and entries[raw["small copy"]].cluster == raw["0"]
    assert entries[raw["1"]].reason == "by-hand"
    assert not entries[raw["cropped copy"]].reason  # the one that it was a copy of is gone


def test_relevance_is_recorded_told_and_cut(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    result = gravurekit("filter", "--executor", "serial")
    assert "figure: no cut (--min-figure)" in result.stdout
    scores = {key: entry.scores["figure"] for key, entry in records(tmp_path / "clean").items() if entry.scores}
    assert len(scores) == 8 and all(0 <= score <= 1 for score in scores.values())
    cut = sorted(scores[raw[str(seed)]] for seed in range(5))[2]
    gravurekit("filter", "--min-figure", f"{cut:.4f}", "--executor", "serial")
    dropped = {key for key, reason in reasons(tmp_path / "clean").items() if reason == "irrelevant"}
    assert {key for key in raw.values() if scores.get(key, 1) < cut - 1e-3} - {raw["blank"]} <= dropped


def test_the_best_of_each_label_are_kept(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    assert gravurekit("filter", "--keep-per-label", "1", *QUICK).exit_code == 2
    gravurekit("filter", "--keep-per-label", "1", "--executor", "serial")
    kept = metadata.read_lines(tmp_path / "clean" / METADATA)
    assert sorted(item.label for item in kept) == ["a", "b", "c"]
    for item in metadata.read_lines(tmp_path / "clean" / DROPPED):
        if item.reason == "surplus":
            assert item.scores["figure"] <= next(k.scores["figure"] for k in kept if k.label == item.label)


@pytest.mark.slow
def test_examples_teach_what_is_wanted(gravurekit: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for seed in range(10):
        put(tmp_path / "like", f"{seed}.jpg", drawn(seed))
        put(tmp_path / "unlike", f"{seed}.jpg", images.resize(rng.integers(0, 255, (9, 9, 3), np.uint8), 260, 260))
    put(tmp_path / "raw", "wanted.jpg", drawn(31))
    put(tmp_path / "raw", "unwanted.jpg", images.resize(rng.integers(0, 255, (9, 9, 3), np.uint8), 260, 260))
    chosen = ("--relevance", "examples", "--executor", "serial", "--skip", "blank", "--like")
    result = gravurekit("filter", *chosen, "like", "--unlike", "unlike", "--min-examples", "0.5")
    assert result.exit_code == 0 and "AUC 1.0" in result.stdout
    assert list(reasons(tmp_path / "clean").values()) == ["irrelevant"]
    refused = gravurekit("filter", "raw", "other", *chosen, "like", "--unlike", "like")
    assert refused.exit_code == 2 and "AUC" in str(refused.exception)
    assert gravurekit("filter", "raw", "third", *chosen, "like").exit_code == 2


@pytest.mark.parametrize(
    "damage", ["[1]", '{"revision": "probe 3", "pictures": {"ab": 5}}', '{"pictures": 3}', "", "[" * 9999]
)
def test_a_damaged_note_of_what_failed_is_made_anew(
    damage: str, raw: dict[str, str], gravurekit: Run, tmp_path: Path
) -> None:
    gravurekit("filter", *QUICK)
    (tmp_path / "clean" / ".probes" / "failed.json").write_text(damage)
    assert gravurekit("filter", *QUICK, "--set", "too_small.min_side=190").exit_code == 0
    assert reasons(tmp_path / "clean")[raw["torn"]] == "unreadable"


@pytest.mark.parametrize("relative", [True, False])
def test_a_link_to_a_picture_is_taken_for_the_picture(relative: bool, gravurekit: Run, tmp_path: Path) -> None:
    key = put(tmp_path / "elsewhere", "x.jpg", drawn(5))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "link.jpg").symlink_to("../elsewhere/x.jpg" if relative else tmp_path / "elsewhere" / "x.jpg")
    assert gravurekit("filter", *QUICK).exit_code == 0
    kept = tmp_path / "clean" / "images" / f"{key}.jpg"
    assert kept.is_file() and not kept.is_symlink()


def test_a_file_that_changes_while_the_folder_is_read_is_told_and_read_next_time(
    raw: dict[str, str], gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gravurekit.stages import filter

    honest = filter._read

    def changed(job: filter.Job) -> Any:
        found = honest(job)
        put(tmp_path / "raw", "a/3.jpg", drawn(23))
        (tmp_path / "raw" / "b" / "4.jpg").unlink()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(filter, "_read", changed)
        gravurekit("filter", *QUICK)
    found = reasons(tmp_path / "clean")
    assert found[raw["3"]] == "changed" and found[raw["4"]] == "changed"
    assert gravurekit("filter", *QUICK).exit_code == 0
    assert "changed" not in reasons(tmp_path / "clean").values()


def test_a_torn_last_line_of_metadata_is_told(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    gravurekit("filter", *QUICK)
    path = tmp_path / "clean" / METADATA
    path.write_bytes(path.read_bytes()[:-40])
    result = gravurekit("filter", "clean", "again", *QUICK)
    assert result.exit_code == 5 and "clean" in str(result.exception)


def test_every_odd_file_ends_as_a_record(gravurekit: Run, tmp_path: Path) -> None:
    odd = {f"{n}.jpg": (make(), "") for n, (make, *_) in enumerate(odd_pictures.GOOD.values())}
    odd |= {name: (make(), reason) for name, (make, reason) in odd_pictures.BAD.items() if reason != "too-big"}
    odd["one pixel.png"] = images.encode_png(np.zeros((1, 1, 3), np.uint8)), "blank"
    odd["a line.png"] = images.encode_png(np.random.default_rng(1).integers(0, 255, (1, 900, 3), np.uint8)), ""
    for name, (data, _) in odd.items():
        write_bytes(tmp_path / "raw" / name, data)
    skip = [word for name in ("too_small", "low_entropy", "monochrome", "extreme_aspect") for word in ("--skip", name)]
    gravurekit("filter", *QUICK, *skip)
    found = {item.url.removeprefix("folder:"): item for item in records(tmp_path / "clean").values()}
    assert found.keys() == odd.keys()
    expected = {name: reason for name, (_, reason) in odd.items() if reason}
    assert {name: found[name].reason for name in expected} == expected
    assert all(item.detail or not item.reason for item in found.values())


def test_a_picture_of_one_pixel_and_a_thousand_flat_ones_make_no_cluster(gravurekit: Run, tmp_path: Path) -> None:
    for n in range(12):
        tone = np.full((240, 240, 3), 100 + 7 * n, np.uint8)
        put(tmp_path / "raw", f"{n}.jpg", tone + np.random.default_rng(n).integers(0, 2, tone.shape, np.uint8))
    put(tmp_path / "raw", "dot.jpg", np.full((1, 1, 3), 9, np.uint8))
    skip = [word for name in ("blank", "low_entropy", "monochrome", "too_small") for word in ("--skip", name)]
    gravurekit("filter", *QUICK, *skip)
    assert "duplicate" not in reasons(tmp_path / "clean").values()


def test_a_graphic_of_three_hosts_is_a_placeholder(gravurekit: Run, tmp_path: Path) -> None:
    from gravurekit.sample.oddments import draw_logo

    key = put(tmp_path / "raw" / "images", "x.jpg", draw_logo(3))
    path = tmp_path / "raw" / "images" / f"{key}.jpg"
    (tmp_path / "raw" / "images" / "x.jpg").rename(path)
    item = Record(key=key, file_name=f"images/{key}.jpg", sha256=metadata.file_sha256(path), url="http://a.example/x")
    urls = ("http://b.example/y", "http://c.example/y", "http://[not an address/", "http://www.b.example/")
    again = [Record(key=f"{n}", url=url, reason="same-bytes", kept_key=key) for n, url in enumerate(urls)]
    metadata.write_lines(tmp_path / "raw" / METADATA, [item])
    metadata.write_lines(tmp_path / "raw" / DROPPED, again)
    gravurekit("filter", *QUICK)
    assert reasons(tmp_path / "clean") == {key: "placeholder"}
