"""The filter run again: nothing is measured twice, and nothing that was made is lost before the next is there."""

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filtering import QUICK, drawn, put, reasons, records
from typer.testing import Result
from workspace import digests

from gravurekit import edits, folder, images, metadata, probe
from gravurekit.metadata import METADATA
from gravurekit.stages import _carry, _probes

Run = Callable[..., Result]
SET = ("--set", "too_small.min_side=150")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sha256 of each picture that is measured from now on."""
    seen: list[str] = []
    honest = probe.measure

    def measure(picture: images.Picture, sha256: str, size: int, figures_too: bool = False) -> Any:
        seen.append(sha256)
        return honest(picture, sha256, size, figures_too)

    monkeypatch.setattr(probe, "measure", measure)
    return seen


def sha256_of(root: Path, keys: list[str]) -> list[str]:
    return sorted(item.sha256 for key, item in records(root).items() if key in keys)


def test_a_grown_folder_costs_what_is_new(
    raw: dict[str, str], gravurekit: Run, measured: list[str], tmp_path: Path
) -> None:
    gravurekit("filter", *QUICK)
    key = put(tmp_path / "raw", "new.jpg", drawn(23))
    measured.clear()
    gravurekit("filter", *QUICK)
    assert measured == sha256_of(tmp_path / "clean", [key])


def test_what_an_earlier_folder_knows_is_taken_from_there(
    raw: dict[str, str], gravurekit: Run, measured: list[str], tmp_path: Path
) -> None:
    put(tmp_path / "before", "x.jpg", drawn(5))
    assert gravurekit("filter", "before", "earlier", *QUICK).exit_code == 0
    gravurekit("filter", *QUICK)
    measured.clear()
    gravurekit("filter", "--against", "earlier", *QUICK)
    assert not measured
    for again in range(2):  # and whether it is asked for or not
        gravurekit("filter", *QUICK, *(("--against", "earlier") if again else ()), *SET)
    assert not measured
    shutil.rmtree(tmp_path / "clean" / ".probes")
    assert gravurekit("filter", "--against", "earlier", *QUICK).exit_code == 0
    assert len(measured) == len(raw) - 1  # the torn one is never measured


def test_no_figure_is_sought_in_what_is_only_compared_with(gravurekit: Run, tmp_path: Path) -> None:
    put(tmp_path / "raw", "x.jpg", drawn(1))
    put(tmp_path / "before", "y.jpg", drawn(2))
    gravurekit("filter", "--against", "before", "--executor", "serial")
    store = _probes._opened(tmp_path / "clean" / ".probes")
    rows = zip(store.figures.places, store.figures.data, strict=True)
    looked_at = {key: not np.isnan(row["figure"]).any() for key, row in rows}
    expected = {metadata.file_sha256(tmp_path / name): name == "raw/x.jpg" for name in ("raw/x.jpg", "before/y.jpg")}
    assert {key.hex(): seen for key, seen in looked_at.items()} == expected


def test_what_an_ended_run_has_measured_serves_a_folder_that_grew(
    raw: dict[str, str], gravurekit: Run, measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gravurekit.parts.TASK_SIZE", 2)
    honest, parts = _probes.probe_part, []

    def ended(items: list[str], context: None, stem: Path) -> list[str]:
        if len(parts) == 3:
            raise KeyboardInterrupt
        parts.append(stem)
        return honest(items, context, stem)

    with monkeypatch.context() as patch:
        patch.setattr(_probes, "probe_part", ended)
        assert gravurekit("filter", *QUICK).exit_code == 130
    before = list(measured)
    assert 3 <= len(before) <= 6
    put(tmp_path / "raw", "new.jpg", drawn(23))
    measured.clear()
    gravurekit("filter", *QUICK)
    assert not set(before) & set(measured) and len(before) + len(measured) == len(raw)  # one is new, one torn
    gravurekit("filter", "raw", "other", *QUICK)
    assert digests(tmp_path / "clean") == digests(tmp_path / "other")


@pytest.mark.parametrize("damage", ["flipped", "cut", "a folder", "gone", "parts that are none"])
def test_damaged_figures_are_measured_anew(
    damage: str, raw: dict[str, str], gravurekit: Run, measured: list[str], tmp_path: Path
) -> None:
    gravurekit("filter", *QUICK, *SET)
    expected = digests(tmp_path / "clean")
    gravurekit("filter", *QUICK)
    figures = tmp_path / "clean" / ".probes" / "figures"
    content = bytearray(figures.read_bytes())
    measured.clear()
    if damage == "flipped":
        content[-100] ^= 64
        figures.write_bytes(content)
    elif damage == "cut":
        figures.write_bytes(content[:-1])
    elif damage == "a folder":
        figures.unlink()
        (figures / "x").mkdir(parents=True)
    elif damage == "gone":
        figures.unlink()
    else:
        (tmp_path / "clean" / "parts" / "probe").mkdir(parents=True)
        (tmp_path / "clean" / "parts" / "probe" / "00000.jsonl").write_text("x 1\n{}\n")
    result = gravurekit("filter", *QUICK, *SET)
    if damage == "a folder":
        assert result.exit_code == 5 and "figures" in str(result.exception)
        return
    assert result.exit_code == 0 and digests(tmp_path / "clean") == expected
    assert bool(measured) == (damage != "parts that are none")


@pytest.mark.slow
def test_examples_that_are_refused_leave_what_was_made(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    for seed in range(9):
        put(tmp_path / "some", f"{seed}.jpg", drawn(seed, 200))
    put(tmp_path / "few", "x.jpg", drawn(1))
    gravurekit("filter", *QUICK)
    expected = digests(tmp_path / "clean", but=("figures", "thumbs"))
    chosen = ("--relevance", "examples", "--executor", "serial", "--unlike", "some", "--like")
    for like, said in (("few", "--like: 1, of --unlike: 9"), ("some", "AUC")):
        result = gravurekit("filter", *chosen, like)
        assert result.exit_code == 2 and said in str(result.exception)
        shutil.rmtree(tmp_path / "clean" / "parts", ignore_errors=True)
        assert digests(tmp_path / "clean", but=("figures", "thumbs")) == expected
    assert "[fresh]" in gravurekit("filter", *QUICK).stdout


def test_what_is_saved_anew_is_described_anew(gravurekit: Run, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "raw").mkdir()
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    Image.fromarray(drawn(3)).save(tmp_path / "raw" / "x.jpg", quality=80, exif=exif)
    gravurekit("filter", *QUICK)
    (item,) = metadata.read_lines(tmp_path / "clean" / METADATA)
    picture = images.read(tmp_path / "clean" / item.file_name)
    assert not picture.private and item.pixels_sha256 == probe.pixels_digest(picture.pixels).hex()
    assert item.phash == f"{probe.phash(picture.pixels):016x}"
    assert not reasons(tmp_path / "clean") and json.loads(item.to_json())["sha256"] != item.cluster


# ---- a folder that changes while it is read ----------------------------------------------------------------


def meanwhile(monkeypatch: pytest.MonkeyPatch, place: str, happens: Callable[[], object]) -> pytest.MonkeyPatch:
    """Let something happen just before the first part of the stage's work begins."""
    room, _, name = place.rpartition(".")
    module = importlib.import_module(f"gravurekit.stages.{room}")
    honest = getattr(module, name)

    coming = [happens]

    def later(*arguments: Any) -> Any:
        while coming:
            coming.pop()()
        return honest(*arguments)

    monkeypatch.setattr(module, name, later)
    return monkeypatch


