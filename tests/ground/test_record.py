"""A Record is its line, and its line is the Record."""

import hashlib

import pytest
from hypothesis import given, settings
from records import RECORDS

from gravurekit.errors import DataError
from gravurekit.record import Record, from_json, key_of, key_of_url

FULL = Record(key="0123456789abcdef", labels=("kırmızı elbise", "robe"), scores={"a": 0.5}, width=3, title="“x”\n")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(RECORDS)
def test_a_line_gives_its_record_back(item: Record) -> None:
    line = item.to_json()
    assert "\n" not in line and "\r" not in line
    assert from_json(line, "here") == item
    assert from_json(line.encode(), "here") == item


def test_a_line_holds_only_what_is_known() -> None:
    assert Record(key="ab", title="").to_json() == '{"key":"ab"}'


@pytest.mark.parametrize("cut", range(len(FULL.to_json().encode())))
def test_a_torn_line_is_refused_by_its_place(cut: int) -> None:
    with pytest.raises(DataError, match="metadata.jsonl, line 7.*make the folder again"):
        from_json(FULL.to_json().encode()[:cut], "metadata.jsonl, line 7")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"key": "ab", "colour": "red"}', "colour"),
        ('{"title": "no key"}', "key"),
        ('{"key": 7}', "key"),
        ('{"key": "ab", "width": "wide"}', "width"),
        ('{"key": "ab", "labels": "dress"}', "labels"),
        ('{"key": "ab", "scores": {"x": null}}', "scores.x"),
        ('["ab"]', ""),
        ("null", ""),
        ('{"key": "ab"} {"key": "cd"}', ""),
    ],
)
def test_an_edited_line_is_refused_by_the_field_that_is_wrong(line: str, what: str) -> None:
    with pytest.raises(DataError) as caught:
        from_json(line, "metadata.jsonl, line 3")
    assert "metadata.jsonl, line 3" in str(caught.value) and what in str(caught.value)


def test_a_record_is_changed_only_by_making_another() -> None:
    with pytest.raises(ValueError, match="frozen"):
        FULL.title = "other"  # type: ignore[misc]
    assert FULL.but(title="other").title == "other" and FULL.title != "other"


def test_the_first_label_is_the_class() -> None:
    assert (FULL.label, Record(key="ab").label) == ("kırmızı elbise", "")


def test_keys_are_the_first_64_bits_of_a_sha256() -> None:
    digest = hashlib.sha256(b"http://example.invalid/a").hexdigest()
    assert key_of(digest) == key_of_url("http://example.invalid/a") == digest[:16]
    assert len(key_of_url("http://example.invalid/\udcff")) == 16  # a URL that is no Unicode still has a key
