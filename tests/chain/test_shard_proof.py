"""Damage to shards is named by file, sample and picture, and what mends it is said."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sharding import index_of, sharded
from tensors import flip
from workspace import digests, run_here

from gravurekit import metadata, receipt, shards
from gravurekit.shards.reader import ShardSet


def test_verify_finds_nothing_in_what_is_whole(drawings: Path) -> None:
    sharded("--size", "32", "--samples-per-shard", "5")
    result = run_here("shard", "--verify", "shards")
    assert result.exit_code == 0 and "12 samples, 0 faults → shards" in result.stdout
    assert json.loads(run_here("shard", "--verify", "shards", "--json").stdout)["damages"] == []


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


DAMAGES: dict[str, tuple[Callable[[Path], object], str, int]] = {
    "a flipped bit": (lambda path: flip(path, "wash", 1), "its checksum doesn't hold", 1),
    "a file cut short": (cut, "bytes instead of", 3 + 1),
    "a shard missing": (lambda path: path.unlink(), "it is missing", 3 + 1),
    "a header that makes no sense": (lambda path: _turn(path, 4000), "is damaged", 3 + 1),
    "what the header says of itself": (lambda path: _reword(path), "(sha256)", 1),
}


def _turn(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.unlink()
    path.write_bytes(data)


def _reword(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data.replace(b"illuminant D65", b"illuminant D50"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_names_file_sample_and_picture(damage: str, drawings: Path) -> None:
    sharded("--size", "32", "--samples-per-shard", "3")
    spoil, what, count = DAMAGES[damage]
    path = next((drawings / "shards").glob("train-00001-*"))
    entries = [entry for entry in index_of(drawings / "shards") if entry["shard"] == path.name]
    spoil(path)
    if path.exists():
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 1))  # later than the receipt, as it would be
    result = run_here("shard", "--verify", "shards", "--json")
    assert result.exit_code == 5 and "run `gravurekit shard` again" in str(result.exception)
    damages = json.loads(result.stdout)["damages"]
    assert len(damages) == count and {item["file"] for item in damages} == {path.name}
    assert any(what in item["what"] for item in damages)
    for item in damages:
        if item["row"] >= 0:
            assert (item["key"], item["url"]) == (entries[item["row"]]["key"], entries[item["row"]]["url"])
    shown = run_here("shard", "--verify", "shards")
    assert shown.exit_code == 5 and path.name in shown.stdout and f"{len(damages)} fault" in shown.stdout
    # doctor and the next run see it, too, and the next run mends it
    before = digests(drawings / "shards", but=(path.name,))
    assert not json.loads(sharded("--size", "32", "--samples-per-shard", "3", "--json").stdout)["fresh"]
    assert digests(drawings / "shards", but=(path.name,)) == before
    assert run_here("shard", "--verify", "shards").exit_code == 0


@pytest.mark.parametrize("name", [shards.MANIFEST, shards.INDEX, shards.TABLE, metadata.DROPPED, receipt.RECEIPT])
@pytest.mark.parametrize("how", [pytest.param("lost", marks=pytest.mark.slow), "changed"])
def test_verify_proves_what_lies_beside_the_shards(how: str, name: str, drawings: Path) -> None:
    """A manifest with the names of two classes exchanged is a manifest all the same."""
    sharded("--size", "32")
    path = drawings / "shards" / name
    if how == "lost":
        path.unlink()
    else:
        data = path.read_bytes()
        other = data.replace(b'"coat"', b'"boat"', 1) if name != receipt.RECEIPT else data[:-3]
        path.write_bytes(other if other != data else data + b"\n")
    result = run_here("shard", "--verify", "shards", "--json")
    assert result.exit_code == 5
    if (how, name) != ("lost", shards.MANIFEST):
        assert {item["file"] for item in json.loads(result.stdout)["damages"] if item["row"] < 0} == {name}


def test_what_verify_advises_helps_where_the_file_kept_its_time(drawings: Path) -> None:
    """As when the disk itself spoils it: `shard` alone goes by times, and would take the folder for whole."""
    sharded("--size", "32")
    path = next((drawings / "shards").glob("train-*"))
    before, data = path.stat(), path.read_bytes()
    flip(path, "wash", 1)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert json.loads(sharded("--size", "32", "--json").stdout)["fresh"]
    result = run_here("shard", "--verify", "shards")
    assert result.exit_code == 5 and "remove what is, and run `gravurekit shard` again" in str(result.exception)
    path.unlink()
    sharded("--size", "32")
    assert path.read_bytes() == data


def test_verify_finds_samples_that_were_exchanged(drawings: Path) -> None:
    """Whole samples in another order: each checksum holds, and each is of another picture than the index says."""
    from gravurekit.shards import reader, writer

    sharded("--size", "32")
    path = next((drawings / "shards").glob("train-00000-*"))
    count = len(ShardSet(drawings / "shards", "train"))
    samples = list(reader.samples_of(path, [1, 0, *range(2, count)]))
    done = writer.write(drawings, "train-00000", count, samples, reader.about_of(path))
    path.unlink()
    shutil.move(drawings / done.file, path)
    result = run_here("shard", "--verify", "shards")
    assert (
        result.exit_code == 5 and "row 0" in result.stdout and "isn't the sample that the index tells" in result.stdout
    )


def test_verify_needs_finished_shards(drawings: Path) -> None:
    for words, code in ((("nowhere",), 5), (("styled",), 5)):
        assert run_here("shard", "--verify", *words).exit_code == code


def test_index_as_parquet_needs_its_extra_or_is_made(drawings: Path) -> None:
    result = run_here("shard", "--size", "32", "--parquet")
    try:
        import pyarrow.parquet as pq
    except ImportError:
        assert result.exit_code == 2 and "gravurekit[export]" in str(result.exception)
        return
    rows = pq.read_table(drawings / "shards" / shards.PARQUET).to_pylist()
    assert rows == index_of(drawings / "shards")
    sharded("--size", "32")
    assert not (drawings / "shards" / shards.PARQUET).exists()
