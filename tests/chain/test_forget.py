"""An opt-out: what is forgotten is gone from a whole workspace, its copies too, and later runs obey."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result
from workspace import copied, digests, run_here

from gravurekit import audit, images, metadata, receipt, storage, tombstones
from gravurekit.record import Record
from gravurekit.reports import _gallery
from gravurekit.stages._evaluation import Case, write_cases

CHAIN = (
    ("crawl", "kaftan", "--source", "sample", "--per-keyword", "22", "--executor", "serial"),
    ("filter", "--relevance", "none", "--executor", "serial"),
    ("stylize", "--short-side", "64", "--style", "cartoon", "--executor", "serial"),
    ("shard", "--size", "32", "--executor", "serial"),
)
FOLDERS = ("raw", "clean", "styled")
Forget = Callable[..., Result]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain up to shards, with reports and credits, and a run that has learned from it."""
    root = tmp_path_factory.mktemp("chain")
    for words in (*CHAIN, ("report", "raw"), ("report", "clean"), ("credits", "clean"), ("credits", "raw")):
        assert run_here("-C", str(root), *words, *(["--quiet"] if words[0] != "credits" else [])).exit_code == 0
    run = root / "runs" / "shards-1234"
    storage.copy(root / "shards" / "index.jsonl", run / "learned_from.jsonl")
    storage.write_text(run / metadata.MARKER, "train\n")
    for name in ("model.safetensors", "state.safetensors", "earlier/00000002.safetensors", "panels/00000004.png"):
        storage.write_bytes(run / name, b"of a training: it stays with the run, which is told as a whole")
    storage.write_lines(
        run / "log.jsonl", [json.dumps({"kind": "spoilt", "step": 3, "pictures": ["0123456789abcdef"]})]
    )
    storage.write_json(run / "data.json", {"manifest": "f00"})
    storage.write_lines(root / "raw" / "exports.jsonl", [json.dumps({"format": "parquet", "out": "../handed/over"})])
    storage.copy(root / "clean" / "metadata.jsonl", root / "handed" / "over" / "metadata.jsonl")
    return root


