"""stylize around its styles: variants, presets, styles that refine, the preview."""

import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import drawing
import numpy as np
import pytest
from typer.testing import Result
from workspace import digests, patchwork

from gravurekit import color, crafts, fed, folder, images, metadata, parts, receipt, shards, storage
from gravurekit.executor import Outcome
from gravurekit.progress import SILENT
from gravurekit.shards.reader import ShardSet
from gravurekit.stages import stylize

Run = Callable[..., Result]
SMALL = ("--short-side", "64", "--executor", "serial")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """The styles `ruled` and `retouched` are there, and five photographs; what `retouched` was given."""
    found, given = drawing.styles()
    names = crafts.names
    monkeypatch.setattr(crafts, "names", lambda room: sorted([*names(room), *(found if room == "styles" else ())]))
    for name, module in found.items():
        monkeypatch.setitem(sys.modules, f"gravurekit.styles.{name}", module)
    patchwork(tmp_path / "photos", 5)
    patchwork(tmp_path / "prints", 2)
    return given


def records_of(path: Path) -> list[metadata.Record]:
    return metadata.read_lines(path / metadata.METADATA)


def stamps(path: Path) -> dict[str, int]:
    """When each picture was written."""
    return {file.name: file.stat().st_mtime_ns for file in path.glob("plain/*")}


# ---- variants ------------------------------------------------------------------------------------------


def test_each_variant_has_a_record_files_and_chances_of_its_own(
    given: list[Any], gravurekit: Run, tmp_path: Path
) -> None:
    result = gravurekit("stylize", "photos", "styled", "--style", "ruled", "--variants", "4", *SMALL)
    assert result.exit_code == 0 and "5 photographs × 4, 20 kept" in result.stdout
    found = records_of(tmp_path / "styled")
    assert [item.variant for item in found] == [0, 1, 2, 3] * 5 and len({item.made_from for item in found}) == 20
    for item in found:
        stem = item.key + (f"-{item.variant}" if item.variant else "")
        assert (item.file_name, item.plain_file_name) == (f"images/{stem}.jpg", f"plain/{stem}.png")
        assert item.photo_key == item.key
    for key in {item.key for item in found}:
        assert len({item.plain_sha256 for item in found if item.key == key}) > 1
        assert (
            len({item.wash_sha256 for item in found if item.key == key}) == 1
        )  # this style leaves no colour to chance
    assert folder.read(tmp_path / "styled") == found


def test_more_variants_keep_what_is_drawn_and_fewer_remove_it(
    given: list[Any], gravurekit: Run, tmp_path: Path
) -> None:
    draw = ("stylize", "photos", "styled", "--style", "ruled", *SMALL, "--json", "--variants")
    gravurekit(*draw, "2")
    before = stamps(tmp_path / "styled")
    grown = json.loads(gravurekit(*draw, "3").stdout)
    assert grown["facts"]["drawn before"] == 10 and grown["kept"] == 15
    assert {name: when for name, when in stamps(tmp_path / "styled").items() if name in before} == before
    whole = digests(tmp_path / "styled")
    gravurekit("stylize", "photos", "anew", "--style", "ruled", *SMALL, "--variants", "3")
    assert digests(tmp_path / "anew") == whole
    shrunk = json.loads(gravurekit(*draw, "1").stdout)
    assert (shrunk["facts"]["drawn before"], shrunk["kept"]) == (5, 5)
    assert len(list((tmp_path / "styled").glob("*/*.*"))) == 15 and json.loads(gravurekit(*draw, "1").stdout)["fresh"]


@pytest.mark.parametrize(
    "style",
    [
        pytest.param(name, marks=() if name == stylize.STYLE else pytest.mark.slow)
        for name in crafts.names("styles")
        if hasattr(crafts.load("styles", name), "draw")
    ],
)
def test_drawings_are_the_same_whoever_draws_them(
    style: str, gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "TASK_SIZE", 3)  # several tasks, and variants of a picture in two of them
    patchwork(tmp_path / "photos", 4)
    draw = ("--style", style, "--variants", "2", "--short-side", "64")
    for out, executor in (("one", ("serial",)), ("two", ("local", "--jobs", "2"))):
        assert gravurekit("stylize", "photos", out, *draw, "--executor", *executor).exit_code == 0
    assert digests(tmp_path / "one") == digests(tmp_path / "two") and len(list((tmp_path / "one").glob("*/*.*"))) == 24


