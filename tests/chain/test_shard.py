"""The stage: drawings become tensors that are what they say, whatever is wrong with some of them."""

import json
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import styled
from hypothesis import given, settings
from hypothesis import strategies as st
from sharding import everything, index_of, sharded
from skimage import color as foreign
from styled import key_of, write_photographs, write_styled
from tensors import flip
from typer.testing import Result
from workspace import digests, run_here

from gravurekit import images, metadata, receipt, shards
from gravurekit.shards import palette
from gravurekit.shards.reader import ShardSet, read_manifest
from gravurekit.stages._tensors import Form, place_of, placed

Run = Callable[..., Result]
ALL = ("L", "wash", "L_photo", "label", "box")


# ---- geometry ------------------------------------------------------------------------------------------


FORMS = st.builds(
    Form, width=st.sampled_from([32, 128, 256]), height=st.sampled_from([32, 192, 384]),
    fit=st.sampled_from(["pad", "crop"]), input=st.just("plain"), target=st.just("wash"), photo=st.just(False),
)  # fmt: skip


@given(st.integers(1, 3000), st.integers(1, 3000), FORMS)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_where_a_picture_comes_to_lie(width: int, height: int, form: Form) -> None:
    place = place_of(width, height, form)
    y0, x0, y1, x1 = place.box
    top, left, bottom, right = place.part
    assert 0 <= y0 < y1 <= form.height and 0 <= x0 < x1 <= form.width
    assert 0 <= top < bottom <= 1 + 1e-9 and 0 <= left < right <= 1 + 1e-9
    if form.fit == "crop":
        assert place.box == (0, 0, form.height, form.width)
        assert max(bottom - top, right - left) == pytest.approx(1)  # as much as there is
        taken = (right - left) * width / ((bottom - top) * height)
        assert taken == pytest.approx(form.width / form.height)
    else:
        assert place.part == (0, 0, 1, 1)
        assert y1 - y0 == form.height or x1 - x0 == form.width  # as large as it gets
        assert abs(y0 - (form.height - y1)) <= 1 and abs(x0 - (form.width - x1)) <= 1  # in the middle
        scale = min(form.width / width, form.height / height)
        assert abs(y1 - y0 - max(1, height * scale)) <= 0.5 and abs(x1 - x0 - max(1, width * scale)) <= 0.5


def test_a_picture_keeps_its_mean_when_it_is_reduced() -> None:
    form = Form(32, 64, "pad", "plain", "wash", False)
    picture = styled.pixels(3, 320, 640)
    place = place_of(320, 640, form)
    small = placed(picture, place, form)
    y0, x0, y1, x1 = place.box
    assert small[y0:y1, x0:x1].mean() == pytest.approx(picture.mean(), abs=0.6)


# ---- what the tensors hold -----------------------------------------------------------------------------


SAYS: dict[str, Callable[[int], np.ndarray]] = {
    "plain": styled.plain,
    "print": lambda n: styled.pixels(n + 500),
    "wash": styled.pixels,
    "photo": lambda n: styled.pixels(n + 900, 80, 120),
}


@pytest.mark.parametrize("size", ["64", "64x96", "96x64"])
@pytest.mark.parametrize(
    ("source", "target", "photo"), [("plain", "wash", False), ("print", "wash", True), ("photo", "photo", True)]
)
def test_tensors_are_lab_of_what_they_say(source: str, target: str, photo: bool, size: str, drawings: Path) -> None:
    """Against scikit-image, within the rounding to 8 bits."""
    sharded("--size", size, "--input", source, "--target", target, *(["--photo"] if photo else []))
    manifest = read_manifest(drawings / "shards")
    assert (manifest["input"], manifest["target"]) == (source, target)
    assert "x".join(map(str, dict.fromkeys(manifest["size"]))) == size
    found = everything(drawings / "shards", ALL if photo else ("L", "wash", "label", "box"))
    assert len(found) == 12
    for n in range(12):
        one = found[f"{key_of(n)}-0"]
        y0, x0, y1, x1 = one["box"].tolist()
        for name, role in [("L", source), ("wash", target), *([("L_photo", "photo")] if photo else [])]:
            small = images.resize(np.ascontiguousarray(SAYS[role](n)), x1 - x0, y1 - y0)
            lab = np.moveaxis(foreign.rgb2lab(small), -1, 0)
            scaled = np.stack([lab[0] * 2.55, lab[1] + 128, lab[2] + 128])[: len(one[name])]
            assert np.abs(one[name][:, y0:y1, x0:x1] - scaled).max() <= 0.51
            outside = np.ones(one[name].shape[1:], bool)
            outside[y0:y1, x0:x1] = False
            assert (one[name][:, outside] == np.array([255, 128, 128])[: len(one[name]), None]).all()
        assert manifest["classes"][one["label"]] == ("coat", "dress")[n % 2]


