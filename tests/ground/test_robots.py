"""What hosts ask of crawlers, in robots.txt and beside a picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gravurekit.robots import MAX_BYTES, OPT_OUTS, Rules, address_of, opt_out

HOST = "https://host.example"


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("", "/a.jpg", True),
        ("User-agent: *\nDisallow: /\n", "/a.jpg", False),
        ("User-agent: *\nDisallow:\n", "/a.jpg", True),
        ("User-agent: gravurekit\nDisallow: /\n\nUser-agent: *\nAllow: /\n", "/a.jpg", False),
        ("User-agent: gravurekit\nAllow: /\n\nUser-agent: *\nDisallow: /\n", "/a.jpg", True),
        ("User-agent: GravureKit\nDisallow: /\n", "/a.jpg", False),
        ("User-agent: otherbot\nDisallow: /\n", "/a.jpg", True),
        ("User-agent: *\nDisallow: /p/\nAllow: /p/open/\n", "/p/open/a.jpg", True),
        ("User-agent: *\nDisallow: /p/\nAllow: /p/open/\n", "/p/a.jpg", False),
        ("User-agent: *\nDisallow: /*.gif$\n", "/a.gif", False),
        ("User-agent: *\nDisallow: /*.gif$\n", "/a.gif?x", True),
        ("\ufeffUser-agent: *\r\nDisallow: /\r\n", "/a.jpg", False),
        ("# nothing\n\n\x00\x01 nonsense : :\n", "/a.jpg", True),
    ],
)
def test_robots_txt(text: str, path: str, allowed: bool) -> None:
    assert Rules(text.encode()).allow(HOST + path) is allowed


def test_of_a_huge_robots_txt_the_beginning_counts() -> None:
    rules = b"User-agent: *\nDisallow: /private/\n"
    padding = b"# " + b"x" * MAX_BYTES + b"\n"
    assert not Rules(rules + padding).allow(f"{HOST}/private/a.jpg")
    assert Rules(padding + rules).allow(f"{HOST}/private/a.jpg")


@given(st.binary(max_size=300))
def test_any_bytes_are_rules(text: bytes) -> None:
    assert Rules(text).allow(f"{HOST}/a.jpg") in (True, False)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://host.example/a/b.jpg?q#f", "https://host.example/robots.txt"),
        ("http://host.example:8080/a", "http://host.example:8080/robots.txt"),
        ("http://user:word@host.example/a", "http://host.example/robots.txt"),
        ("http://[2001:db8::1]/a", "http://[2001:db8::1]/robots.txt"),
    ],
)
def test_where_it_lies(url: str, address: str) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ([], ""), (["all"], ""), (["noindex, nofollow"], ""), (["noindex", "noai"], "noai"), (["NOAI"], "noai"),
        (["max-image-preview: large, noai"], "noai"), (["unavailable_after: 25 Jun 2030 15:00:00 PST, noml"], "noml"),
        (["max-snippet: 5"], ""), (["gravurekit: noai"], "noai"), (["GravureKit:noml"], "noml"),
        (["googlebot: noai"], ""), (["googlebot: noai", "noimageai"], "noimageai"), (["noaixyz"], ""), ([""], ""),
    ],
)  # fmt: skip
def test_words_beside_a_picture(tags: list[str], word: str) -> None:
    assert opt_out(tags) == word


@given(st.lists(st.text(max_size=40), max_size=4), st.text(max_size=4))
def test_any_words_are_an_opt_out_or_none(tags: list[str], reservation: str) -> None:
    assert opt_out(tags, reservation) in {"", "tdm-reservation", *OPT_OUTS}
