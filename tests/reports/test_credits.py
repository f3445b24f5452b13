"""Credits name every kept picture once, with all that its licence asks for, and no word from the web does any harm."""

import csv
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from records import RECORDS
from typer.testing import Result
from workspace import copied, patchwork, run_here

from gravurekit import audit, storage
from gravurekit.errors import DataError, UsageError
from gravurekit.metadata import DROPPED, MARKER, METADATA, file_sha256, read_lines, write_lines
from gravurekit.model import trainer
from gravurekit.receipt import RECEIPT, Plan, Receipt
from gravurekit.record import Record
from gravurekit.reports import credits
from gravurekit.reports.credits import COLUMNS, PAGE, TABLE, Credits
from gravurekit.shards import INDEX, LEARNED, MANIFEST

Run = Callable[..., Result]
BY_SA = "https://creativecommons.org/licenses/by-sa/4.0/"
EVIL = [
    "<script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(2)>",
    "](javascript:alert(1)) [click](https://evil.example) ![x](https://evil.example/x.png)",
    "a | b | c\n\n# Heading\n\n- item\n1. one\n```\ncode\n```\n---\n> quote",
    "`code` ``more`` *bold* __bold__ ~~gone~~ \\` \\* &lt;b&gt; &#60;b&#62; $$x$$ {{ site.x }} [^1] [ref]",
    "https://evil.example www.evil.example <https://evil.example> <mailto:a@evil.example>",
    '=cmd|"/c calc"!A1', "+1+1", "-1", "@SUM(A1)", "＝1+1", "\t=1+1", "\r\n=1+1", '"',
    "a\u202egpj.exe\u2066\x00\x1b[31m\x85\u2028b", "x" * 10_000, " \n ", "-->", "“", "\\",
]  # fmt: skip
GOOD_LINKS = [
    "https://a.example/(x)_(y", "https://a.example/`x", "https://a.example/?a=1&copy;=2&lt;b", "https://a.example/ş#d",
    "https://a.example/[x]*y*_z_~~w~~", "HTTP://A", "https://a.example/|x|", "https://a.example/%28x",
]  # fmt: skip
BAD_LINKS = [
    "javascript:alert(1)", "https://a.example/\u202ex", "data:text/html,x", "//a.example", "https://",
    "folder:=1/`x`.png", "https://a.example/" + "x" * 10_000, "https://a.example/ x", "https://a.example/\n\n# x", "https://a.example/<b>",
    "https://a.example/\\x", "https://a.example/\x00",
]  # fmt: skip


def folder(path: Path, kept: Iterable[Record], stage: str = "crawl", dropped: Iterable[Record] = ()) -> Path:
    """A finished folder of a stage, made by hand; its Records name no files."""
    kept, dropped = list(kept), list(dropped)
    storage.write_text(path / MARKER, f"{stage}\n")
    write_lines(path / METADATA, kept)
    write_lines(path / DROPPED, dropped)
    sums = {name: file_sha256(path / name) for name in (METADATA, DROPPED)}
    counts = {"in": len(kept) + len(dropped), "kept": len(kept)}
    plan = Plan(stage=stage, revision=1, settings={}, inputs={})
    storage.write_json(path / RECEIPT, Receipt(plan=plan, counts=counts, outputs=sums).model_dump(mode="json"))
    return path


def credit(source: Path, out: Path | None = None) -> tuple[Credits, str, list[dict[str, str]]]:
    """What was counted, CREDITS.md, and the rows of CREDITS.csv."""
    done = credits.write(source, out or source)
    return done, (out or source).joinpath(PAGE).read_text("utf-8"), rows(out or source)


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / TABLE, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Shown:
    """What a reader of Markdown would see."""

    def __init__(self, text: str) -> None:
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
        self.kinds = [token.type for token in tokens]
        inner = [token for block in tokens for token in block.children or []]
        self.inner = {token.type for token in inner}
        self.html = [token.content for token in tokens if token.type == "html_block"]
        self.links = [str(token.attrs["href"]) for token in inner if token.type == "link_open"]
        blocks = [token for token in tokens if token.type == "inline"]
        self.texts = ["".join(part.content for part in block.children or []) for block in blocks]


