"""Crawls that follow one another into one folder: other words, other sources, after a kill, after a loss."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crawling import kept, listed, pictures
from hostile import Site, serving
from hypothesis import given
from hypothesis import strategies as st
from odd_pictures import drawn
from typer.testing import Result
from workspace import digests, until

from gravurekit import metadata, storage
from gravurekit.errors import StorageError
from gravurekit.keywords import Keyword
from gravurekit.sources import Result as Found
from gravurekit.stages import _harvest
from gravurekit.stages._journal import Feed, Journal, in_order, merged, to_records

Run = Callable[..., Result]


def of_bing(site: Site, *words: str) -> tuple[str, ...]:
    manners = ("--executor", "serial", "--allow-private-addresses", "--endpoint", f"bing={site.address}")
    return ("crawl", *words, "--source", "bing", *manners)


def of_list(path: Path) -> tuple[str, ...]:
    return ("crawl", "--source", f"urls:{path}", "--executor", "serial", "--allow-private-addresses")


def reasons() -> dict[str, str]:
    return {Path(item.url).name: item.reason for item in metadata.read_lines(Path("raw", metadata.DROPPED))}


def labels() -> dict[str, tuple[str, ...]]:
    return {Path(item.url).name: item.labels for item in kept()}


# ---- order ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("", "ab", "ab"), ("a", "b", "ab"), ("ab", "c", "abc"), ("a", "ba", "ba"), ("ab", "ba", "ba"),
        ("ab", "ca", "cab"), ("abc", "b", "abc"), ("abc", "cxa", "cxba"), ("abc", "bxy", "abxyc"), ("abc", "", "abc"),
        ("ab", "xyb", "axyb"), ("abcd", "dcba", "dcba"),
    ],
)  # fmt: skip
def test_the_newest_order_counts_and_elsewhere_the_one_before(before: str, now: str, expected: str) -> None:
    assert "".join(merged(before, now)) == expected


def test_a_grown_folder_is_the_same_whoever_answers_first(site: Site, gravurekit: Run, tmp_path: Path) -> None:
    """The journal has its searches in the order in which they ended; the Records mustn't."""
    found = {}
    for first, second in (("a", "b"), ("b", "a")):
        journal = Journal(tmp_path / f"{first}.jsonl")
        journal.name([Keyword("a", "a"), Keyword("b", "b")], ["bing"])
        for word in (first, second):
            results = (Found(url="http://x.example/1.jpg"), Found(url=f"http://x.example/{word}.jpg"))
            journal.add_feed(Feed("bing", Keyword(word, word), results), 100, "")
        journal.name([Keyword("c", "c")], ["bing"])
        journal.close()
        again = Journal.load(tmp_path / f"{first}.jsonl")
        found[first] = to_records(in_order(again), again, "any")
    assert found["a"] == found["b"]
    assert {item.labels for item in found["a"][1] if item.url.endswith("/1.jpg")} == {("a", "b")}


def test_a_new_keyword_reclassifies_nothing(site: Site, gravurekit: Run) -> None:
    site.results = {"a": pictures(site, 1, 2), "b": pictures(site, 2, 3)}
    assert gravurekit(*of_bing(site, "a")).exit_code == 0
    assert gravurekit(*of_bing(site, "b")).exit_code == 0
    assert labels() == {"1.jpg": ("a",), "2.jpg": ("a", "b"), "3.jpg": ("b",)}
    assert gravurekit(*of_bing(site, "b", "a")).exit_code == 0, "said in another order, it is another order"
    assert labels()["2.jpg"] == ("b", "a")


def test_one_query_under_two_labels_is_asked_once_and_has_both(site: Site, gravurekit: Run) -> None:
    site.results = {"a": pictures(site, 1)}
    result = gravurekit(*of_bing(site, "x: a", "y: a"))
    assert result.exit_code == 0 and labels() == {"1.jpg": ("x", "y")}
    assert len([path for path in site.of("/images/async") if "first=0" in path]) == 1
    assert result.stdout.splitlines()[-1].split()[:3] == ["a", "1", "1"]


@given(st.text("abcdef", max_size=6), st.text("abcdef", max_size=6))
def test_whatever_was_named_the_newest_order_holds(before: str, now: str) -> None:
    found = merged(before, now)
    assert sorted(found) == sorted({*before, *now})
    assert [item for item in found if item in now] == list(dict.fromkeys(now))
    assert merged(found, now) == found
    assert [item for item in found if item not in now] == [item for item in dict.fromkeys(before) if item not in now]


