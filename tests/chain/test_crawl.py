"""The crawl as people use it, against a server on this machine that does everything wrong."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from crawling import dropped, kept, pictures, said
from hostile import Site, serving
from odd_pictures import BAD, GOOD, drawn
from pages import Page
from typer.testing import Result
from workspace import run_here

from gravurekit import metadata, storage

Run = Callable[..., Result]
WALL = b'<html><body><form action="/sorry/captcha">unusual traffic from your network</form></body></html>'
STRANGE = b"<html><body>" + b"<p>Welcome to the new picture search! <img src=x></p>" * 40 + b"</body></html>"


# ---- whatever comes ------------------------------------------------------------------------------------

ROADS = {
    "/status?404": "http-404", "/status?403": "http-403", "/status?410": "http-410", "/status?500": "http-500",
    "/reset": "short-body", "/short": "short-body",
    "/understated?plain.jpg": "unreadable",
    "/overstated": "too-big", "/endless": "too-big", "/bomb": "too-big", "/slow": "timeout", "/silent": "timeout",
    "/loop?1": "redirects", "/noise": "connection", "/to?file:///etc/passwd": "bad-url",
    "/to?http://169.254.169.254/latest/meta-data/iam": "blocked-address",
    "/to?http://[fe80::1]/": "blocked-address", "/pictures/gone.jpg": "http-404", "/no-gzip": "short-body",
}  # fmt: skip
PATIENT = {"/flaky?429&1&1&3.jpg": 3, "/flaky?429&1&now&4.jpg": 4, "/flaky?500&1&&5.jpg": 5, "/to?/pictures/6.jpg": 6}
ELSEWHERE = {
    "http://nobody.invalid/a.jpg": {"connection"}, "https://127.0.0.1:1/a.jpg": {"connection"},
}  # fmt: skip


@pytest.fixture(scope="module")
def voyage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Path, Result]]:
    """One crawl over everything that goes wrong."""
    out = tmp_path_factory.mktemp("voyage") / "raw"
    with serving() as site:
        site.bodies = {f"{n}.jpg": drawn(100 + n) for n in range(12)}
        site.bodies |= {name: make() for name, (make, *_) in GOOD.items()}
        site.bodies |= {name: make() for name, (make, _) in BAD.items()}
        links = [site.url(f"/pictures/{quote(name)}") for name in (*GOOD, *BAD)]
        links += [site.url(path) for path in (*ROADS, *PATIENT)] + list(ELSEWHERE)
        damaged: list[Any] = [{"purl": "no picture"}, {"murl": 7}, {"murl": "javascript:alert(1)"}, "http://[::1/a.jpg"]
        site.results["everything"] = [*damaged, *links]
        result = run_here(
            "crawl", "everything", "--source", "bing", "--endpoint", f"bing={site.address}", "--out", str(out),
            "--allow-private-addresses", "--max-bytes", "200000", "--timeout", "2", "--tries", "2", "--jobs", "2",
        )  # fmt: skip
        yield site, out, result


def test_a_crawl_over_all_that_goes_wrong_ends_well(voyage: tuple[Site, Path, Result]) -> None:
    site, out, result = voyage
    assert result.exit_code == 0, said(result)
    expected = len(GOOD) + len(PATIENT)
    lost = metadata.read_lines(out / metadata.DROPPED)
    assert len(kept(out)) == expected and len(lost) == len(BAD) + len(ROADS) + len(ELSEWHERE)
    assert f"{expected} kept" in result.stdout and "http-404 2" in result.stdout
    assert not (out / "incoming").exists()


@pytest.mark.parametrize("name", GOOD, ids=lambda name: name[:30])
def test_pictures_of_every_kind_come_and_are_named_by_content(name: str, voyage: tuple[Site, Path, Result]) -> None:
    site, out, _ = voyage
    make, extension, size = GOOD[name]
    (found,) = [item for item in kept(out) if unquote(item.url).endswith(f"/{name}")]
    assert found.file_name == f"images/{found.key}.{extension}" and (found.width, found.height) == size
    assert (out / found.file_name).read_bytes() == make()
    assert found.robots == "allowed" and found.source == "bing" and found.keywords == ("everything",)


@pytest.mark.parametrize("name", BAD)
def test_what_only_looks_like_a_picture_is_dropped_with_its_reason(
    name: str, voyage: tuple[Site, Path, Result]
) -> None:
    found = dropped(voyage[1])[f"/pictures/{name}"]
    assert found.reason == BAD[name][1] and found.detail


@pytest.mark.parametrize("path", ROADS)
def test_a_link_that_leads_nowhere_is_dropped_with_its_reason(path: str, voyage: tuple[Site, Path, Result]) -> None:
    site, out, _ = voyage
    found = dropped(out)[path]
    alike = {"short-body", "connection", "unreadable"}  # which of them depends on who hangs up when
    assert found.reason == ROADS[path] or {found.reason, ROADS[path]} < alike, found.detail
    assert found.detail.isprintable() and len(found.detail) < 300
    if found.reason in ("http-404", "http-403", "http-410", "too-big", "redirects", "blocked-address"):
        assert site.asked[path] <= 1


@pytest.mark.parametrize("path", PATIENT)
def test_a_host_that_comes_round_gives_its_picture(path: str, voyage: tuple[Site, Path, Result]) -> None:
    assert any(item.url.endswith(path) for item in kept(voyage[1]))


@pytest.mark.parametrize("url", ELSEWHERE)
def test_an_address_that_is_none_or_answers_nobody_is_dropped(url: str, voyage: tuple[Site, Path, Result]) -> None:
    found = {item.url: item for item in metadata.read_lines(voyage[1] / metadata.DROPPED)}
    assert found[url].reason in ELSEWHERE[url]


def test_a_host_that_wants_to_be_left_alone_costs_only_itself(site: Site, crawl: Run) -> None:
    with serving() as other:
        other.bodies = {"9.jpg": drawn(9)}
        patience = site.url("/flaky?429&9&3600")
        site.results = {"dress": [patience, *pictures(site, 1, 2), other.url("/pictures/9.jpg")]}
        assert crawl("dress", "--per-host", "1").exit_code == 0
        assert [Path(item.url).name for item in kept()] == ["9.jpg"] and not site.of("/pictures/")
        assert sorted(item.reason for item in dropped().values()) == ["http-429", "not-asked", "not-asked"]
        again = crawl("dress", "--retry", "failed:not-asked", "--per-host", "1")
        assert again.exit_code == 0 and len(kept()) == 3 and site.asked["/flaky?429&9&3600"] == 1


# ---- what a search comes to ----------------------------------------------------------------------------


def test_a_wall_a_new_layout_and_nothing_found_are_three_things(site: Site, crawl: Run, tmp_path: Path) -> None:
    site.results["good"] = pictures(site, 1)
    site.pages = {"walled": WALL, "changed": STRANGE}
    outcomes = {}
    for word in ("walled", "changed", "empty"):
        result = crawl("good", word, "--out", f"raw-{word}")
        assert result.exit_code == 4, said(result)
        assert len(kept(tmp_path / f"raw-{word}")) == 1
        (line,) = [line for line in result.stdout.splitlines() if f"'{word}'" in line]
        outcomes[word] = line.strip()
        assert f"no picture for: {word}" in result.stderr
    assert outcomes["walled"].startswith("bing, 'walled': blocked: ") and "captcha" in outcomes["walled"]
    assert outcomes["changed"].startswith("bing, 'changed': unknown layout: ")
    assert outcomes["empty"] == "bing, 'empty': nothing found"


@pytest.mark.parametrize(
    ("page", "expected"),
    [(WALL, "captcha"), (STRANGE, "layout may have changed"), (None, "found nothing"), (b"", "found nothing")],
)
def test_a_crawl_that_brings_nothing_is_never_a_success(
    page: bytes | None, expected: str, site: Site, crawl: Run
) -> None:
    if page is not None:
        site.pages["word"] = page
    result = crawl("word")
    assert result.exit_code == 4 and expected in str(result.exception)
    assert "another" in str(result.exception), "it says what to do"


def test_a_keyword_whose_links_are_all_dead_is_no_silent_success(site: Site, crawl: Run) -> None:
    site.results = {"good": pictures(site, 1), "dead": [site.url("/status?404"), site.url("/pictures/gone.jpg")]}
    result = crawl("good", "dead")
    assert result.exit_code == 4 and "no picture for: dead" in result.stderr and len(kept()) == 1
    site.results["dead"] += pictures(site, 2)
    again = crawl("good", "dead", "--per-keyword", "101")
    assert again.exit_code == 0 and len(kept()) == 2


def test_an_empty_answer_isnt_believed_for_good(site: Site, crawl: Run) -> None:
    site.results = {"good": pictures(site, 1)}
    assert crawl("good", "late").exit_code == 4
    site.results["late"] = pictures(site, 2)
    result = crawl("good", "late")
    assert result.exit_code == 0 and "nothing came the last time for: late" in result.stderr and len(kept()) == 2


def test_a_look_ahead_says_what_brings_nothing_and_goes_on(site: Site, crawl: Run) -> None:
    site.results = {"good": pictures(site, 1), "better": pictures(site, 2)}
    site.pages = {"changed": STRANGE}
    result = crawl("good", "changed", "empty", "better", "--dry-run")
    assert [Path(line).name for line in result.stdout.split()] == ["1.jpg", "2.jpg"] and result.exit_code == 4
    assert "changed, empty" in str(result.exception) and "layout" in str(result.exception)
    assert "bing found nothing for 'empty'" in result.stderr and not site.of("/pictures/")


# ---- memory --------------------------------------------------------------------------------------------


def test_a_second_run_asks_for_nothing_and_a_new_keyword_for_what_is_new(site: Site, crawl: Run) -> None:
    site.results = {"red dress": pictures(site, 1, 2, 3), "blue dress": pictures(site, 3, 4)}
    assert crawl("red dress").exit_code == 0
    before = {item.key: item for item in kept()}
    site.forget()
    assert "fresh" in crawl("red dress").stdout and not site.order
    assert crawl("red dress", "blue dress").exit_code == 0
    assert site.of("/pictures/") == ["/pictures/4.jpg"]
    after = {item.key: item for item in kept()}
    assert len(after) == 4 and before.keys() < after.keys()
    (both,) = [item for item in after.values() if item.url.endswith("/3.jpg")]
    assert both.keywords == ("red dress", "blue dress")
    assert len(list(Path("raw/images").iterdir())) == 4


def test_a_second_source_adds_to_the_folder(site: Site, crawl: Run, tmp_path: Path) -> None:
    site.results = {"dress": pictures(site, 1, 2)}
    assert crawl("dress").exit_code == 0
    links = tmp_path / "links.txt"
    storage.write_text(links, "\n".join(pictures(site, 2, 3)) + "\n")
    site.forget()
    added = crawl(source=f"urls:{links}")
    assert added.exit_code == 0
    assert site.of("/pictures/") == ["/pictures/3.jpg"]
    assert added.stdout.splitlines()[-1].split()[1:] == ["2", "1", "1", "0", "2"], "both are in the folder"
    assert {Path(item.url).name: item.keywords for item in kept()} == {
        "1.jpg": ("dress",),
        "2.jpg": ("dress",),
        "3.jpg": (),
    }


def test_the_same_bytes_under_two_links_are_one_file_with_both_keywords(site: Site, crawl: Run) -> None:
    site.bodies["copy.jpg"] = site.bodies["1.jpg"]
    site.results = {"red": pictures(site, 1), "crimson": [site.url("/pictures/copy.jpg")]}
    result = crawl("red", "crimson")
    assert result.exit_code == 0, "both keywords have a picture"
    (only,) = kept()
    assert only.keywords == ("red", "crimson") and only.url.endswith("/1.jpg")
    (copy,) = dropped().values()
    assert copy.reason == "same-bytes" and copy.kept_key == only.key


def test_failures_are_asked_for_again_by_their_class(site: Site, crawl: Run) -> None:
    failing = [site.url("/pictures/later.jpg"), site.url("/pictures/page.jpg"), site.url("/status?410")]
    site.bodies["page.jpg"] = b"<html>no</html>"
    site.results = {"dress": [*pictures(site, 1), *failing]}
    assert crawl("dress").exit_code == 0 and len(kept()) == 1
    site.bodies |= {"later.jpg": drawn(50), "page.jpg": drawn(51)}

    def asked(*retry: str) -> list[str]:
        site.forget()
        assert crawl("dress", *retry).exit_code == 0
        return sorted(site.of("/pictures/", "/status"))

    assert asked() == []
    assert asked("--retry", "failed:timeout") == []
    assert asked("--retry", "failed:http-404") == ["/pictures/later.jpg"] and len(kept()) == 2
    assert asked("--retry", "failed:not-an-image,http-404") == ["/pictures/page.jpg"] and len(kept()) == 3
    assert asked("--retry", "failed") == ["/status?410"]
    assert crawl("dress", "--retry", "yes").exit_code == 2


def test_a_limit_that_is_raised_asks_again_for_what_it_had_refused(site: Site, crawl: Run) -> None:
    site.results = {"dress": pictures(site, 1, 2)}
    site.bodies["2.jpg"] = drawn(2) + bytes(50_000)
    assert crawl("dress", "--max-bytes", "20000").exit_code == 0 and len(kept()) == 1
    site.forget()
    assert crawl("dress").exit_code == 0
    assert site.of("/pictures/") == ["/pictures/2.jpg"] and len(kept()) == 2


# ---- manners -------------------------------------------------------------------------------------------


def test_robots_are_heeded_recorded_and_overruled(site: Site, crawl: Run) -> None:
    site.robots = "User-agent: *\nDisallow: /pictures/2.jpg\n"
    site.headers["3.jpg"] = {"X-Robots-Tag": "noai"}
    site.results = {"dress": pictures(site, 1, 2, 3)}
    assert crawl("dress").exit_code == 0
    assert {path: item.reason for path, item in dropped().items()} == {
        "/pictures/2.jpg": "robots",
        "/pictures/3.jpg": "robots",
    }
    assert site.asked["/pictures/2.jpg"] == 0 and [item.robots for item in kept()] == ["allowed"]
    assert crawl("dress", "--no-robots").exit_code == 0
    said = {Path(item.url).name: item.robots for item in kept()}
    assert said == {"1.jpg": "allowed", "2.jpg": "not asked", "3.jpg": "overruled: noai"}


def test_whoever_crawls_can_be_reached_and_searches_are_safe(site: Site, crawl: Run) -> None:
    site.results = {"dress": pictures(site, 1)}
    assert crawl("dress", "--contact", "mail@example.org").exit_code == 0
    assert site.agent.startswith("gravurekit/") and "mail@example.org" in site.agent
    assert all("adlt=strict" in path for path in site.of("/images/async"))
    site.forget()
    assert crawl("dress", "--no-safe").exit_code == 0
    assert site.of("/images/async") and all("adlt=off" in path for path in site.of("/images/async"))


def test_without_leave_no_private_address_is_asked(site: Site, gravurekit: Run) -> None:
    result = gravurekit("crawl", "dress", "--source", "bing", "--endpoint", f"bing={site.address}")
    assert result.exit_code == 4 and "isn't a public address" in str(result.exception) and not site.order


def test_an_endpoint_may_stand_in_the_settings_file(site: Site, gravurekit: Run) -> None:
    site.results = {"dress": pictures(site, 1)}
    said = f'[paths]\nsources = ["bing"]\nkeywords = ["dress"]\nendpoints = {{ bing = "{site.address}" }}\n'
    storage.write_text(Path("gravurekit.toml"), said + "[crawl]\nallow_private_addresses = true\n")
    assert gravurekit("crawl").exit_code == 0 and len(kept()) == 1
    assert gravurekit("crawl", "--endpoint", "nowhere=http://127.0.0.1:1").exit_code == 2
    assert gravurekit("crawl", "--endpoint", "bing").exit_code == 2


# ---- licences ------------------------------------------------------------------------------------------

LICENSED = {1: "CC0", 2: "CC BY 4.0", 3: "CC BY-SA 3.0", 4: "CC BY-NC 2.0", 5: "CC BY-ND 4.0", 6: "", 7: "ask me"}
WISHES = {
    "any": {1, 2, 3, 4, 5, 6, 7}, "open": {1, 2, 3}, "public-domain": {1}, "commercial": {1, 2, 3, 5},
    "derivatives": {1, 2, 3, 4},
}  # fmt: skip


@pytest.mark.parametrize("wish", WISHES)
def test_a_licence_is_checked_on_each_result(wish: str, site: Site, crawl: Run, tmp_path: Path) -> None:
    table = tmp_path / "links.csv"
    rows = [f'{site.url(f"/pictures/{n}.jpg")},"{words}",Somebody' for n, words in LICENSED.items()]
    storage.write_text(table, "\n".join(["url,license,creator", *rows]) + "\n")
    assert crawl("--license", wish, source=f"urls:{table}").exit_code == 0
    assert {int(Path(item.url).stem) for item in kept()} == WISHES[wish]
    assert {item.reason for item in dropped().values()} <= {"license"}
    assert {int(Path(path).stem) for path in site.of("/pictures/")} == WISHES[wish], "what isn't wanted isn't fetched"


def test_a_source_that_tells_no_licences_and_a_wish_for_one_dont_go_together(site: Site, crawl: Run) -> None:
    result = crawl("dress", "--license", "open")
    assert result.exit_code == 2 and "tells no licences" in str(result.exception) and not site.order


def openverse(site: Site, *items: tuple[int, str, str]) -> bytes:
    """An answer of Openverse with pictures of these numbers, licences and versions."""
    results = [
        {
            "id": str(n), "title": f"Dress {n}", "url": site.url(f"/pictures/{n}.jpg"), "license": name,
            "license_version": version, "license_url": f"https://creativecommons.org/licenses/{name}/{version}/",
            "creator": f"Painter {n}", "foreign_landing_url": f"https://museum.example/{n}", "mature": False,
        }
        for n, name, version in items
    ]  # fmt: skip
    return json.dumps({"result_count": len(results), "page_count": 1, "results": results}).encode()


def test_several_sources_are_harvested_together_and_credited(site: Site, gravurekit: Run) -> None:
    site.results = {"dress": pictures(site, 1, 2, 3)}
    site.answers["/v1/images/"] = openverse(site, (3, "by", "4.0"), (4, "by-sa", "4.0"), (5, "by-nc", "2.0"))
    ends = [word for name in ("bing", "openverse") for word in ("--endpoint", f"{name}={site.address}")]
    both = ("--source", "bing", "--source", "openverse", *ends, "--allow-private-addresses", "--executor", "serial")

    ahead = gravurekit("crawl", "dress", *both, "--dry-run")
    assert ahead.exit_code == 0 and not site.of("/pictures/") and not Path("raw").exists()
    listed = [Path(line).name for line in ahead.stdout.split()]
    assert listed == ["1.jpg", "3.jpg", "2.jpg", "4.jpg", "5.jpg"], "the sources take turns"
    assert "6 results: 5 new, 1 duplicate" in ahead.stderr
    lines = [
        json.loads(line) for line in gravurekit("crawl", "dress", *both, "--dry-run", "--json").stdout.splitlines()
    ]
    assert [(line["source"], line["rank"], line["state"]) for line in lines[:2]] == [
        ("bing", 1, "new"), ("openverse", 1, "new"),
    ]  # fmt: skip
    assert lines[1]["license"] == "CC-BY-4.0" and lines[1]["keyword"] == "dress"

    done = gravurekit("crawl", "dress", *both, "--json")
    assert done.exit_code == 0
    counts = json.loads(done.stdout)["facts"]["keywords"]["dress"]
    assert counts["found"] == 6 and counts["new"] == 5 and counts["duplicate"] == 1 and counts["kept"] == 5
    assert {item.source for item in kept()} == {"bing", "openverse"}

    credited = gravurekit("credits", "raw")
    assert credited.exit_code == 0
    page = Path("raw/CREDITS.md").read_text("utf-8")
    assert "Painter 4" in page and "CC-BY-SA-4.0" in page and "https://museum.example/5" in page
    assert "no known licence" in credited.stdout and len(Path("raw/CREDITS.csv").read_text("utf-8").splitlines()) == 6


def test_what_one_source_tells_of_a_licence_counts_for_all(site: Site, gravurekit: Run, tmp_path: Path) -> None:
    """The same link from a list without licences and from one with: it is kept, by the one that says so."""
    tables = [tmp_path / "silent.csv", tmp_path / "telling.csv"]
    (url,) = pictures(site, 1)
    storage.write_text(tables[0], f"url,license\n{url},\n")
    storage.write_text(tables[1], f"url,license\n{url},CC0\n")
    sources = [word for table in tables for word in ("--source", f"urls:{table}")]
    assert gravurekit("crawl", *sources, "--license", "open", "--allow-private-addresses").exit_code == 0
    assert [item.license for item in kept()] == ["CC0-1.0"]


def test_a_later_wish_drops_what_an_earlier_run_took(site: Site, crawl: Run, tmp_path: Path) -> None:
    table = tmp_path / "links.csv"
    storage.write_text(table, "url,license\n" + f"{pictures(site, 1)[0]},CC0\n{pictures(site, 2)[0]},CC BY-ND 4.0\n")
    assert crawl(source=f"urls:{table}").exit_code == 0 and len(kept()) == 2
    assert crawl("--license", "derivatives", source=f"urls:{table}").exit_code == 0
    assert len(kept()) == 1 and [item.reason for item in dropped().values()] == ["license"]
    site.forget()
    assert crawl(source=f"urls:{table}").exit_code == 0 and len(kept()) == 2
    assert site.of("/pictures/") == ["/pictures/2.jpg"], "what was dropped is gone, and comes anew"


# ---- what people see -----------------------------------------------------------------------------------


def test_a_summary_says_what_came_of_each_keyword(site: Site, crawl: Run) -> None:
    site.results = {"red dress": [*pictures(site, 1, 2), site.url("/flaky?503&9&"), site.url("/status?404")]}
    site.results["blue dress"] = pictures(site, 3)
    result = crawl("red dress", "blue dress", "--tries", "1")
    assert result.exit_code == 0
    rows = {line.split("  ")[1]: line.split() for line in result.stdout.splitlines() if line.startswith("  ")}
    assert rows["red dress"][2:7] == ["4", "2", "0", "0", "2"] and "1 http-503" in " ".join(rows["red dress"])
    assert rows["blue dress"][2:7] == ["1", "1", "0", "0", "1"]
    assert "--retry failed:http-503" in result.stdout, "a 404 isn't worth it"


def test_a_report_finds_pictures_by_their_keyword(site: Site, crawl: Run, gravurekit: Run) -> None:
    site.results = {"red dress": pictures(site, 1, 2), "blue dress": pictures(site, 3)}
    assert crawl("red dress", "blue dress").exit_code == 0
    assert gravurekit("report", "raw").exit_code == 0
    page = Page(Path("reports/raw/report.html").read_text("utf-8"))
    assert {word for item in page.items for word in item["facets"]["keyword"]} == {"red dress", "blue dress"}
