"""The contact sheet shows everything, fetches nothing, and trusts no word that came from the web."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import EVIL, Page, check_closed
from workspace import patchwork

from gravurekit import images, storage
from gravurekit.errors import DataError, UsageError
from gravurekit.executor import Outcome, Serial, make_executor
from gravurekit.metadata import DROPPED, MARKER, METADATA, file_sha256, read_lines, write_lines
from gravurekit.progress import SILENT, Silent
from gravurekit.receipt import RECEIPT, Plan, Receipt
from gravurekit.record import Record
from gravurekit.reports import Sheet, sheet


def made(
    path: Path,
    kept: Iterable[Record],
    dropped: Iterable[Record] = (),
    measured: dict[str, Any] | None = None,
    stage: str = "filter",
) -> Path:
    """A finished folder of a stage, made by hand: its pictures are there already."""
    kept, dropped = list(kept), list(dropped)
    storage.write_text(path / MARKER, f"{stage}\n")
    write_lines(path / METADATA, kept)
    write_lines(path / DROPPED, dropped)
    counts = {"in": len(kept) + len(dropped), "kept": len(kept)}
    for item in dropped:
        counts[item.reason] = counts.get(item.reason, 0) + 1
    plan = Plan(stage=stage, revision=3, settings={"skip": [], "[too_small]": {"min_side": 201}}, inputs={})
    sums = {name: file_sha256(path / name) for name in (METADATA, DROPPED)}
    receipt = Receipt(plan=plan, counts=counts, outputs=sums, measured=measured or {})
    storage.write_json(path / RECEIPT, receipt.model_dump(mode="json"))
    return path


def pictures(root: Path, count: int) -> list[Record]:
    """`count` drawn pictures below `root`/images, and their Records."""
    patchwork(root / "images", count)
    found = []
    for n in range(count):
        sha256 = file_sha256(root / f"images/{n}.png")
        found.append(Record(key=sha256[:16], file_name=f"images/{n}.png", sha256=sha256, width=144, height=192))
    return found


def look(source: Path, executor: Any = None, **knobs: int) -> tuple[Sheet, Page]:
    out = source.parent / f"{source.name}.html"
    done = sheet.write(source, out, sheet.Settings(**knobs), executor or Serial(), SILENT)
    return done, Page(out.read_text("utf-8"))


def see(world: Path, folder: str, tmp_path: Path) -> tuple[Sheet, Page]:
    out = tmp_path / "sheet.html"
    done = sheet.write(world / folder, out, sheet.Settings(), Serial(), SILENT)
    return done, Page(out.read_text("utf-8"))


# ---- what the chain makes ------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["raw", "clean", "styled"])
def test_every_picture_and_every_reason_is_on_the_page(folder: str, world: Path, tmp_path: Path) -> None:
    done, page = see(world, folder, tmp_path)
    kept, dropped = read_lines(world / folder / METADATA), read_lines(world / folder / DROPPED)
    assert (done.kept, sum(done.dropped.values()), done.shown) == (len(kept), len(dropped), len(kept + dropped))
    for item in [*kept, *dropped]:
        assert item.key in page.words and item.reason in page.words and item.detail in page.words
        assert item.title in page.words and item.label in page.words
    assert len(page.all("img")) >= len(kept) * (3 if folder == "styled" else 1)
    assert f"{len(kept + dropped)} in, {len(kept)} kept, {len(dropped)} dropped" in page.words
    links = {attrs["href"] for attrs in page.all("a")}
    assert {item.page_url for item in kept} <= links


@pytest.mark.parametrize("folder", ["raw", "clean", "styled"])
def test_nothing_is_fetched(folder: str, world: Path, tmp_path: Path) -> None:
    page = see(world, folder, tmp_path)[1]
    check_closed(page)
    assert not page.all("svg")
    assert any("default-src 'none'" in attrs.get("content", "") for attrs in page.all("meta"))


def test_within_the_page_every_link_arrives_and_no_name_is_given_twice(world: Path, tmp_path: Path) -> None:
    page = see(world, "raw", tmp_path)[1]
    names = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(names) == len(set(names))
    assert {attrs["href"][1:] for attrs in page.all("a") if attrs["href"].startswith("#")} <= set(names)


def test_every_picture_has_words_for_those_who_cant_see_it(world: Path, tmp_path: Path) -> None:
    page = see(world, "styled", tmp_path)[1]
    assert all(attrs["alt"].strip() and attrs["width"] and attrs["height"] for attrs in page.all("img"))
    assert len(page.all("h1")) == len(page.all("main")) == 1 and page.all("html") == [{"lang": "en"}]


def test_the_same_bytes_again_and_from_worker_processes(world: Path, tmp_path: Path) -> None:
    pages = []
    for name, executor in (("a", Serial()), ("b", Serial()), ("c", make_executor("local", 2))):
        sheet.write(world / "clean", tmp_path / name, sheet.Settings(), executor, SILENT)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1] == pages[2]


# ---- by keyword or by label ----------------------------------------------------------------------------


def groups(source: Path) -> dict[str, tuple[int, list[str]]]:
    """Of each group of a page how many it says it has, and the titles of its tiles in order."""
    look(source)
    page = source.with_suffix(".html").read_text("utf-8")
    found = {}
    for part in page.split("<h3>")[1:]:
        name, count = re.findall(r"<bdi>(.*?)</bdi></h3> <span class=\"n\">(\d+)<", part)[0]
        found[name] = int(count), re.findall(r'class="title" dir="auto">(.*?)<', part)
    return found


@pytest.fixture
def searched(tmp_path: Path) -> list[Record]:
    """Pictures as several searches found them, `title` by `title`."""
    facts = [
        {"title": "a", "keywords": ("red dress", "kaftan"), "labels": ("dress",), "rank": 2},
        {"title": "b", "keywords": ("red dress",), "labels": ("dress",), "rank": 1},
        {"title": "c", "keywords": ("kaftan", "red dress"), "labels": ("kaftan", "dress"), "rank": 1},
        {"title": "d", "keywords": ("silk dress",), "labels": ("dress",)},
        {"title": "e", "keywords": ("silk dress",), "labels": ("dress",), "rank": 10},
        {"title": "f", "labels": ("from a folder",)},
        {"title": "g"},
    ]  # fmt: skip
    found = pictures(tmp_path / "in", len(facts))
    return [item.but(**fact) for item, fact in zip(found, facts, strict=True)]


def test_a_crawl_is_shown_by_keyword_each_picture_once_and_the_best_first(
    searched: list[Record], tmp_path: Path
) -> None:
    folder = made(tmp_path / "in", searched, [Record(key="f" * 16, reason="http-404", keywords=("x",))], stage="crawl")
    assert groups(folder) == {
        "from a folder": (1, ["f"]), "kaftan": (1, ["c"]), "red dress": (2, ["b", "a"]), "silk dress": (2, ["e", "d"]),
        "no keyword": (1, ["g"]), "http-404": (1, []),
    }  # fmt: skip
    words = " ".join(look(folder)[1].words.split())
    assert words.count("label dress") == 4 and words.count("also found for kaftan") == 1
    assert words.count("also found for red dress") == 1 and "label kaftan" not in words


def test_what_the_later_stages_made_is_shown_by_label(searched: list[Record], tmp_path: Path) -> None:
    found = groups(made(tmp_path / "in", searched))
    assert {name: (count, set(titles)) for name, (count, titles) in found.items()} == {
        "dress": (4, set("abde")), "from a folder": (1, {"f"}), "kaftan": (1, {"c"}), "no label": (1, {"g"}),
    }  # fmt: skip
    assert "also found for" not in look(tmp_path / "in")[1].words and "also dress" in look(tmp_path / "in")[1].words


# ---- words from the web --------------------------------------------------------------------------------


def test_no_word_of_a_record_becomes_part_of_the_page(tmp_path: Path) -> None:
    found = pictures(tmp_path / "in", 4)
    words = dict.fromkeys(("title", "source", "url", "page_url", "creator", "license", "license_url"), EVIL)
    schemes = {"page_url": "javascript:alert(1)", "url": "java\nscript:alert(1)", "license_url": "data:text/html,x"}
    quotes = {"page_url": "https://a.example/' onclick='alert(1)", "url": 'HTTPS://b.example/"x', "license_url": "//c"}
    kept = [
        found[0].but(labels=(EVIL, EVIL), **words), found[1].but(license="free", **schemes),
        found[2].but(license=EVIL, key=EVIL, **quotes), found[3].but(file_name=f"images/{EVIL}.png", width=0),
    ]  # fmt: skip
    dropped = [Record(key=EVIL, reason=EVIL, detail=EVIL, kept_key=EVIL, **words)]
    page = look(made(tmp_path / "in", kept, dropped, {"source": EVIL, "seconds": EVIL}))[1]
    check_closed(page)
    assert EVIL in page.words and not [attrs for attrs in page.all("a") if attrs["href"][0] != "#"]


def test_marks_that_turn_or_hide_text_are_shown_as_such(tmp_path: Path) -> None:
    found = pictures(tmp_path / "in", 2)
    kept = [found[0].but(title="a\u202egpj.exe\x00\x1b[31m"), found[1].but(title="\u05e9\u05dc\u05d5\u05dd şalvar")]
    text = look(made(tmp_path / "in", kept))[1].words
    assert "a\ufffdgpj.exe\ufffd\ufffd[31m" in text and "\u05e9\u05dc\u05d5\u05dd şalvar" in text


def test_a_folder_whose_name_is_no_unicode_has_a_page(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        patchwork(folder, 1)
    except (OSError, UsageError, DataError):
        pytest.skip("this disk takes Unicode names only")
    sheet.write(folder, tmp_path / "x.html", sheet.Settings(), Serial(), SILENT)
    assert "caf\ufffd" in (tmp_path / "x.html").read_text("utf-8")


def test_links_to_the_web_stay_links(tmp_path: Path) -> None:
    (item,) = pictures(tmp_path / "in", 1)
    address, licence = "https://museum.example/a?b=1&c=ş#d", "http://creativecommons.org/licenses/by/4.0/"
    item = item.but(page_url=address, license="CC BY 4.0", license_url=licence, creator="Jeanne")
    page = look(made(tmp_path / "in", [item]))[1]
    assert {address, licence} <= {attrs["href"] for attrs in page.all("a")}
    assert "museum.example" in page.words and "Jeanne" in page.words and "licence unknown" not in page.words


# ---- only what lies in the folder ----------------------------------------------------------------------


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    found = pictures(tmp_path / "in", 3)
    patchwork(tmp_path, 1)
    (tmp_path / "in/images/link.png").symlink_to(tmp_path / "0.png")
    names = ("../0.png", str(tmp_path / "0.png"), "images/link.png")
    kept = [item.but(file_name=name, sha256="") for item, name in zip(found, names, strict=True)]
    styled = found[0].but(file_name="images/0.png", plain_file_name="../0.png", wash_file_name="")
    page = look(made(tmp_path / "in", [*kept, styled]))[1]
    assert page.words.count("its name leads out of the folder") == 5 - page.words.count("missing")
    assert len(page.all("img")) == 1


def test_what_was_dropped_is_shown_beside_its_kept_twin(tmp_path: Path) -> None:
    found = pictures(tmp_path / "in", 4)
    pictures(tmp_path / "out", 1)
    facts = {"reason": "duplicate", "detail": "hash distance 3 of 256", "kept_key": found[0].key}
    dropped = [found[1].but(**facts), found[2].but(**facts), found[3].but(**facts | {"kept_key": "0" * 16})]
    storage.write_bytes(tmp_path / "in/images/2.png", (tmp_path / "in/images/0.png").read_bytes())
    done, page = look(made(tmp_path / "out", found[:1], dropped, {"source": "../in"}))
    captions = re.findall("dropped: |kept instead: ", " ".join(attrs["alt"] for attrs in page.all("img")))
    # of the second another file took the place, which must not pass for it
    assert captions == ["dropped: ", "kept instead: ", "dropped: "]
    assert done.dropped == {"duplicate": 3} and all(item.key in page.words for item in dropped)


def test_a_receipt_opens_no_file_that_its_records_dont_know(tmp_path: Path) -> None:
    patchwork(tmp_path / "private", 2)
    (kept,) = pictures(tmp_path / "in", 1)
    sha256 = file_sha256(tmp_path / "private/0.png")
    guesses = [
        Record(key="a" * 16, file_name="0.png", reason="x"),
        Record(key="b" * 16, file_name="1.png", sha256=sha256, reason="x"),
        Record(key="c" * 16, file_name="../in/images/0.png", sha256=kept.sha256, reason="x"),
    ]
    sources = ("../private", str(tmp_path / "private"), "../private/.", "gone", "", "\x00", 7)
    for said in sources:
        page = look(made(tmp_path / "in", [kept], guesses, {"source": said}))[1]
        assert len(page.all("img")) == 1 and all(item.key in page.words for item in guesses)


# ---- when something is wrong ---------------------------------------------------------------------------


def test_a_missing_or_unreadable_picture_is_a_tile_that_says_so(tmp_path: Path) -> None:
    found = pictures(tmp_path / "in", 3)
    folder = made(tmp_path / "in", found)
    (folder / "images/0.png").unlink()
    storage.write_bytes(folder / "images/1.png", b"<html>")
    page = look(folder)[1]
    assert "Something is wrong with this folder" in page.words and "0.png is missing" in page.words
    assert "can't be read: a web page" in page.words and page.words.count("missing\n") == 1
    assert len(page.all("img")) == 1 and all(item.key in page.words for item in found)


def torn(folder: Path) -> None:
    with open(folder / METADATA, "ab") as file:
        file.write(b'{"key": "12')


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (torn, "1 of 4 lines"),
        (lambda folder: (folder / RECEIPT).unlink(), "isn't finished"),
        (lambda folder: (folder / RECEIPT).write_text("{"), "receipt.json is damaged"),
        (lambda folder: (folder / METADATA).unlink(), "metadata.jsonl is missing"),
        (lambda folder: (folder / DROPPED).unlink(), "dropped.jsonl is missing"),
    ],
    ids=["torn", "unfinished", "receipt", "metadata", "dropped"],
)
def test_of_a_damaged_folder_all_is_shown_that_can_be_read(
    damage: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    folder = made(tmp_path / "in", pictures(tmp_path / "in", 3), [Record(key="f" * 16, reason="too-small")])
    damage(folder)
    done, page = look(folder)
    assert said in page.words and "Something is wrong" in page.words
    assert (done.kept, len(page.all("img"))) == (3, 3)
    assert done.dropped == ({} if said.startswith("dropped") else {"too-small": 1})


def test_a_stage_that_has_only_begun_shows_what_it_has(tmp_path: Path) -> None:
    pictures(tmp_path / "raw", 2)
    storage.write_text(tmp_path / "raw" / MARKER, "crawl\n")
    done, page = look(tmp_path / "raw")
    assert done.kept == len(page.all("img")) == 2 and "run `gravurekit crawl` again" in page.words


class Deadly:
    """An Executor whose process dies of some files."""

    def __init__(self, *poison: str) -> None:
        self.poison = poison

    def map(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Outcome[Any]]:
        for index, task in enumerate(tasks):
            died = any(Path(file.path).name in self.poison for file in task[1])
            yield Outcome(index, None, "killed the process") if died else Outcome(index, function(task))

    def reach(self, *_: Any) -> None:
        pass


def test_a_picture_that_kills_its_process_costs_only_its_own_tile(tmp_path: Path) -> None:
    folder = made(tmp_path / "in", pictures(tmp_path / "in", 5))
    page = look(folder, Deadly("1.png", "3.png"))[1]
    assert page.words.count("reading it killed the process") == 2 and len(page.all("img")) == 3


@pytest.mark.parametrize(
    ("files", "kind", "said"),
    [
        (None, UsageError, "no such folder"),
        ({}, DataError, "no picture in it"),
        ({"notes.txt": "x"}, DataError, "no picture in it"),
        ({MARKER: "shard\n"}, UsageError, "shows a folder of pictures"),
        ({MARKER: "train\n"}, UsageError, "shows a folder of pictures"),
        ({MARKER: "filter\n", RECEIPT: '{"format": 99}'}, DataError, "newer gravurekit"),
    ],
)
def test_what_has_no_sheet_says_why(files: dict[str, str] | None, kind: type, said: str, tmp_path: Path) -> None:
    for name, text in (files or {}).items():
        storage.write_text(tmp_path / "in" / name, text)
    if files is not None:
        storage.make_folder(tmp_path / "in")
    with pytest.raises(kind, match=said) as caught:
        look(tmp_path / "in")
    assert str(tmp_path / "in") in str(caught.value) and not (tmp_path / "in.html").exists()


# ---- how much is shown ---------------------------------------------------------------------------------


def test_of_too_many_an_even_choice_is_shown_and_the_rest_told(tmp_path: Path) -> None:
    found = pictures(tmp_path / "in", 10)
    kept = [item.but(key=f"kept-{n}", labels=("many",)) for n, item in enumerate(found)]
    dropped = [Record(key=f"{n:016x}", url=f"http://a/{n}", reason="http-404") for n in range(1000, 3000)]
    done, page = look(made(tmp_path / "in", kept, dropped), limit=5)
    assert done == Sheet(tmp_path / "in.html", 10, {"http-404": 2000}, 10)
    assert "5 of 10 are shown, evenly spread; 5 are not" in page.words and "5 of 2,000 are shown" in page.words
    assert [f"kept-{n}" in page.words for n in range(10)] == [n % 2 == 0 for n in range(10)]
    assert len(page.all("img")) == 5


def test_thumbnails_fit_the_side_and_never_grow(tmp_path: Path) -> None:
    storage.write_bytes(tmp_path / "in/wide.png", images.encode_png(np.zeros((3, 900, 3), np.uint8)))
    storage.write_bytes(tmp_path / "in/small.png", images.encode_png(np.zeros((20, 10, 3), np.uint8)))
    page = look(tmp_path / "in", thumb=64)[1]
    assert sorted((attrs["width"], attrs["height"]) for attrs in page.all("img")) == [("10", "20"), ("64", "1")]
    assert "900\u00a0×\u00a03\u00a0px" in page.words


def test_a_plain_folder_is_shown_by_its_folders(tmp_path: Path) -> None:
    patchwork(tmp_path / "in/red dress", 2)
    patchwork(tmp_path / "in", 1)
    storage.write_text(tmp_path / "in" / METADATA, json.dumps({"file_name": "0.png", "text": "another program's"}))
    done, page = look(tmp_path / "in")
    assert (done.kept, done.dropped, len(page.all("img"))) == (3, {}, 3)
    assert "red dress/1.png" in page.words and "no label" in page.words and "3 pictures" in page.words
    assert "wrong" not in page.words and "licence unknown" in page.words


def test_the_settings_and_the_seconds_of_the_stage_are_told(tmp_path: Path) -> None:
    page = look(made(tmp_path / "in", pictures(tmp_path / "in", 1), measured={"seconds": 12.34}))[1]
    assert "too_small.min_side\n201" in re.sub(r"\s+", "\n", page.words) or "too_small.min_side201" in page.words
    assert "12.3 s" in page.words and "revision" in page.words


def test_the_work_is_counted_to_its_end(tmp_path: Path) -> None:
    told: list[int] = []

    class Count(Silent):
        def begin(self, what: str, total: int | None) -> None:
            told.append(-(total or 0))

        def advance(self, units: int = 1) -> None:
            told.append(units)

    folder = made(tmp_path / "in", pictures(tmp_path / "in", 70))
    sheet.write(folder, tmp_path / "x.html", sheet.Settings(), Deadly("3.png"), Count())
    assert told[0] == -70 and sum(told) == 0
