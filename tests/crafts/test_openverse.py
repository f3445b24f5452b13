"""Openverse's API: pages of results, its refusals, its licences, and answers that are none."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wild import gathered

from gravurekit.errors import Blocked, FetchError, UnknownLayout, UsageError
from gravurekit.licenses import Wish
from gravurekit.sources import Result, Terms, openverse
from gravurekit.sources.openverse import ANONYMOUS, REGISTERED, Allowance, Settings

BY_SA = "https://creativecommons.org/licenses/by-sa/4.0/"
GONE = FetchError("http-404", "the host answered 404", body=b'{"detail": "Not found."}')


def item(number: int, **about: object) -> dict[str, Any]:
    return {
        "id": "7c829a03-fb24-4b57-9b03-65f43ed19395",
        "title": "A <i>red</i> dress &amp; hat",
        "foreign_landing_url": f"https://commons.wikimedia.org/w/index.php?curid={number}",
        "url": f"https://upload.wikimedia.org/wikipedia/commons/{number}.jpg",
        "creator": "Jane Doe",
        "license": "by-sa",
        "license_version": "4.0",
        "license_url": BY_SA,
        "provider": "wikimedia",
        "mature": False,
        "unstable__sensitivity": [],
    } | about


def page(*items: object, pages: object = 1) -> bytes:
    return json.dumps({"result_count": 9, "page_count": pages, "page_size": 20, "results": items}).encode()


def url(number: int) -> str:
    return f"https://upload.wikimedia.org/wikipedia/commons/{number}.jpg"


def refusal(reason: str, answer: object = None) -> FetchError:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return FetchError(reason, f"the host answered {reason[5:]}", body=body)


class Host:
    """Gives its answers one after the other; an exception is raised. Past the last there are only empty pages."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []
        self.headers: list[Mapping[str, str]] = []

    async def fetch(self, address: str) -> bytes:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc, parts.path) == ("https", "api.openverse.org", "/v1/images/")
        self.asked.append({name: value for name, (value,) in parse_qs(parts.query).items()})
        answer = self.answers[len(self.asked) - 1] if len(self.asked) <= len(self.answers) else page()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def get_page(self, source: str, address: str, headers: Mapping[str, str]) -> bytes:
        assert source == "openverse"
        self.headers.append(headers)
        return await self.fetch(address)


def search(
    host: Host, query: str = "dress", terms: Terms = Terms(), allowance: Allowance = ANONYMOUS, **knobs: Any
) -> tuple[list[Result], Exception | None]:
    """What a search gives, and what ended it if it didn't just end."""
    return gathered(openverse.search(query, Settings(**knobs), terms, host.fetch, allowance))


# ---- one answer -----------------------------------------------------------------------------------------


def test_an_item_is_read() -> None:
    assert openverse.read_page(page(item(1), pages=12)) == openverse.Page(
        [
            Result(
                url=url(1),
                page_url="https://commons.wikimedia.org/w/index.php?curid=1",
                title="A red dress & hat",
                creator="Jane Doe",
                license="CC-BY-SA-4.0",
                license_url=BY_SA,
            )
        ],
        hidden=0,
        pages=12,
    )


@pytest.mark.parametrize("nothing", [None, "", 7, [], {}, ...], ids=str)
def test_what_isnt_there_is_empty(nothing: object) -> None:
    keys = ("title", "foreign_landing_url", "creator", "license", "license_version", "license_url")
    about = item(1) | dict.fromkeys(keys, nothing)
    if nothing is ...:
        about = {"url": url(1)}
    assert openverse.read_page(page(about)).found == [Result(url=url(1))]