def test_one_lost_variant_is_drawn_again_alone(given: list[Any], gravurekit: Run, tmp_path: Path) -> None:
    draw = ("stylize", "photos", "styled", "--style", "ruled", "--variants", "2", *SMALL, "--json")
    gravurekit(*draw)
    before = digests(tmp_path / "styled")
    storage.remove(sorted((tmp_path / "styled" / "plain").glob("*-1.png"))[0])
    assert json.loads(gravurekit(*draw).stdout)["facts"]["drawn before"] == 9
    assert digests(tmp_path / "styled") == before


def test_variants_become_rows_of_one_split_and_are_credited_once(
    given: list[Any], gravurekit: Run, tmp_path: Path
) -> None:
    patchwork(tmp_path / "photos", 24)
    gravurekit("crawl", "--source", "folder:photos", "--executor", "serial")
    gravurekit("stylize", "raw", "styled", "--style", "ruled", "--variants", "3", *SMALL)
    assert gravurekit("shard", "--size", "32", "--val-share", "0.3", "--executor", "serial").exit_code == 0
    index = [json.loads(line) for line in (tmp_path / "shards" / shards.INDEX).read_text("utf-8").splitlines()]
    places: dict[str, set[str]] = {}
    for entry in index:
        places.setdefault(entry["key"], set()).add(entry["split"])
    assert len(index) == 72 and all(len(splits) == 1 for splits in places.values())
    styled = {(item.key, item.variant): item for item in records_of(tmp_path / "styled")}
    assert {(entry["key"], entry["variant"]) for entry in index} == set(styled)
    train = [entry for entry in index if entry["split"] == "train"]
    L = ShardSet(tmp_path / "shards", "train").batch(np.arange(len(train)))["L"]
    for n, entry in enumerate(train):
        plain = images.read(tmp_path / "styled" / styled[entry["key"], entry["variant"]].plain_file_name).pixels
        lightness = 2.55 * color.rgb_to_lab(images.resize(plain, 24, 32))[..., 0]
        assert np.abs(lightness - L[n, 0, :, 4:28]).max() < 1
    for name in ("styled", "shards"):
        gravurekit("credits", name, "--out", f"credits-{name}")
        lines = (tmp_path / f"credits-{name}" / "CREDITS.csv").read_text("utf-8").splitlines()
        assert len(lines) == 1 + 24
    assert gravurekit("report", "styled", "--executor", "serial").exit_code == 0


@pytest.mark.parametrize("verb", ["stylize", "filter"])
def test_drawings_of_one_picture_are_not_taken_for_photographs(
    verb: str, given: list[Any], gravurekit: Run, tmp_path: Path
) -> None:
    gravurekit("stylize", "photos", "styled", "--style", "ruled", "--variants", "2", *SMALL)
    result = gravurekit(verb, "styled", "again")
    assert result.exit_code == 2 and "several drawings of a picture" in str(result.exception)