# ---- other sources -------------------------------------------------------------------------------------


def test_a_killed_crawl_and_then_another_source(site: Site, gravurekit: Run, tmp_path: Path) -> None:
    site.results = {"a": [*pictures(site, 1), site.url("/silent")]}
    command = [sys.executable, "-m", "gravurekit", *of_bing(site, "a")]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        journal = tmp_path / "raw" / "journal.jsonl"
        assert until(lambda: journal.exists() and '"feed"' in journal.read_text("utf-8"))
        os.killpg(process.pid, signal.SIGKILL)
    lines = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    unproven = [line for line in lines if "file_name" not in line]  # as if killed between download and proof
    storage.write_lines(journal, map(json.dumps, unproven))
    result = gravurekit(*of_list(listed(site, tmp_path, 5)))
    assert result.exit_code == 0, result.exception
    assert [Path(item.url).name for item in kept()] == ["5.jpg"] and reasons()["silent"] == "not-fetched"


def test_a_lost_file_of_a_source_that_isnt_asked_waits_until_it_is(site: Site, gravurekit: Run, tmp_path: Path) -> None:
    site.results = {"a": pictures(site, 1, 2)}
    assert gravurekit(*of_bing(site, "a")).exit_code == 0
    lost = kept()[0]
    Path("raw", lost.file_name).unlink()
    assert gravurekit(*of_list(listed(site, tmp_path, 5))).exit_code == 0
    assert len(kept()) == 2 and list(reasons().values()) == ["lost"]
    assert gravurekit(*of_bing(site, "a")).exit_code == 0
    assert len(kept()) == 3 and not reasons()


def test_a_source_that_is_named_twice_is_asked_once(site: Site, gravurekit: Run) -> None:
    site.results = {"a": pictures(site, 1, 2)}
    result = gravurekit(*of_bing(site, "a"), "--source", "bing")
    assert result.exit_code == 0 and result.stdout.splitlines()[-1].split()[:3] == ["a", "2", "2"]


# ---- more of the same ----------------------------------------------------------------------------------


def test_a_copy_under_the_same_keyword_is_no_second_picture(site: Site, gravurekit: Run) -> None:
    site.bodies["copy.jpg"] = site.bodies["1.jpg"]
    site.results = {"a": [*pictures(site, 1), site.url("/pictures/copy.jpg"), *pictures(site, 2)]}
    result = gravurekit(*of_bing(site, "a"))
    assert result.stdout.splitlines()[-1].split() == ["a", "3", "2", "0", "1", "2"]


def test_results_that_are_known_are_counted_once(site: Site, gravurekit: Run) -> None:
    site.results = {"a": pictures(site, 1, 2, 3, 4)}
    assert gravurekit(*of_bing(site, "a"), "--per-keyword", "2").exit_code == 0
    result = gravurekit(*of_bing(site, "a"), "--per-keyword", "4")
    assert result.stdout.splitlines()[-1].split() == ["a", "4", "2", "2", "0", "4"]


def test_a_list_of_copies_is_no_failure_and_nothing_new(site: Site, gravurekit: Run, tmp_path: Path) -> None:
    site.bodies |= {"8.jpg": site.bodies["1.jpg"], "9.jpg": site.bodies["2.jpg"]}
    site.results = {"a": pictures(site, 1, 2)}
    assert gravurekit(*of_bing(site, "a")).exit_code == 0
    command = of_list(listed(site, tmp_path, 8, 9))
    result = gravurekit(*command)
    assert result.exit_code == 0 and result.stdout.splitlines()[-1].split()[1:] == ["2", "0", "0", "2", "2"]
    assert "fresh" in gravurekit(*command).stdout


def test_a_picture_that_was_lost_is_counted_once(site: Site, gravurekit: Run) -> None:
    site.bodies |= {"8.jpg": site.bodies["1.jpg"], "9.jpg": site.bodies["1.jpg"]}
    site.results = {"a": pictures(site, 1, 8, 9)}
    assert gravurekit(*of_bing(site, "a")).exit_code == 0
    Path("raw", kept()[0].file_name).unlink()
    result = gravurekit(*of_bing(site, "a"))
    assert result.stdout.splitlines()[-1].split()[:6] == ["a", "3", "1", "0", "2", "1"]


