"""Lists of one's own: what each kind of file may hold, and what is said of one that can't be read."""

import asyncio
import csv
import io
import json
import os
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gravurekit.errors import UsageError
from gravurekit.record import Record
from gravurekit.sources import Result, Terms, urls

ONE, TWO = "https://a.example/1.jpg", "https://b.example/2.png?w=9&h=8"
WHOLE = Result(
    url=ONE,
    page_url="https://a.example/p",
    title="A red, “big” dress",
    creator="Jane Doe",
    license="CC-BY-SA-4.0",
    license_url="https://creativecommons.org/licenses/by-sa/4.0/",
    label="dress",
)
TABLE = {
    "url": ONE,
    "page_url": "https://a.example/p",
    "title": "A red, “big” dress",
    "creator": "Jane Doe",
    "license": "cc by-sa",
    "license_url": "https://creativecommons.org/licenses/by-sa/4.0/",
    "label": "dress",
}


@pytest.fixture
def listed(tmp_path: Path) -> Any:
    """`listed(".txt", text or bytes)`: what a file of this suffix gives."""

    def read(suffix: str, content: str | bytes) -> list[Result]:
        path = tmp_path / f"list{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return urls.read(path)

    return read


def table(*rows: dict[str, str], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def addresses(found: list[Result]) -> list[str]:
    return [item.url for item in found]


# ---- what they hold -------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_has_an_address_a_line(start: str, end: str, listed: Any) -> None:
    lines = ["# a comment", ONE, "", "  ", f" {TWO} ", "https://a.example/?3#top", ONE, "#https://c.example/"]
    assert listed(".txt", start + end.join(lines)) == [Result(ONE), Result(TWO), Result("https://a.example/?3")]


def test_only_ends_of_lines_end_lines(listed: Any) -> None:
    assert addresses(listed(".txt", f"{ONE}?a\u2028b\x1cc\x0bd\n{TWO}")) == [f"{ONE}?a%E2%80%A8b%1Cc%0Bd", TWO]


def test_an_address_that_is_none_is_handed_on_to_be_counted(listed: Any) -> None:
    for suffix, content in (
        (".txt", "ftp://a.example/1\nno address\n/etc/passwd"),
        (".csv", "url\nftp://a.example/1\nno address\n/etc/passwd"),
        (".jsonl", '{"url": "ftp://a.example/1"}\n{"url": "no address"}\n{"url": "/etc/passwd"}'),
    ):
        assert addresses(listed(suffix, content)) == ["ftp://a.example/1", "no address", "/etc/passwd"]


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t"), (".CSV", ",")])
def test_a_table_is_read_by_its_header(suffix: str, delimiter: str, start: str, listed: Any) -> None:
    assert listed(suffix, start + table(TABLE, delimiter=delimiter)) == [WHOLE]
    back = dict(reversed(TABLE.items())) | {"width": "7"}
    assert listed(suffix, start + table(back, delimiter=delimiter)) == [WHOLE]


def test_a_table_may_lack_columns_cells_and_rows(listed: Any) -> None:
    content = f" URL ,Caption,title\n{ONE},red dress,\n{TWO}\n\n,,\n , \nhttps://c.example/3,a,b,c,d\n"
    assert listed(".csv", content) == [
        Result(ONE, title="red dress"), Result(TWO), Result("https://c.example/3", title="b"),
    ]  # fmt: skip
    assert listed(".csv", "url") == []


def test_cells_may_hold_ends_of_lines_and_quotes(listed: Any) -> None:
    content = f'title,url\n"a ""red""\n, dress",{ONE}\n12" wide,{TWO}\n'
    assert [(item.title, item.url) for item in listed(".csv", content)] == [('a "red" , dress', ONE), ('12" wide', TWO)]


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_objects_have_the_same_names(start: str, listed: Any) -> None:
    lines = [json.dumps(TABLE), "", json.dumps({"url": TWO, "width": 7, "title": None, "label": ["x"]}), " "]
    assert listed(".jsonl", start + "\n".join(lines)) == [WHOLE, Result(TWO)]


def test_a_folders_own_records_will_do(listed: Any) -> None:
    record = Record(
        key="0" * 16, url=ONE, page_url=WHOLE.page_url, title="x", license="CC-BY-SA-4.0", labels=("dress",)
    )
    (found,) = listed(".jsonl", record.to_json())
    assert (found.url, found.page_url, found.license) == (ONE, WHOLE.page_url, "CC-BY-SA-4.0")


def test_addresses_beside_the_picture_lead_into_the_web_or_nowhere(listed: Any) -> None:
    about = {"url": ONE, "page_url": "javascript:alert(1)", "license": "CC0", "license_url": "javascript:alert(2)"}
    (found,) = listed(".jsonl", json.dumps(about))
    assert (found.page_url, found.license, found.license_url) == ("", "CC0-1.0", "")


def test_an_unknown_licence_is_kept_in_its_words(listed: Any) -> None:
    (found,) = listed(".csv", f"url,license\n{ONE},by my leave\n")
    assert found.license == "by my leave"


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_an_empty_list_is_empty(suffix: str, listed: Any) -> None:
    assert listed(suffix, "") == listed(suffix, "\n \n") == []


# ---- what can't be read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "content", "said"),
    [
        (".csv", "", "no column `url`"),
        (".csv", "link,title\nx,y", "no column `url`.*page_url"),
        (".csv", f"url;title\n{ONE};x", "no column `url`"),
        (".csv", ONE, "no column `url`"),
        (".csv", f"url,title\n{ONE},x\n,only a title\n", "line 3: no `url`"),
        (".csv", f'url,title\n{ONE},"never\nclosed', "line 3.*no row"),
        (".csv", f'url,title\n{ONE},"closed" early\n', "line 2.*no row"),
        (".csv", f"url,title\n{ONE},{'x' * 200_000}\n", "line 2.*no row"),
        (".csv", "x" * 200_000, "line 1.*no row"),
        (".jsonl", f'{{"url": "{ONE}"}}\n{{"url": ', "line 2: no JSON object"),
        (".jsonl", "\n[]", "line 2: no JSON object"),
        (".jsonl", "[" * 100_000, "line 1: no JSON object"),
        (".jsonl", f'{{"url": {"9" * 5000}}}', "line 1: no JSON object"),
        (".jsonl", "null", "line 1: no JSON object"),
        (".jsonl", "{}", "line 1: no `url`"),
        (".jsonl", '{"url": 7}', "line 1: no `url`"),
        (".jsonl", '{"url": " "}', "line 1: no `url`"),
        (".txt", b"https://a.example/\xff", "UTF-8.*byte 18"),
        (".txt", "\ufeffhttps://a.example/".encode("utf-16"), "UTF-8"),
        (".json", "[]", "suffix"),
        ("", ONE, "suffix"),
    ],
)
def test_what_cant_be_read_is_said_with_its_place(suffix: str, content: str | bytes, said: str, listed: Any) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        listed(suffix, content)
    assert f"list{suffix}" in str(caught.value)