@pytest.fixture
def workspace(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copied(finished, tmp_path / "w", monkeypatch)


def listed(path: Path) -> list[Record]:
    return metadata.read_lines(path)


def cluster(root: Path) -> tuple[Record, list[Record]]:
    """A picture that is kept, and those that were dropped for it: copies of more than its bytes."""
    dropped = listed(root / "clean" / "dropped.jsonl")
    for kept in listed(root / "clean" / "metadata.jsonl"):
        twins = [item for item in dropped if item.kept_key == kept.key]
        if twins:
            return kept, twins
    raise AssertionError("the sample has copies")


def traces_left(root: Path, gone: list[Record]) -> set[str]:
    """The files in which anything of these pictures is still found: key, link, sha256, title; pixels by what they are
    known by. Tombstones and what can't unlearn are left out."""
    needles = {word for item in gone for word in (item.key, item.url, item.page_url, item.sha256, item.pixels_sha256,
                                                  item.phash, item.title) if word}  # fmt: skip
    raw = {word.encode() for word in needles} | {bytes.fromhex(item.sha256) for item in gone}
    found = set()
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not name.startswith((tombstones.FILE, "runs/", "handed/")):
            data = path.read_bytes()
            if any(word in name for word in needles) or any(word in data for word in raw):
                found.add(name)
    return found


def forget(*words: str) -> Result:
    return run_here("forget", *words)


def told(*words: str) -> dict[str, Any]:
    result = forget(*words, "--json", "--quiet")
    assert result.exit_code == 0, result.exception
    return dict(json.loads(result.stdout))


@pytest.mark.parametrize("named", ["kept", "twin", "link", "page", "beginning"])
def test_all_of_it_is_gone_whatever_it_was_named_by(named: str, workspace: Path) -> None:
    kept, twins = cluster(workspace)
    gone = [kept, *twins]
    assert len(traces_left(workspace, gone)) > 12
    word = {
        "kept": kept.key, "twin": twins[0].key, "link": kept.url, "page": twins[0].page_url, "beginning": kept.key[:9],
    }[named]  # fmt: skip
    made = told(word)
    assert traces_left(workspace, gone) == set()
    assert set(made["keys"]) >= {item.key for item in gone} and made["unseen"] == []
    assert {item["folder"] for item in made["gone"]} == {"raw", "clean", "styled", "shards"}
    assert set(made["reports"]) >= {
        "reports/raw/report.html",
        "reports/clean/report.html",
        "clean/CREDITS.md",
        "raw/CREDITS.csv",
    }
    assert made["runs"] == ["runs/shards-1234"] and made["exports"] == ["handed/over"]
    for name in FOLDERS:
        assert audit.inspect(workspace / name, deep=True).faults == []
    hashes = tombstones.read(workspace / tombstones.FILE)
    assert set(hashes.of("sha256")) >= {item.sha256 for item in gone}
    assert set(hashes.of("pixels_sha256")) >= {item.pixels_sha256 for item in gone}
    assert set(hashes.of("phash")) >= {item.phash for item in gone}
    assert hashes.has_link(kept.url) and hashes.has_link(twins[0].url)


def test_receipts_tell_of_what_is_left_by_the_same_plan(workspace: Path) -> None:
    before = {name: receipt.read_receipt(workspace / name) for name in FOLDERS}
    kept, twins = cluster(workspace)
    forget(kept.key)
    for name in FOLDERS:
        old, new = before[name], receipt.read_receipt(workspace / name)
        assert old is not None and new is not None and new.plan == old.plan
        lines = listed(workspace / name / "metadata.jsonl"), listed(workspace / name / "dropped.jsonl")
        assert (new.counts["kept"], new.counts["in"]) == (len(lines[0]), sum(map(len, lines)))
        assert sum(new.counts.values()) == 2 * new.counts["in"]
    assert before["clean"].counts["in"] - 1 - len(twins) == receipt.read_receipt(workspace / "clean").counts["in"]  # type: ignore[union-attr]


def test_the_tombstone_holds_hashes_and_nothing_else(workspace: Path) -> None:
    kept, _ = cluster(workspace)
    forget(kept.key)
    lines = (workspace / tombstones.FILE).read_text().splitlines()
    assert lines == sorted(set(lines))
    for line in lines:
        ((kind, digits),) = json.loads(line).items()
        assert tombstones.fits(kind, digits)


def test_the_chain_goes_on_and_the_picture_stays_away(workspace: Path) -> None:
    """The very same commands again: nothing is fetched, the picture is counted, and nothing of it comes back."""
    kept, twins = cluster(workspace)
    gone = [kept, *twins]
    keys = {item.key for item in gone}
    crawled = [item for name in ("metadata", "dropped") for item in listed(workspace / "raw" / f"{name}.jsonl")]
    links = {item.url for item in crawled if keys & {item.key, item.kept_key}}
    forget(twins[0].key)
    for words in CHAIN:
        assert run_here(*words, "--quiet").exit_code == 0
    assert traces_left(workspace, gone) == set()
    forgotten = [item for item in listed(workspace / "raw" / "dropped.jsonl") if item.reason == "forgotten"]
    assert forgotten == [tombstones.record(key) for key in sorted(tombstones.hash_of(url)[:16] for url in links)]
    for words in CHAIN[:3]:
        assert json.loads(run_here(*words, "--quiet", "--json").stdout)["fresh"]
    assert run_here("report", "raw", "--quiet").exit_code == 0
    before = digests(workspace)
    assert told(kept.key)["gone"] == []
    assert digests(workspace) == before


def test_a_crawl_from_elsewhere_neither_keeps_the_bytes_nor_the_link(workspace: Path) -> None:
    kept, twins = cluster(workspace)
    storage.copy(workspace / "raw" / kept.file_name.replace("clean", "raw"), workspace / "photos" / "odd näme.jpg")
    other = np.random.default_rng(3).integers(0, 255, (90, 80, 3), np.uint8)
    storage.write_bytes(workspace / "photos" / "fine.png", images.encode_png(other))
    forget(kept.key)
    for _ in range(2):
        assert run_here("crawl", "--source", "folder:photos", "--executor", "serial", "--quiet").exit_code == 0
        assert "odd n" not in (workspace / "raw" / "journal.jsonl").read_text("utf-8")
        assert traces_left(workspace / "raw", [kept]) == set()
        dropped = [item for item in listed(workspace / "raw" / "dropped.jsonl") if item.reason == "forgotten"]
        assert tombstones.hash_of("folder:photos/odd näme.jpg")[:16] in {item.key for item in dropped}
        assert all(item == tombstones.record(item.key) for item in dropped)
        assert "folder:photos/fine.png" in {item.url for item in listed(workspace / "raw" / "metadata.jsonl")}
    storage.write_bytes(workspace / "photos" / "odd näme.jpg", images.encode_jpeg(other[::-1]))
    run_here("crawl", "--source", "folder:photos", "--executor", "serial", "--quiet")
    assert "folder:photos/odd näme.jpg" in {item.url for item in listed(workspace / "raw" / "metadata.jsonl")}


def resaved(path: Path, out: Path) -> None:
    """As it comes once more from elsewhere: at another quality."""
    storage.write_bytes(out, images.encode_jpeg(images.read(path).pixels, 70, subsampling=2))


def test_a_later_filter_drops_its_pixels_and_what_looks_like_it(workspace: Path) -> None:
    """Also of a folder that was filtered before, and whatever people decided by hand."""
    kept, _ = cluster(workspace)
    file = workspace / "clean" / kept.file_name
    storage.write_bytes(workspace / "more" / "a.png", images.encode_png(images.read(file).pixels))
    resaved(file, workspace / "more" / "b.jpg")
    for seed in (1, 2):
        squares = np.random.default_rng(seed).integers(0, 255, (8, 6, 3), np.uint8)
        pixels = np.kron(squares, np.ones((40, 40, 1), np.uint8))
        storage.write_bytes(workspace / "more" / f"{seed}.png", images.encode_png(pixels))
    keys = {name: metadata.file_sha256(workspace / "more" / name)[:16] for name in ("a.png", "b.jpg")}
    storage.write_lines(workspace / "mine.jsonl", [json.dumps({"key": keys["b.jpg"], "keep": True})])
    words = ("filter", "more", "cleaner", "--relevance", "none", "--executor", "serial", "--skip", "graphic")
    assert run_here(*words, "--quiet").exit_code == 0
    assert run_here(*words, "--quiet", "--json").stdout.count('"fresh": true') == 1
    other = listed(workspace / "cleaner" / "metadata.jsonl")
    shutil.rmtree(workspace / "cleaner" / "images")  # out of the workspace's reach, as it were
    shutil.copytree(workspace / "cleaner", workspace.parent / "elsewhere")
    shutil.rmtree(workspace / "cleaner")
    forget(kept.key)
    result = run_here(*words, "--decisions", "mine.jsonl")
    assert result.exit_code == 0 and "more still holds what was forgotten: gravurekit forget" in result.stderr
    dropped = {item.key: item for item in listed(workspace / "cleaner" / "dropped.jsonl")}
    assert {key: dropped[key] for key in keys.values()} == {key: tombstones.record(key) for key in keys.values()}
    assert {item.key for item in listed(workspace / "cleaner" / "metadata.jsonl")} == {
        item.key for item in other if item.key not in keys.values()
    }


def test_tombstones_make_an_earlier_filter_stale(workspace: Path) -> None:
    forget("00" * 8)
    result = run_here(*CHAIN[1])
    assert result.exit_code == 0 and "side input changed: forgotten" in result.stderr
    assert json.loads(run_here(*CHAIN[1], "--json").stdout)["fresh"]


def test_a_dry_run_changes_nothing_and_tells_the_same(workspace: Path) -> None:
    before = digests(workspace)
    kept, _ = cluster(workspace)
    foreseen = told(kept.key, "--dry-run")
    assert digests(workspace) == before
    assert foreseen | {"dry_run": False} == told(kept.key)


def test_what_is_peoples_own_is_told_and_left(workspace: Path) -> None:
    kept, _ = cluster(workspace)
    storage.write_lines(workspace / "decisions.jsonl", [json.dumps({"key": kept.key, "keep": True})])
    storage.write_text(workspace / "list.txt", f"# by mail\n\n{kept.url}\n")
    shutil.copytree(workspace / "clean" / "images", workspace / "photos")
    storage.write_text(workspace / "gravurekit.toml", '[paths]\nagainst = ["photos"]\n')
    (workspace / "raw" / "images" / f"mine-{kept.key}.txt").write_text("a note")
    before = digests(workspace / "photos")
    made = told("--file", "list.txt")
    assert made["yours"] == ["decisions.jsonl", "list.txt", "photos"]
    assert digests(workspace / "photos") == before and (workspace / "raw/images" / f"mine-{kept.key}.txt").exists()


def test_what_lies_beside_a_page_or_a_report_goes_with_it(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, _ = cluster(workspace)
    monkeypatch.setattr(_gallery, "EMBEDDED", 0)
    assert run_here("report", "clean", "--png", "--out", "pages/mine.html", "--quiet").exit_code == 0
    storage.write_text(workspace / "pages/mine_files/notes.txt", "mine")
    assert run_here("report", "clean", "--png", "--quiet").exit_code == 0
    report = workspace / "reports/styled-style.json"
    seen = {"ink": np.zeros((8, 8), np.uint8)}
    cases = write_cases(report, {"drawings": [Case(kept.file_name, "", {}, seen)]})
    storage.write_json(report, {"kind": "gravurekit evaluate style", "cases": cases})
    made = told(kept.key)
    folders = {"reports/clean/report_files", "pages/mine_files/thumbnails", "pages/mine_files/plots"}
    assert folders | {"pages/mine.html", "reports/styled-style_files"} <= set(made["reports"])
    assert [path.name for path in (workspace / "pages").rglob("*") if path.is_file()] == ["notes.txt"]
    assert not [path for path in (workspace / "reports").rglob("*") if path.is_file()]


def test_sheets_that_dont_say_whom_they_show_go_as_well(workspace: Path) -> None:
    kept, _ = cluster(workspace)
    assert run_here("stylize", "--preview", kept.key[:8], "--style", "cartoon", "--short-side", "64").exit_code == 0
    names = {
        f"reports/{name}" for name in ("styled-style.json", "styled-style.png", "run-colors.json", "run-colors.png")
    }
    for name, subject in (("styled-style", "style"), ("run-colors", "colors")):
        storage.write_json(workspace / "reports" / f"{name}.json", {"kind": f"gravurekit evaluate {subject}"})
        storage.write_bytes(workspace / "reports" / f"{name}.png", b"a sheet")
    assert {"preview.png", *names} <= set(told(kept.key)["reports"])
    assert not list(workspace.glob("*.png"))
    assert not [path for path in (workspace / "reports").rglob("*") if path.is_file()]


# ---- what can go wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"\xff\xfe", "isn't UTF-8"),
        (b"not a key", "neither a link nor a key"),
        (b"http://host/" + b"x" * 9000, "holds more or other"),
        (b"http://host/a\0b", "holds more or other"),
        (b"ffffffff", "no picture's key begins"),
    ],
)
def test_a_bad_line_is_named_before_anything_is_done(line: bytes, says: str, workspace: Path) -> None:
    kept, _ = cluster(workspace)
    storage.write_bytes(workspace / "list.txt", f"\ufeff# ours\n\n  {kept.key}  \r\n".encode() + line + b"\n")
    before = digests(workspace)
    result = forget("--file", "list.txt")
    assert result.exit_code == 2 and "list.txt, line 4" in str(result.exception) and says in str(result.exception)
    assert digests(workspace) == before


