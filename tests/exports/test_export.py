"""An export holds every picture once with all that is known of it, nothing private, and the same bytes each time."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exporting import CAMERA, FOLDERS, PLACE, PLAIN, QUICK, hand_over, lines, members
from PIL import Image
from workspace import run_here

from gravurekit import audit, folder, images, metadata, storage
from gravurekit.errors import DataError
from gravurekit.exports import CLASSES
from gravurekit.exports.imagefolder import picture
from gravurekit.metadata import DROPPED, METADATA, file_sha256, read_lines, write_lines
from gravurekit.reports.credits import PAGE, TABLE
from gravurekit.shards import INDEX
from gravurekit.shards.reader import ShardSet
from gravurekit.stages import _handing

EVERYWHERE = ("key", "labels", "keywords", "title", "creator", "license", "license_url", "source", "url", "page_url")


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
            assert arrays["l.npy"].shape == arrays["l_photo.npy"].shape == (1, 40, 32)
            assert arrays["wash.npy"].shape == (3, 40, 32) and len(arrays) == 3
            y0, x0, y1, x1 = told["box"]
            assert (arrays["l.npy"][0, :, :x0] == 255).all() and 0 <= y0 < y1 <= 40 and 0 <= x0 < x1 <= 32
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
        stock = ShardSet(place / "shards", split, ("L", "wash", "L_photo", "label", "box"))
        batch = stock.batch(np.arange(len(stock)))
        with tarfile.open(place / "out" / f"{split}-000000.tar") as tar:
            names = list(dict.fromkeys(name.partition(".")[0] for name in tar.getnames()))
            for n, name in enumerate(names):
                for tensor in ("L", "wash", "L_photo"):
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
            more = {"raw": set(), "clean": set(), "shards": {"wash_file_name", "photo_file_name"}}
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


@pytest.mark.parametrize("numbers", [{"variant": 10**40}, {"variant": -1}])
def test_a_number_that_cant_be_breaks_nothing(numbers: dict[str, int], place: Path) -> None:
    found = folder.read(place / "raw")
    write_lines(place / "raw" / METADATA, [found[0].but(**numbers), *found[1:]])
    assert hand_over("webdataset", "raw", "out")["dropped"] == {"odd-number": 1}


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


@pytest.mark.parametrize(
    "line",
    [
        b"\xff",
        b"[]",
        b'{"split": "../x", "key": "0123456789abcdef"}',
        b"{}",
        b'{"split": "train", "key": "../x"}',
        b'{"split": "train", "key": "0123456789abcdef", "labels": "red"}',
        b'{"split": "train", "key": "0123456789abcdef", "title": "\\ud800"}',
        b'{"split": "train", "key": "0123456789abcdef"}',
        b'{"split": "train", "key": "0123456789abcdef", "variant": 1' + b"0" * 99 + b"}",
        b"[" * 100_000,
    ],
)
def test_a_damaged_index_is_refused(line: bytes, place: Path) -> None:
    (place / "shards" / "receipt.json").unlink()
    (place / "shards" / metadata.MARKER).unlink()
    (place / "shards" / INDEX).write_bytes(line + b"\n")
    with pytest.raises(DataError, match="index.jsonl"):
        _handing.read(place / "shards")