# ---- what is told --------------------------------------------------------------------------------------


def test_each_picture_stands_below_its_licence_with_all_that_it_asks_for(tmp_path: Path) -> None:
    page, licence = "https://museum.example/a?b=1&c=2", {"license": "CC-BY-SA-4.0", "license_url": BY_SA}
    dress = Record(key="a" * 16, title="Red dress", creator="Jeanne", source="commons", page_url=page, **licence)
    kept = [
        dress.but(url=f"{page}.jpg"),
        Record(key="b" * 16, title="Kaftan", source="loc", url="https://loc.example/k.jpg", license="CC BY-SA 4.0"),
        Record(key="c" * 16, title="Şalvar", source="bing", page_url=page),
    ]  # fmt: skip
    dropped = [Record(key="d" * 16, title="Twin", reason="duplicate", **licence)]
    done, text, table = credit(folder(tmp_path / "raw", kept, dropped=dropped))
    assert done == Credits((tmp_path / "raw" / PAGE, tmp_path / "raw" / TABLE), 3, {"CC-BY-SA-4.0": 2}, 1)
    assert text.splitlines()[2:10] == [
        "# Credits", "", "3 pictures, as they were found.", "",
        "| Licence | Pictures | Commercial use | Changed copies |", "| --- | ---: | --- | --- |",
        "| CC-BY-SA-4.0 | 2 | yes | yes |", "| not known | 1 | ask | ask |",
    ]  # fmt: skip
    first, second = text.split("\n## ")[1:]
    assert first.splitlines() == [
        "CC-BY-SA-4.0: 2 pictures", "",
        "Asks for credit: the title, the creator, and links to the picture and to the licence. "
        "SA: what is made of them is shared under the same licence.", "",
        f"- “[Kaftan](https://loc.example/k.jpg)”, creator unknown, [CC-BY-SA-4.0]({BY_SA}), loc, `{'b' * 16}`",
        f"- “[Red dress]({page})” by Jeanne, [CC-BY-SA-4.0]({BY_SA}), commons, `{'a' * 16}`", "",
    ][: len(first.splitlines())]  # fmt: skip
    assert "No licence is known of this picture" in second and f"“[Şalvar]({page})”" in second
    assert [row["key"][0] for row in table] == ["b", "a", "c"] and tuple(table[0]) == COLUMNS
    assert table[1] == kept[0].model_dump(include=set(COLUMNS)) and "d" * 16 not in text


@pytest.mark.parametrize(
    ("said", "name", "allowed", "told"),
    [
        ("CC0-1.0", "CC0-1.0", "yes | yes", "courtesy"),
        ("no-known-restrictions", "no-known-restrictions", "yes | yes", "courtesy"),
        ("by 4.0", "CC-BY-4.0", "yes | yes", "Asks for credit"),
        ("CC-BY-NC-2.0", "CC-BY-NC-2.0", "no | yes", "NC: no commercial use"),
        ("CC-BY-ND-4.0", "CC-BY-ND-4.0", "yes | no", "ND: changed copies may not be shared"),
        ("CC-BY-NC-ND-3.0", "CC-BY-NC-ND-3.0", "no | no", "NC: no commercial use. ND:"),
        ("GFDL", "GFDL", "yes | yes", "Asks for credit"),
        ("All rights reserved", "All rights reserved", "ask | ask", "read it before you use"),
        ("", "not known", "ask | ask", "No licence is known"),
    ],
)
def test_what_a_licence_allows_is_plain_to_see(said: str, name: str, allowed: str, told: str, tmp_path: Path) -> None:
    done, text, _ = credit(folder(tmp_path / "raw", [Record(key="a", source="x", license=said)]))
    assert f"| {name} | 1 | {allowed} |" in text and told in text
    assert done.licenses == ({name: 1} if said else {}) and done.unknown == (not said)


