"""Google's pages: data in scripts, plain links, walls, and what must not be taken for a result."""

import asyncio
import json
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from wild import read_or_refused

from gravurekit.errors import Blocked, UnknownLayout
from gravurekit.sources import Result, Terms, _google, google

URLS = ["https://a.example/1.webp", "https://b.example/picture", "https://c.example/three.png?w=1&h=2"]


def entry(n: int, url: object, page: object = "https://p.example/", title: object = "A dress") -> list:
    """A result as Google writes it."""
    thumbnail = f"https://encrypted-tbn0.gstatic.com/images?q=tbn:{n}&s"
    about = {"2000": [None, "p.example", "68KB"], "2003": [None, "ref", page, title, None]}
    return [1, [0, f"id{n}", [thumbnail, 183, 275], [url, 900, 600], None, 0, "rgb(1,2,3)", None, 0, about]]


def script(data: object, start: str = "AF_initDataCallback({key: 'ds:1', hash: '2', data:") -> str:
    """Data as a script hands it on, with Google's escapes."""
    text = json.dumps(data).replace("=", "\\u003d").replace("&", "\\u0026").replace("<", "\\u003c")
    return f"<script nonce='x'>{start}{text}, sideChannel: {{}}}});</script>"


def page(*scripts: str, body: str = "") -> bytes:
    return f"<!doctype html><html><head><title>x</title></head><body>{body}{''.join(scripts)}</body></html>".encode()


def urls(answer: bytes) -> list[str]:
    return [result.url for result in _google.read_page(answer)]


DATA = [None, [["GRID", None, [entry(n, url) for n, url in enumerate(URLS)]]], "x"]
DECOY = "<script>var logo='https://www.gstatic.com/og/logo.png', x=[\"https://www.gstatic.com/og/logo.png\",92,272]</script>"
OTHER = script(
    [["https://www.gstatic.com/og/logo.png", 1, 1], "https://a.example/x.jpg"],
    "AF_initDataCallback({key: 'ds:0', data:",
)


def test_results_have_their_picture_their_page_and_their_title() -> None:
    rich = entry(1, URLS[2], "https://p.example/a?b=1&c=2", "A <b>red</b> dress &amp; hat")
    assert _google.read_page(page(DECOY, OTHER, script([rich]))) == [
        Result(url=URLS[2], page_url="https://p.example/a?b=1&c=2", title="A red dress & hat")
    ]


@pytest.mark.parametrize(
    "start",
    ["AF_initDataCallback({key: 'ds:1', hash: '2', data:", "AF_initDataCallback({key:'ds:1',data:",
     "AF_initDataCallback({key: 'ds:1', isError:  false , hash: '2', data:",
     "AF_initDataCallback({key: 'ds:1', isError: false, hash: '2', data:function(){return ",
     "AF_initDataCallback({key: 'ds:7', hash: '11', data: "],
)  # fmt: skip
def test_no_url_loses_its_ending_whatever_the_shell_around_the_data(start: str) -> None:
    assert urls(page(DECOY, script(DATA, start), OTHER)) == URLS


def test_the_depth_and_the_place_of_a_result_dont_matter() -> None:
    deep = [[[{"444383007": entry(1, URLS[0])[1]}]], {"x": {"y": entry(2, URLS[1])}}]
    assert urls(page(script(deep))) == URLS[:2]
    assert (
        urls(page("<script>(function(){var m={" + f'"a":{json.dumps(entry(1, URLS[0]))}' + "};})()</script>"))
        == URLS[:1]
    )


def test_pairs_in_one_list_keep_their_own_descriptions() -> None:
    flat = [part for n, url in enumerate(URLS) for part in entry(n, url, title=f"No {n}")[1][2:]]
    del flat[-1]  # the last has no description, and doesn't borrow one
    assert [(r.url, r.title) for r in _google.read_page(page(script(flat)))] == [
        (URLS[0], "No 0"), (URLS[1], "No 1"), (URLS[2], "")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "entry_2003", [..., None, [], {}, [1, 2, 3, 4], [0, 0, "p", None], [0, 0, ["x"], {"a": 1}]], ids=str
)
def test_a_description_that_cant_be_read_costs_only_itself(entry_2003: object) -> None:
    bare = entry(1, URLS[0])
    bare[1][-1] = None if entry_2003 is ... else {"2003": entry_2003}
    assert _google.read_page(page(script([bare]))) == [Result(url=URLS[0])]


