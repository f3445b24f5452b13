"""An export is the same bytes whatever happens, in its own folder alone, and its source knows of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import exporting
import pytest
from exporting import FOLDERS, PLAIN, QUICK, hand_over, lines
from workspace import digests, run_here

from gravurekit import audit, crafts, folder, storage
from gravurekit.errors import UsageError
from gravurekit.metadata import EXPORTS, MARKER, METADATA, file_sha256
from gravurekit.reports.credits import PAGE
from gravurekit.shards import INDEX
from gravurekit.stages import export

# ---- the same bytes, whatever happens ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("format_name", "source"), [("webdataset", "raw"), ("imagefolder", "shards")])
def test_however_many_work_and_wherever_it_lies_the_bytes_are_the_same(
    format_name: str, source: str, place: Path
) -> None:
    few = ("--set", "webdataset.samples_per_tar=3")
    hand_over(format_name, source, "one", *few)
    shutil.copytree(place / source, place / "elsewhere" / source)
    result = run_here(
        "export", format_name, f"elsewhere/{source}", "deep/two", *few, "--executor", "local", "--jobs", "2"
    )
    assert result.exit_code == 0
    one, two = digests(place / "one"), digests(place / "deep/two")
    assert one.keys() == two.keys() and {name for name in one if one[name] != two[name]} <= {"receipt.json"}


@pytest.mark.parametrize("format_name", PLAIN)
def test_after_a_kill_it_goes_on_and_ends_the_same(format_name: str, place: Path) -> None:
    words = ("export", format_name, "raw", "out", "--set", "webdataset.samples_per_tar=2", "--executor", "serial")
    code = (
        "import os, signal, sys\nfrom gravurekit import storage, cli\nmade = []\n"
        "def dying(name):\n    real = getattr(storage, name)\n"
        "    def then(path, *rest):\n        real(path, *rest)\n        made.append(path)\n"
        "        if len(made) == 9: os.kill(os.getpid(), signal.SIGKILL)\n    setattr(storage, name, then)\n"
        "for name in ('write_chunks', 'link_or_copy', 'write_lines'): dying(name)\n"
        f"sys.argv = ['gravurekit', *{words!r}]\ncli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert run_here("credits", "out").exit_code == 5, "half an export passes for a whole one"
    assert run_here(*words, "--quiet").exit_code == 0
    assert run_here("export", format_name, "raw", "unbroken", *words[4:], "--quiet").exit_code == 0
    one, two = digests(place / "out"), digests(place / "unbroken")
    assert one.keys() == two.keys() and {name for name in one if one[name] != two[name]} <= {"receipt.json"}


def test_what_an_earlier_run_left_goes_and_what_is_somebodys_stays(place: Path) -> None:
    hand_over("webdataset", "shards", "out", "--set", "webdataset.samples_per_tar=2")
    storage.write_text(place / "out" / "README.md", "mine")
    storage.write_bytes(place / "out" / "mine.tar", b"mine")
    many = set(digests(place / "out"))
    hand_over("webdataset", "shards", "out", "--set", "webdataset.samples_per_tar=500")
    few = set(digests(place / "out"))
    assert few < many and {"README.md", "mine.tar", "train-000000.tar"} <= few and "train-000001.tar" not in few
    hand_over("imagefolder", "shards", "out")
    assert not list((place / "out").glob("*-0*.tar")) and (place / "out" / "mine.tar").exists()
    hand_over("webdataset", "clean", "out")
    assert not list((place / "out").rglob("*.png")) and audit.inspect(place / "out", deep=True).faults == []


@pytest.mark.parametrize("change", ["nothing", "knob", "input", "tar", "credits", "index"])
def test_it_is_made_again_when_something_changed(change: str, place: Path) -> None:
    hand_over("webdataset", "styled", "out")
    more: tuple[str, ...] = ()
    if change == "knob":
        more = ("--set", "webdataset.samples_per_tar=7")
    elif change == "input":
        assert run_here("stylize", "clean", "styled", "--short-side", "64", "--style", "cartoon", *QUICK).exit_code == 0
    elif change != "nothing":
        (place / "out" / {"tar": "000000.tar", "credits": PAGE, "index": INDEX}[change]).unlink()
    assert hand_over("webdataset", "styled", "out", *more)["fresh"] == (change == "nothing")
    assert audit.inspect(place / "out", deep=True).faults == []


def test_links_share_the_bytes_and_copies_dont(place: Path) -> None:
    item = folder.read(place / "clean")[0]
    for words, linked in (((), True), (("--set", "imagefolder.copy_files=true"), False)):
        hand_over("imagefolder", "clean", "out", *words)
        copy = place / "out" / Path(item.file_name).name
        assert os.path.samefile(copy, place / "clean" / item.file_name) == linked
        assert file_sha256(copy) == item.sha256


# ---- folders of others, and what SOURCE is told --------------------------------------------------------


def test_places_that_cant_be_are_refused(place: Path) -> None:
    storage.write_text(place / "mine" / "letter.txt", "dear")
    for out in ("clean", "clean/out", ".", "mine", "styled"):
        result = run_here("export", "webdataset", "clean", out, *QUICK)
        assert result.exit_code == 2, out
    assert sorted(path.name for path in (place / "mine").iterdir()) == ["letter.txt"]
    for words in (("csv", "clean", "out"), ("webdataset", "nowhere", "out"), ("webdataset", "clean", "out", "--set",
                  "webdataset.pitch=1"), ("webdataset", "clean", "out", "--set", "cartoon.median=5")):  # fmt: skip
        assert run_here("export", *words, *QUICK).exit_code == 2, words
    assert not (place / "out").exists()


def test_a_source_that_isnt_finished_is_refused(place: Path) -> None:
    (place / "clean" / "receipt.json").unlink()
    (place / "shards" / "receipt.json").unlink()
    for source in ("clean", "shards"):
        assert run_here("export", "webdataset", source, "out", *QUICK).exit_code == 5


def test_without_its_package_parquet_says_how_to_install_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    result = run_here("export", "parquet", "clean", "out", *QUICK)
    assert result.exit_code == 2 and "pip install 'gravurekit[export]'" in str(result.exception)
    assert not (place / "out").exists()


def test_without_its_packages_onnx_says_how_to_install_them(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = run_here("export", "onnx", "clean", "out", *QUICK)
    assert result.exit_code == 2 and "pip install 'gravurekit[onnx]'" in str(result.exception)
    assert not (place / "out").exists()


@pytest.mark.parametrize("format_name", exporting.FORMATS)
def test_a_training_is_no_pictures(format_name: str, place: Path) -> None:
    storage.write_text(place / "runs/a" / MARKER, "train\n")
    result = run_here("export", format_name, "runs/a", "out", *QUICK)
    assert result.exit_code == 2 and "is a training" in str(result.exception) and "choose onnx" in str(result.exception)
    assert not (place / "out").exists()


def test_a_source_lists_its_exports_and_is_no_other_for_it(place: Path) -> None:
    chain = {
        "clean": ("filter", "raw", "clean", "--skip", "too_small"),
        "styled": ("stylize", "clean", "styled", "--short-side", "64", "--style", "cartoon", "--variants", "2"),
        "shards": (
            "shard",
            "styled",
            "shards",
            "--size",
            "32x40",
            "--photo",
            "--val-share",
            "0.3",
            "--test-share",
            "0.2",
        ),
    }
    for source in FOLDERS:
        hand_over("webdataset", source, f"out/{source}/a")
        hand_over("imagefolder", source, f"out/{source}/b")
        hand_over("webdataset", source, f"out/{source}/a", "--set", "webdataset.samples_per_tar=2")
        hand_over("webdataset", source, f"out/{source}/a", "--set", "webdataset.samples_per_tar=2")
        listed = lines(place / source / EXPORTS)
        assert [(entry["format"], (place / source / entry["out"]).resolve().name) for entry in listed] == [
            ("imagefolder", "b"), ("webdataset", "a")
        ]  # fmt: skip
        plan = json.loads((place / "out" / source / "a" / "receipt.json").read_bytes())["plan"]
        assert listed[1]["plan"] == storage_digest(plan)
        assert audit.inspect(place / source, deep=True).faults == []
        if source in chain:
            result = run_here(*chain[source], *QUICK, "--json")
            assert result.exit_code == 0 and json.loads(result.stdout.splitlines()[0])["fresh"], source
    result = run_here("doctor", "--offline", "--json")
    states = {entry["name"]: entry["state"] for entry in json.loads(result.stdout)["workspace"]}
    assert {states[name] for name in ("clean", "styled", "shards")} == {"finished"}, states


def storage_digest(plan: dict[str, Any]) -> str:
    from gravurekit.receipt import Plan

    return Plan.model_validate(plan).digest


def test_a_plain_folder_is_left_as_it_is(place: Path) -> None:
    (place / "raw" / METADATA).unlink()
    before = digests(place / "raw")
    hand_over("webdataset", "raw", "out")
    assert digests(place / "raw") == before


def test_a_source_that_cant_be_told_is_handed_over_all_the_same(place: Path) -> None:
    (place / "clean" / EXPORTS).mkdir()
    result = run_here("export", "webdataset", "clean", "out", "--executor", "serial")
    assert result.exit_code == 0 and "won't know" in result.stderr and (place / "out" / "000000.tar").exists()


def test_formats_have_what_their_room_asks_for() -> None:
    assert crafts.names("exports") == sorted((*exporting.FORMATS, "onnx"))
    with pytest.raises(UsageError, match="did you mean 'webdataset'"):
        export.check(export.Job("webdatset", Path("a"), Path("b"), {}))


def test_a_sheet_of_what_holds_no_pictures_is_refused(place: Path) -> None:
    """Tar files are no folder of pictures: a blank page would say that nothing is in them."""
    for source in ("raw", "shards"):
        hand_over("webdataset", source, "out")
        result = run_here("report", "out")
        assert result.exit_code == 2 and "and no pictures" in str(result.exception)
    hand_over("imagefolder", "styled", "folder")
    assert run_here("report", "folder").exit_code == 0