@pytest.mark.parametrize(("stage", "said"), [("filter", "private tags"), ("stylize", "were changed: drawn")])
def test_changes_are_told_and_a_photograph_drawn_twice_is_one(stage: str, said: str, tmp_path: Path) -> None:
    drawn = [Record(key="a", photo_key="a", variant=n, source="x") for n in range(2)]
    done, text, table = credit(folder(tmp_path / "in", drawn, stage))
    assert (done.pictures, len(table)) == (1, 1) and said in text


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    kept = [Record(key=f"{n:016x}", title=f"{n % 3}", source="x", license="ABC"[n % 3 :]) for n in range(20)]
    there, back = folder(tmp_path / "there", kept), folder(tmp_path / "back", kept[::-1])
    files = [credits.write(path, path).files for path in (there, back, there)]
    assert len({tuple(path.read_bytes() for path in pair) for pair in files}) == 1


# ---- words from the web --------------------------------------------------------------------------------


def check_harmless(kept: list[Record], source: Path) -> None:
    done, text, table = credit(folder(source, kept))
    shown = Shown(text)
    assert len(shown.html) == 1 and shown.html[0].startswith(credits.OURS) and "html_inline" not in shown.inner
    assert not shown.inner & {"image", "em_open", "strong_open", "s_open", "softbreak", "hardbreak"}
    assert {kind for kind in shown.kinds if kind.endswith("_open")} <= {
        "heading_open", "paragraph_open", "bullet_list_open", "list_item_open", "table_open", "thead_open", "tr_open",
        "th_open", "tbody_open", "td_open",
    }  # fmt: skip
    assert shown.kinds.count("list_item_open") == done.pictures == len(table) == len(kept)
    groups = len(done.licenses) + bool(done.unknown)
    assert shown.kinds.count("heading_open") == groups + 1 and shown.kinds.count("tr_open") == groups + 1
    assert all(re.match("https?://", link, re.IGNORECASE) for link in shown.links)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert max(map(len, text.splitlines())) < 20_000
    for row in table:
        assert not any(cell.startswith(tuple("=+-@＝＋－＠\t\r\n")) or "\n" in cell for cell in row.values())


@pytest.mark.parametrize("word", EVIL)
def test_no_word_becomes_markup_a_line_or_a_formula(word: str, tmp_path: Path) -> None:
    words = dict.fromkeys(("title", "creator", "license", "source", "key"), word)
    fields = [words, {"title": word, "license": "CC0-1.0"}, {"creator": word, "url": word}, {"license": word}]
    kept = [Record(**{"key": f"{n:016x}", "source": "x", **field}) for n, field in enumerate(fields)]
    check_harmless(kept, tmp_path / "raw")


def test_a_word_is_shown_as_it_is(tmp_path: Path) -> None:
    kept = [Record(key=f"{n:016x}", source="x", title=word) for n, word in enumerate(EVIL)]
    shown = Shown(credit(folder(tmp_path / "raw", kept))[1])
    for word in EVIL:
        plain = " ".join(word.split())
        if plain and len(plain) < 300 and "\x00" not in plain:
            assert any(text.startswith(f"“{plain}”,") for text in shown.texts), word
    assert any("a\ufffdgpj.exe\ufffd\ufffd\ufffd[31m b" in text for text in shown.texts)


@pytest.mark.parametrize("link", GOOD_LINKS + BAD_LINKS)
def test_only_the_web_is_linked_and_a_link_ends_where_it_ends(link: str, tmp_path: Path) -> None:
    fields = [{"page_url": link}, {"url": link}, {"license_url": link, "license": "FAL", "title": "T"}]
    kept = [Record(**{"key": f"{n:016x}", "source": "x", **field}) for n, field in enumerate(fields)]
    check_harmless(kept, tmp_path / "raw")
    links = Shown((tmp_path / "raw" / PAGE).read_text("utf-8")).links
    wanted = [link] * 3 if link in GOOD_LINKS else []
    assert [unquote(found).lower() for found in links] == [unquote(found).lower() for found in wanted]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(RECORDS, min_size=1, max_size=5, unique_by=lambda item: item.photo_key or item.key))