@pytest.mark.parametrize("verb", [("forget", "00" * 8), CHAIN[0], CHAIN[1]])
def test_damaged_tombstones_stop_whoever_should_obey_them(verb: tuple[str, ...], workspace: Path) -> None:
    storage.write_lines(workspace / tombstones.FILE, ['{"key": "0123456789abcdef"}', '{"key": "0123'])
    result = run_here(*verb)
    assert result.exit_code == 5 and "forgotten.jsonl, line 2, is no tombstone" in str(result.exception)


def test_what_was_half_written_goes_at_once(workspace: Path) -> None:
    """A kill has left half a list, half a shard, half of what was measured: nobody may find the picture in those."""
    kept, twins = cluster(workspace)
    names = ("clean/metadata.jsonl.x", "raw/journal.jsonl.x", "shards/tmpx", "shards/index.jsonl.x", "clean/.probes/x")
    for name in names:
        storage.write_text(workspace / f"{name}{storage.ASIDE}", f"{kept.key} {kept.url}")
    assert forget(kept.key, "--quiet").exit_code == 0
    assert not traces_left(workspace, [kept, *twins]) and not list(workspace.rglob(f"*{storage.ASIDE}"))


def test_a_training_that_goes_on_is_told(workspace: Path) -> None:
    kept, _ = cluster(workspace)
    with storage.locked(workspace / "runs" / "shards-1234" / metadata.LOCK):
        assert told(kept.key, "--dry-run")["runs"] == ["runs/shards-1234 (still learning: stop it)"]
    assert told(kept.key)["runs"] == ["runs/shards-1234"]


