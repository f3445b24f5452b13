"""Pictures taken out of finished shards: nothing of them stays, all else is as it was, whenever it is interrupted."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from styled import key_of, write_photographs, write_styled
from workspace import digests, run_here

from gravurekit import audit, metadata, shards, storage
from gravurekit.errors import DataError
from gravurekit.shards.reader import ShardSet, read_manifest
from gravurekit.stages import _splits
from gravurekit.stages._take_out import take_out

GONE = {key_of(n) for n in (3, 4, 11)}
KNOBS = ("--size", "32", "--samples-per-shard", "4", "--val-share", "0.2", "--photo", "--executor", "serial")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of 24 drawings of 12 photographs; one more was lost, and one bridges nothing."""
    home = tmp_path_factory.mktemp("take-out")
    write_photographs(home / "clean", range(12))
    write_styled(home / "styled", range(13), source=home / "clean", variants=2)
    assert run_here("-C", str(home), "shard", *KNOBS).exit_code == 0
    return home


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole / "shards", tmp_path / "shards"))


def samples(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    found = {}
    entries = [json.loads(line) for line in (folder / shards.INDEX).read_text().splitlines()]
    for split in shards.SPLITS:
        mine = ShardSet(folder, split, ("L", "wash", "L_photo", "label", "box"))
        for n, entry in enumerate(entry for entry in entries if entry["split"] == split):
            found[f"{entry['key']}-{entry['variant']} {split}"] = mine[n]
    return found


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert all(np.array_equal(one[name][field], other[name][field]) for field in one[name])


def test_what_is_left_is_as_it_was_and_all_is_whole(folder: Path) -> None:
    before = samples(folder)
    files = {path.name: path.stat().st_ino for path in folder.glob("*.safetensors")}
    concerned = {entry["shard"] for entry in map(json.loads, (folder / shards.INDEX).read_text().splitlines())
                 if entry["key"] in GONE}  # fmt: skip
    assert take_out(folder, GONE) == 6
    assert_same({name: one for name, one in before.items() if name[:16] not in GONE}, samples(folder))
    assert run_here("shard", "--verify", str(folder)).exit_code == 0 and not audit.inspect(folder, deep=True).faults
    untouched = {path.name: path.stat().st_ino for path in folder.glob("*.safetensors") if path.name in files}
    assert set(untouched) == set(files) - concerned and all(files[name] == inode for name, inode in untouched.items())


def test_nothing_of_it_stays(folder: Path, whole: Path) -> None:
    gone = [one for name, one in samples(folder).items() if name[:16] in GONE]
    assert len(gone) == 6
    take_out(folder, GONE)
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(key.encode() in data or f"/{int(key, 16)}.jpg".encode() in data for key in GONE), path
            assert not any(one["wash"].tobytes() in data or one["L_photo"].tobytes() in data for one in gone), path


@pytest.mark.parametrize("writable", [True, False])
def test_the_table_goes_with_the_index(writable: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is packed, so a look for the key's letters finds nothing in it. Without pyarrow none can be made."""
    from gravurekit.stages import _parquet

    if writable:
        pq = pytest.importorskip("pyarrow.parquet", reason="pip install 'gravurekit[export]'")
        _parquet.write(folder / shards.INDEX, folder / shards.PARQUET)
    else:
        storage.write_text(folder / shards.PARQUET, "the old index")
        monkeypatch.setattr(_parquet.util, "find_spec", lambda name: None)
    manifest = read_manifest(folder)
    storage.write_json(folder / shards.MANIFEST, manifest | {"settings": manifest["settings"] | {"parquet": True}})
    assert take_out(folder, GONE) == 6 and not audit.inspect(folder, deep=True).faults
    assert (folder / shards.PARQUET).exists() == writable
    if writable:
        entries = [json.loads(line) for line in (folder / shards.INDEX).read_text().splitlines()]
        assert pq.read_table(folder / shards.PARQUET).to_pylist() == entries
    take_out(folder, {key_of(n) for n in range(12)})
    assert not (folder / shards.PARQUET).exists() and not audit.inspect(folder, deep=True).faults


def test_statistics_are_those_of_what_is_left(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the pictures had never been there, but for where the others lie."""
    take_out(folder, GONE)
    monkeypatch.chdir(tmp_path)
    left = [n for n in range(12) if key_of(n) not in GONE]
    write_photographs(tmp_path / "clean", left)
    write_styled(tmp_path / "styled", left, source=tmp_path / "clean", variants=2)
    assert run_here("shard", "styled", "fresh", *KNOBS).exit_code == 0
    one, other = read_manifest(folder), read_manifest(tmp_path / "fresh")
    for name in ("L_mean", "ab", "ab_histogram", "palettes", "splits", "labels", "licenses", "sources", "classes"):
        assert one[name] == other[name], name
    assert_same(samples(folder), samples(tmp_path / "fresh"))


def test_pictures_that_arent_there_change_nothing(folder: Path) -> None:
    before = digests(folder)
    assert take_out(folder, {"f" * 16}) == 0 and take_out(folder, set()) == 0
    assert digests(folder) == before


def test_one_that_was_dropped_goes_from_the_list_and_a_whole_split_may_go(folder: Path) -> None:
    assert [item.key for item in metadata.read_lines(folder / metadata.DROPPED)] == [key_of(12)] * 2
    assert take_out(folder, {key_of(12)}) == 0
    assert metadata.read_lines(folder / metadata.DROPPED) == []
    assert key_of(12) not in (folder / shards.TABLE).read_text() and not audit.inspect(folder, deep=True).faults
    everyone = {key_of(n) for n in range(12)}
    assert take_out(folder, everyone) == 24
    manifest = read_manifest(folder)
    assert manifest["shards"] == [] and not list(folder.glob("*.safetensors"))


class Killed(BaseException):
    """Nothing catches it."""


STEPS = ("write_lines", "write_json", "remove", "copy", "in_pieces")


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Let the process end at the n-th thing that it is about to do to the disk."""
    left = [10**9]

    def counted(function: Callable) -> Callable:
        def step(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*args, **kwargs)

        return step

    for name in STEPS:
        monkeypatch.setattr(storage, name, counted(getattr(storage, name)))
    yield lambda n: left.__setitem__(0, n)


def test_a_kill_at_any_step_and_again_ends_in_the_same_bytes(
    whole: Path, tmp_path: Path, dying: Callable[[int], None]
) -> None:
    dying(10**9)
    expected = Path(shutil.copytree(whole / "shards", tmp_path / "expected"))
    take_out(expected, GONE)
    steps = 0
    while True:
        out = Path(shutil.copytree(whole / "shards", tmp_path / f"killed-{steps}"))
        dying(steps)
        try:
            take_out(out, GONE)
            break
        except Killed:
            pass
        dying(10**9)
        take_out(out, GONE)
        assert digests(out) == digests(expected), steps
        steps += 1
    assert steps > 12


def test_an_unfinished_folder_is_emptied_but_for_the_splits_of_others(folder: Path) -> None:
    before, shares = _splits.read_table(folder / shards.TABLE)
    (folder / shards.MANIFEST).unlink()
    (folder / "parts" / "train").mkdir(parents=True)
    (folder / "parts" / "train" / "00000.jsonl").write_text(key_of(3))
    (folder / shards.PARQUET).write_text("the old index")
    assert take_out(folder, GONE) == 0
    left = {path.name for path in folder.iterdir()}
    assert left <= {metadata.MARKER, "receipt.json", shards.TABLE}
    after = _splits.read_table(folder / shards.TABLE)
    assert after == ({key: split for key, split in before.items() if key not in GONE}, shares) and after[0] != before


def test_a_damaged_file_is_an_error_and_nothing_is_lost(folder: Path, whole: Path) -> None:
    from tensors import flip

    entry = next(e for e in map(json.loads, (folder / shards.INDEX).read_text().splitlines()) if e["key"] not in GONE)
    flip(folder / entry["shard"], "wash", entry["row"])
    with pytest.raises(DataError, match="is damaged"):
        take_out(folder, GONE)
    shutil.copytree(whole / "styled", folder.parent / "styled")
    shutil.copytree(whole / "clean", folder.parent / "clean")
    assert run_here("-C", str(folder.parent), "shard", *KNOBS).exit_code == 0  # as it says
    assert digests(folder) == digests(whole / "shards")
