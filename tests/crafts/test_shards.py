"""What goes into a shard comes out of it, or the damage is named."""

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import HEIGHT, WIDTH, flip, sample, write_folder

from gravurekit.errors import DataError
from gravurekit.shards import reader, writer
from gravurekit.shards.reader import ShardSet
from gravurekit.shards.writer import Sample

COUNTS = {"train": (5, 3), "val": (2,)}
ALL = ("L", "wash", "L_photo", "label", "box")


def assert_same(one: Sample, other: Sample) -> None:
    assert one.planes.keys() == other.planes.keys()
    assert all(np.array_equal(one.planes[name], other.planes[name]) for name in one.planes)
    assert (tuple(one.box), one.label, one.crc32) == (tuple(other.box), other.label, other.crc32)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two train shards of 5 and 3 samples and one of val of 2, with L_photo."""
    write_folder(tmp_path, COUNTS, photo=True)
    return tmp_path


def file_of(shards: Path, split: str = "train", number: int = 0) -> Path:
    return next(shards.glob(f"{split}-{number:05d}-*"))


# ---- writing -------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, count: int, width: int, height: int, photo: bool
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    given = [sample(n, width * 8, height * 8, photo) for n in range(count)]
    done = writer.write(folder, "train-00000", count, iter(given), {"format": 2})
    path = folder / done.file
    for before, after in zip(given, reader.samples_of(path, range(count)), strict=True):
        assert_same(before, after)
    assert done.crc32 == tuple(item.crc32 for item in given)
    assert done.bytes == path.stat().st_size and path.name == f"train-00000-{done.sha256[:8]}.safetensors"
    again = writer.write(folder / "again", "train-00000", count, iter(given), {"format": 2})
    assert again == done and (folder / "again" / done.file).read_bytes() == path.read_bytes()


def test_any_reader_of_safetensors_reads_a_shard_and_is_told_what_its_numbers_mean(shards: Path) -> None:
    path = file_of(shards)
    tensors = safetensors.numpy.load_file(path)
    assert {name: (tensor.shape, str(tensor.dtype)) for name, tensor in tensors.items()} == {
        "L": ((5, 1, HEIGHT, WIDTH), "uint8"), "wash": ((5, 3, HEIGHT, WIDTH), "uint8"),
        "L_photo": ((5, 1, HEIGHT, WIDTH), "uint8"), "label": ((5,), "int32"), "box": ((5, 4), "uint16"),
        "crc32": ((5,), "uint32"),
    }  # fmt: skip
    for n in range(5):
        assert np.array_equal(tensors["wash"][n], sample(n).planes["wash"]) and tensors["label"][n] == sample(n).label
    with safetensors.safe_open(path, "np") as file:
        assert json.loads(file.metadata()["gravurekit"]) == {"format": 2} == reader.about_of(path)


@pytest.mark.parametrize("count", [1, 3, 512])
def test_tensors_begin_at_a_page(count: int, tmp_path: Path) -> None:
    done = writer.write(tmp_path, "val-00000", count, (sample(n) for n in range(count)), {"why": "x" * 5000})
    data = (tmp_path / done.file).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    assert start % 4096 == 0 and json.loads(data[8:start])["L"]["data_offsets"][0] == 0
    assert data[start : start + 8] == sample(0).planes["L"].tobytes()[:8]


@pytest.mark.parametrize(
    ("count", "samples"),
    [
        (3, [sample(0), sample(1)]),
        (1, [sample(0), sample(1)]),
        (0, []),
        (2, [sample(0), sample(1, width=16)]),
        (2, [sample(0), sample(1, photo=True)]),
        (2, [sample(0, photo=True), sample(1)]),
    ],
    ids=["fewer", "more", "none", "another size", "a tensor more", "a tensor less"],
)
def test_samples_that_dont_fit_leave_no_file(count: int, samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sample"):
        writer.write(tmp_path, "train-00000", count, iter(samples), {})
    assert list(tmp_path.iterdir()) == []


# ---- reading -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("io", ["mmap", "pread"])
@pytest.mark.parametrize("order", [[0], [7], [4, 5], [7, 0, 5, 4, 3], [2, 2, 6, 2, 6], list(range(8))[::-1]])
def test_a_batch_comes_in_the_order_that_was_asked_for(order: list[int], io: str, shards: Path) -> None:
    samples = ShardSet(shards, "train", ALL, io=io)
    assert (len(samples), samples.classes) == (8, ("coat", "dress"))
    batch = samples.batch(np.array(order))
    B = len(order)
    assert {name: (part.shape, str(part.dtype)) for name, part in batch.items()} == {
        "L": ((B, 1, HEIGHT, WIDTH), "uint8"), "wash": ((B, 3, HEIGHT, WIDTH), "uint8"),
        "L_photo": ((B, 1, HEIGHT, WIDTH), "uint8"), "label": ((B,), "int64"), "box": ((B, 4), "int64"),
    }  # fmt: skip
    for n, number in enumerate(order):
        planes = {name: batch[name][n] for name in ("L", "wash", "L_photo")}
        box = tuple(batch["box"][n].tolist())
        assert_same(Sample(planes, box, int(batch["label"][n])), sample(number, photo=True))


@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_fields_are_what_was_asked_for(io: str, shards: Path) -> None:
    ab = ShardSet(shards, "train", ("ab", "label"), io=io).batch(np.array([6, 1]))
    assert ab.keys() == {"ab", "label"} and ab["ab"].shape == (2, 2, HEIGHT, WIDTH)
    assert np.array_equal(ab["ab"][0], sample(6).planes["wash"][1:]) and ab["label"].tolist() == [0, 0]
    write_folder(shards / "plain", COUNTS)
    with pytest.raises(DataError, match="hold no L_photo: L, wash"):
        ShardSet(shards / "plain", "train", ("L_photo",))


def test_a_buffer_is_filled_again_and_again(shards: Path) -> None:
    samples = ShardSet(shards, "train")
    buffers = samples.buffers(4)
    for order in ([3, 1, 7, 0], [2, 5], [6, 6, 6, 6]):
        batch = samples.batch(np.array(order), buffers)
        fresh = samples.batch(np.array(order))
        for name, values in batch.items():
            assert np.shares_memory(values, buffers[name]) and np.array_equal(values, fresh[name])


def test_it_serves_as_a_dataset_of_torch(shards: Path) -> None:
    from torch.utils.data import DataLoader

    samples = ShardSet(shards, "train")
    batches = list(DataLoader(samples, batch_size=3, collate_fn=lambda batch: batch))
    assert [len(batch["L"]) for batch in batches] == [3, 3, 2]
    assert np.array_equal(batches[1]["L"][0], sample(3).planes["L"]) and np.array_equal(
        samples[-1]["wash"], sample(7).planes["wash"]
    )
    with pytest.raises(IndexError):
        samples[8]


@pytest.mark.parametrize("io", ["mmap", "pread"])
@pytest.mark.parametrize("order", [[-1], [0, 8], [-9], [3, -2, 1]])
def test_a_number_that_no_sample_has_is_an_error(order: list[int], io: str, shards: Path) -> None:
    """Else -1 would be the planes of one sample and the label of another."""
    with pytest.raises(IndexError, match="of 8"):
        ShardSet(shards, "train", check=False, io=io).batch(np.array(order))
    assert len(ShardSet(shards, "train", io=io).batch(np.array([], int))["L"]) == 0


@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_it_travels_to_other_processes(io: str, shards: Path) -> None:
    """As a worker of a DataLoader that is spawned gets it."""
    samples = ShardSet(shards, "train", io=io)
    samples.batch(np.array([1]))
    other = pickle.loads(pickle.dumps(samples))
    assert np.array_equal(other[7]["wash"], sample(7).planes["wash"]) and len(samples[0]) == 4


def test_splits_are_kept_apart(shards: Path) -> None:
    assert np.array_equal(ShardSet(shards, "val").batch(np.array([1]))["L"][0], sample(1001).planes["L"])
    assert len(ShardSet(shards, "test")) == 0
    with pytest.raises(DataError, match="no split 'tests': train, val, test"):
        ShardSet(shards, "tests")


def test_threads_share_a_set(shards: Path) -> None:
    samples = ShardSet(shards, "train", most_files=1)
    orders = [np.random.default_rng(n).integers(0, 8, 64) for n in range(8)]
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: samples.batch(orders[n])["wash"]})) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, order in enumerate(orders):
        assert np.array_equal(found[n], np.stack([sample(k).planes["wash"] for k in order.tolist()]))


LIMITED = """
import os, resource, sys
from pathlib import Path
import numpy as np
from gravurekit.shards.reader import ShardSet
resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
samples = ShardSet(Path(sys.argv[1]), "train", io=sys.argv[2])
order = np.random.default_rng(0).permutation(len(samples))
for n in range(0, len(order), 10):
    samples.batch(order[n : n + 10])