def test_no_file_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    os.mkfifo(tmp_path / "pipe.txt")
    for name in ("missing.txt", "folder.txt", "pipe.txt", f"{'x' * 300}.txt", "nul\x00.txt", "folder.txt/below.txt"):
        with pytest.raises(UsageError, match="list"):
            urls.read(tmp_path / name)


def connected(argument: str) -> list[Result]:
    async def results() -> list[Result]:
        web: Any = None
        async with urls.connect(argument, urls.Settings(), web, Terms()) as connection:
            assert [item async for item in connection.search("x")] == [item async for item in connection.search("")]
            return [item async for item in connection.search("")]

    return asyncio.run(results())


def test_a_connection_gives_the_list_whatever_the_query(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{ONE}\n{TWO}", "utf-8")
    assert addresses(connected(str(tmp_path / "list.txt"))) == [ONE, TWO]
    with pytest.raises(UsageError, match="urls:FILE"):
        connected("")
    with pytest.raises(UsageError, match="missing.txt"):
        connected(str(tmp_path / "missing.txt"))


# ---- whatever they hold ---------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.integers() | st.text() | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(urls.COLUMNS), inner, max_size=5),
    max_leaves=9,
)
CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.text(st.sampled_from('url,"\t\n\r\0{}:#x é')).map(str.encode),
    st.lists(st.sampled_from([b"url", b",", b"\t", b"\n", b'"', b"\0", b"title", b"https://a.example/"])).map(b"".join),
    st.lists(JSON, max_size=3).map(lambda lines: "\n".join(json.dumps(line) for line in lines).encode()),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([".txt", ".csv", ".tsv", ".jsonl"]), CONTENTS)
def test_any_file_is_a_list_or_said_to_be_none(listed: Any, suffix: str, content: bytes) -> None:
    try:
        found = listed(suffix, content)
    except UsageError as error:
        str(error).encode()
        return
    assert len(set(addresses(found))) == len(found)
    for item in found:
        assert item.url and item.url == item.url.strip()
        "".join(astuple(item)).encode()
