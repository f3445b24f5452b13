"""Keyword files as people write them."""

from pathlib import Path

import pytest

from gravurekit.errors import UsageError
from gravurekit.keywords import Keyword, parse, read, resolve


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red dress", [("red dress", "red dress")]),
        ("dress: red dress\ndress: blue dress", [("red dress", "dress"), ("blue dress", "dress")]),
        ("  dress :  red dress  ", [("red dress", "dress")]),
        ("# all of them\n\nrobe # a comment\n   # another", [("robe", "robe")]),
        ("elbise: kırmızı elbise\nİstanbul çarşafı", [("kırmızı elbise", "elbise"), ("İstanbul çarşafı",) * 2]),
        ("a\r\nb\rc", [("a", "a"), ("b", "b"), ("c", "c")]),
        ("a\nb\na", [("a", "a"), ("b", "b")]),
        ("x: a\ny: a", [("a", "x"), ("a", "y")]),
        ("film: 2001: a space odyssey", [("2001: a space odyssey", "film")]),
        (": robe", [("robe", "robe")]),
        ("robe:", [("robe", "robe")]),
        (":\n : \n#\n", []),
        ("a & b? c=d", [("a & b? c=d",) * 2]),
        ("", []),
    ],
)
def test_a_line_is_a_keyword(text: str, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    assert parse(text) == [Keyword(*words) for words in expected]
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "words.txt").write_bytes(text.encode(encoding))
        if expected:
            assert read(tmp_path / "words.txt") == parse(text)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        (b"", "no keyword"),
        (b"# nothing\n\n", "no keyword"),
        ("dress: kırmızı".encode("iso-8859-9"), "UTF-8"),
        ("dress".encode("utf-16"), "UTF-8"),
    ],
)
def test_a_file_without_keywords_is_refused_by_name(content: bytes | None, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=complaint) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_folder_is_no_keyword_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="keyword file"):
        read(tmp_path)


def test_words_may_be_files_or_keywords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("robe\n")
    Path("plain").write_text("coat\n")
    Path("dress").mkdir()
    found = resolve(["words.txt", "plain", "dress", "hat: fez", "robe"])
    assert found == [Keyword("robe", "robe"), Keyword("coat", "coat"), Keyword("dress", "dress"), Keyword("fez", "hat")]
    with pytest.raises(UsageError, match=r"absent\.txt"):
        resolve(["absent.txt"])


@pytest.mark.parametrize("word", ["long " * 100, "nul\0byte"])
def test_a_word_that_can_be_no_path_is_a_keyword(word: str) -> None:
    assert resolve([word]) == [Keyword(word.strip(), word.strip())]