print(len(os.listdir("/dev/fd")) < 60)
"""


@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_more_shards_than_files_may_be_open(io: str, tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": (1,) * 200}, width=8, height=8)
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path), io], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


# ---- damage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("io", ["mmap", "pread"])
@pytest.mark.parametrize("tensor", ["L", "wash", "L_photo", "label", "box", "crc32"])
def test_a_flipped_bit_is_named_by_file_row_and_picture(tensor: str, io: str, shards: Path) -> None:
    flip(file_of(shards, "train", 1), tensor, 2)
    samples = ShardSet(shards, "train", ("L", "ab"), io=io)
    samples.batch(np.array([0, 6, 5]))
    for _ in range(2):  # and once is not forgiven
        with pytest.raises(
            DataError, match=r"train-00001-\w+\.safetensors, row 2 \(key-7, http://a.example/7.jpg\), is damaged"
        ):
            samples.batch(np.array([0, 7]))
    ShardSet(shards, "train", check=False, io=io).batch(np.array([0, 7]))


def test_a_file_that_is_cut_short_while_it_is_read(shards: Path) -> None:
    samples = ShardSet(shards, "train", io="pread")
    samples.batch(np.array([0]))
    os.truncate(file_of(shards), 4096)
    with pytest.raises(DataError, match=r"train-00000-\w+\.safetensors was cut short"):
        samples.batch(np.array([4]))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "seven bytes": lambda data: data[:7],
    "no header": lambda data: data[:8],
    "torn header": lambda data: data[:90],
    "torn data": lambda data: data[:-1],
    "half": lambda data: data[: len(data) // 2],
    "a byte more": lambda data: data + b"\0",
    "a huge header": lambda data: b"\xff" * 8 + data[8:],
    "zeros": lambda data: bytes(len(data)),
    "a header that is a list": lambda data: (2).to_bytes(8, "little") + b"[]" + data,
    "a tensor less": lambda data: safetensors.numpy.save({"L": np.zeros((5, 1, 16, 8), np.uint8)}),
    "another kind of number": lambda data: safetensors.numpy.save({"L": np.zeros((5, 1, 16, 8), np.float64)}),
    "no picture": lambda data: safetensors.numpy.save(safetensors.numpy.load(data) | {"label": np.zeros((), np.int32)}),
    "labels of another kind": lambda data: safetensors.numpy.save(
        safetensors.numpy.load(data) | {"label": np.zeros(5, np.uint32)}
    ),
}


@pytest.mark.parametrize("said", [True, False], ids=["unsaid", "the manifest says so"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_named(damage: str, said: bool, shards: Path) -> None:
    """Also when the size is as the manifest says."""
    path = file_of(shards)
    data = DAMAGES[damage](path.read_bytes())
    path.write_bytes(data)
    if not said:
        manifest = json.loads((shards / "manifest.json").read_text())
        manifest["shards"][0]["bytes"] = len(data)
        (shards / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"train-00000-\w+\.safetensors .*run `gravurekit shard` again"):
        ShardSet(shards, "train").batch(np.array([1]))


def test_a_missing_shard_is_named(shards: Path) -> None:
    file_of(shards, "train", 1).unlink()
    with pytest.raises(DataError, match=r"train-00001-\w+\.safetensors is missing"):
        ShardSet(shards, "train")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 900), st.integers(1, 255), st.integers(0, 2), st.sampled_from(["mmap", "pread"]))
def test_damage_to_a_header_is_a_data_error_or_none(
    tmp_path_factory: pytest.TempPathFactory, place: int, mask: int, number: int, io: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"damaged-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()  # an earlier one may still be mapped
    write_folder(folder, {"train": (3,)})
    path = file_of(folder)
    data = bytearray(path.read_bytes())
    data[place] ^= mask
    path.unlink()
    path.write_bytes(data)
    try:
        ShardSet(folder, "train", io=io).batch(np.array([number]))
    except DataError as error:
        assert "train-00000-" in str(error)


GOOD = {"size": [8, 16], "L_mean": 0.5, "tensors": ["L", "wash"], "shards": [], "classes": []} | {
    name: {} for name in ("style", "licenses", "sources", "splits", "labels", "files", "settings", "palettes")
}


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        (None, "holds no finished shards: run `gravurekit shard`"),
        (b"", "is damaged"),
        (b'{"format"', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b"[]", "isn't of shard format 2"),
        (b'{"format": 1}', "isn't of shard format 2, but of 1: run `gravurekit shard` again"),
        (b'{"format": "2"}', "isn't of shard format 2"),
        (b'{"format": 3}', "is of shard format 3, newer than 2: pip install --upgrade gravurekit"),
        (b'{"classes": []}', "isn't of shard format 2"),
        (b'{"format": 2}', "is damaged"),
        ({"shards": 7}, "is damaged"),
        ({"size": "x"}, "is damaged"),
        ({"size": [8, "x"]}, "size or L_mean"),
        ({"tensors": ["L"]}, "tensors"),
        ({"tensors": ["L", "wash", "depth"]}, "tensors"),
        ({"licenses": []}, "licenses is no table"),
        ({"shards": [{"split": "train"}]}, "is damaged"),
        ({"shards": [{"file": "../a", "split": "val", "samples": 1, "bytes": 9}]}, "no shard"),
        ({"shards": [{"file": "a", "split": "val", "samples": 0, "bytes": 9}]}, "no shard"),
        ({"shards": [{"file": "a", "split": "val", "samples": 1, "bytes": 9}]}, "no shard"),
        ({"shards": [{"file": "a", "split": "other", "samples": 1, "bytes": 9}]}, "no shard"),
    ],
)
def test_a_manifest_that_cant_be_used_says_so(manifest: bytes | dict | None, complaint: str, shards: Path) -> None:
    (shards / "manifest.json").unlink()
    if isinstance(manifest, dict):
        manifest = json.dumps({"format": 2} | GOOD | manifest).encode()
    if manifest is not None:
        (shards / "manifest.json").write_bytes(manifest)
    with pytest.raises(DataError, match=complaint) as caught:
        ShardSet(shards, "train")
    assert str(shards) in str(caught.value) and "gravurekit" in str(caught.value)


def test_a_folder_of_something_else_holds_no_shards(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match="holds no finished shards"):
            reader.read_manifest(path)