def test_nothing_that_a_record_can_hold_does_harm(
    tmp_path_factory: pytest.TempPathFactory, found: list[Record]
) -> None:
    source = tmp_path_factory.getbasetemp() / "harm"
    nameless = dict.fromkeys(("file_name", "plain_file_name", "wash_file_name"), "")
    check_harmless([item.but(**nameless, source=item.source or "x") for item in found], source)


# ---- folders -------------------------------------------------------------------------------------------


def without_weights(train: Any, val: Any, config: Any, recipe: Any, folder: Path, *more: Any, **about: Any) -> Any:
    """A training that learns nothing."""
    storage.write_bytes(folder / trainer.MODEL, b"weights")
    return {"samples_per_second": 1.0, "device": "cpu", "precision": "fp32", "validation": None, "waiting": 0.0}


@pytest.fixture(scope="module", autouse=True)
def quick_trainings() -> Iterator[None]:
    """What a network learns makes no difference here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "train", without_weights)
        yield


VERBS = {
    "clean": ("filter", "photos", "clean", "--skip", "too_small", "--executor", "serial"),
    "styled": ("stylize", "clean", "styled", "--short-side", "64", "--style", "cartoon", "--executor", "serial"),
    "shards": ("shard", "styled", "shards", "--size", "32", "--val-share", "0.2", "--test-share", "0.2", "--executor",
               "serial"),
    "runs": ("train", "shards"),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which photographs of known origin went through the chain, up to a training."""
    place = tmp_path_factory.mktemp("place")
    patchwork(place / "photos", 24)
    found = []
    for n in range(24):
        sha256 = file_sha256(place / f"photos/{n}.png")
        facts = {"title": f"No. {n}", "creator": "Jeanne", "license": ("CC-BY-4.0", "CC0-1.0", "")[n % 3]}
        item = Record(key=sha256[:16], file_name=f"{n}.png", sha256=sha256, source="museum", **facts)
        found.append(item.but(url=f"https://museum.example/{n}.png", page_url=f"https://museum.example/{n}"))
    write_lines(place / "photos" / METADATA, found)
    quick = ("-C", str(place))
    for verb in VERBS:
        assert run_here(*quick, *VERBS[verb], "--quiet").exit_code == 0
    return place