@pytest.mark.parametrize(
    ("code", "version", "address", "name"),
    [
        ("by", "2.0", "https://creativecommons.org/licenses/by/2.0/", "CC-BY-2.0"),
        ("by-nc-nd", "4.0", "https://creativecommons.org/licenses/by-nc-nd/4.0/", "CC-BY-NC-ND-4.0"),
        ("by", None, "https://creativecommons.org/licenses/by/2.0/", "CC-BY-2.0"),
        ("by-sa", "3.0", "https://creativecommons.org/licenses/by-sa/3.0/de/", "CC-BY-SA-3.0-DE"),
        ("cc0", "1.0", "https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("pdm", "1.0", "https://creativecommons.org/publicdomain/mark/1.0/", "PDM-1.0"),
        ("sampling+", "1.0", "https://creativecommons.org/licenses/sampling+/1.0/", "CC-sampling+-1.0"),
        ("nc-sampling+", "1.0", "https://creativecommons.org/licenses/nc-sampling+/1.0/", "CC-nc-sampling+-1.0"),
        ("by", "4.0", "https://creativecommons.org/licenses/by-nc/4.0/", "CC-BY-NC-4.0"),
        ("by", "4.0", "", "CC-BY-4.0"),
        ("", "4.0", "https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("unheard-of", "1.0", "", "unheard-of 1.0"),
    ],
)
def test_licences(code: str, version: object, address: str, name: str) -> None:
    about = item(1, license=code, license_version=version, license_url=address)
    (found,) = openverse.read_page(page(about)).found
    assert found.license == name
    assert not address or found.license_url == address


@pytest.mark.parametrize("damaged", [None, 7, "text", [], {}, {"url": None}, {"url": 7}, {"url": "ftp://a.example/1"}])
def test_a_damaged_item_costs_only_itself(damaged: object) -> None:
    assert [found.url for found in openverse.read_page(page(item(1), damaged, item(2))).found] == [url(1), url(2)]
    with pytest.raises(UnknownLayout, match="none of the 2"):
        openverse.read_page(page(damaged, damaged))


@pytest.mark.parametrize("sign", [{"mature": True}, {"unstable__sensitivity": ["user_reported_sensitivity"]}], ids=str)
def test_what_isnt_for_children_is_left_out_unless_it_is_wanted(sign: dict[str, object]) -> None:
    answer = page(item(1, **sign), item(2))
    assert [found.url for found in openverse.read_page(answer).found] == [url(2)]
    assert [found.url for found in openverse.read_page(answer, safe=False).found] == [url(1), url(2)]


def test_an_empty_answer_is_no_result_and_no_failure() -> None:
    assert search(Host(page(pages=0))) == ([], None)


@pytest.mark.parametrize(
    "strange",
    [b"", b"<html><body>Just a moment...</body></html>", b"[]", b"null", b"7", b"{}", b'{"results": null}', b"\xff\xfe",
     b'{"results": {}}', b'{"results": "none"}', b'{"detail": "Not found."}', b"[" * 100_000, b'{"results": [' * 9000],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_failure_of_the_source(strange: bytes) -> None:
    with pytest.raises(UnknownLayout, match="openverse"):
        openverse.read_page(strange)


# ---- what is asked --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["red dress", "gowns & kaftans", "100% #1 c++ ?", "kırmızı elbise", '"exact"', "a\ud83d"]
)
def test_a_query_reaches_the_host_intact(query: str) -> None:
    host = Host()
    search(host, query)
    assert host.asked == [{"q": query.replace("\ud83d", "?"), "page": "1", "page_size": "20", "mature": "false"}]


def test_a_query_is_no_longer_than_the_host_reads() -> None:
    host = Host()
    search(host, "x" * 300)
    assert host.asked[0]["q"] == "x" * 200


@pytest.mark.parametrize(
    ("wish", "asked"),
    [
        ("any", {}),
        ("open", {"license_type": "commercial,modification"}),
        ("public-domain", {"license": "cc0,pdm"}),
        ("commercial", {"license_type": "commercial"}),
        ("derivatives", {"license_type": "modification"}),
    ],
)
def test_the_host_filters_licences_and_what_is_safe(wish: Wish, asked: dict[str, str]) -> None:
    host = Host()
    search(host, terms=Terms(license=wish, safe=False), allowance=REGISTERED)
    assert host.asked == [{"q": "dress", "page": "1", "page_size": "100", "mature": "true"} | asked]


def test_settings_reach_the_host() -> None:
    knobs = {"source": "met,wikimedia", "category": "photograph", "aspect_ratio": "tall", "size": "large"}
    host = Host()
    search(host, **knobs, extension="jpg")
    assert host.asked[0].items() >= {**knobs, "extension": "jpg"}.items()


# ---- a search -------------------------------------------------------------------------------------------


def test_pages_follow_one_another_to_the_last_and_each_picture_comes_once() -> None:
    host = Host(page(item(1), item(2), pages=3), page(item(2), item(3), pages=3), page(item(4), pages=3), page(item(5)))
    found, ended = search(host)
    assert ([item.url for item in found], ended) == ([url(1), url(2), url(3), url(4)], None)
    assert [asked["page"] for asked in host.asked] == ["1", "2", "3"]


@pytest.mark.parametrize("pages", [None, "many", 10**6, 1e300, [], ...], ids=str)
def test_a_search_ends_whatever_the_number_of_pages(pages: object) -> None:
    endless = Host(*(page(item(n), pages=pages if pages is not ... else None) for n in range(99)))
    found, ended = search(endless)
    assert (len(found), ended) == (12, None)
    repeating = Host(*[page(item(1), pages=pages if pages is not ... else None)] * 99)
    assert len(search(repeating)[0]) == 1
    assert len(repeating.asked) == 2


def test_a_page_of_hidden_pictures_isnt_the_end() -> None:
    host = Host(page(item(1, mature=True), pages=2), page(item(2), pages=2))
    assert [found.url for found in search(host)[0]] == [url(2)]


def test_fewer_pages_than_there_were_are_the_end() -> None:
    assert search(Host(page(item(1), pages=9), GONE)) == (openverse.read_page(page(item(1))).found, None)


def test_trouble_on_a_later_page_keeps_what_was_found() -> None:
    for trouble, kind in ((b"<html>", UnknownLayout), (refusal("http-429"), Blocked), (refusal("timeout"), FetchError)):
        found, ended = search(Host(page(item(1), pages=9), trouble))
        assert [item.url for item in found] == [url(1)]
        assert isinstance(ended, kind)


THROTTLED = {"detail": "Request was throttled. Expected available in 8 seconds."}
INPUT = {"error": "InputError", "detail": "Invalid source parameter.", "fields": ["source"]}


@pytest.mark.parametrize(
    ("error", "knobs", "allowance", "kind", "said"),
    [
        (refusal("http-429", THROTTLED), {}, ANONYMOUS, Blocked, "available in 8 seconds.*OPENVERSE_TOKEN"),
        (refusal("http-429", b""), {}, ANONYMOUS, Blocked, "answered 429"),
        (refusal("http-403", b"<html>no</html>"), {}, ANONYMOUS, Blocked, "answered 403"),
        (refusal("http-401", {"detail": "page_size"}), {}, ANONYMOUS, Blocked, "page_size.*OPENVERSE_TOKEN"),
        (refusal("http-401", {"detail": "Expired"}), {}, REGISTERED, UsageError, "OPENVERSE_TOKEN.*Expired"),
        (refusal("http-400", INPUT), {"source": "moon"}, ANONYMOUS, UsageError, r"\[crawl.openverse\] source.*Invalid"),
        (refusal("http-400", INPUT), {}, ANONYMOUS, UnknownLayout, "Invalid source"),
        (refusal("http-400", {"detail": {"q": ["x"]}}), {}, ANONYMOUS, UnknownLayout, "answered 400"),
        (refusal("http-400", {"fields": 7}), {"source": "met"}, ANONYMOUS, UnknownLayout, "answered 400"),
        (GONE, {}, ANONYMOUS, UnknownLayout, "Not found"),
        (refusal("http-500"), {}, ANONYMOUS, FetchError, "answered 500"),
        (refusal("timeout"), {}, ANONYMOUS, FetchError, "timeout"),
    ],
)
def test_refusals_say_what_to_do(
    error: FetchError, knobs: dict[str, Any], allowance: Allowance, kind: type[Exception], said: str
) -> None:
    found, ended = search(Host(error), allowance=allowance, **knobs)
    assert (found, type(ended)) == ([], kind)
    with pytest.raises(kind, match=said):
        raise ended  # type: ignore[misc]


@pytest.mark.parametrize(
    ("token", "headers", "page_size"),
    [("", {}, "20"), (" \n", {}, "20"), (" aB3-._~ \n", {"Authorization": "Bearer aB3-._~"}, "100")],
)
def test_a_token_is_sent_and_allows_more(
    token: str, headers: dict[str, str], page_size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENVERSE_TOKEN", token)
    host = Host(page(item(1)))

    async def connected() -> list[Result]:
        async with openverse.connect("", Settings(), host, Terms()) as connection:  # type: ignore[arg-type]
            return [result async for result in connection.search("dress")]

    assert len(asyncio.run(connected())) == 1
    assert (host.headers, host.asked[0]["page_size"]) == ([headers], page_size)


@pytest.mark.parametrize("token", ["two words", "a\nX-Evil: 1", "schlüssel"])
def test_a_token_that_is_none_is_refused_without_being_shown(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVERSE_TOKEN", token)

    async def connected() -> None:
        async with openverse.connect("", Settings(), Host(), Terms()):  # type: ignore[arg-type]
            ...

    with pytest.raises(UsageError, match="OPENVERSE_TOKEN") as caught:
        asyncio.run(connected())
    assert token not in str(caught.value)


# ---- whatever comes -------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["results", "url", "license", "page_count", "mature", "https://a.example/1", "by", "\ud83d", "<b>"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.sampled_from(list(item(1))), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(
    JSON | st.fixed_dictionaries({"results": st.lists(JSON, max_size=3)}, optional={"page_count": JSON}), st.booleans()
)
def test_any_json_is_results_or_an_unknown_layout(answer: object, safe: bool) -> None:
    found, ended = search(Host(*[json.dumps(answer).encode()] * 3), terms=Terms(safe=safe))
    assert ended is None or type(ended) is UnknownLayout
    for result in found:
        assert result.url.startswith("http")
        "".join(astuple(result)).encode()


@given(st.sampled_from(["http-400", "http-401", "http-403", "http-404", "http-429", "http-500"]), JSON | st.binary())
def test_any_refusal_is_one_of_the_failures(reason: str, answer: object) -> None:
    found, ended = search(Host(refusal(reason, answer)))
    assert not found
    assert isinstance(ended, (Blocked, UnknownLayout, FetchError))
    str(ended).encode()
