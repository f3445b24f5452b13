"""Rows on disk: what was written is read; what isn't whole, or isn't what is asked for, is empty."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit import rows
from gravurekit.probe import FIGURES, THUMBS

KIND = np.dtype([("number", "<u4"), ("box", "u1", (2, 3)), ("share", "<f4")])
REVISION = "7 of a test"


def keys_of(count: int) -> list[bytes]:
    return [bytes([n % 256, n // 256]) * 16 for n in range(count)]


def data_of(count: int, kind: np.dtype = KIND) -> np.ndarray:
    octets = np.random.default_rng(1).integers(0, 100, count * kind.itemsize, np.uint8)
    return octets.view(kind)


def written(path: Path, count: int = 5, kind: np.dtype = KIND, revision: str = REVISION) -> np.ndarray:
    """A file of rows; what is in it."""
    data = data_of(count, kind)
    rows.write(path, revision, kind, keys_of(count), [data])
    return data


def is_empty(found: rows.Rows, kind: np.dtype = KIND) -> bool:
    return not found.places and found.data.shape == (0,) and found.data.dtype == kind and keys_of(1)[0] not in found


@pytest.mark.parametrize("kind", [KIND, FIGURES, THUMBS, np.dtype([("x", "<f8")])], ids=str)
@pytest.mark.parametrize("count", [1, 2, 300])
def test_what_was_written_is_read(count: int, kind: np.dtype, tmp_path: Path) -> None:
    data = written(tmp_path / "rows", count, kind)
    found = rows.read(tmp_path / "rows", kind, REVISION)
    assert found.data.dtype == kind and found.data.tobytes() == data.tobytes()
    assert found.places == {key: n for n, key in enumerate(keys_of(count))}


def test_rows_are_found_by_key(tmp_path: Path) -> None:
    data = written(tmp_path / "rows", 300)
    found, keys = rows.read(tmp_path / "rows", KIND, REVISION), keys_of(300)
    places = found.of([keys[299], keys[0], keys[299]])
    assert places.dtype == np.int64 and places.tolist() == [299, 0, 299]
    assert found.data[places].tobytes() == data[[299, 0, 299]].tobytes()
    assert found.of([]).shape == (0,) and found.of([]).dtype == np.int64
    assert keys[7] in found and b"?" * 32 not in found
    with pytest.raises(KeyError):
        found.of([b"?" * 32])


def test_rows_may_come_piece_by_piece(tmp_path: Path) -> None:
    data = data_of(9)
    rows.write(tmp_path / "pieces", REVISION, KIND, keys_of(9), (data[n : n + 2] for n in range(0, 9, 2)))
    rows.write(tmp_path / "whole", REVISION, KIND, keys_of(9), [data[::-1][::-1]])
    rows.write(tmp_path / "one by one", REVISION, KIND, keys_of(9), iter(data))
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(contents) == 1, "the same rows are the same bytes"


def test_rows_may_be_written_over_those_that_are_read(tmp_path: Path) -> None:
    data = written(tmp_path / "rows")
    before = rows.read(tmp_path / "rows", KIND, REVISION)
    rows.write(tmp_path / "rows", REVISION, KIND, keys_of(6), [before.data, data_of(6)[5:]])
    after = rows.read(tmp_path / "rows", KIND, REVISION)
    assert before.data.tobytes() == data.tobytes() == after.data[:5].tobytes() and len(after.data) == 6


def test_no_rows_are_none(tmp_path: Path) -> None:
    rows.write(tmp_path / "rows", REVISION, KIND, [], [])
    assert is_empty(rows.read(tmp_path / "rows", KIND, REVISION))


def test_what_isnt_there_is_empty(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("nothing", "folder", "folder/nothing"):
        assert is_empty(rows.read(tmp_path / name, KIND, REVISION))


OTHERS = {
    "a field more": np.dtype([*KIND.descr, ("more", "u1")]),
    "another name": np.dtype([("numeral", "<u4"), *KIND.descr[1:]]),
    "another order": np.dtype([KIND.descr[2], KIND.descr[1], KIND.descr[0]]),
    "as long, of another type": np.dtype([("number", "<i4"), *KIND.descr[1:]]),
    "as long, of another shape": np.dtype([KIND.descr[0], ("box", "u1", (3, 2)), KIND.descr[2]]),
}


@pytest.mark.parametrize("why", OTHERS)
def test_rows_of_another_form_are_empty(why: str, tmp_path: Path) -> None:
    written(tmp_path / "rows")
    assert is_empty(rows.read(tmp_path / "rows", OTHERS[why], REVISION), OTHERS[why])


def test_rows_of_another_revision_are_empty(tmp_path: Path) -> None:
    written(tmp_path / "rows")
    for revision in ("8 of a test", "7 of a tes", ""):
        assert is_empty(rows.read(tmp_path / "rows", KIND, revision))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_cut_short_or_too_long_is_empty(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "cut-rows"
    written(path)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:cut])
    assert is_empty(rows.read(path, KIND, REVISION))
    path.write_bytes(whole + whole[: cut + 1])
    assert is_empty(rows.read(path, KIND, REVISION))


HEADS = [
    b"", b"\n", b"{}\n", b"[]\n", b"7\n", b"null\n", b'"count"\n', b"\xff\xfe\n", b"{\n", b'{"count": null}\n',
    b'{"count": "many"}\n', b'{"count": []}\n', b'{"count": -1}\n', b'{"count": 1e999}\n', b'{"count": NaN}\n',
    b'{"count": 99999999999999999999}\n', b"[" * 60_000 + b"\n", b"\x00" * 5000, b"9" * 6000 + b"\n",
]  # fmt: skip


@pytest.mark.parametrize("head", HEADS, ids=lambda head: repr(head[:24]))
def test_a_file_of_something_else_is_empty(head: bytes, tmp_path: Path) -> None:
    written(tmp_path / "rows")
    rest = (tmp_path / "rows").read_bytes().partition(b"\n")[2]
    (tmp_path / "rows").write_bytes(head + rest)
    assert is_empty(rows.read(tmp_path / "rows", KIND, REVISION))


@pytest.mark.parametrize("count", ["0", "-5", "4", "6", "5.5", "1e3", "NaN", "Infinity", "true", "null", '"x"', "{}"])
def test_a_count_that_isnt_so_is_empty(count: str, tmp_path: Path) -> None:
    written(tmp_path / "rows")
    whole = (tmp_path / "rows").read_bytes()
    assert whole.count(b'"count": 5') == 1
    (tmp_path / "rows").write_bytes(whole.replace(b'"count": 5', b'"count": ' + count.encode()))
    assert is_empty(rows.read(tmp_path / "rows", KIND, REVISION))


@settings(max_examples=60, deadline=None)
@given(garbage=st.binary(max_size=300))
def test_garbage_is_empty(garbage: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage-rows"
    path.write_bytes(garbage)
    assert is_empty(rows.read(path, KIND, REVISION))


def test_rows_stay_on_disk(tmp_path: Path) -> None:
    """Of 2,000 thumbs of 8 KB two are looked at: that needs a fraction of the file's size."""
    data = written(tmp_path / "rows", 2000, THUMBS)
    tracemalloc.start()
    try:
        found = rows.read(tmp_path / "rows", THUMBS, REVISION)
        some = np.asarray(found.data[np.array([3, 1999])])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(found.data, np.memmap) and peak < data.nbytes / 10
    assert some.tobytes() == data[[3, 1999]].tobytes()
    with pytest.raises(ValueError, match="read-only"):
        found.data["luma"][0] = 1