def test_crop_leaves_nothing_white(drawings: Path) -> None:
    sharded("--size", "32", "--fit", "crop")
    for one in everything(drawings / "shards").values():
        assert one["box"].tolist() == [0, 0, 32, 32]


def test_the_meaning_of_the_numbers_is_in_manifest_and_header(drawings: Path) -> None:
    from gravurekit.shards import reader

    sharded("--size", "32x64")
    manifest = read_manifest(drawings / "shards")
    said = reader.about_of(drawings / "shards" / manifest["shards"][0]["file"])
    assert said == manifest["encoding"]
    assert "D65" in said["color"] and said["scaling"] == "8 bits as OpenCV has them: L*255/100, a+128, b+128"
    assert (said["size"], said["input"], said["target"]) == ("32x64", shards.MEANINGS["plain"], shards.TARGETS["wash"])


def test_the_manifest_counts_what_is_there(drawings: Path) -> None:
    sharded("--size", "32", "--samples-per-shard", "3")
    manifest, entries, found = (
        read_manifest(drawings / "shards"),
        index_of(drawings / "shards"),
        everything(drawings / "shards"),
    )
    for shard in manifest["shards"]:
        path = drawings / "shards" / shard["file"]
        assert metadata.file_sha256(path) == shard["sha256"] and path.stat().st_size == shard["bytes"]
    counts = [shard["samples"] for shard in manifest["shards"] if shard["split"] == "train"]
    assert set(counts[:-1]) == {3} and sum(counts) == manifest["splits"]["train"]
    assert sum(manifest["splits"].values()) == 12 == manifest["licenses"]["CC0-1.0"] == manifest["sources"]["test"]
    train = [entry for entry in entries if entry["split"] == "train"]
    for name, facts in (("labels", ("coat", "dress")), ("keywords", ("word 0", "word 1", "word 2"))):
        for word in facts:
            mine = [found[f"{e['key']}-0"] for e in train if word in e[name]]
            told = manifest["palettes"][name][word]
            assert told["samples"] == len(mine)
            expected = sum(palette.counted(one["wash"], tuple(one["box"].tolist())) for one in mine)
            assert np.array_equal(palette.from_text(told["ab"]), expected)


def test_photographs_may_be_sharded_as_they_are(drawings: Path) -> None:
    """For a network that learns from photographs, as the paper's did."""
    sharded("clean", "shards", "--input", "photo", "--target", "photo", "--size", "32")
    assert len(everything(drawings / "shards")) == 12 and read_manifest(drawings / "shards")["style"] == {}


def test_a_drawing_without_its_photograph_is_told(drawings: Path) -> None:
    (lines := metadata.read_lines(drawings / "clean" / metadata.METADATA)).pop(3)
    shutil.rmtree(drawings / "clean")
    write_photographs(drawings / "clean", [n for n in range(12) if n != 3])
    result = sharded("--size", "32", "--photo", "--json")
    assert json.loads(result.stdout)["dropped"] == {"no-photograph": 1} and len(lines) == 11
    shutil.rmtree(drawings / "clean")
    result = run_here("shard", "--size", "32", "--photo")
    assert result.exit_code == 2 and "name it with --photographs" in str(result.exception)
    write_photographs(drawings / "elsewhere", range(12))
    assert json.loads(sharded("--size", "32", "--photo", "--photographs", "elsewhere", "--json").stdout)["kept"] == 12


@pytest.mark.parametrize("size", ["100", "0", "16", "2048", "64x", "x64", "64x64x64", "64 x 65", "-64", "²²⁴", "64x36"])
def test_a_size_that_cant_be_is_refused(size: str, drawings: Path) -> None:
    result = run_here("shard", f"--size={size}")
    assert result.exit_code == 2 and "size" in str(result.exception) and not (drawings / "shards").exists()


