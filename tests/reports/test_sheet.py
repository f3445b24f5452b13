"""The page of a folder shows everything, fetches nothing, and trusts no word that came from the web."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import EVIL, Page, check_closed
from workspace import patchwork

from gravurekit import crafts, images, storage
from gravurekit.errors import DataError, UsageError
from gravurekit.executor import Outcome, Serial, make_executor
from gravurekit.metadata import DROPPED, MARKER, METADATA, file_sha256, read_lines, write_lines
from gravurekit.progress import SILENT, Silent
from gravurekit.receipt import RECEIPT, Plan, Receipt
from gravurekit.record import Record
from gravurekit.reports import Report, _gallery, _sections, sheet
from gravurekit.reports._thumbs import File


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


SIZE = sheet.Size(thumb=160, limit=20_000, view=320, views=2)


def look(source: Path, executor: Any = None, **size: int) -> tuple[Report, Page]:
    out = source.parent / f"{source.name}.html"
    done = sheet.write(source, out, replace(SIZE, **size), False, executor or Serial(), SILENT)
    return done, Page(out.read_text("utf-8"))


def see(world: Path, folder: str, tmp_path: Path) -> tuple[Report, Page]:
    out = tmp_path / "sheet.html"
    done = sheet.write(world / folder, out, SIZE, False, Serial(), SILENT)
    return done, Page(out.read_text("utf-8"))


# ---- what the chain makes ------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["raw", "clean", "styled"])
def test_every_picture_and_every_reason_is_on_the_page(folder: str, world: Path, tmp_path: Path) -> None:
    done, page = see(world, folder, tmp_path)
    check_closed(page)
    kept, dropped = read_lines(world / folder / METADATA), read_lines(world / folder / DROPPED)
    reasons = {item.reason for item in dropped}
    assert done.facts["kept"] == len(kept) and set(done.facts["dropped"]) == reasons
    assert done.facts["shown"] == len(page.items) == len(kept + dropped)
    for item in [*kept, *dropped]:
        assert item.key in page.words and item.reason in page.words and item.detail in page.words
        assert item.title in page.words and item.label in page.words and item.page_url in page.words
    layers = ["photograph", "ink", "wash", "print"] if folder == "styled" else [""]
    assert all(item["shots"] == layers for item in page.items if item["group"] == "kept")
    assert f"{len(kept + dropped)} in, {len(kept)} kept, {len(dropped)} dropped" in page.words
    assert page.data["groups"] == [["kept", False, len(kept)], *(
        [reason, True, sum(item.reason == reason for item in dropped)] for reason in sorted(
            reasons, key=lambda reason: (-sum(item.reason == reason for item in dropped), reason))
    )]  # fmt: skip


def test_within_the_page_every_link_arrives_and_no_name_is_given_twice(world: Path, tmp_path: Path) -> None:
    for folder in ("raw", "clean", "styled"):
        page = see(world, folder, tmp_path)[1]
        names = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(names) == len(set(names))
        links = {attrs["href"] for attrs in page.all("a")} | {attrs["xlink:href"] for attrs in page.all("use")}
        assert {link[1:] for link in links if link.startswith("#")} <= set(names)


def test_the_page_says_what_it_is_to_those_who_cant_see_it(world: Path, tmp_path: Path) -> None:
    page = see(world, "styled", tmp_path)[1]
    assert len(page.all("h1")) == len(page.all("main")) == 1 and page.all("html") == [{"lang": "en"}]
    plots = [attrs for attrs in page.all("svg") if attrs.get("class") == "plot"]
    assert plots and all(attrs["role"] == "img" and attrs["aria-label"] for attrs in plots)


def test_the_same_bytes_again_and_from_worker_processes(world: Path, tmp_path: Path) -> None:
    pages = []
    for name, executor in (("a.html", Serial()), ("b.html", Serial()), ("c.html", make_executor("local", 2))):
        sheet.write(world / "styled", tmp_path / name, SIZE, False, executor, SILENT)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1] == pages[2]


# ---- what there is to tell of each stage ---------------------------------------------------------------


def test_a_crawl_tells_keywords_sources_failures_and_licences(world: Path, tmp_path: Path) -> None:
    page = see(world, "raw", tmp_path)[1]
    for said in ("Pictures of each keyword", "Pictures of each source", "Why links gave no picture", "Licences of what",
                 "The last run, by keyword"):  # fmt: skip
        assert said in page.words
    kept = read_lines(world / "raw" / METADATA)
    assert all(any(item["key"] == one.key and item["facets"]["keyword"] == list(one.keywords) for item in page.items)
               for one in kept)  # fmt: skip


def test_a_filter_draws_each_figure_with_its_cut(world: Path, tmp_path: Path) -> None:
    page = see(world, "clean", tmp_path)[1]
    for said in ("dropped below 0.5 (monochrome.min_residual)", "dropped above 3 (extreme_aspect.max_aspect)",
                 "no cut: blurred.min_sharpness is off", "dropped below", "Why pictures were dropped"):  # fmt: skip
        assert said in page.words
    names = page.data["figures"]
    assert {"short side", "entropy", "chroma_residual"} <= set(names)
    kept = {item.key: item for item in read_lines(world / "clean" / METADATA)}
    for item in page.items:
        if item["group"] == "kept":
            told = dict(zip(names, item["figures"], strict=True))
            assert told["entropy"] == kept[item["key"]].scores["entropy"]


def test_every_cut_of_a_filter_is_one_of_its_knobs_and_of_a_figure_that_is_measured(world: Path) -> None:
    measured = set(_sections.figures_of(read_lines(world / "clean" / METADATA)[0]))
    for name in crafts.names("filters"):
        filter_ = crafts.load("filters", name)
        for figure, knob in getattr(filter_, "CUTS", {}).items():
            assert figure in measured, name
            assert knob in filter_.Settings.model_fields and knob.startswith(("min_", "max_")), name


def test_a_style_is_measured_and_some_drawings_are_there_in_large(world: Path, tmp_path: Path) -> None:
    page = see(world, "styled", tmp_path)[1]
    large = [item for item in page.items if item.get("views")]
    assert len(large) == 2 and "tone kept" in page.words and "gravurekit evaluate style" in page.words
    assert all([caption for caption, _ in item["views"]] == ["photograph", "ink", "wash", "print"] for item in large)
    place = page.data["figures"].index("tone kept")
    assert all(0.5 < item["figures"][place] <= 1 for item in large)


def test_a_copy_is_there_in_large_beside_its_twin(world: Path, tmp_path: Path) -> None:
    page = see(world, "clean", tmp_path)[1]
    large = [item for item in page.items if item.get("views")]
    assert len(large) == 2 and all(item["twin"] for item in large)
    assert all([caption for caption, _ in item["views"]] == ["dropped", "kept instead"] for item in large)


def test_numbers_on_a_logarithmic_scale_are_numbers(world: Path, tmp_path: Path) -> None:
    see(world, "clean", tmp_path)
    text = (tmp_path / "sheet.html").read_text("utf-8")
    assert "mathdefault" not in text and ">1,000<" in text


def test_plots_of_an_older_page_go(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    sheet.write(world / "clean", out, SIZE, True, Serial(), SILENT)
    made = sheet.write(world / "raw", out, SIZE, True, Serial(), SILENT)
    assert set((tmp_path / "page_files/plots").iterdir()) == set(made.plots)
    sheet.write(world / "raw", out, SIZE, False, Serial(), SILENT)
    assert not list((tmp_path / "page_files/plots").iterdir())


@pytest.mark.parametrize("name", ["page", "page.htm", "page.HTML", "page.png"])
def test_a_page_is_an_html(name: str, world: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"an \.html"):
        sheet.write(world / "raw", tmp_path / name, SIZE, False, Serial(), SILENT)


def test_plots_are_written_as_png_where_they_are_asked_for(world: Path, tmp_path: Path) -> None:
    made = sheet.write(world / "raw", tmp_path / "page.html", SIZE, True, Serial(), SILENT)
    assert {path.name for path in made.plots} >= {"keywords.png", "sources.png", "licences.png"}
    for path in made.plots:
        assert path.parent == tmp_path / "page_files/plots" and images.read(path).width > 1000


# ---- what a picture can be found by --------------------------------------------------------------------


def test_a_picture_is_found_by_all_its_words_and_a_crawl_shows_the_best_first(tmp_path: Path) -> None:
    facts = [
        {"title": "a", "keywords": ("red dress", "kaftan"), "labels": ("dress",), "rank": 2},
        {"title": "b", "keywords": ("red dress",), "labels": ("dress",), "rank": 1},
        {"title": "c", "labels": ("from a folder",), "license": "CC0-1.0"},
        {"title": "d", "source": "met"},
    ]  # fmt: skip
    found = [item.but(**fact) for item, fact in zip(pictures(tmp_path / "in", 4), facts, strict=True)]
    dropped = [Record(key="f" * 16, reason="http-404", keywords=("x",))]
    items = {
        item.get("title", "-"): item for item in look(made(tmp_path / "in", found, dropped, stage="crawl"))[1].items
    }
    assert list(items) == ["b", "a", "c", "d", "-"]
    assert items["a"]["facets"] == {"keyword": ["red dress", "kaftan"], "label": ["dress"], "source": ["no source"],
                                    "licence": ["licence unknown"]}  # fmt: skip
    assert items["d"]["facets"]["source"] == ["met"] and items["c"]["facets"]["licence"] == ["CC0-1.0"]
    assert items["-"]["group"] == "http-404" and items["-"]["shots"] == []


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
    text = (tmp_path / "in.html").read_text("utf-8")
    assert "<script>alert" not in text and "<img src=https" not in text


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
    sheet.write(folder, tmp_path / "x.html", SIZE, False, Serial(), SILENT)
    assert "caf\ufffd" in (tmp_path / "x.html").read_text("utf-8")


def test_links_and_makers_are_told(tmp_path: Path) -> None:
    (item,) = pictures(tmp_path / "in", 1)
    address, licence = "https://museum.example/a?b=1&c=ş#d", "http://creativecommons.org/licenses/by/4.0/"
    item = item.but(page_url=address, license="CC BY 4.0", license_url=licence, creator="Jeanne")
    (told,) = look(made(tmp_path / "in", [item]))[1].items
    assert told["facts"] | {"creator": "Jeanne", "page": address, "licence text": licence} == told["facts"]


# ---- only what lies in the folder ----------------------------------------------------------------------


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    found = pictures(tmp_path / "in", 3)
    patchwork(tmp_path, 1)
    (tmp_path / "in/images/link.png").symlink_to(tmp_path / "0.png")
    names = ("../0.png", str(tmp_path / "0.png"), "images/link.png")
    kept = [item.but(file_name=name, sha256="") for item, name in zip(found, names, strict=True)]
    styled = found[0].but(file_name="images/0.png", plain_file_name="../0.png", wash_file_name="")
    page = look(made(tmp_path / "in", [*kept, styled]), views=0)[1]
    styled_, *others = sorted(page.items, key=lambda item: -len(item["shots"]))
    assert styled_["shots"] == ["print"] and all(item["shots"] == [] for item in others)
    assert "its name leads out of the folder" in page.words and len(page.pictures) == 1


def test_what_was_dropped_is_shown_beside_its_kept_twin(tmp_path: Path) -> None:
    found = pictures(tmp_path / "in", 4)
    pictures(tmp_path / "out", 1)
    facts = {"reason": "duplicate", "detail": "hash distance 3 of 256", "kept_key": found[0].key}
    dropped = [found[1].but(**facts), found[2].but(**facts), found[3].but(**facts | {"kept_key": "0" * 16})]
    storage.write_bytes(tmp_path / "in/images/2.png", (tmp_path / "in/images/0.png").read_bytes())
    done, page = look(made(tmp_path / "out", found[:1], dropped, {"source": "../in"}))
    captions = [item["shots"] for item in page.items if item["group"] == "duplicate"]
    # of the second another file took the place, which must not pass for it
    assert captions == [["dropped", "kept instead"], ["kept instead"], ["dropped"]]
    assert done.facts["dropped"] == {"duplicate": 3} and all(item.key in page.words for item in dropped)


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
        assert len(page.pictures) == 1 and all(item.key in page.words for item in guesses)


# ---- when something is wrong ---------------------------------------------------------------------------


def test_a_missing_or_unreadable_picture_is_a_tile_that_says_so(tmp_path: Path) -> None:
    found = pictures(tmp_path / "in", 3)
    folder = made(tmp_path / "in", found)
    (folder / "images/0.png").unlink()
    storage.write_bytes(folder / "images/1.png", b"<html>")
    page = look(folder)[1]
    assert "Something is wrong with this folder" in page.words and "0.png is missing" in page.words
    assert "can't be read: a web page" in page.words and "\nmissing\n" in page.words
    assert len(page.pictures) == 1 and all(item.key in page.words for item in found)


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
    assert (done.facts["kept"], len(page.pictures)) == (3, 3)
    assert done.facts["dropped"] == ({} if said.startswith("dropped") else {"too-small": 1})


def test_a_stage_that_has_only_begun_shows_what_it_has(tmp_path: Path) -> None:
    pictures(tmp_path / "raw", 2)
    storage.write_text(tmp_path / "raw" / MARKER, "crawl\n")
    done, page = look(tmp_path / "raw")
    assert done.facts["kept"] == len(page.pictures) == 2 and "run `gravurekit crawl` again" in page.words


class Deadly:
    """An Executor whose process dies of some files."""

    def __init__(self, *poison: str) -> None:
        self.poison = poison

    def map(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Outcome[Any]]:
        for index, task in enumerate(tasks):
            died = any(Path(file.path).name in self.poison for file in task if isinstance(file, File))
            yield Outcome(index, None, "killed the process") if died else Outcome(index, function(task))

    def reach(self, *_: Any) -> None:
        pass


def test_a_picture_that_kills_its_process_costs_only_its_own_tile(tmp_path: Path) -> None:
    folder = made(tmp_path / "in", pictures(tmp_path / "in", 5))
    page = look(folder, Deadly("1.png", "3.png"))[1]
    assert page.words.count("reading it killed the process") == 2 and len(page.pictures) == 3


@pytest.mark.parametrize(
    ("files", "kind", "said"),
    [
        (None, UsageError, "no such folder"),
        ({}, DataError, "no picture in it"),
        ({"notes.txt": "x"}, DataError, "no picture in it"),
        ({MARKER: "export\n"}, UsageError, "packed for other programs"),
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


def test_of_too_many_small_groups_are_shown_whole_and_large_ones_evenly(tmp_path: Path) -> None:
    found = pictures(tmp_path / "in", 10)
    kept = [item.but(key=f"kept-{n}") for n, item in enumerate(found)]
    dropped = [Record(key=f"{n:016x}", url=f"http://a/{n}", reason="http-404") for n in range(1000, 3000)]
    dropped += [Record(key="b" * 16, reason="timeout")]
    done, page = look(made(tmp_path / "in", kept, dropped), limit=11)
    groups = [item["group"] for item in page.items]
    assert (groups.count("kept"), groups.count("http-404"), groups.count("timeout")) == (5, 5, 1)
    assert done.facts == {"kept": 10, "dropped": {"http-404": 2000, "timeout": 1}, "shown": 11}
    assert page.data["groups"] == [["kept", False, 10], ["http-404", True, 2000], ["timeout", True, 1]]
    assert [f"kept-{n}" in page.words for n in range(10)] == [n % 2 == 0 for n in range(10)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(1, 100))
def test_never_more_are_shown_than_there_is_room_for_and_no_room_is_wasted(counts: list[int], limit: int) -> None:
    groups = [("", False, list(range(count))) for count in counts]
    some = [len(members) for members in _gallery.chosen(groups, limit)]
    assert sum(some) <= max(limit, len(counts)) and all(a <= b for a, b in zip(some, counts, strict=True))
    if sum(counts) <= limit:
        assert some == counts
    else:
        assert sum(some) > limit - len(counts)
        cut = [a for a, b in zip(some, counts, strict=True) if a < b]
        assert len(set(cut)) <= 1 and all(a <= cut[0] for a in some if cut)


def test_small_pictures_of_many_lie_beside_the_page_and_old_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path / "in", pictures(tmp_path / "in", 5))
    monkeypatch.setattr(_gallery, "EMBEDDED", 3)
    page = look(folder)[1]
    check_closed(page)
    beside = tmp_path / "in_files/thumbnails"
    assert len(page.pictures) == 5 and {Path(src).name for src in page.pictures} == {p.name for p in beside.iterdir()}
    assert all(images.read(tmp_path / src).width > 10 for src in page.pictures)
    storage.write_text(beside / "mine.txt", "mine")
    made(tmp_path / "in", read_lines(folder / METADATA)[:4])
    assert len(look(folder)[1].pictures) == 4 and len(list(beside.iterdir())) == 5
    monkeypatch.setattr(_gallery, "EMBEDDED", 100)
    page = look(folder)[1]
    assert all(src.startswith("data:") for src in page.pictures)
    assert [path.name for path in beside.iterdir()] == ["mine.txt"]


def test_thumbnails_fit_the_side_and_never_grow(tmp_path: Path) -> None:
    storage.write_bytes(tmp_path / "in/wide.png", images.encode_png(np.zeros((3, 900, 3), np.uint8)))
    storage.write_bytes(tmp_path / "in/small.png", images.encode_png(np.zeros((20, 10, 3), np.uint8)))
    page = look(tmp_path / "in", thumb=64)[1]
    assert sorted(tuple(one[1:]) for one in page.data["thumbs"] if len(one) == 3) == [(10, 20), (64, 1)]
    assert sorted(item["size"] for item in page.items) == [[10, 20], [900, 3]]


def test_a_plain_folder_is_shown_by_its_folders(tmp_path: Path) -> None:
    patchwork(tmp_path / "in/red dress", 2)
    patchwork(tmp_path / "in", 1)
    storage.write_text(tmp_path / "in" / METADATA, json.dumps({"file_name": "0.png", "text": "another program's"}))
    done, page = look(tmp_path / "in")
    assert (done.facts["kept"], done.facts["dropped"], len(page.pictures)) == (3, {}, 3)
    assert "red dress/1.png" in page.words and "no label" in page.words and "3 pictures" in page.words
    assert sum(item["facets"]["label"] == ["red dress"] for item in page.items) == 2
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
    sheet.write(folder, tmp_path / "x.html", SIZE, False, Deadly("3.png"), Count())
    assert told[0] == -70 and sum(told) == 0
