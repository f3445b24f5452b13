"""An export holds every picture once with all that is known of it, nothing private, and the same bytes each time."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import exporting
import numpy as np
import pytest
from exporting import CAMERA, FOLDERS, PLACE, QUICK, lines, members
from PIL import Image
from typer.testing import Result
from workspace import digests, run_here

from gravurekit import audit, crafts, folder, images, metadata, storage
from gravurekit.errors import DataError, UsageError
from gravurekit.exports import CLASSES
from gravurekit.exports.imagefolder import picture
from gravurekit.metadata import DROPPED, EXPORTS, METADATA, file_sha256, read_lines, write_lines
from gravurekit.reports.credits import PAGE, TABLE
from gravurekit.shards import INDEX
from gravurekit.shards.reader import ShardSet
from gravurekit.stages import _handing, export

PLAIN = ("webdataset", "imagefolder")  # need no further package
EVERYWHERE = ("key", "labels", "keywords", "title", "creator", "license", "license_url", "source", "url", "page_url")
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with raw/, clean/, styled/ and shards/."""
    return exporting.chain(tmp_path_factory.mktemp("made"))


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, times and all, to work in."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def hand_over(*words: str, code: int = 0) -> dict[str, Any]:
    result = run_here("export", *words, *QUICK, "--json")
    assert result.exit_code == code, f"{result.output}{result.exception}"
    return json.loads(result.stdout) if code in (0, 3) else {}


def kept_of(source: Path) -> list[dict[str, Any]]:
    """What a folder knows of its samples."""
    if source.name == "shards":
        return lines(source / INDEX)
    return [json.loads(item.model_dump_json()) for item in folder.read(source)]


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def name_of(about: dict[str, Any]) -> str:
    return f"{about['key']}-{about['variant']}" if about["variant"] else about["key"]


# ---- what is in it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", FOLDERS)
@pytest.mark.parametrize("format_name", PLAIN)
def test_every_sample_is_there_once_with_all_that_is_known(format_name: str, source: str, place: Path) -> None:
    summary = hand_over(format_name, source, "out")
    known = {name_of(about): about for about in kept_of(place / source)}
    index = lines(place / "out" / INDEX)
    assert summary["kept"] == summary["came"] == len(known) == len(index) and summary["stage"] == "export"
    assert {name_of(entry) for entry in index} == set(known)
    for entry in index:
        about = known[name_of(entry)]
        assert all(entry[name] == about[name] for name in (*EVERYWHERE, "cluster", "variant", "photo_key"))
        assert (place / "out" / entry["file_name"]).is_file()
        if source == "shards":
            assert entry["split"] == about["split"] and entry["file_name"].startswith(about["split"])
        if source in ("clean", "styled"):
            assert entry["sha256"] == about["sha256"]
    assert audit.inspect(place / "out", deep=True).faults == []
    assert not (place / "out" / "parts").exists()


@pytest.mark.parametrize("source", FOLDERS)
def test_a_tar_holds_the_very_bytes_side_by_side(source: str, place: Path) -> None:
    hand_over("webdataset", source, "out", "--set", "webdataset.samples_per_tar=5")
    found, classes = members(place / "out"), json.loads((place / "out" / CLASSES).read_bytes())
    for about in kept_of(place / source):
        sample = found[name_of(about)]
        told = json.loads(sample.pop("json"))
        assert all(told[name] == about[name] for name in EVERYWHERE)
        label = about["labels"][0] if about["labels"] else ""
        assert ("cls" in sample) == bool(label) and (not label or classes[int(sample.pop("cls"))] == label)
        if source == "shards":
            arrays = {name: np.load(io.BytesIO(data), allow_pickle=False) for name, data in sample.items()}
            assert arrays["l.npy"].shape == (1, 32, 32) and arrays["wash.npy"].shape == (3, 32, 32)
            y0, x0, y1, x1 = told["box"]
            assert (arrays["l.npy"][0, :, :x0] == 255).all() and 0 <= y0 < y1 <= 32 and 0 <= x0 < x1 <= 32
        else:
            names = [about["file_name"], about["plain_file_name"], about["wash_file_name"]]
            wanted = [file_sha256(place / source / name) for name in names if name]
            if source == "raw" and not about["file_name"].endswith("0.jpg"):
                assert [sha256_of(data) for data in sample.values()] == wanted
            if source == "styled":
                assert sorted(sha256_of(data) for data in sample.values()) == sorted(wanted)
    for path in (place / "out").glob("*.tar"):
        with tarfile.open(path) as tar:
            about_all = tar.getmembers()
        owners = {(item.mtime, item.uid, item.gid, item.uname, item.mode) for item in about_all}
        assert owners == {(0, 0, 0, "", 0o644)}
        names = [item.name for item in about_all]
        assert (
            names == sorted(names, key=lambda name: name.partition("."))
            and len({name.partition(".")[0] for name in names}) <= 5
        )
        assert path.stat().st_size % tarfile.RECORDSIZE == 0