# ---- splits --------------------------------------------------------------------------------------------


def splits_of(folder: Path) -> dict[str, str]:
    return {entry["key"]: entry["split"] for entry in index_of(folder)}


def test_pictures_that_come_later_move_nobody(gravurekit: Run, tmp_path: Path) -> None:
    """Also when the table is all that a killed run left, and when clusters get another name."""
    write_styled(tmp_path / "styled", range(30), cluster=lambda n: key_of(n))
    sharded("--size", "32", "--val-share", "0.3")
    before = splits_of(tmp_path / "shards")
    assert set(before.values()) == {"train", "val", "test"}
    shutil.rmtree(tmp_path / "styled")
    write_styled(tmp_path / "styled", range(60), cluster=lambda n: key_of(n + 30 if n < 30 else n))
    for name in (shards.MANIFEST, receipt.RECEIPT):
        (tmp_path / "shards" / name).unlink()
    sharded("--size", "32", "--val-share", "0.3")
    after = splits_of(tmp_path / "shards")
    assert all(after[key] == split for key, split in before.items())
    assert all(after[key_of(n)] == after[key_of(n + 30)] for n in range(30))
    # another folder, the same split
    shutil.move(tmp_path / "shards", tmp_path / "old")
    sharded("--size", "64", "--splits", "old")
    assert splits_of(tmp_path / "shards") == after


@pytest.mark.parametrize("damage", ["lost", "a line less", "other shares", "a key changed"])
@pytest.mark.parametrize("where", ["shards", pytest.param("old", marks=pytest.mark.slow)])
def test_a_table_that_isnt_what_was_written_deals_out_nothing(
    where: str, damage: str, gravurekit: Run, tmp_path: Path
) -> None:
    """Else pictures that were held back would train, and nothing would tell."""
    write_styled(tmp_path / "styled", range(12))
    sharded("styled", where, "--size", "32")
    words = ("shard", "--size", "32", *(["--splits", "old"] if where == "old" else []))
    table = tmp_path / where / shards.TABLE
    before = table.read_bytes()
    lines = before.splitlines(keepends=True)
    if damage == "lost":
        table.unlink()
    else:
        other = {"a line less": lines[:-1], "other shares": [lines[0].replace(b'"seed": 0', b'"seed": 1'), *lines[1:]]}
        table.write_bytes(b"".join(other.get(damage, [*lines[:-1], lines[-1].replace(b"0000", b"0001", 1)])))
    result = run_here(*words)
    if where == "old" and damage == "lost":
        assert result.exit_code == 2 and "--splits" in str(result.exception)
    else:
        assert result.exit_code == 5 and "put it back, or remove it and receipt.json" in str(result.exception)
    table.write_bytes(before)
    assert run_here(*words).exit_code == 0


def test_a_damaged_receipt_doesnt_stand_in_the_way(drawings: Path) -> None:
    sharded("--size", "32")
    (drawings / "shards" / receipt.RECEIPT).write_text("{")
    sharded("--size", "32")


def test_a_picture_that_bridges_two_splits_is_dropped(gravurekit: Run, tmp_path: Path) -> None:
    write_styled(tmp_path / "styled", range(30))
    sharded("--size", "32")
    before = splits_of(tmp_path / "shards")
    one, other = (next(n for n in range(30) if before[key_of(n)] == split) for split in ("train", "val"))
    shutil.rmtree(tmp_path / "styled")
    write_photographs(tmp_path / "clean", range(31), copies=[(one, 30), (other, 30)])
    write_styled(tmp_path / "styled", [n for n in range(31) if n not in (one, other)], source=tmp_path / "clean")
    result = sharded("--size", "32", "--json")
    assert json.loads(result.stdout)["dropped"] == {"bridges-splits": 1}
    (lost,) = metadata.read_lines(tmp_path / "shards" / metadata.DROPPED)
    assert lost.key == key_of(30) and "different splits" in lost.detail
    assert json.loads(sharded("--size", "32", "--json").stdout)["fresh"]


def test_photographs_that_went_away_are_told_since_they_knew_the_copies(drawings: Path) -> None:
    assert "isn't there" not in sharded("--size", "32").stderr
    shutil.rmtree(drawings / "clean")
    assert "nobody knows which pictures are copies" in sharded("--size", "64").stderr