@pytest.fixture
def copy(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copied(place, tmp_path / "copy", monkeypatch)


def the_run(place: Path) -> Path:
    (run,) = (place / "runs").iterdir()
    return run


def index(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["photos", "clean", "styled", "shards"])
def test_along_the_chain_the_credit_is_the_same(name: str, place: Path, tmp_path: Path) -> None:
    done, text, table = credit(place / name, tmp_path / "out")
    kept = read_lines(place / "clean" / METADATA)
    if name != "photos":
        assert {row["key"] for row in table} == {item.key for item in kept}
    assert done.pictures == len(table) >= len(kept) > 15 and sum(done.licenses.values()) + done.unknown == len(table)
    assert {row["creator"] for row in table} == {"Jeanne"} and "creator unknown" not in text
    for row in table:
        assert f"“[{row['title']}]({row['page_url']})” by Jeanne" in text


@pytest.mark.parametrize("name", ["clean", "styled", "shards", "runs"])
def test_credits_lie_in_a_folder_without_disturbing_it(name: str, copy: Path) -> None:
    path = the_run(copy) if name == "runs" else copy / name
    credits.write(path, path)
    assert audit.inspect(path, deep=True).faults == []
    words = VERBS[name]
    assert json.loads(run_here(*words, "--json", "--quiet").stdout)["fresh"]
    if name in ("clean", "styled"):  # and when the folder is made anew
        (path / RECEIPT).unlink()
        assert not json.loads(run_here(*words, "--json", "--quiet").stdout)["fresh"]
        assert (path / PAGE).exists() and audit.inspect(path).faults == []
        assert credits.write(path, path).pictures > 15


def test_doctor_has_nothing_to_say_of_credits(copy: Path) -> None:
    for path in (copy / "clean", copy / "styled", copy / "shards", the_run(copy)):
        assert run_here("credits", str(path)).exit_code == 0
    assert json.loads(run_here("doctor", "--offline", "--json").stdout)["findings"] == []


def test_the_verb_tells_what_it_wrote(copy: Path) -> None:
    said = json.loads(run_here("credits", "clean", "--json").stdout)
    assert said["files"] == ["clean/CREDITS.md", "clean/CREDITS.csv"] and said["pictures"] > 15
    assert list(said["licenses"]) == ["CC-BY-4.0", "CC0-1.0"]
    assert said["unknown"] + sum(said["licenses"].values()) == said["pictures"]
    lines = run_here("credits", "clean", "--out", "here").stdout.splitlines()
    assert f"no known licence {said['unknown']})" in lines[0] and lines[1:] == [
        "  here/CREDITS.md",
        "  here/CREDITS.csv",
    ]
    assert (copy / "here" / PAGE).read_bytes() == (copy / "clean" / PAGE).read_bytes()


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("nowhere", UsageError, "no such folder"),
        ("plain", UsageError, "nothing is known of the pictures"),
        ("foreign", UsageError, "nothing is known of the pictures"),
        ("coloured", UsageError, "nothing is known of the pictures"),
        ("empty", DataError, "holds no picture"),
        ("unfinished", DataError, "isn't finished: run `gravurekit filter` again"),
        ("edited", DataError, "isn't as filter wrote it"),
        ("newer", DataError, "newer gravurekit"),
    ],
)
def test_what_has_no_credits_says_why(name: str, kind: type, said: str, tmp_path: Path) -> None:
    one = Record(key="a", source="x")
    patchwork(tmp_path / "plain", 1)
    patchwork(tmp_path / "foreign", 1)
    storage.write_text(tmp_path / "foreign" / METADATA, '{"file_name": "0.png", "text": "another program\'s"}\n')
    folder(tmp_path / "coloured", [Record(key="a", title="print.png")], "colorize")
    folder(tmp_path / "empty", [])
    folder(tmp_path / "unfinished", [one], "filter").joinpath(RECEIPT).unlink()
    write_lines(folder(tmp_path / "edited", [one], "filter") / METADATA, [])
    storage.write_text(folder(tmp_path / "newer", [one]) / RECEIPT, '{"format": 99}')
    with pytest.raises(kind, match=said):
        credits.write(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [PAGE, TABLE])
def test_somebody_elses_credits_stay(name: str, tmp_path: Path) -> None:
    source = folder(tmp_path / "raw", [Record(key="a", source="x")])
    storage.write_text(source / name, "# My thanks\n")
    with pytest.raises(UsageError, match=rf"{name} is there already.*--out"):
        credits.write(source, source)
    assert (source / name).read_text() == "# My thanks\n" and len({PAGE, TABLE} & set(os.listdir(source))) == 1
    (source / name).unlink()
    os.mkfifo(source / name)
    with pytest.raises(UsageError, match="is there already"):
        credits.write(source, source)


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"7", b"{}", b'{"key": 7}', b'{"key": null}', b'{"key": "a", "title": ["x"]}', b"\xff",
             b"[" * 100_000],
)  # fmt: skip
def test_an_index_that_is_damaged_names_its_line(line: bytes, tmp_path: Path) -> None:
    storage.write_bytes(tmp_path / INDEX, b'{"key": "a", "source": "x"}\n' + line + b"\n")
    storage.write_text(tmp_path / MANIFEST, "{}")
    with pytest.raises(DataError, match=r"index\.jsonl, line 2, is damaged"):
        credits.write(tmp_path, tmp_path)


def test_half_an_emoji_in_an_index_is_shown_as_such(tmp_path: Path) -> None:
    storage.write_bytes(tmp_path / INDEX, b'{"key": "a", "title": "\\ud83d", "url": "https://a.example/\\ud83d"}\n')
    storage.write_text(tmp_path / MANIFEST, "{}")
    assert credit(tmp_path)[2][0]["title"] == "\ufffd"