def test_damaged_shards_hold_nobody_else_up(workspace: Path) -> None:
    """All other folders are seen to, it's told what to do, and that and the same command again make an end of it."""
    kept, twins = cluster(workspace)
    entry = json.loads((workspace / "shards" / "index.jsonl").read_text().splitlines()[0])
    path = workspace / "shards" / entry["shard"]
    path.write_bytes(path.read_bytes()[:-10])
    result = forget(kept.key, "--json", "--quiet")
    made = json.loads(result.stdout)
    assert result.exit_code == 5 and len(made["damaged"]) == 1 and "run `gravurekit shard` again" in made["damaged"][0]
    assert [item["folder"] for item in made["gone"]] == ["styled", "clean", "raw"]
    assert not {name for name in traces_left(workspace, [kept, *twins]) if not name.startswith("shards/")}
    assert run_here(*CHAIN[3], "--quiet").exit_code == 0 and forget(kept.key, "--quiet").exit_code == 0
    assert not traces_left(workspace, [kept, *twins])


def test_an_edit_by_hand_doesnt_become_what_a_stage_wrote(workspace: Path) -> None:
    kept, _ = cluster(workspace)
    path = workspace / "clean" / metadata.METADATA
    storage.write_text(path, path.read_text("utf-8").replace('"kaftan"', '"robe"'))
    changed = next(item for item in listed(path) if item.key != kept.key)
    forget(kept.key)
    assert "edited" in {fault.kind for fault in audit.inspect(workspace / "clean").faults}
    assert kept.key not in path.read_text("utf-8")
    storage.write_bytes(workspace / "styled" / changed.file_name, b"another file")
    forget("00" * 8)
    assert "changed" in {fault.kind for fault in audit.inspect(workspace / "styled").faults}


