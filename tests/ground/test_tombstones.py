"""Tombstones: what is written is read, in one order only; what is damaged is never passed over."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gravurekit import tombstones
from gravurekit.errors import DataError
from gravurekit.record import Record, key_of
from gravurekit.tombstones import DIGITS, NONE, Tombstones, gathered, hash_of

HASHES = st.sampled_from(sorted(DIGITS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.text("0123456789abcdef", min_size=DIGITS[kind], max_size=DIGITS[kind]))
)


@given(st.sets(HASHES, max_size=9))
def test_what_was_written_is_read_and_each_line_is_one_hash(
    tmp_path_factory: pytest.TempPathFactory, hashes: set[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("w") / tombstones.FILE
    tombstones.write(path, gathered(hashes))
    lines = path.read_text().splitlines()
    assert lines == sorted(lines) and len(lines) == len(hashes)
    found = tombstones.read(path)
    assert found.all == hashes and found == gathered(hashes) and found.digest == gathered(sorted(hashes)).digest
    assert bool(found) == bool(hashes)


@pytest.mark.parametrize(
    "line",
    [
        '{"key": "0123', "[]", "7", "{}", '{"key": 7}', '{"key": "0123456789abcdeg"}', '{"key": "0123456789ABCDEF"}',
        '{"key": "0123456789abcdef", "url": "http://host/"}', '{"title": "0123456789abcdef"}', '{"url": "http://host"}',
        "[" * 100_000, "\xff",
    ],
)  # fmt: skip
def test_a_damaged_line_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / tombstones.FILE
    path.write_bytes(b'{"key": "0123456789abcdef"}\n\n' + line.encode("latin-1") + b"\n")
    with pytest.raises(DataError, match="line 3, is no tombstone"):
        tombstones.read(path)


def test_none_are_none_and_a_folder_is_no_list(tmp_path: Path) -> None:
    assert tombstones.read(tmp_path / "absent") == NONE and not NONE and not Tombstones({"key": set()})
    (tmp_path / "absent").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match="is no file"):
            tombstones.read(path)


def test_what_a_record_is_known_by() -> None:
    sha256 = "ab" * 32
    item = Record(key="cd" * 8, sha256=sha256, url="http://host/a", page_url="http://host/", pixels_sha256="ef" * 32)
    for mark in (
        ("key", item.key), ("key", key_of(sha256)), ("sha256", sha256), ("pixels_sha256", item.pixels_sha256),
        ("url", hash_of(item.url)), ("url", hash_of(item.page_url)),
    ):  # fmt: skip
        assert gathered([mark]).has(item), mark
    for mark in (("key", "00" * 8), ("sha256", item.pixels_sha256), ("url", hash_of("")), ("phash", "ab" * 8)):
        assert not gathered([mark]).has(item) and not gathered([mark]).has(Record(key="12" * 8)), mark


def test_a_record_of_it_tells_nothing_but_its_key() -> None:
    told = json.loads(tombstones.record("ab" * 8).to_json())
    assert told.keys() == {"key", "reason", "detail"}