def test_what_two_sources_refuse_together_is_fetched_once_at_most(site: Site, gravurekit: Run) -> None:
    urls = pictures(site, 1, 2, 3)
    lists = [("CC BY-NC 4.0", "CC BY 4.0"), ("CC BY 4.0", "CC BY-NC 4.0", "CC BY 4.0")]
    for n, said in enumerate(lists):
        rows = "".join(f"{url},{words}\n" for url, words in zip(urls, said, strict=False))
        storage.write_text(Path(f"{n}.csv"), f"url,license\n{rows}")
    command = ("crawl", "--source", "urls:0.csv", "--source", "urls:1.csv", "--license", "open", "--executor", "serial")
    ahead = gravurekit(*command, "--allow-private-addresses", "--dry-run")
    assert ahead.stdout.split() == urls[2:]
    assert gravurekit(*command, "--allow-private-addresses").exit_code == 4, "nothing of the first list is left"
    assert [item.url for item in kept()] == urls[2:] and set(reasons().values()) == {"license"}
    site.forget()
    assert gravurekit(*command, "--allow-private-addresses", "--timeout", "61").exit_code == 4
    assert not site.of("/pictures/")


def test_equal_files_of_a_folder_are_one_picture(gravurekit: Run, tmp_path: Path) -> None:
    for n in range(24):
        storage.write_bytes(tmp_path / "photos" / f"{n}.jpg", drawn(1, comment=bytes(60_000)))
    for store in ("link", "copy"):
        result = gravurekit("crawl", "--source", "folder:photos", "--store", store, "--out", store)
        assert result.exit_code == 0 and len(metadata.read_lines(Path(store, metadata.METADATA))) == 1


def test_whoever_made_a_folders_pictures_is_said_by_knobs(gravurekit: Run, tmp_path: Path) -> None:
    storage.write_bytes(tmp_path / "photos" / "dress" / "1.jpg", drawn(1))
    command = ("crawl", "--source", "folder:photos")
    refused = gravurekit(*command, "--license", "open")
    assert refused.exit_code == 2 and "folder.license" in str(refused.exception)
    for knob in ("page_url=a.example/photos", "license_url=javascript:alert(1)"):
        refused = gravurekit(*command, "--set", f"folder.{knob}")
        assert refused.exit_code == 2 and knob.partition("=")[0] in str(refused.exception)
    refused = gravurekit(*command, "--set", "folder.license=CC BY-ND 4.0", "--license", "derivatives")
    assert refused.exit_code == 2 and "CC-BY-ND-4.0" in str(refused.exception)
    assert gravurekit(*command).exit_code == 0 and kept()[0].license == ""
    told = ("license=CC0 1.0", "creator=A. Person", "page_url=https://a.example/photos")
    words = [word for knob in told for word in ("--set", f"folder.{knob}")]
    assert gravurekit(*command, *words, "--license", "open").exit_code == 0
    (item,) = kept()
    assert (item.license, item.creator, item.page_url) == ("CC0-1.0", "A. Person", "https://a.example/photos")
    assert item.license_url.startswith("https://creativecommons.org/") and item.labels == ("dress",)


def test_a_list_is_remembered_once(site: Site, gravurekit: Run, tmp_path: Path) -> None:
    command = of_list(listed(site, tmp_path, 1, 2))
    for timeout in ("61", "62", "63"):
        assert gravurekit(*command, "--timeout", timeout).exit_code == 0
    assert Path("raw/journal.jsonl").read_text("utf-8").count('"feed"') == 1


def test_one_keyword_that_fails_holds_up_no_other(site: Site, gravurekit: Run) -> None:
    site.results = {"good": pictures(site, 1), "better": pictures(site, 2)}
    site.statuses = {"bad": 500, "worse": 400}
    result = gravurekit(*of_bing(site, "bad", "worse", "good", "better"), "--tries", "1")
    assert result.exit_code == 4 and len(kept()) == 2
    assert "no picture for: bad, worse" in result.stderr and "500" in result.stdout and "400" in result.stdout


def test_a_run_without_a_picture_leaves_an_account(site: Site, gravurekit: Run) -> None:
    site.results = {"a": [site.url("/status?404"), site.url("/status?410")]}
    result = gravurekit(*of_bing(site, "a"))
    assert result.exit_code == 4 and "none of 2 links gave a picture" in str(result.exception)
    assert sorted(reasons().values()) == ["http-404", "http-410"] and not kept()
    assert gravurekit("report", "raw").exit_code == 0
    site.forget()
    assert gravurekit(*of_bing(site, "a")).exit_code == 4, "and it isn't fresh"
    site.results["a"] += pictures(site, 1)
    assert gravurekit(*of_bing(site, "a"), "--per-keyword", "101").exit_code == 0 and len(kept()) == 1


