"""An opt-out of odd things: what was never here, what is no key, hostile lines, coloured prints, names of files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import serving
from odd_pictures import drawn
from typer.testing import Result
from workspace import run_here

from gravurekit import audit, folder, images, metadata, receipt, storage, tombstones
from gravurekit.record import Record


def listed(path: Path) -> list[Record]:
    return metadata.read_lines(path)


def forget(*words: str) -> Result:
    return run_here("forget", *words)


def told(*words: str) -> dict[str, Any]:
    result = forget(*words, "--json", "--quiet")
    assert result.exit_code == 0, result.exception
    return dict(json.loads(result.stdout))


@pytest.mark.parametrize("how", ["link", "page", "key", "sha256"])
def test_a_link_that_was_never_seen_is_not_asked_for(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serving() as site:
        site.bodies = {f"{n}.jpg": drawn(n) for n in range(3)}
        storage.write_bytes(tmp_path / "0.jpg", site.bodies["0.jpg"])
        sha256 = metadata.file_sha256(tmp_path / "0.jpg")
        page = "http://pages.example/of it.html"
        rows = [{"url": site.url(f"/pictures/{n}.jpg"), "page_url": page if n == 0 else ""} for n in range(3)]
        storage.write_lines(tmp_path / "links.jsonl", map(json.dumps, rows))
        word = {"link": rows[0]["url"], "page": page, "key": sha256[:16], "sha256": sha256[:16].upper()}[how]
        result = forget(word)
        assert result.exit_code == 0 and "never seen here" in result.stdout
        crawl = ("crawl", "--source", "urls:links.jsonl", "--allow-private-addresses", "--executor", "serial")
        for _ in range(2):
            assert run_here(*crawl, "--quiet").exit_code == 0
        assert site.asked["/pictures/0.jpg"] == (0 if how in ("link", "page") else 1)
        names = (tmp_path / "raw" / "journal.jsonl").read_text()
        assert "/pictures/0.jpg" not in names and "/pictures/1.jpg" in names and sha256 not in names
        assert {item.reason for item in listed(tmp_path / "raw" / "dropped.jsonl")} == {"forgotten"}
        ahead = run_here(*crawl, "--dry-run", "--json").stdout
        assert "/pictures/0.jpg" not in ahead and '"forgotten"' in ahead


def test_a_coloured_print_goes_and_the_folder_that_only_grows_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are named as people named theirs, and only those of the last run count."""
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "coloured"
    items = [Record(key=f"{n}" * 16, file_name=f"print {n}.png", sha256="", title=f"print {n}.jpg") for n in range(3)]
    for item in items:
        for name in (item.file_name, item.file_name.replace(".png", "-panel.png")):
            storage.write_bytes(out / name, item.key.encode())
    storage.write_text(out / metadata.MARKER, "colorize\n")
    metadata.write_lines(out / metadata.METADATA, items)
    metadata.write_lines(out / metadata.DROPPED, [])
    files = [f"print {n}{end}.png" for n in (1, 2) for end in ("", "-panel")]
    plan = receipt.Plan(stage="colorize", revision=1, settings={}, inputs={})
    folder.seal(out, plan, 2, [], (metadata.METADATA, metadata.DROPPED), 1.0, {"files": files})
    for key, left, kept in (("1" * 16, files[2:], 1), ("0" * 16, files[2:], 1)):
        assert told(key)["gone"][0]["files"] == 2
        seal = receipt.read_receipt(out)
        assert seal is not None and seal.measured["facts"]["files"] == left
        assert (seal.counts["in"], seal.counts["kept"], seal.plan) == (kept, kept, plan)
        assert audit.inspect(out).grave == []
    assert sorted(path.name for path in out.glob("*.png")) == sorted(files[2:])