# ---- presets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "file", "flag", "expected", "origin"),
    [
        ("", None, None, (6, 0), "default"),
        ("pale", None, None, (9, 120), "preset"),
        ("wide", None, None, (20, 0), "preset"),
        ("pale", 11, None, (11, 120), "file"),
        ("pale", 11, 12, (12, 120), "flag"),
        ("mine.toml", None, None, (7, 0), "preset"),
        ("tables.toml", None, None, (8, 3), "preset"),
    ],
)
def test_a_preset_wins_over_defaults_and_loses_to_file_and_flags(
    preset: str, file: int | None, flag: int | None, expected: tuple[int, int], origin: str,
    given: list[Any], gravurekit: Run, tmp_path: Path,
) -> None:  # fmt: skip
    storage.write_text(tmp_path / "mine.toml", "pitch = 7\n")
    storage.write_text(tmp_path / "tables.toml", "[stylize.ruled]\npitch = 8\nink = 3\n[stylize.cartoon]\nmedian = 5\n")
    table = f"[stylize.ruled]\npitch = {file}\n" if file else ""
    storage.write_text(tmp_path / "gravurekit.toml", f'[stylize]\nstyle = "ruled"\npreset = "{preset}"\n{table}')
    words = ["--set", f"ruled.pitch={flag}"] if flag else []
    shown = gravurekit("settings", "stylize.ruled", *words, "--json").stdout.splitlines()
    pitch, ink = (json.loads(line) for line in shown)
    assert (pitch["value"], ink["value"]) == expected and pitch["origin"] == origin
    assert (
        tomllib.loads(gravurekit("settings", "stylize.ruled", *words).stdout)["stylize"]["ruled"]["pitch"]
        == expected[0]
    )
    assert gravurekit("stylize", "photos", "styled", *words, *SMALL).exit_code == 0
    plan = receipt.read_receipt(tmp_path / "styled").plan  # type: ignore[union-attr]
    assert plan.settings["[ruled]"] == dict(zip(("pitch", "ink"), expected, strict=True))
    assert ("preset" in plan.inputs) == preset.endswith("toml")


@pytest.mark.parametrize(
    ("preset", "text", "complaint"),
    [
        ("wid", "", "ruled has no preset 'wid'; did you mean 'wide'?"),
        ("gone.toml", "", "gone.toml: no such settings file"),
        ("p.toml", "pich = 3", "[preset p.toml: stylize.ruled] unknown key 'pich'; did you mean 'pitch'?"),
        ("p.toml", "pitch = 1", "[preset p.toml: stylize.ruled] pitch = 1"),
        ("p.toml", "[stylize.rulde]\npitch = 3", "did you mean 'ruled'?"),
        ("p.toml", "[stylize.cartoon]\nmedian = 5", "p.toml says nothing of ruled"),
        ("p.toml", "[shard]\nsize = 32", "'shard' isn't a preset's"),
        ("p.toml", "[stylize]\nshort_side = 64", "'short_side' is no style's"),
        ("p.toml", "stylize = 3", "unknown key 'stylize'"),
        ("p.toml", "pitch = ", "can't be read as TOML"),
    ],
)
def test_a_preset_that_cant_be_used_is_refused_before_anything_is_drawn(
    preset: str, text: str, complaint: str, given: list[Any], gravurekit: Run, tmp_path: Path
) -> None:
    if text:
        storage.write_text(tmp_path / "p.toml", text)
    result = gravurekit("stylize", "photos", "styled", "--style", "ruled", "--preset", preset)
    assert result.exit_code == 2 and complaint in str(result.exception)
    assert not (tmp_path / "styled").exists()


def test_another_preset_draws_anew_and_the_same_one_is_fresh(given: list[Any], gravurekit: Run, tmp_path: Path) -> None:
    draw = ("stylize", "photos", "styled", "--style", "ruled", *SMALL, "--json", "--preset")
    assert not json.loads(gravurekit(*draw, "wide").stdout)["fresh"]
    assert json.loads(gravurekit(*draw, "wide").stdout)["fresh"]
    changed = gravurekit(*draw, "pale")
    assert not json.loads(changed.stdout)["fresh"] and "ruled.pitch 20 → 9" in changed.stderr


@pytest.mark.parametrize("style", crafts.names("styles"))
def test_every_preset_of_every_style_is_valid(style: str) -> None:
    for name in getattr(crafts.load("styles", style), "PRESETS", {}):
        assert stylize.presets(stylize.Settings(style=style, preset=name))


# ---- styles that refine --------------------------------------------------------------------------------

TOUCH = ("stylize", "photos", "styled", "--style", "retouched", *SMALL)


