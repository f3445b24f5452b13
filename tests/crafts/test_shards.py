"""What goes into a shard comes out of it, or the damage is named."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit.errors import DataError
from gravurekit.shards import ENCODING, FORMAT, reader, writer
from gravurekit.shards.reader import ShardSet
from gravurekit.shards.writer import Row

SIDE = 8
COUNTS = {"train": (5, 3), "val": (2,)}

MANIFEST = {"format": FORMAT, "classes": ["coat", "dress"], "size": 16, "L_mean": 0.5, "style": {}, "licenses": {}}


def row(seed: int) -> Row:
    rng = np.random.default_rng(seed)
    planes = rng.integers(0, 256, (4, SIDE, SIDE), np.uint8)
    return Row(planes[:1], planes[1:], (seed % 4, 0, SIDE - seed % 3, SIDE), seed % 5 - 1)


def assert_same(one: Row, other: Row) -> None:
    assert np.array_equal(one.L, other.L) and np.array_equal(one.wash, other.wash)
    assert (one.box, one.label, one.crc32) == (other.box, other.label, other.crc32)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder of two train shards and one of val; sample n of train is row(n), of val row(100 + n)."""
    files = []
    for split, counts in COUNTS.items():
        first = 100 if split == "val" else 0
        for n, count in enumerate(counts):
            name = f"{split}-{n:05d}.safetensors"
            (tmp_path / name).write_bytes(writer.pack([row(first + k) for k in range(count)]))
            files.append({"split": split, "file": name, "samples": count})
            first += count
    manifest = MANIFEST | {"shards": files}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.mark.parametrize("count", [1, 2, 64])
def test_rows_come_back_and_the_same_rows_give_the_same_bytes(count: int) -> None:
    rows = [row(n) for n in range(count)]
    data = writer.pack(rows)
    for before, after in zip(rows, writer.unpack(data), strict=True):
        assert_same(before, after)
    assert writer.pack([row(n) for n in range(count)]) == data == writer.pack(writer.unpack(data))


def test_a_shard_tells_any_reader_what_its_numbers_mean(shards: Path) -> None:
    tensors = safetensors.numpy.load_file(shards / "train-00000.safetensors")
    shapes = {name: (tensor.shape, str(tensor.dtype)) for name, tensor in tensors.items()}
    assert shapes == {
        "L": ((5, 1, SIDE, SIDE), "uint8"), "wash": ((5, 3, SIDE, SIDE), "uint8"), "label": ((5,), "int32"),
        "box": ((5, 4), "uint16"), "crc32": ((5,), "uint32"),
    }  # fmt: skip
    with safetensors.safe_open(shards / "train-00000.safetensors", "np") as file:
        assert json.loads(file.metadata()["gravurekit"]) == ENCODING


@pytest.mark.parametrize("order", [[0], [7], [4, 5], [7, 0, 5, 4, 3], [2, 2, 6, 2, 6], list(range(8))[::-1]])
def test_a_batch_comes_in_the_order_that_was_asked_for(order: list[int], shards: Path) -> None:
    samples = ShardSet(shards, "train")
    assert (len(samples), samples.classes) == (8, ("coat", "dress"))
    batch = samples.batch(np.array(order))
    assert {name: (part.shape, str(part.dtype)) for name, part in batch.items()} == {
        "L": ((len(order), 1, SIDE, SIDE), "uint8"), "wash": ((len(order), 3, SIDE, SIDE), "uint8"),
        "label": ((len(order),), "int64"), "box": ((len(order), 4), "int64"),
    }  # fmt: skip
    for n, number in enumerate(order):
        assert_same(Row(batch["L"][n], batch["wash"][n], tuple(batch["box"][n]), batch["label"][n]), row(number))


def test_splits_are_kept_apart(shards: Path) -> None:
    assert np.array_equal(ShardSet(shards, "val").batch(np.array([1]))["L"][0], row(101).L)
    assert len(ShardSet(shards, "test")) == 0
    with pytest.raises(DataError, match="no split 'tests': train, val, test"):
        ShardSet(shards, "tests")


