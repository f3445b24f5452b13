"""What hosts answer made plain: HTML without its tags, addresses that can be asked for, JSON or a failure."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gravurekit.errors import UnknownLayout
from gravurekit.sources import _text


@pytest.mark.parametrize(
    "html, expected",
    [
        ("", ""),
        ("A red dress", "A red dress"),
        ("  A \n\t red\u00a0dress ", "A red dress"),
        ("gowns &amp; kaftans &lt;b&gt; &#39;x&#39;", "gowns & kaftans <b> 'x'"),
        ('<a href="//x" title="y">Müller</a>, 1900', "Müller, 1900"),
        ("<p>One</p><p>Two</p>Three<br/>Four", "One Two Three Four"),
        ("<b>K</b>ırmızı", "Kırmızı"),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ("cut <a hre", "cut <a hre"),
        ('Starry Night<div style="display: none;">label QS:Len,"Starry Night"</div>', "Starry Night"),
        ("<span style='DISPLAY:none'>Unknown</span><span>Unknown author</span>", "Unknown author"),
        ("a<!-- <b>no</b> -->b<script>alert(1)</script>c<style>p {}</style>d", "a b c d"),
        ("red \x1b[31m\x00\x9bdress", "red [31m dress"),
        ("half \ud83d", "half ?"),
    ],
)
def test_html_becomes_a_line(html: str, expected: str) -> None:
    assert _text.plain(html) == expected


@pytest.mark.parametrize("nothing", [None, 7, 0.5, True, [], ["x"], {"x": "y"}, b"x"])
def test_what_is_no_text_is_empty(nothing: object) -> None:
    assert (_text.plain(nothing), _text.link(nothing)) == ("", "")


@given(st.text(st.characters()) | st.text(st.sampled_from("<>/!-&;a\" '=#x\ud800")))
def test_any_text_becomes_one_line_that_can_be_written(text: str) -> None:
    line = _text.plain(text)
    line.encode()
    assert line == " ".join(line.split()) and not any(ord(letter) < 32 for letter in line)


@pytest.mark.parametrize(
    "piece", ["<", "<!--", "<script", "<a display: none>", "<a display:", "&", "</", " ", "<a b='"]
)
def test_no_text_takes_long(piece: str) -> None:
    began = time.perf_counter()
    _text.plain(piece * 1_000_000)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    "said, expected",
    [
        ("https://a.example/x.jpg", "https://a.example/x.jpg"),
        ("//a.example/x.jpg#h=1&w=2", "https://a.example/x.jpg"),
        (" http://a.example:8080/a b/ü%20.jpg?q=ö&r=1 2 ", "http://a.example:8080/a%20b/%C3%BC%20.jpg?q=%C3%B6&r=1%202"),
        ("https://a.example/100% wool.jpg", "https://a.example/100%25%20wool.jpg"),
        ("http://user:word@a.example/x", "http://a.example/x"),
        ("https://a.example/\x1b]0;x\x07\n", "https://a.example/%1B]0;x%07"),
        ("https://a.example/%2F%e9", "https://a.example/%2F%e9"),
        ("https://müller.example/x", "https://müller.example/x"),
        ("https://a.example/\ud83d", "https://a.example/"),
        ("https://a.example", "https://a.example"),
    ],
    ids=lambda value: value[:30],
)  # fmt: skip
def test_addresses_that_can_be_asked_for(said: str, expected: str) -> None:
    assert _text.link(said) == expected


@pytest.mark.parametrize(
    "said",
    ["", "x.jpg", "/x.jpg", "ftp://a/b", "data:image/png;base64,AA", "javascript:1", "https:", "https:///x", "http://[",
     "//", "https://[1::2", "https://a.example/" + "x" * 5000],
    ids=lambda value: value[:30],
)  # fmt: skip
def test_what_is_no_address_is_none(said: str) -> None:
    assert _text.link(said) == ""


@given(st.text(st.characters()) | st.text(st.characters()).map("https://a.example/{}".format))
def test_any_text_is_an_address_or_none(text: str) -> None:
    url = _text.link(text)
    url.encode()
    assert url == "" or url.startswith(("http://", "https://"))
    assert _text.link(url) == url


@pytest.mark.parametrize(
    "page", [b"", b"<html>", b"[" * 1_000_000, b"\xff", b"{", b"9" * 5000], ids=lambda page: page[:9]
)
def test_what_is_no_json_is_a_failure_of_the_source(page: bytes) -> None:
    with pytest.raises(UnknownLayout, match="^name: the answer isn't JSON"):
        _text.parsed("name", page)


def test_nested_values_are_found_or_none() -> None:
    value = {"a": {"b": [1], "c": None}}
    assert (_text.at(value, "a", "b"), _text.at(value, "a", "c", "d"), _text.at([1], "a")) == ([1], None, None)
    assert _text.at(value) is value