# ---- damage, and hosts that mean harm ------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        {"feed": ["bing", "zz"], "label": "zz", "limit": 1, "knobs": "", "results": [{"url": 5}]},
        {"feed": ["bing", "zz"], "label": "zz", "limit": 1, "knobs": "", "results": [{"url": ["x"]}]},
        {"feed": ["bing", ["zz"]], "label": 7, "limit": "x", "results": 3},
        {"order": {"keywords": [["a"]], "sources": 5}}, {"order": 7}, {"url": ["x"], "sha256": "y"},
        {"sha256": "y", "file_name": 7, "width": 1, "height": 1},
        {"feed": ["bing", "zz"], "label": "", "limit": 1e999, "results": []},
        {"feed": ["bing", "zz"], "label": ["q"], "limit": 1, "results": [{"url": "http://127.0.0.1/z"}]},
        {"feed": ["bing", "zz"], "label": "", "limit": 1, "results": [{"url": "http://x.example/", "title": "\ud800"}]},
        {"url": "http://x.example/", "reason": "x", "detail": "\ud800"},
    ],
)  # fmt: skip
def test_a_line_that_is_no_event_is_as_if_not_written(line: Any, site: Site, gravurekit: Run) -> None:
    site.results = {"a": pictures(site, 1), "b": pictures(site, 2)}
    assert gravurekit(*of_bing(site, "a")).exit_code == 0
    storage.append_line(Path("raw/journal.jsonl"), json.dumps(line))
    assert gravurekit(*of_bing(site, "a", "b")).exit_code == 0
    assert [Path(item.url).name for item in sorted(kept(), key=lambda item: item.url)] == ["1.jpg", "2.jpg"]


def test_no_answer_of_a_host_breaks_the_journal(site: Site, gravurekit: Run) -> None:
    site.results = {"a": [*pictures(site, 1), site.url("/garbled")]}
    assert gravurekit(*of_bing(site, "a")).exit_code == 0
    assert reasons() == {"garbled": "bad-url"}


def test_a_look_ahead_prints_an_address_a_line_whatever_it_is_made_of(site: Site, gravurekit: Run) -> None:
    site.results = {"a": ["http://x.example/\x1b]0;PWNED\x07\nhttp://evil.example/", "http://u:secret@x.example/1.jpg"]}
    result = gravurekit(*of_bing(site, "a"), "--dry-run")
    assert len(result.stdout.splitlines()) == 2 and "\x1b" not in result.stdout and "secret" not in result.stdout