def flip(path: Path, tensor: str, number: int) -> None:
    """Turn one bit of the middle of a row of a tensor."""
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    begin, end = json.loads(data[8 : 8 + length])[tensor]["data_offsets"]
    size = (end - begin) // json.loads(data[8 : 8 + length])[tensor]["shape"][0]
    data[8 + length + begin + number * size + size // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("tensor", ["L", "wash", "crc32"])
def test_a_flipped_bit_is_named_by_file_and_row(tensor: str, shards: Path) -> None:
    flip(shards / "train-00001.safetensors", tensor, 2)
    samples = ShardSet(shards, "train")
    samples.batch(np.array([0, 6, 5]))
    for _ in range(2):  # and once is not forgiven
        with pytest.raises(DataError, match=r"train-00001\.safetensors, row 2, is damaged \(checksum\)"):
            samples.batch(np.array([0, 7]))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "seven bytes": lambda data: data[:7],
    "no header": lambda data: data[:8],
    "torn header": lambda data: data[:90],
    "torn data": lambda data: data[:-1],
    "half": lambda data: data[: len(data) // 2],
    "a huge header": lambda data: b"\xff" * 8 + data[8:],
    "zeros": lambda data: bytes(len(data)),
    "a header that is a list": lambda data: (2).to_bytes(8, "little") + b"[]" + data,
    "another number of rows": lambda data: writer.pack([row(1)]),
    "a tensor less": lambda data: safetensors.numpy.save({"L": np.zeros((5, 1, 8, 8), np.uint8)}),
    "another kind of number": lambda data: safetensors.numpy.save({"L": np.zeros((5, 1, 8, 8), np.float64)}),
    "no picture": lambda data: safetensors.numpy.save(safetensors.numpy.load(data) | {"label": np.zeros((), np.int32)}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_named(damage: str, shards: Path) -> None:
    path = shards / "train-00000.safetensors"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(DataError, match=r"train-00000\.safetensors .*run `gravurekit shard` again"):
        ShardSet(shards, "train")


def test_a_missing_shard_is_named(shards: Path) -> None:
    (shards / "train-00001.safetensors").unlink()
    with pytest.raises(DataError, match=r"train-00001\.safetensors is missing"):
        ShardSet(shards, "train")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 400), st.integers(1, 255), st.integers(0, 2))
def test_damage_to_a_header_is_a_data_error_or_none(
    tmp_path_factory: object, place: int, mask: int, number: int
) -> None:
    folder = damaged_folder(tmp_path_factory, place, mask)
    try:
        ShardSet(folder, "train").batch(np.array([number]))
    except DataError as error:
        assert "train-00000.safetensors" in str(error)


def damaged_folder(factory: pytest.TempPathFactory, place: int, mask: int) -> Path:
    folder = factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    data = bytearray(writer.pack([row(n) for n in range(3)]))
    data[place % len(data)] ^= mask
    (folder / "train-00000.safetensors").unlink(missing_ok=True)  # an earlier one may still be mapped
    (folder / "train-00000.safetensors").write_bytes(data)
    files = [{"split": "train", "file": "train-00000.safetensors", "samples": 3}]
    (folder / "manifest.json").write_text(json.dumps(MANIFEST | {"shards": files}))
    return folder


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        (None, "holds no finished shards: run `gravurekit shard`"),
        (b"", "is damaged"),
        (b'{"format"', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[]", "isn't of shard format 1"),
        (b'{"format": 2}', "isn't of shard format 1"),
        (b'{"format": "1"}', "isn't of shard format 1"),
        (b'{"classes": []}', "isn't of shard format 1"),
        (b'{"format": 1}', "manifest"),
        (b'{"format": 1, "classes": [], "shards": [{"split": "train"}]}', "manifest"),
        (b'{"format": 1, "classes": [], "shards": 7}', "manifest"),
        (json.dumps(MANIFEST | {"shards": 7}).encode(), "is damaged"),
        (json.dumps(MANIFEST | {"shards": [], "size": "x"}).encode(), "size or L_mean"),
        (json.dumps(MANIFEST | {"shards": [{"file": "../a", "split": "val", "samples": 1}]}).encode(), "no shard"),
    ],
)
def test_a_manifest_that_cant_be_used_says_so(manifest: bytes | None, complaint: str, shards: Path) -> None:
    (shards / "manifest.json").unlink()
    if manifest is not None:
        (shards / "manifest.json").write_bytes(manifest)
    with pytest.raises(DataError, match=complaint) as caught:
        ShardSet(shards, "train")
    assert str(shards) in str(caught.value) and "gravurekit shard" in str(caught.value)


def test_a_folder_of_something_else_holds_no_shards(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match="holds no finished shards"):
            reader.read_manifest(path)