def test_a_file_that_was_changed_is_found_after_it_as_before(workspace: Path) -> None:
    kept, _ = cluster(workspace)
    other = next(item for item in listed(workspace / "raw" / metadata.METADATA) if item.cluster != kept.key)
    storage.write_bytes(workspace / "raw" / other.file_name, b"another file")
    forget(kept.key)
    assert "changed" in {fault.kind for fault in audit.inspect(workspace / "raw").faults}


def test_what_an_ended_run_left_goes_too(workspace: Path) -> None:
    """Parts, downloads that nobody has looked at yet, a journal without metadata."""
    kept, twins = cluster(workspace)
    raw = workspace / "raw"
    storage.copy(raw / kept.file_name, raw / "incoming" / kept.sha256)
    storage.write_lines(workspace / "clean" / "parts" / "keep" / "00000.jsonl", [kept.to_json()])
    storage.write_lines(workspace / "styled" / "parts" / "draw" / "00000.jsonl", ["of another picture"])
    for name in (metadata.METADATA, metadata.DROPPED, receipt.RECEIPT):
        storage.remove(raw / name)
    told(twins[0].key)
    assert traces_left(workspace, [kept, *twins]) == set()
    assert not (workspace / "clean" / "parts").exists() and (workspace / "styled" / "parts").exists()