@pytest.mark.parametrize("change", ["gone", "another"])
@pytest.mark.parametrize("place", ["_probes.probe_part", "_carry.carry_part"])
def test_what_changes_meanwhile_is_told_and_read_the_next_time(
    place: str, change: str, raw: dict[str, str], gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "raw" / "a" / "3.jpg"
    whole = path.read_bytes()

    def happens() -> None:
        path.unlink(missing_ok=True)
        if change == "another":
            put(tmp_path / "raw", "a/3.jpg", drawn(23))

    with monkeypatch.context() as patch:
        meanwhile(patch, place, happens)
        gravurekit("filter", *QUICK)
    assert reasons(tmp_path / "clean")[raw["3"]] == "changed"
    assert not (tmp_path / "clean" / "images" / f"{raw['3']}.jpg").exists()
    path.write_bytes(whole)
    result = gravurekit("filter", *QUICK)
    assert result.exit_code == 0 and "files that couldn't be read" in result.stderr
    assert raw["3"] not in reasons(tmp_path / "clean") and "[fresh]" in gravurekit("filter", *QUICK).stdout


def test_pictures_that_cant_be_compared_just_now_are_compared_the_next_time(
    raw: dict[str, str], gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = put(tmp_path / "raw", "b/opened.jpg", edits.edited(drawn(2), "crop 10%", "x"))
    with monkeypatch.context() as patch:
        meanwhile(patch, "_comparing.compare_part", lambda: (tmp_path / "raw").rename(tmp_path / "away"))
        result = gravurekit("filter", *QUICK)
    assert result.exit_code == 5 and "went away or changed meanwhile" in str(result.exception)
    (tmp_path / "away").rename(tmp_path / "raw")
    assert gravurekit("filter", *QUICK).exit_code == 0
    assert reasons(tmp_path / "clean")[key] == "duplicate"


def test_what_couldnt_be_read_before_a_kill_is_read_after_it(
    raw: dict[str, str], gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        meanwhile(patch, "_probes.probe_part", lambda: (tmp_path / "raw").rename(tmp_path / "away"))
        patch.setattr(_probes, "_grown", ended)
        assert gravurekit("filter", *QUICK).exit_code == 130
    (tmp_path / "away").rename(tmp_path / "raw")
    assert gravurekit("filter", *QUICK).exit_code == 0
    assert set(reasons(tmp_path / "clean").values()) == {"duplicate", "blank", "unreadable"}


def test_what_was_carried_before_a_kill_fits_only_the_same_pictures(
    raw: dict[str, str], gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more is readable after the kill, so that the places in the list have moved."""
    monkeypatch.setattr("gravurekit.parts.TASK_SIZE", 1)
    lost = tmp_path / "raw" / min((item.key, item.file_name) for item in folder.read(tmp_path / "raw"))[1]
    honest, parts = _carry.carry_part, []

    def ended(items: list[str], context: Any, stem: Path) -> list[str]:
        if len(parts) == 2:
            raise KeyboardInterrupt
        parts.append(stem)
        return honest(items, context, stem)

    with monkeypatch.context() as patch:
        meanwhile(patch, "_probes.probe_part", lambda: lost.exists() and lost.rename(tmp_path / "away"))
        patch.setattr(_carry, "carry_part", ended)
        assert gravurekit("filter", *QUICK).exit_code == 130
    (tmp_path / "away").rename(lost)
    assert gravurekit("filter", *QUICK).exit_code == 0
    gravurekit("filter", "raw", "other", *QUICK)
    assert digests(tmp_path / "clean") == digests(tmp_path / "other")


def test_a_damaged_plan_of_parts_is_none(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    gravurekit("filter", *QUICK)
    (tmp_path / "clean" / "parts" / "compare").mkdir(parents=True)
    (tmp_path / "clean" / "parts" / "compare" / "plan").write_bytes(bytes(range(256)))
    assert gravurekit("filter", *QUICK, *SET).exit_code == 0


def test_a_cluster_goes_along(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    (tmp_path / "by-hand.jsonl").write_text(json.dumps({"key": raw["small copy"], "keep": True}))
    gravurekit("filter", "--decisions", "by-hand.jsonl", *QUICK)
    assert gravurekit("filter", "clean", "again", "--skip", "duplicate", *QUICK).exit_code == 0
    assert records(tmp_path / "again")[raw["small copy"]].cluster == raw["0"]
    put(tmp_path / "new", "x.jpg", images.resize(drawn(0), 205, 274), 70)
    put(tmp_path / "new", "y.jpg", drawn(23))
    gravurekit("filter", "new", "third", "--against", "clean", *QUICK)
    assert {item.cluster for item in records(tmp_path / "third").values() if item.reason} == {raw["0"]}
