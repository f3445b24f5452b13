"""What is written to metadata.jsonl is read from it, whatever the Records hold."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import RECORDS

from gravurekit import metadata
from gravurekit.errors import DataError
from gravurekit.record import Record


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(RECORDS, max_size=6))
def test_records_come_back_in_order_and_to_the_letter(tmp_path_factory: pytest.TempPathFactory, found: list) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.jsonl"
    metadata.write_lines(path, found)
    assert metadata.read_lines(path) == found
    assert path.read_bytes().count(b"\n") == len(found)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(RECORDS, min_size=1, max_size=4), st.data())
def test_torn_anywhere_it_is_refused_or_misses_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, found: list, data: st.DataObject
) -> None:
    """A cut at the end of a line can't be seen here: the receipt's digest tells."""
    path = tmp_path_factory.getbasetemp() / "torn.jsonl"
    metadata.write_lines(path, found)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        left = metadata.read_lines(path)
    except DataError as error:
        assert f"{path}, line " in str(error)
    else:
        assert left == found[: len(left)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(RECORDS, max_size=4), RECORDS)
def test_the_digest_of_an_input_tells_every_difference(found: list, other: Record) -> None:
    assert metadata.input_digest(found) == metadata.input_digest(list(found))
    assert metadata.input_digest([*found, other]) != metadata.input_digest(found)
    if found and found[0] != other:
        assert metadata.input_digest([other, *found[1:]]) != metadata.input_digest(found)


def test_files_of_a_record_come_with_their_sums() -> None:
    item = Record(key="ab", file_name="images/a.jpg", sha256="1", wash_file_name="wash/a.jpg", wash_sha256="2")
    assert metadata.files_of(item) == {"images/a.jpg": "1", "wash/a.jpg": "2"}


def test_a_missing_file_of_lines_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file.*make the folder again"):
        metadata.read_lines(tmp_path / "metadata.jsonl")
    assert metadata.file_sha256(Path(__file__)) == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