HOLD = """
import pathlib, sys, threading
from gravurekit import storage
with storage.locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    threading.Event().wait(600)
"""


@pytest.fixture
def busy(workspace: Path) -> Iterator[int]:
    """Another process works in styled/; its pid."""
    command = [sys.executable, "-c", HOLD, str(workspace / "styled" / metadata.LOCK)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process.pid
        process.kill()


def test_where_somebody_works_nothing_is_forgotten(busy: int, workspace: Path) -> None:
    before = digests(workspace, but=(metadata.LOCK,))
    kept, _ = cluster(workspace)
    result = forget(kept.key)
    assert result.exit_code == 2 and f"process {busy} is at work in" in str(result.exception)
    assert digests(workspace, but=(metadata.LOCK,)) == before


KILLS = """
import os, shutil, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[3])
from workspace import copied, digests, run_here

import cv2, imagehash, scipy.fftpack
from gravurekit import commands, probe, storage

base, key, often = Path(sys.argv[1]), sys.argv[2], int(sys.argv[4])
STEPS = ("write_lines", "write_json", "write_text", "write_chunks", "replace_lines", "remove", "copy")
os.fsync = storage.settle = lambda *_: None  # no power is cut


def forget(root, at):
    # As a process of its own, killed before step `at`; 0: after it all is done.
    pid = os.fork()
    if pid == 0:
        left = [at]
        for name in STEPS:
            def step(*given, _do=getattr(storage, name)):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return _do(*given)
            setattr(storage, name, step)
        os._exit(run_here("-C", str(root), "forget", key, "--quiet").exit_code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def copied(name):
    shutil.copytree(base, base.parent / name)
    return base.parent / name


whole = copied("whole")
assert forget(whole, 0) == 0
wanted, kills = digests(whole), 0
while True:
    root = copied(f"killed{kills}")
    code = forget(root, kills + 1)
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
    locks = (".forgotten.lock", ".gravurekit.lock")
    assert (root / "forgotten.jsonl").exists() or digests(root, but=locks) == digests(base)
    assert forget(root, 0) == 0
    found = digests(root)
    assert found == wanted, (kills, {name for name in found | wanted if found.get(name) != wanted.get(name)})
    shutil.rmtree(root)
    kills += often
print(kills)
"""


@pytest.mark.parametrize("often", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_before_any_step_and_given_again_it_ends_in_the_same_bytes(
    often: int, workspace: Path, tmp_path: Path
) -> None:
    kept, twins = cluster(workspace)
    for name in ("shards", "handed"):  # shards have tests of their own
        shutil.rmtree(workspace / name)
    ours = str(Path(__file__).parent.parent)
    command = [sys.executable, "-c", KILLS, str(workspace), twins[0].key[:10], ours, str(often)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
    assert traces_left(tmp_path / "whole", [kept, *twins]) == set()