@pytest.mark.parametrize(
    "url", [None, 7, "", "x", "data:image/png;base64,AA", "https://encrypted-tbn2.gstatic.com/1", ["a"]]
)
def test_what_is_no_picture_is_left_out(url: object) -> None:
    assert urls(page(script([entry(1, url), entry(2, URLS[0])]))) == URLS[:1]
    with pytest.raises(UnknownLayout):
        _google.read_page(page(script([entry(1, url)])))


@pytest.mark.parametrize(
    "broken",
    ["AF_initDataCallback({key: 'ds:1', data:[1,", "AF_initDataCallback({key: 'ds:3'});", "var m={a:1}",
     "AF_initDataCallback({data:undefined})", "AF_initDataCallback({data:" + "[" * 100_000],
)  # fmt: skip
def test_a_damaged_script_costs_only_itself(broken: str) -> None:
    assert urls(page(f"<script>{broken}</script>", script(DATA))) == URLS


def test_plain_pages_link_to_pictures() -> None:
    source, found_on = "https://a.example/1 ö.webp?w=1&h=2%20", "https://p.example/?a=1&b=2"
    asked = f"imgurl={quote(source, safe='')}&amp;imgrefurl={quote(found_on, safe='')}&amp;w=1&amp;h=2"
    body = f'<a href="/search?q=x">x</a><a href="/imgres?{asked}"><img></a>'
    asked_for = "https://a.example/1%20%C3%B6.webp?w=1&h=2%20"
    assert _google.read_page(page(body=body)) == [Result(url=asked_for, page_url=found_on)]
    whole = '<a href="https://www.google.com/imgres?imgurl=https://a.example/2&amp;tbm=isch">x</a>'
    assert urls(page(body=body + whole)) == [asked_for, "https://a.example/2"]


@pytest.mark.parametrize("href", ["/imgres?", "/imgres?imgurl=", "/imgres?imgurl=x", "http://[/imgres?imgurl=http://a.example/",
                                  "/imgres?imgurl=http://a.example/" + "&amp;a=b" * 1000])  # fmt: skip
def test_a_link_that_leads_nowhere_is_left_out(href: str) -> None:
    good = '<a href="/imgres?imgurl=https://a.example/2">x</a>'
    assert urls(page(body=f'<a href="{href}">x</a>{good}')) == ["https://a.example/2"]
    with pytest.raises(UnknownLayout):
        _google.read_page(page(body=f'<a href="{href}">x</a><p>did not match any documents</p>'))


ENABLE = '<noscript><a href="/httpservice/retry/enablejs?sei=x">here</a></noscript>'


@pytest.mark.parametrize(
    "wall",
    ['<form action="https://consent.google.com/save" method="POST"><button>Alle akzeptieren</button></form>',
     "<h1>Before you continue to Google</h1>", '<form id="captcha-form" action="index"></form>',
     "<p>Our systems have detected <b>unusual traffic</b> from your computer network.</p>",
     '<div class="g-recaptcha" data-sitekey="x"></div>', f"{ENABLE}<div id='main'></div>", DECOY + ENABLE],
)  # fmt: skip
def test_a_wall_is_no_empty_answer(wall: str) -> None:
    with pytest.raises(Blocked, match="google: .*another source"):
        _google.read_page(page(body=wall))


@pytest.mark.parametrize(
    "empty",
    [page(body="<p>Your search - <b>xqzw captcha</b> - did not match any image results.</p>" + ENABLE),
     page(OTHER, body="<p>Your search - xqzw - did not match any documents.</p>"), page(script([]), DECOY),
     page(script(None)), page(body="<p>It looks like there aren't any great matches for your search</p>")],
)  # fmt: skip
def test_an_empty_answer_is_no_failure(empty: bytes) -> None:
    assert _google.read_page(empty) == []


@pytest.mark.parametrize(
    "strange",
    [b"", b"{}", b"\x00\xff", page(), page(DECOY), page(OTHER), page(script(["a", "b"])),
     page(body="<a href='/url?q=https://a.example/'>A page of the web</a>"), page(body=ENABLE + "word " * 1000)],
)  # fmt: skip
def test_what_isnt_known_is_said(strange: bytes) -> None:
    with pytest.raises(UnknownLayout, match="google: a page holds no results"):
        _google.read_page(strange)