def test_a_full_disk_at_a_proof_ends_the_crawl_and_says_so(
    site: Site, gravurekit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.results = {"a": pictures(site, 1, 2)}
    add = Journal.add

    def full(journal: Journal, entry: dict[str, Any]) -> None:
        if "file_name" in entry:
            raise StorageError("can't write it: the disk is full")
        add(journal, entry)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", full)
        result = gravurekit(*of_bing(site, "a"))
    assert result.exit_code == 5 and "disk is full" in str(result.exception)
    assert gravurekit(*of_bing(site, "a")).exit_code == 0 and len(kept()) == 2


def test_a_page_of_ten_megabytes_is_read_and_one_without_end_is_not(site: Site, gravurekit: Run) -> None:
    site.results = {"a": pictures(site, 1)}
    site.padding = {"a": 10_000_000, "b": 20_000_000}
    result = gravurekit(*of_bing(site, "a", "b"), "--max-bytes", "50000")
    assert result.exit_code == 4 and len(kept()) == 1 and "too-big" in result.stdout


def test_a_slow_host_holds_up_no_other(site: Site, gravurekit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick host is done before the slow one has answered at all."""
    monkeypatch.setattr(_harvest, "WORKERS", 32)
    with serving() as slow:
        slow.results = {}
        waiting = [slow.url(f"/held?{n}") for n in range(40)]
        site.results = {"a": [*waiting, *pictures(site, 1, 2, 3)]}
        hasty = ("--timeout", "5", "--tries", "1")
        quick = {f"/pictures/{n}.jpg" for n in (1, 2, 3)}
        slow.gate = lambda: quick <= set(site.order)
        assert gravurekit(*of_bing(site, "a"), "--per-keyword", "400", "--no-robots", *hasty).exit_code == 0
    assert len(kept()) == 3 and set(reasons().values()) == {"http-404"}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--endpoint", "bing=http://[::1"), "http://HOST:PORT"), (("--endpoint", "bing=http://"), "http://HOST:PORT"),
        (("--endpoint", "bing=http://x.example:99999"), "http://HOST:PORT"),
        (("--endpoint", "bing=http://x.example/path"), "without a path"),
        (("--endpoint", "bing=ftp://x.example"), "http://HOST:PORT"), (("--endpoint", "bing"), "NAME=http"),
        (("--endpoint", "sample=http://127.0.0.1:1"), "asks no host"), (("--retry", "failed:http404"), "http404"),
        (("--endpoint", "bing=http://a.example", "--endpoint", "bing=http://b.example"), "given twice"),
        (("--retry", "failed:time-out"), "did you mean 'timeout'"), (("--source", "flickr"), "FLICKR_API_KEY"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_before_anybody_is_asked(
    flags: tuple[str, ...], says: str, gravurekit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLICKR_API_KEY", raising=False)
    result = gravurekit("crawl", "a", "--source", "bing", *flags)
    assert result.exit_code == 2 and says in str(result.exception) and not Path("raw").exists()


def test_a_flags_endpoint_joins_those_of_the_file(site: Site, gravurekit: Run) -> None:
    site.results = {"a": pictures(site, 1)}
    site.answers["/v1/images/"] = b'{"results": [], "page_count": 1}'
    ends = f'{{ openverse = "{site.address}", bing = "http://127.0.0.1:1" }}'
    storage.write_text(Path("gravurekit.toml"), f'[paths]\nsources = ["bing", "openverse"]\nendpoints = {ends}\n')
    result = gravurekit("crawl", "a", "--endpoint", f"bing={site.address}", "--allow-private-addresses")
    assert result.exit_code == 0 and site.of("/v1/images/") and len(kept()) == 1


@pytest.mark.parametrize(("laxer", "stricter"), [("CC0", "CC BY-NC-ND 4.0"), ("CC BY 4.0", "CC BY-SA 4.0")])
@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_licences_the_stricter_one_counts(
    laxer: str, stricter: str, swapped: bool, site: Site, gravurekit: Run
) -> None:
    (url,) = pictures(site, 1)
    words = (stricter, laxer) if swapped else (laxer, stricter)
    for n, said in enumerate(words):
        storage.write_text(Path(f"{n}.csv"), f"url,license\n{url},{said}\n")
    lists = ("--source", "urls:0.csv", "--source", "urls:1.csv", "--allow-private-addresses", "--executor", "serial")
    result = gravurekit("crawl", *lists, "--license", "open")
    if stricter == "CC BY-SA 4.0":
        assert [item.license for item in kept()] == ["CC-BY-SA-4.0"]
    else:
        assert result.exit_code == 4 and list(reasons().values()) == ["license"]


def test_the_same_bytes_whatever_the_connections_and_jobs(site: Site, gravurekit: Run) -> None:
    site.bodies["copy.jpg"] = site.bodies["1.jpg"]
    site.results = {"a": pictures(site, 1, 2, 3), "b": [site.url("/pictures/copy.jpg"), *pictures(site, 3, 4, 5)]}
    manners = [
        ("--connections", "1", "--per-host", "1"),
        ("--connections", "64"),
        ("--executor", "local", "--jobs", "2"),
    ]
    found = []
    for n, knobs in enumerate(manners):
        assert gravurekit(*of_bing(site, "a", "b"), *knobs, "--out", f"raw{n}").exit_code == 0
        found.append(digests(Path(f"raw{n}"), but=("journal.jsonl", "receipt.json", ".gravurekit.lock")))
    assert found[0] == found[1] == found[2] and len(found[0]) >= 7


def test_names_that_nobody_resolves_hold_up_no_others(
    site: Site, gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def slow(host: Any, *others: Any, **more: Any) -> Any:
        if str(host).endswith(".dead"):
            until(lambda: site.of("/pictures/"), within=6)
            raise socket.gaierror(socket.EAI_AGAIN, "nobody answers")
        return real(host, *others, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    links = [f"http://{n}.dead/1.jpg" for n in range(40)] + [site.url("/pictures/1.jpg", "localhost")]
    storage.write_text(tmp_path / "links.txt", "\n".join(links))
    manners = ("--tries", "1", "--connect-timeout", "2", "--connections", "64", "--no-robots")
    assert gravurekit(*of_list(tmp_path / "links.txt"), *manners).exit_code == 0
    assert len(kept()) == 1 and {item.reason for item in metadata.read_lines(Path("raw", metadata.DROPPED))} == {
        "connection"
    }