def test_other_shares_deal_out_anew_and_say_so(drawings: Path) -> None:
    sharded("--size", "32")
    result = sharded("--size", "32", "--seed", "5")
    assert "dealt out anew" in result.stderr
    assert "dealt out" not in sharded("--size", "64", "--seed", "5").stderr


def test_shares_that_leave_nothing_are_refused_and_touch_nothing(drawings: Path) -> None:
    sharded("--size", "32")
    before = digests(drawings / "shards")
    result = run_here("shard", "--size", "32", "--val-share", "0.6", "--test-share", "0.4")
    assert result.exit_code == 2 and "hold back 1 of all" in str(result.exception)
    assert digests(drawings / "shards") == before


# ---- whatever is wrong ---------------------------------------------------------------------------------


def test_drawings_that_vanish_or_break_are_told(drawings: Path) -> None:
    item = {record.key: record for record in metadata.read_lines(drawings / "styled" / metadata.METADATA)}
    (drawings / "styled" / metadata.METADATA).touch()
    code = (
        "import sys\nfrom pathlib import Path\nfrom gravurekit import cli, parts\n"
        "before = parts.run\n"
        "def run(*a, **k):\n"
        f"    Path('styled', {item[key_of(1)].plain_file_name!r}).unlink(missing_ok=True)\n"
        f"    Path('styled', {item[key_of(2)].wash_file_name!r}).write_bytes(b'x')\n"
        "    return before(*a, **k)\n"
        "parts.run = run\ncli.main()\n"
    )
    words = ("shard", "--size", "32", "--executor", "serial", "--json")
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["kept"] == 10 and sum(said["dropped"].values()) == 2
    lost = {record.key: record.detail for record in metadata.read_lines(drawings / "shards" / metadata.DROPPED)}
    assert set(lost) == {key_of(1), key_of(2)} and "No such file" in lost[key_of(1)]