def test_results_win_over_what_stands_beside_them() -> None:
    assert urls(page(script(DATA), body=ENABLE + "<div class='captcha'></div>did not match any documents")) == URLS


LEAVES = (
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from([*URLS, "https://encrypted-tbn0.gstatic.com/x"])
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["2003", "x"]), inner), max_leaves=12
)
PIECES = st.sampled_from(
    [script(DATA).encode(), b"<script>AF_initDataCallback({data:", b"[[", b"<a href='/imgres?imgurl=http://a.example/",
     b"'>", b"</script>", b"\0", b"\xff\xfe", b"<!--", b"var m={", b"\\ud800\"", b"&#xd800;"]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=12), max_size=8).map(b"".join))
def test_any_bytes_are_results_or_a_failure_of_the_source(answer: bytes) -> None:
    read_or_refused(_google.read_page, answer)


@given(JSON, JSON, JSON)
def test_any_data_is_results_or_a_failure_of_the_source(url: object, found_on: object, title: object) -> None:
    read_or_refused(_google.read_page, page(script([entry(1, url, found_on, title), title])))
    read_or_refused(_google.read_page, page(script(url)))


def test_hostile_pages_end_soon() -> None:
    starts = b"AF_initDataCallback({key: 'ds:1', data:[" * 50_000
    with pytest.raises(UnknownLayout):
        _google.read_page(starts)
    flat = [[f"https://encrypted-tbn0.gstatic.com/{n}"] if n % 2 else [URLS[0]] for n in range(50_000)]
    assert len(urls(page(script(flat)))) == 24_999


@pytest.mark.parametrize("query", ["red dress", "a & b", "q=1&start=9", "kırmızı elbise", "100% #1 c++ ?", "\udce9"])
@pytest.mark.parametrize("safe, said", [(True, "active"), (False, "off")])
def test_a_query_survives_its_address(query: str, safe: bool, said: str) -> None:
    addresses = list(_google.page_urls(query, {"type": "photo", "size": ">2mp", "license": "commercial"}, safe))
    assert len(addresses) == len(set(addresses)) == 10
    for n, address in enumerate(addresses):
        parts = urlsplit(address)
        assert (parts.scheme, parts.hostname, parts.path, parts.fragment) == ("https", "www.google.com", "/search", "")
        asked = parse_qs(parts.query)
        assert asked["q"] == [query.replace("\udce9", "?")]
        assert asked["tbs"] == ["itp:photo,isz:lt,islt:2mp,sur:fc"]
        assert (asked["start"], asked["safe"], asked["tbm"], asked["hl"]) == ([str(100 * n)], [said], ["isch"], ["en"])


@pytest.mark.parametrize(
    "size", ["large", "medium", "icon", "=800x600", ">400x300", ">1024x768", ">2mp", ">15mp", ">70mp"]
)
def test_every_size_makes_an_address(size: str) -> None:
    assert "isz" in next(_google.page_urls("dress", {"size": google.Settings(size=size).size}))


@pytest.mark.parametrize("size", ["huge", "=8", ">3mp", ">800x601", "large "])
def test_a_size_that_google_doesnt_know_is_refused(size: str) -> None:
    with pytest.raises(ValidationError):
        google.Settings(size=size)


def test_a_search_goes_on_until_a_page_brings_nothing_new() -> None:
    pages = [page(script([entry(1, URLS[0]), entry(2, URLS[1])])), page(script([entry(1, URLS[1]), entry(2, URLS[2])]))]
    asked = []

    class Web:
        async def get_page(self, source: str, url: str) -> bytes:
            asked.append((source, parse_qs(urlsplit(url).query)))
            return [*pages, pages[0]][len(asked) - 1]

    async def search() -> list[str]:
        knobs = google.Settings(color="red")
        async with google.connect("", knobs, Web(), Terms(safe=False)) as connection:  # type: ignore[arg-type]
            return [result.url async for result in connection.search("red dress")]

    assert asyncio.run(search()) == URLS
    assert [(source, query["start"], query["safe"], query["tbs"]) for source, query in asked] == [
        ("google", [start], ["off"], ["ic:specific,isc:red"]) for start in ("0", "100", "200")
    ]