def test_shards_come_as_they_are_in_order_and_by_split(place: Path) -> None:
    hand_over("webdataset", "shards", "out")
    for split in ("train", "val", "test"):
        stock = ShardSet(place / "shards", split)
        batch = stock.batch(np.arange(len(stock)))
        with tarfile.open(place / "out" / f"{split}-000000.tar") as tar:
            names = list(dict.fromkeys(name.partition(".")[0] for name in tar.getnames()))
            for n, name in enumerate(names):
                for tensor in ("L", "wash"):
                    file = tar.extractfile(f"{name}.{tensor.lower()}.npy")
                    assert file is not None
                    assert (np.load(io.BytesIO(file.read()), allow_pickle=False) == batch[tensor][n]).all()
        assert names == [name_of(entry) for entry in lines(place / "shards" / INDEX) if entry["split"] == split]


@pytest.mark.parametrize("source", FOLDERS)
def test_an_imagefolder_names_its_files(source: str, place: Path) -> None:
    hand_over("imagefolder", source, "out")
    splits = ["train", "val", "test"] if source == "shards" else ["."]
    assert sorted(path.name for path in (place / "out").iterdir() if path.is_dir()) == sorted(set(splits) - {"."})
    count = 0
    for split in splits:
        for entry in lines(place / "out" / split / METADATA):
            names = {name: value for name, value in entry.items() if name.endswith("file_name")}
            more = {"raw": set(), "clean": set(), "shards": {"wash_file_name"}}
            assert set(names) == {"file_name"} | more.get(source, {"plain_file_name", "wash_file_name"})
            for name, file in names.items():
                path = place / "out" / split / file
                assert file_sha256(path) == entry[name.replace("file_name", "sha256")]
                picture_ = images.read(path)
                assert not picture_.private
            count += 1
    assert count == len(kept_of(place / source))
    if source != "shards":  # it can be gone on with
        assert [item.key for item in folder.read(place / "out")] == [item["key"] for item in kept_of(place / source)]


def test_tensors_become_the_pictures_that_they_were_made_of(place: Path) -> None:
    """Decoded to sRGB within what 8 bits of Lab can tell."""
    from gravurekit import color

    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    lab = np.moveaxis(color.lab_to_lab8(color.rgb_to_lab(ramp)), -1, 0)
    assert np.abs(picture(lab[:1]).astype(int) - ramp[..., 0]).max() <= 2
    assert np.abs(picture(lab).astype(int) - ramp).max() <= 3


@pytest.mark.parametrize("format_name", PLAIN)
def test_credit_goes_along_and_is_given_again(format_name: str, place: Path) -> None:
    for source in FOLDERS:
        hand_over(format_name, source, f"out-{source}")
        page, table = ((place / f"out-{source}" / name).read_bytes() for name in (PAGE, TABLE))
        assert page.count(b"Jeanne") == 14 and page.count(b"CC-BY-4.0") > 1
        assert (b"drawn as engravings" in page) == (source in ("styled", "shards"))
        assert run_here("credits", f"out-{source}").exit_code == 0
        assert [(place / f"out-{source}" / name).read_bytes() for name in (PAGE, TABLE)] == [page, table]
        assert hand_over(format_name, source, f"out-{source}")["fresh"]


# ---- what isn't in it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format_name", PLAIN)
def test_tags_of_places_and_devices_stay_where_they_are(format_name: str, place: Path) -> None:
    assert CAMERA.encode() in b"".join(path.read_bytes() for path in (place / "raw").glob("*.jpg"))
    hand_over(format_name, "raw", "out")
    data = b"".join(path.read_bytes() for path in (place / "out").rglob("*") if path.is_file())
    assert CAMERA.encode() not in data and PLACE not in data
    (one,) = [entry for entry in lines(place / "out" / INDEX) if entry["title"].startswith("No. 0 ")]
    assert (one["width"], one["height"]) == (144, 108), "not upright"
    assert file_sha256(place / "raw" / "0.jpg") != one["sha256"]
    if format_name == "imagefolder":
        with Image.open(place / "out" / one["file_name"]) as image:
            assert image.size == (144, 108) and not image.getexif()
    # and from a plain folder, of which nothing is known
    (place / "raw" / METADATA).unlink()
    hand_over(format_name, "raw", "plain")
    data = b"".join(path.read_bytes() for path in (place / "plain").rglob("*") if path.is_file())
    assert CAMERA.encode() not in data and PLACE not in data