@pytest.mark.parametrize("kind", [KIND, FIGURES, THUMBS], ids=str)
@pytest.mark.parametrize("gone", [{0}, {2}, {4}, {0, 1, 3}, {0, 1, 2, 3, 4}, set()])
def test_rows_are_taken_out_whatever_they_are(kind: np.dtype, gone: set[int], tmp_path: Path) -> None:
    """As if the others alone had been written."""
    data = written(tmp_path / "all", kind=kind)
    keys = keys_of(5)
    stay = [n for n in range(5) if n not in gone]
    rows.write(tmp_path / "others", REVISION, kind, [keys[n] for n in stay], [data[stay]])
    assert rows.take_out(tmp_path / "all", {keys[n] for n in gone} | {b"x" * 32}) == len(gone)
    assert (tmp_path / "all").read_bytes() == (tmp_path / "others").read_bytes()


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"no json\n", b'{"count": 99}\n' + b"x" * 400, b'{"count": -1}\nxx'])
def test_a_file_that_nobody_can_read_is_removed(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(damage)
    assert rows.take_out(tmp_path / "rows", {b"x" * 32}) == 0 and not (tmp_path / "rows").exists()


def test_a_file_says_whether_it_holds_any_of_some_rows(tmp_path: Path) -> None:
    written(tmp_path / "rows")
    assert rows.holds(tmp_path / "rows", {keys_of(5)[4], b"x" * 32}) and not rows.holds(tmp_path / "rows", {b"x" * 32})
    (tmp_path / "odd").write_bytes(b'{"count": 1e999}\n')
    assert not rows.holds(tmp_path / "odd", {b"x" * 32}) and not rows.holds(tmp_path, {b"x" * 32})