def test_damage_to_what_a_killed_run_left_is_told_once_and_mended(
    drawings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gravurekit.stages.shard.join", killed)
        assert run_here("shard", "--size", "32", "--executor", "serial").exit_code == 130
    for path in (drawings / "shards" / metadata.PARTS).rglob("*.safetensors"):
        flip(path, "wash", 0)
    result = run_here("shard", "--size", "32", "--executor", "serial")
    assert result.exit_code == 5 and "row 0, is damaged" in str(result.exception)
    assert "run the same command again" in str(result.exception)
    assert json.loads(sharded("--size", "32", "--json").stdout)["kept"] == 12


def test_a_file_whose_process_was_killed_is_tried_again(drawings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for want of memory, which there may be next time."""
    with monkeypatch.context() as patch:
        patch.setattr("gravurekit.stages._shards.join_part", lambda *_: ['{"lost": "killed the process"}'])
        result = run_here("shard", "--size", "32", "--executor", "serial")
    assert result.exit_code == 5
    assert "killed the process: give it more (memory, time), and run it again" in str(result.exception)
    assert json.loads(sharded("--size", "32", "--json").stdout)["kept"] == 12


def test_layers_that_differ_in_size_are_told(drawings: Path) -> None:
    write_styled(drawings / "odd", range(6))
    record = metadata.read_lines(drawings / "odd" / metadata.METADATA)[2]
    sha256 = styled.put(drawings / "odd", record.wash_file_name, styled.pixels(2, 41, 60))
    lines = [
        item.but(wash_sha256=sha256) if item.key == record.key else item
        for item in metadata.read_lines(drawings / "odd" / metadata.METADATA)
    ]
    for name in (metadata.MARKER, receipt.RECEIPT):
        (drawings / "odd" / name).unlink()
    metadata.write_lines(drawings / "odd" / metadata.METADATA, lines)
    result = sharded("odd", "shards", "--size", "32", "--json")
    assert json.loads(result.stdout)["dropped"] == {"unequal-layers": 1}


ALIKE = [("Dress", "dress"), ("robe ", "robe"), ("şalvar", unicodedata.normalize("NFD", "şalvar")), ("ROẞE", "rosse")]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_labels_that_cant_be_told_apart_are_refused(one: str, other: str, gravurekit: Run, tmp_path: Path) -> None:
    write_styled(tmp_path / "styled", range(6), labels=lambda n: ((one, other)[n % 2],))
    result = run_here("shard", "--size", "32")
    assert result.exit_code == 5 and "differ only in case" in str(result.exception)
    assert repr(one) in str(result.exception) and not (tmp_path / "shards").exists()


def test_labels_of_any_kind_are_names(gravurekit: Run, tmp_path: Path) -> None:
    names = ["a/b", "../c", "d\\e", "şalvar", "着物", "🧥", "", "CON", "x" * 300, "a\nb", "test", '"quoted"']
    write_styled(tmp_path / "styled", range(12), labels=lambda n: (names[n],) if names[n] else ())
    sharded("--size", "32", "--val-share", "0", "--test-share", "0")
    manifest = read_manifest(tmp_path / "shards")
    assert manifest["classes"] == sorted(filter(None, names))
    for entry in index_of(tmp_path / "shards"):
        number = int(entry["key"], 16)
        assert entry["labels"] == ([names[number]] if names[number] else [])
    found = everything(tmp_path / "shards")
    for n, name in enumerate(names):
        assert found[f"{key_of(n)}-0"]["label"] == (manifest["classes"].index(name) if name else -1)


@pytest.mark.slow
def test_a_hundred_thousand_classes(tmp_path: Path) -> None:
    """A manifest of as many pictures as classes, each with a palette."""
    from gravurekit.shards.tally import Tally
    from gravurekit.stages._shards import Shard, publish

    own = np.zeros((palette.SIDE, palette.SIDE), np.int64)
    own[13, 13:19] = 170
    names = [f"class {n}" for n in range(100_000)]

    def found() -> Any:
        for first in range(0, 100_000, 10_000):
            mine, sums = names[first : first + 10_000], Tally()
            for name in mine:
                sums.labels.add(name, own)
            about = {"file": f"train-{first}", "split": "train", "samples": 10_000, "bytes": 1, "sha256": ""}
            entries = [json.dumps({"labels": [name], "license": "", "source": ""}) for name in mine]
            yield Shard(about, [0] * 10_000, entries, sums)

    facts = {"size": [32, 32], "tensors": ["L", "wash"], "classes": sorted(names), "style": {}, "settings": {}}
    publish(tmp_path, found(), [], facts)
    manifest = read_manifest(tmp_path)
    assert (
        len(manifest["classes"]) == len(manifest["palettes"]["labels"]) == len(manifest["labels"]["train"]) == 100_000
    )
    assert manifest["palettes"]["labels"]["class 99999"] == {"samples": 1, "ab": palette.to_text(own)}


@pytest.mark.slow
def test_one_sample_in_all(gravurekit: Run, tmp_path: Path) -> None:
    numbers = iter(range(100))
    codes = set()
    for _ in range(6):  # whichever split it falls into
        shutil.rmtree(tmp_path / "styled", ignore_errors=True)
        write_styled(tmp_path / "styled", [next(numbers)])
        result = run_here("shard", "--size", "32", "--val-share", "0.5", "--seed", "1")
        codes.add(result.exit_code)
        if result.exit_code:
            assert "no picture is left for the training split" in str(result.exception)
        else:
            assert len(ShardSet(tmp_path / "shards", "train")) == 1
            trained = run_here("train", "--steps", "1", "--head", "average")
            assert trained.exit_code == 6 and "at least 2 pictures" in str(trained.exception)
    assert codes == {0, 5}


def test_a_folder_that_is_no_drawing_is_refused(drawings: Path) -> None:
    result = run_here("shard", "clean", "out", "--size", "32")
    assert result.exit_code == 5 and "holds no styled pictures" in str(result.exception)
    for flag in ("--photographs", "--splits"):
        result = run_here("shard", "--size", "32", flag, "nowhere")
        assert result.exit_code == 2 and f"{flag} nowhere: no such folder" in str(result.exception)


def test_the_same_bytes_whatever_the_number_of_workers(gravurekit: Run, tmp_path: Path) -> None:
    write_styled(tmp_path / "styled", range(70), variants=2)
    words = ("shard", "styled")
    for out, executor in (("a", ("--executor", "serial")), ("b", ("--jobs", "2")), ("c", ("--jobs", "3"))):
        assert run_here(*words, out, "--size", "32", "--samples-per-shard", "50", *executor).exit_code == 0
    assert digests(tmp_path / "a") == digests(tmp_path / "b") == digests(tmp_path / "c")