# ---- what a network learned from -----------------------------------------------------------------------


def test_a_run_gives_credit_for_what_it_learned_and_nothing_else(copy: Path) -> None:
    learned = {entry["key"] for entry in index(copy / "shards" / INDEX) if entry["split"] == "train"}
    everything = {entry["key"] for entry in index(copy / "shards" / INDEX)}
    shutil.rmtree(copy / "shards")
    _, text, table = credit(the_run(copy))
    assert {row["key"] for row in table} == learned < everything
    assert "from which the network in this folder learned" in text and "drawn as engravings" in text


def test_the_list_of_a_run_goes_where_the_run_goes(place: Path, tmp_path: Path) -> None:
    for name in (trainer.MODEL, LEARNED):  # as somebody would hand it on
        storage.copy(the_run(place) / name, tmp_path / "model" / name)
    assert credit(tmp_path / "model")[0].pictures == len(index(the_run(place) / LEARNED))


def test_a_list_that_is_lost_is_made_again_and_a_changed_one_is_told(copy: Path) -> None:
    run = the_run(copy)
    before = {name: (run / name).read_bytes() for name in (LEARNED, trainer.MODEL)}
    storage.write_lines(run / LEARNED, before[LEARNED].decode().splitlines()[1:])
    for damage in (lambda: None, (run / LEARNED).unlink):
        damage()
        with pytest.raises(DataError, match=rf"{LEARNED} is.*run `gravurekit train` again"):
            credits.write(run, run)
    assert not json.loads(run_here(*VERBS["runs"], "--json", "--quiet").stdout)["fresh"]
    assert {name: (run / name).read_bytes() for name in before} == before


def without_list(run: Path) -> None:
    """Make a run what it would be if its training had kept no list."""
    receipt = json.loads((run / RECEIPT).read_text())
    del receipt["files"][LEARNED]
    storage.write_json(run / RECEIPT, receipt)
    (run / LEARNED).unlink()


def test_a_run_without_a_list_asks_its_shards_if_they_are_the_same(copy: Path) -> None:
    run = the_run(copy)
    with_list = credit(run)[1:]
    without_list(run)
    assert json.loads(run_here(*VERBS["runs"], "--json", "--quiet").stdout)["fresh"]
    assert credit(run)[1:] == with_list
    assert run_here(*VERBS["shards"], "--seed", "1", "--quiet").exit_code == 0
    with pytest.raises(DataError, match=rf"holds no {LEARNED}, and .*shards isn't the folder .*train anew"):
        credits.write(run, run)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: None, " is missing"),
        (lambda lines: lines[1:], " doesn't tell of the samples"),
        (lambda lines: [*lines, lines[0]], " doesn't tell of the samples"),
        (lambda lines: [*lines, "{"], ", line {last}, is damaged"),
        (lambda lines: [*lines, "[]"], ", line {last}, is damaged"),
        (lambda lines: [*lines, "{}"], ", line {last}, is damaged"),
        (lambda lines: [*lines, lines[0].replace('"train"', '["train"]')], ", line {last}, is damaged"),
        (lambda lines: [*lines, lines[0].replace('"variant": 0', '"variant": [0]')], ", line {last}, is damaged"),
    ],
)
def test_no_training_begins_whose_pictures_cant_be_told(
    damage: Callable[[list[str]], list[str] | None], said: str, copy: Path
) -> None:
    lines = damage((copy / "shards" / INDEX).read_text("utf-8").splitlines())
    (copy / "shards" / INDEX).unlink()
    if lines is not None:
        storage.write_lines(copy / "shards" / INDEX, lines)
    result = run_here(*VERBS["runs"], "--seed", "5", "--quiet")
    assert result.exit_code == 5 and INDEX + said.format(last=len(lines or ())) in str(result.exception)
    assert "run `gravurekit shard` again" in str(result.exception)
    (other,) = (run for run in (copy / "runs").iterdir() if not (run / RECEIPT).exists())
    assert not (other / LEARNED).exists() and not (other / trainer.MODEL).exists()
