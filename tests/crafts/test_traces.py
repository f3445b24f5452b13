"""Which traces belong together: whatever the order, once and for all, both ways."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gravurekit.stages._journal import Journal, stand_in, take_out
from gravurekit.stages._traces import closure, trace
from gravurekit.tombstones import hash_of

KEYS = [f"{n:016x}" for n in range(12)]
LINES = st.lists(
    st.fixed_dictionaries(
        {"key": st.sampled_from(KEYS)},
        optional={
            "kept_key": st.sampled_from(KEYS), "cluster": st.sampled_from(KEYS), "photo_key": st.sampled_from(KEYS),
            "url": st.sampled_from(["http://a/1", "http://a/2", "folder:x/1.jpg"]),
        },
    ),
    max_size=12,
)  # fmt: skip


def marks(lines: list[dict[str, str]], seed: str) -> tuple[set[tuple[str, str]], int]:
    known, inside = closure([trace(Path("raw"), "crawl", line) for line in lines], [("key", seed)])
    return known, len(inside)


@given(LINES, st.sampled_from(KEYS), st.randoms())
def test_the_order_of_lines_doesnt_matter_and_nothing_more_is_found_twice(
    lines: list[dict[str, str]], seed: str, chance: object
) -> None:
    known, count = marks(lines, seed)
    mixed = lines[:]
    chance.shuffle(mixed)
    assert marks(mixed, seed) == (known, count)
    again, inside = closure([trace(Path("raw"), "crawl", line) for line in lines], known)
    assert again == known and len(inside) == count
    for kind, other in known:  # who is in the circle of one has it in its own
        if kind == "key":
            assert ("key", seed) in marks(lines, other)[0] or other == seed or count == 0


@pytest.mark.parametrize("named", [KEYS[0], KEYS[1], KEYS[2]])
def test_a_copy_of_a_copy_goes_with_all(named: str) -> None:
    lines = [{"key": KEYS[0], "kept_key": KEYS[1]}, {"key": KEYS[1], "cluster": KEYS[1]},
             {"key": KEYS[2], "photo_key": KEYS[0]}]  # fmt: skip
    assert {key for kind, key in marks([*lines, {"key": KEYS[5]}], named)[0]} == set(KEYS[:3])


def test_a_name_on_a_disk_isnt_the_pictures() -> None:
    """Two folders may each hold a 1.jpg; a link is one picture's."""
    lines = [{"key": KEYS[0], "url": "folder:x/1.jpg"}, {"key": KEYS[1], "url": "folder:x/1.jpg"}]
    assert marks(lines, KEYS[0])[1] == 1
    assert marks([line | {"url": "http://a/1"} for line in lines], KEYS[0])[1] == 2


def test_a_page_isnt_the_pictures_either_but_it_names_them() -> None:
    lines = [trace(Path(), "crawl", {"key": key, "page_url": "http://a/page"}) for key in KEYS[:2]]
    assert len(closure(lines, [("key", KEYS[0])])[1]) == 1
    assert len(closure(lines, [("url", hash_of("http://a/page"))])[1]) == 2


def test_a_drawing_has_bytes_of_its_own() -> None:
    line = {"key": KEYS[0], "sha256": "ab" * 32}
    assert ("sha256", "ab" * 32) in trace(Path(), "filter", line).gives
    assert ("sha256", "ab" * 32) not in trace(Path(), "stylize", line).gives


def test_a_journal_keeps_the_places_of_what_was_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    sha256 = "ab" * 32
    lines = [
        '{"order": {"keywords": [["a", "a"]], "sources": ["bing"]}}',
        '{"feed": ["bing", "a"], "label": "a", "limit": 3, "knobs": "", "results": '
        '[{"url": "http://a/1"}, {"url": "http://a/2", "title": "Two"}, {"url": "http://a/3", "page_url": "http://p/"}]}',
        json.dumps({"url": "http://a/1", "sha256": "cd" * 32, "bytes": 3}),
        json.dumps({"url": "http://a/2", "sha256": sha256, "bytes": 3}),
        json.dumps({"sha256": sha256, "file_name": "images/a.jpg", "width": 1, "height": 1}),
        '{"url": "http://a/3", "reason": "http-404", "detail": "gone"}',
        '{"url": 7, "sha256": ["x"]}', '{"feed": 7, "results": [7, {"url": null}]}',
    ]  # fmt: skip
    path.write_text("\n".join([*lines, '{"url": "http://a/2", "sha']))
    assert take_out(path, lambda url: url in ("http://p/", "http://a/3"), lambda found: found == sha256) == 4
    journal = Journal.load(path)
    assert [item.url for item in journal.feeds["bing", "a"].results] == [
        "http://a/1", stand_in("http://a/2").url, stand_in("http://a/3").url
    ]  # fmt: skip
    assert set(journal.urls) == {"http://a/1"} and not journal.proofs
    text = path.read_text()
    assert "Two" not in text and sha256 not in text and "http://a/2" not in text and "http://p" not in text
    assert take_out(path, lambda url: url in ("http://p/", "http://a/3"), lambda found: found == sha256) == 0
    assert path.read_text() == text