def test_a_refining_style_gets_the_reduced_drawings_of_the_style_it_starts_from(
    given: list[Any], gravurekit: Run, tmp_path: Path
) -> None:
    words = ("--style-image", "prints", "--features", "random:3", "--set", "ruled.pitch=12", "--preset", "pale")
    result = gravurekit(*TOUCH, *words)
    assert result.exit_code == 0 and "retouched: about 5 min for 5 pictures" in result.stderr
    assert "compared by random:3" in result.stderr
    assert [call["shapes"] for call in given] == [[(85, 64, 3)] * 5]
    assert given[0]["side"].style_images == (Path("prints"),) and given[0]["side"].features == "random:3"
    plan = receipt.read_receipt(tmp_path / "styled").plan  # type: ignore[union-attr]
    assert plan.settings["[ruled]"] == {"pitch": 12, "ink": 120} and plan.settings["[retouched]"] == {"lighter": 10}
    assert plan.inputs["features"] == "random:3" and len(plan.inputs["style images"]) == 64
    gravurekit("stylize", "photos", "ruled", "--style", "ruled", *SMALL, "--set", "ruled.pitch=12", "--preset", "pale")
    for before, after in zip(records_of(tmp_path / "ruled"), records_of(tmp_path / "styled"), strict=True):
        drawn, touched = (images.read(tmp_path / root / item.plain_file_name).pixels
                          for root, item in (("ruled", before), ("styled", after)))  # fmt: skip
        assert np.array_equal(np.maximum(drawn, 10), touched)


def test_its_side_inputs_decide_with_it(given: list[Any], gravurekit: Run, tmp_path: Path) -> None:
    storage.write_bytes(tmp_path / "net.bin", b"1")
    words = (*TOUCH, "--style-image", "prints", "--features", "vgg19:net.bin", "--json")
    assert not json.loads(gravurekit(*words).stdout)["fresh"] and json.loads(gravurekit(*words).stdout)["fresh"]
    assert json.loads(gravurekit(*words, "--set", "retouched.device=auto").stdout)["fresh"]
    storage.write_bytes(tmp_path / "net.bin", b"2")
    assert "side input changed: features" in gravurekit(*words).stderr
    storage.remove(tmp_path / "prints" / "1.png")
    result = gravurekit(*words)
    assert (
        "side input changed: style images" in result.stderr and "drawn before" not in json.loads(result.stdout)["facts"]
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "--style-image PRINT"),
        (("--style-image", "gone"), "--style-image gone: no such picture or folder"),
        (("--style-image", "prints", "--features", "model:runs/gone"), "--features model runs/gone: No such file"),
        (("--style-image", "styled"), "no such picture"),
        (("--style-image", "prints", "--features", "random:13"), "nobody takes 13"),
    ],
)
def test_a_refining_style_without_its_prints_is_refused(
    words: tuple[str, ...], complaint: str, given: list[Any], gravurekit: Run, tmp_path: Path
) -> None:
    result = gravurekit(*TOUCH, *words)
    assert result.exit_code == 2 and complaint in str(result.exception) and not (tmp_path / "styled").exists()


def test_tasks_of_a_refining_style_are_small_and_what_is_in_them_changes_nothing(
    given: list[Any], gravurekit: Run, tmp_path: Path
) -> None:
    patchwork(tmp_path / "photos", 11)
    gravurekit(*TOUCH, "--style-image", "prints")
    assert [len(call["shapes"]) for call in given] == [8, 3]
    gravurekit("stylize", "photos", "anew", *TOUCH[3:], "--style-image", "prints")
    assert digests(tmp_path / "anew") == digests(tmp_path / "styled")


class Never:
    """An executor that nobody may use."""

    def map(self, function: Callable[..., Any], tasks: Any) -> Iterator[Outcome[Any]]:
        raise AssertionError("processes would share one device")


def test_on_a_gpu_one_process_does_it_all(given: list[Any], tmp_path: Path) -> None:
    knobs = stylize.Settings(style="retouched", short_side=64)
    tables = {"retouched": {"device": "cuda"}}
    job = stylize.Job(tmp_path / "photos", tmp_path / "out", knobs, tables, (tmp_path / "prints",))
    assert stylize.run(job, Never(), SILENT).kept == 5