def test_what_cant_be_read_is_told(place: Path) -> None:
    (place / "raw" / METADATA).unlink()
    whole = (place / "raw" / "3.jpg").read_bytes()
    storage.write_bytes(place / "raw" / "3.jpg", whole[: len(whole) // 2])
    storage.write_text(place / "raw" / "5.png", "<html>no</html>")
    summary = hand_over("webdataset", "raw", "out")
    assert summary["dropped"] == {"not-an-image": 1, "unreadable": 1} and summary["kept"] == 12 == summary["came"] - 2
    assert {item.file_name for item in read_lines(place / "out" / DROPPED)} == {"3.jpg", "5.png"}
    assert len(members(place / "out")) == 12


@pytest.mark.parametrize("source", ["raw", "styled"])
@pytest.mark.parametrize("format_name", PLAIN)
def test_what_vanishes_or_changes_meanwhile_is_told(
    format_name: str, source: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = folder.read(place / source)
    gone, changed = (item.wash_file_name or item.file_name for item in found[2:4])
    note = _handing.note

    def and_meanwhile(*about: Any) -> None:
        note(*about)
        (place / source / gone).unlink()
        storage.write_bytes(place / source / changed, b"another one")

    monkeypatch.setattr(_handing, "note", and_meanwhile)
    summary = hand_over(format_name, source, "out")
    assert summary["dropped"] == {"changed": 2} and summary["kept"] == len(found) - 2
    lost = {(item.key, item.variant) for item in read_lines(place / "out" / DROPPED)}
    assert lost == {(item.key, item.variant) for item in found[2:4]}
    assert not lost & {(entry["key"], entry["variant"]) for entry in lines(place / "out" / INDEX)}


@pytest.mark.parametrize("key", ["../../../etc/x", "a.b", "", "K" * 16, "train", "\x00"])
def test_a_key_that_is_none_leads_nowhere(key: str, place: Path) -> None:
    found = folder.read(place / "raw")
    write_lines(place / "raw" / METADATA, [found[0].but(key=key), *found[1:]])
    summary = hand_over("imagefolder", "raw", "out")
    assert summary["dropped"] == {"odd-key": 1} and summary["kept"] == 13


def test_two_pictures_of_one_name_are_refused(place: Path) -> None:
    found = folder.read(place / "raw")
    write_lines(place / "raw" / METADATA, [found[0], found[1].but(key=found[0].key)])
    with pytest.raises(DataError, match="share the key"):
        _handing.read(place / "raw")


def test_damaged_shards_are_never_handed_on(place: Path) -> None:
    path = sorted((place / "shards").glob("train-*.safetensors"))[0]
    data, times = bytearray(path.read_bytes()), path.stat()
    data[-40_000] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a disk does it
    result = run_here("export", "webdataset", "shards", "out", *QUICK)
    assert result.exit_code == 5 and path.name in str(result.exception)
    assert not (place / "out" / "receipt.json").exists()


@pytest.mark.parametrize("line", [b"\xff", b"[]", b'{"split": "../x", "key": "0123456789abcdef"}', b"{}"])
def test_a_damaged_index_is_refused(line: bytes, place: Path) -> None:
    (place / "shards" / "receipt.json").unlink()
    (place / "shards" / metadata.MARKER).unlink()
    (place / "shards" / INDEX).write_bytes(line + b"\n")
    with pytest.raises(DataError, match="index.jsonl"):
        _handing.read(place / "shards")


# ---- the same bytes, whatever happens ------------------------------------------------------------------


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


def test_a_source_lists_its_exports_and_is_no_other_for_it(place: Path) -> None:
    chain = {
        "clean": ("filter", "raw", "clean", "--skip", "too_small"),
        "styled": ("stylize", "clean", "styled", "--short-side", "64", "--style", "cartoon", "--variants", "2"),
        "shards": ("shard", "styled", "shards", "--size", "32", "--val-share", "0.3", "--test-share", "0.2"),
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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_source_that_cant_be_written_is_handed_over_all_the_same(place: Path) -> None:
    (place / "clean").chmod(0o555)
    try:
        hand_over("webdataset", "clean", "out")
    finally:
        (place / "clean").chmod(0o755)


def test_formats_have_what_their_room_asks_for() -> None:
    assert crafts.names("exports") == sorted(exporting.FORMATS)
    with pytest.raises(UsageError, match="did you mean 'webdataset'"):
        export.check(export.Job("webdatset", Path("a"), Path("b"), {}))