@pytest.mark.parametrize("dry", [True, False])
def test_panels_that_show_it_go_and_those_of_other_runs_stay(
    dry: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures that are held back aren't learned from, so no list of the run tells of them but that of the panels."""
    monkeypatch.chdir(tmp_path)
    for name, key in (("a", "1" * 16), ("b", "2" * 16)):
        run = tmp_path / "runs" / name
        storage.write_text(run / metadata.MARKER, "train\n")
        for file in ("panels/0000200.png", "panels/0000400.png", "tensorboard/events", "model.safetensors"):
            storage.write_text(run / file, "x")
        storage.write_lines(run / "panels/pictures.jsonl", [json.dumps({"key": key, "split": "val"})])
    page = tmp_path / "reports/a.html"
    storage.write_text(page, f'<meta name="generator" content="gravurekit report">{"1" * 16}')
    removed = set(told("1" * 16, *(["--dry-run"] if dry else []))["reports"])
    assert removed == {"reports/a.html", "runs/a/panels", "runs/a/tensorboard"}
    gone = [*map(Path, removed)]
    assert all(path.exists() == dry for path in gone)
    assert (tmp_path / "runs/a/model.safetensors").exists() and (tmp_path / "runs/b/panels/0000400.png").exists()


def test_a_file_is_forgotten_by_its_name_if_that_is_what_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for n in range(2):
        pixels = np.random.default_rng(n).integers(0, 255, (90, 80, 3), np.uint8)
        storage.write_bytes(tmp_path / "photos" / f"{n}.png", images.encode_png(pixels))
    crawl = ("crawl", "--source", "folder:photos", "--executor", "serial", "--quiet")
    assert run_here(*crawl).exit_code == 0
    made = told("folder:photos/0.png")
    assert made["yours"] == ["folder:photos/0.png"] and made["gone"][0]["pictures"] == 1
    storage.write_bytes(tmp_path / "photos" / "0.png", images.encode_png(pixels[::-1]))
    assert run_here(*crawl).exit_code == 0
    assert [item.url for item in listed(tmp_path / "raw" / "metadata.jsonl")] == ["folder:photos/1.png"]
    assert [item.reason for item in listed(tmp_path / "raw" / "dropped.jsonl")] == ["forgotten"]
    assert "photos/0.png" not in (tmp_path / "raw" / "journal.jsonl").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "name the picture"),
        (("0123abc",), "neither a link nor a key"),
        (("no/such.jpg",), "neither a link nor a key"),
        (("0123abcd" * 3,), "neither a link nor a key"),
        (("12345678",), "no picture's key begins with 12345678"),
        (("http://host/\x1b[2J",), "holds more or other characters"),
        (("--file", "absent.txt"), "No such file"),
        (("--file", "."), "is no file"),
    ],
)
def test_what_names_no_picture_is_refused(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = forget(*words)
    assert result.exit_code == 2 and says in str(result.exception) and not list(tmp_path.iterdir())


def test_a_beginning_of_several_keys_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys = ("aaaaaaaa" + "0" * 8, "aaaaaaaa" + "1" * 8)
    storage.write_text(tmp_path / "raw" / metadata.MARKER, "crawl\n")
    metadata.write_lines(tmp_path / "raw" / metadata.METADATA, (Record(key=key) for key in keys))
    result = forget("AAAAAAAA")
    assert result.exit_code == 2 and f"begins 2 keys ({', '.join(keys)}" in str(result.exception)


def test_hostile_lines_take_no_other_files_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that lead out, that are a folder's or our own files', and lines that are torn or no Records."""
    monkeypatch.chdir(tmp_path)
    key = "ab" * 8
    names = ("../precious.txt", str(tmp_path / "precious.txt"), "images", "metadata.jsonl", ".gravurekit", ".", "a\0b")
    storage.write_text(tmp_path / "precious.txt", "precious")
    storage.write_text(tmp_path / "raw" / metadata.MARKER, "crawl\n")
    storage.write_text(tmp_path / "raw" / "images" / "other.jpg", "x")
    lines = [json.dumps({"key": key, "file_name": name, "url": 7, "cluster": ["x"]}) for name in names]
    torn = ['{"key":"' + key, "[]", "7", '{"key":"' + "cd" * 8 + '","cluster":"../..","photo_key":"é"}', '{"key":"cd']
    storage.write_lines(tmp_path / "raw" / metadata.METADATA, [*lines, *torn])
    assert forget(key, "--quiet").exit_code == 0 and forget("cd" * 8, "--quiet").exit_code == 0
    assert (tmp_path / "precious.txt").read_text() == "precious" and (tmp_path / "raw/images/other.jpg").exists()
    assert (tmp_path / "raw" / metadata.METADATA).read_text() == '[]\n7\n{"key":"cd\n'
    assert tombstones.read(tmp_path / tombstones.FILE).all == {("key", key), ("key", "cd" * 8)}


def ours(path: Path, stage: str, *keys: str) -> None:
    """A folder of ours that names these pictures."""
    storage.write_text(path / metadata.MARKER, f"{stage}\n")
    metadata.write_lines(path / metadata.METADATA, (Record(key=key) for key in keys))


def test_all_that_the_settings_name_belongs_to_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it lies; and so does a folder of ours that a link leads to."""
    key, home = "ab" * 8, tmp_path / "home"
    for name in ("photographs", "splits", "linked"):
        ours(tmp_path / name, "filter", key, "cd" * 8)
    ours(tmp_path / "model", "train", key)
    storage.copy(tmp_path / "model" / metadata.METADATA, tmp_path / "model" / "learned_from.jsonl")
    storage.write_text(tmp_path / "decisions.jsonl", json.dumps({"key": key, "keep": True}))
    names = ("photographs", "splits", "model")
    said = [f'{name} = "../{name}"' for name in names] + ['decisions = "../decisions.jsonl"']
    storage.write_lines(home / "gravurekit.toml", ["[paths]", *said])
    (home / "elsewhere").symlink_to(tmp_path / "linked")
    (home / "round").symlink_to(home)
    monkeypatch.chdir(home)
    made = told(key)
    assert sorted(item["folder"] for item in made["gone"]) == ["../photographs", "../splits", "elsewhere"]
    assert made["runs"] == ["../model"] and made["yours"] == ["../decisions.jsonl"]
    for name in ("photographs", "splits", "linked"):
        assert [item.key for item in listed(tmp_path / name / metadata.METADATA)] == ["cd" * 8]


def test_exports_of_exports_are_told_and_such_as_were_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an export has no list of what it holds yet, and a run without a list may have learned from anything."""
    key, home = "ab" * 8, tmp_path / "home"
    monkeypatch.chdir(storage.make_folder(home))
    ours(home / "raw", "crawl", key)
    ours(home / "once", "export", key)
    ours(tmp_path / "twice", "export", key)
    ours(tmp_path / "thrice", "export", key)
    storage.write_text(tmp_path / "half" / metadata.MARKER, "export\n")
    storage.write_text(home / "runs" / "old" / metadata.MARKER, "train\n")
    outs = {home / "raw": "../../half", home / "once": "../../twice", tmp_path / "twice": "../thrice"}
    for source, out in outs.items():
        storage.write_lines(source / metadata.EXPORTS, [json.dumps({"format": "webdataset", "out": out})])
    made = told(key)
    assert made["exports"] == ["once", "../twice", "../half (isn't finished, may hold it)", "../thrice"]
    assert len(made["unknown"]) == 1 and made["unknown"][0].startswith("runs/old: it keeps no list")


def test_drawings_that_came_out_the_same_are_different_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of blank pictures, say: an export names the files of drawings by their sha256 as one of photographs does."""
    monkeypatch.chdir(tmp_path)
    keys = ("ab" * 8, "cd" * 8)
    ours(tmp_path / "raw", "crawl", *keys)
    storage.write_text(tmp_path / "out" / metadata.MARKER, "export\n")
    entries = [{"key": key, "photo_key": key, "sha256": "e" * 64} for key in keys]
    storage.write_lines(tmp_path / "out" / "index.jsonl", map(json.dumps, entries))
    made = told(keys[0])
    assert made["keys"] == [keys[0]] and made["exports"] == ["out"]
    assert [item.key for item in listed(tmp_path / "raw" / metadata.METADATA)] == [keys[1]]


def test_a_command_that_is_given_elsewhere_obeys_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(storage.make_folder(tmp_path / "home"))
    for n in range(2):
        storage.write_bytes(tmp_path / "photos" / f"{n}.jpg", drawn(n))
    key = metadata.file_sha256(tmp_path / "photos" / "0.jpg")[:16]
    assert forget(key, "--quiet").exit_code == 0
    monkeypatch.chdir(storage.make_folder(tmp_path / "elsewhere"))
    crawl = ("crawl", "--source", "folder:../photos", "--out", "../home/raw", "--executor", "serial", "--quiet")
    assert run_here(*crawl).exit_code == 0
    assert [item.reason for item in listed(tmp_path / "home/raw" / metadata.DROPPED)] == ["forgotten"]
    told = run_here("filter", "../photos", "../home/clean", "--relevance", "none", "--executor", "serial", "--quiet")
    assert told.exit_code == 0 and "forgotten 1" in told.stdout