def test_prints_say_nothing_to_a_style_that_draws_by_rules(given: list[Any], gravurekit: Run) -> None:
    result = gravurekit("stylize", "photos", "styled", "--style", "ruled", "--style-image", "prints", *SMALL)
    assert result.exit_code == 0 and "--style-image says nothing to ruled" in result.stderr


# ---- the preview ---------------------------------------------------------------------------------------


def test_a_preview_shows_what_a_run_would_write_and_writes_nothing_else(
    given: list[Any], gravurekit: Run, tmp_path: Path
) -> None:
    draw = ("--style", "ruled", "--preset", "pale", "--set", "ruled.pitch=11", *SMALL)
    gravurekit("stylize", "photos", "styled", *draw)
    before = digests(tmp_path)
    for words in (("photos/3.png",), (metadata.file_sha256(tmp_path / "photos" / "3.png")[:10],)):
        result = gravurekit("stylize", "photos", "styled", "--preview", *words, *draw)
        assert result.exit_code == 0 and result.stdout == "preview.png\n"
        assert digests(tmp_path, but=("preview.png",)) == before
        key = metadata.file_sha256(tmp_path / "photos" / "3.png")[:16]
        sheet = images.read(tmp_path / "preview.png").pixels
        plain = images.read(tmp_path / "styled" / "plain" / f"{key}.png").pixels
        assert np.array_equal(sheet[28 : 28 + 85, 492 : 492 + 64], plain)
        assert np.array_equal(sheet[-85:, 492 : 492 + 64], plain)  # the detail: all of it, at 1:1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--preview", "gone.png"), "no such file, nor the key of one picture"),
        (("--preview", "torn.png"), "torn.png: not-an-image"),
        (("--preview", "photos/1.png", "--style", "rulde"), "did you mean 'ruled'?"),
        (("--preview", "photos/1.png", "--out", "torn.png"), "is there already, and no preview"),
        (("--preview", "photos/1.png", "--style", "retouched"), "--style-image PRINT"),
    ],
)
def test_a_preview_that_cant_be_had_is_refused(
    words: tuple[str, ...], complaint: str, given: list[Any], gravurekit: Run, tmp_path: Path
) -> None:
    storage.write_text(tmp_path / "torn.png", "nothing")
    result = gravurekit("stylize", *words, *SMALL)
    assert result.exit_code == 2 and complaint in str(result.exception)
    assert not (tmp_path / "preview.png").exists() and (tmp_path / "torn.png").read_text() == "nothing"


def test_the_output_folder_can_be_said_in_two_ways_but_once(given: list[Any], gravurekit: Run, tmp_path: Path) -> None:
    assert gravurekit("stylize", "photos", "--out", "styled", "--style", "ruled", *SMALL).exit_code == 0
    assert len(folder.read(tmp_path / "styled")) == 5
    result = gravurekit("stylize", "photos", "styled", "--out", "other", *SMALL)
    assert result.exit_code == 2 and "name one folder" in str(result.exception)


def test_shards_say_how_a_print_is_drawn_anew(given: list[Any], gravurekit: Run, tmp_path: Path) -> None:
    """By the style that the pictures started from, at the size at which it draws."""
    assert gravurekit(*TOUCH, "--style-image", "prints", "--preset", "pale").exit_code == 0
    assert gravurekit("shard", "--size", "32", "--val-share", "0", "--test-share", "0").exit_code == 0
    style = json.loads((tmp_path / "shards" / shards.MANIFEST).read_text("utf-8"))["style"]
    assert style["name"] == "retouched" and style["starts_from"]["settings"] == {"pitch": 9, "ink": 120}
    seen = []
    ruled = sys.modules["gravurekit.styles.ruled"]
    ruled.redraw = lambda ink, settings: seen.append((ink.shape, settings.pitch)) or 255 - ink  # type: ignore[attr-defined]
    ink = np.tile(np.linspace(0, 255, 300).astype(np.uint8), (200, 1))
    anew = fed.redrawn(ink, style)
    assert seen == [((128, 192), 9)] and anew.shape == ink.shape
    assert np.abs(anew.astype(int) - (255 - ink)).mean() < 2
