"""doctor: every trouble has its name and its remedy, nothing on the disk makes it stumble, and it never writes."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import metadata as distributions
from pathlib import Path
from typing import Any

import pytest

from gravurekit import __version__, crafts, doctor, folder, metadata, pipeline, storage
from gravurekit.doctor import Diagnosis, Engine, Place, details, engines, machine
from gravurekit.metadata import LOCK, MARKER, METADATA
from gravurekit.pipeline import Wishes
from gravurekit.receipt import RECEIPT, Plan
from gravurekit.record import Record, key_of
from gravurekit.sample.engine import Engine as SampleEngine
from gravurekit.storage import write_bytes, write_text

LONG_AGO = 1_000_000_000


def made(path: Path, stage: str = "filter", count: int = 3) -> Path:
    """A finished folder of `stage`; its pictures are any bytes, because nobody decodes them here."""
    folder.claim(path, stage)
    kept = []
    for n in range(count):
        data = f"picture {n} of {path.name}".encode()
        write_bytes(path / "images" / "new.jpg", data)
        sha256 = metadata.file_sha256(path / "images" / "new.jpg")
        name = f"images/{key_of(sha256)}.jpg"
        os.replace(path / "images" / "new.jpg", path / name)
        os.utime(path / name, (LONG_AGO, LONG_AGO))
        kept.append(Record(key=key_of(sha256), file_name=name, sha256=sha256))
    plan = Plan(stage=stage, revision=1, settings={}, inputs={})
    if stage == "crawl":
        write_text(path / "journal.jsonl", "")
    folder.finish(path, plan, kept, [Record(key="0" * 16, reason="too-small", detail="3 × 3 px")], 0.1)
    return path


def first_picture(path: Path) -> Path:
    return sorted((path / "images").iterdir())[0]


def contents(root: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder with its size and time of change."""
    return {
        str(path.relative_to(root)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in [root, *root.rglob("*")]
    }


def place(found: Diagnosis, name: str) -> Place:
    return next(item for item in found.workspace if item.name == name or item.path == name)


def engine(found: Diagnosis, name: str) -> Engine:
    return next(item for item in found.engines if item.name == name)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def look(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Diagnosis]:
    """`examine` that asks no engine; whatever it finds is printable, is JSON, and has left no trace."""
    monkeypatch.setattr(engines, "_asks_a_host", lambda source: True)

    def looked(wishes: Wishes | None = None, **options: Any) -> Diagnosis:
        before = contents(here)
        found = doctor.examine(wishes or Wishes(), online=False, **options)
        assert contents(here) == before
        json.dumps(asdict(found), allow_nan=False).encode()
        shown = doctor.text(found)
        shown.encode()
        assert all(line.isprintable() for line in shown.split("\n"))
        assert all(item.what in shown and item.todo in shown for item in found.findings)
        return found

    return looked


# ---- whole workspaces ----------------------------------------------------------------------------------


def test_an_empty_folder_is_no_failure(here: Path) -> None:
    found = doctor.examine(Wishes(), online=False)
    assert found.exit_code == 0 and found.findings == () and list(here.iterdir()) == []
    assert {item.state for item in found.workspace} == {"absent"}
    assert [item.name for item in found.workspace] == ["raw", "clean", "styled", "shards", "runs", "coloured"]
    assert found.settings.state == "absent"
    assert engine(found, "sample").state == "answers" and engine(found, "bing").state == "not asked"
    assert "gravurekit init" in doctor.text(found)


def test_a_finished_workspace_has_nothing_to_do(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world)
    before = contents(world)
    for deep in (False, True):
        found = doctor.examine(Wishes(), deep=deep, online=False)
        assert (found.exit_code, found.findings) == (0, ())
        states = {
            item.name: item.state for item in found.workspace if item.name in ("raw", "clean", "styled", "shards")
        }
        assert set(states.values()) == {"finished"} and len(states) == 4
    assert contents(world) == before
    kept = len(folder.read(world / "raw"))
    assert place(found, "raw").counts["kept"] == kept
    assert f"{kept} of {place(found, 'raw').counts['in']} kept" in doctor.text(found)
    assert doctor.text(found).endswith("Nothing to do.")


def test_the_json_is_plain_and_complete(look: Callable[..., Diagnosis], here: Path) -> None:
    made(here / "clean")
    first_picture(here / "clean").unlink()
    found = look()
    plain = json.loads(json.dumps(asdict(found)))
    assert list(plain) == [
        "folder", "versions", "machine", "extras", "engines", "settings", "workspace", "findings",
    ]  # fmt: skip
    assert plain["folder"] == str(here) and plain["versions"]["gravurekit"] == distributions.version("gravurekit")
    names = {item["name"] for item in plain["versions"]["packages"]}
    assert {"numpy", "torch", "opencv-python-headless"} <= names and "pytest" not in names
    assert all(item["installed"] and item["good"] for item in plain["versions"]["packages"])
    assert plain["machine"]["cores"] >= 1 and plain["machine"]["memory"] > 0 and plain["machine"]["disk_free"] > 0
    assert plain["machine"]["device"] and plain["machine"]["threads"] >= 1
    assert "dev" in {item["name"] for item in plain["extras"]}
    assert {item["name"] for item in plain["engines"]} >= {"bing", "sample"}
    (fault,) = plain["workspace"][1]["faults"]
    assert fault["kind"] == "missing" and plain["findings"][0] | {"section": "workspace", "damage": True} == {
        "section": "workspace", "subject": "clean", "kind": "missing", "what": fault["what"], "todo": fault["todo"],
        "damage": True,
    }  # fmt: skip


# ---- damage --------------------------------------------------------------------------------------------


def remove_picture(path: Path) -> None:
    first_picture(path).unlink()


def change_picture(path: Path) -> None:
    write_bytes(first_picture(path), b"#" * first_picture(path).stat().st_size)  # younger than metadata.jsonl


def tear_metadata(path: Path) -> None:
    write_bytes(path / METADATA, (path / METADATA).read_bytes()[:-20])


def zero_metadata(path: Path) -> None:
    write_bytes(path / METADATA, bytes((path / METADATA).stat().st_size))


def edit_metadata(path: Path) -> None:
    lines = (path / METADATA).read_text("utf-8").splitlines()
    write_text(path / METADATA, lines[0][:-1] + ',"title":"mine"}\n' + "\n".join(lines[1:]) + "\n")


def remove_metadata(path: Path) -> None:
    (path / METADATA).unlink()


def from_the_future(path: Path) -> None:
    proof = json.loads((path / RECEIPT).read_bytes()) | {"format": 99}
    storage.write_json(path / RECEIPT, proof)


def tear_receipt(path: Path) -> None:
    write_bytes(path / RECEIPT, (path / RECEIPT).read_bytes()[:30])


def bury_receipt(path: Path) -> None:
    write_text(path / RECEIPT, "[" * 200_000)


def add_a_picture(path: Path) -> None:
    write_bytes(path / "images" / "cat.jpg", b"miaow")


def folder_for_receipt(path: Path) -> None:
    (path / RECEIPT).unlink()
    (path / RECEIPT).mkdir()


def pipe_for_metadata(path: Path) -> None:
    (path / METADATA).unlink()
    os.mkfifo(path / METADATA)


def file_for_images(path: Path) -> None:
    storage.remove(path / "images")
    write_text(path / "images", "")


def file_for_folder(path: Path) -> None:
    storage.remove(path)
    write_text(path, "")


def link_to_nowhere(path: Path) -> None:
    storage.remove(path)
    path.symlink_to("nowhere")


def zero_marker(path: Path) -> None:
    write_bytes(path / MARKER, bytes(7))


def name_no_file_can_have(path: Path) -> None:
    write_text(path / METADATA, '{"key":"00","file_name":"a\\u0000b/c.jpg","sha256":"00"}\n')


@pytest.mark.parametrize(
    "harm, kind, todo",
    [
        (remove_picture, "missing", "gravurekit filter"),
        (change_picture, "changed", "gravurekit filter"),
        (tear_metadata, "torn", "gravurekit filter"),
        (zero_metadata, "torn", "gravurekit filter"),
        (edit_metadata, "edited", "gravurekit filter"),
        (remove_metadata, "missing", "gravurekit filter"),
        (tear_receipt, "receipt", "run the stage again"),
        (bury_receipt, "receipt", "run the stage again"),
        (add_a_picture, "unnamed", "move it out"),
        (folder_for_receipt, "in-the-way", "move it away"),
        (pipe_for_metadata, "in-the-way", "move it away"),
        (file_for_images, "in-the-way", "move it away"),
        (file_for_folder, "no-folder", "move it away"),
        (link_to_nowhere, "no-folder", "move it away"),
        (zero_marker, "marker", "write the one word filter"),
        (name_no_file_can_have, "outside", "gravurekit filter"),
    ],
)
def test_every_damage_is_named_with_what_to_do(
    look: Callable[..., Diagnosis], here: Path, harm: Callable[[Path], None], kind: str, todo: str
) -> None:
    made(here / "raw", "crawl")
    harm(made(here / "clean"))
    found = look()
    assert found.exit_code == 5 and place(found, "clean").state == "damaged"
    assert place(found, "raw").state == "finished"
    (finding,) = [item for item in found.findings if item.kind == kind]
    assert finding.damage and todo in finding.todo and "clean" in finding.what
    assert "! clean" in doctor.text(found) and "! raw" not in doctor.text(found)


def test_a_folder_of_a_newer_gravurekit_is_called_so(look: Callable[..., Diagnosis], here: Path) -> None:
    from_the_future(made(here / "clean"))
    found = look()
    assert (found.exit_code, place(found, "clean").state) == (5, "newer")
    (finding,) = found.findings
    assert finding.kind == "newer" and "format 99" in finding.what and "pip install --upgrade" in finding.todo


def test_deep_sees_what_a_clock_hides(look: Callable[..., Diagnosis], here: Path) -> None:
    changed = first_picture(made(here / "clean"))
    write_bytes(changed, b"#" * changed.stat().st_size)
    os.utime(changed, (LONG_AGO, LONG_AGO))
    assert look().exit_code == 0
    found = look(deep=True)
    assert found.exit_code == 5 and [item.kind for item in found.findings] == ["changed"]


def test_large_files_of_the_receipt_are_looked_at_as_well(look: Callable[..., Diagnosis], here: Path) -> None:
    shards = here / "shards"
    folder.claim(shards, "shard")
    write_bytes(shards / "train-00000.safetensors", b"tensors")
    write_text(shards / "manifest.json", "{}")
    sums = {"train-00000.safetensors": metadata.file_sha256(shards / "train-00000.safetensors")}
    folder.seal(
        shards, Plan(stage="shard", revision=1, settings={}, inputs={}), 9, [], ("manifest.json",), 1.0, {}, sums
    )
    assert place(look(), "shards").state == "finished"
    write_bytes(shards / "train-00000.safetensors", b"tEnsors")
    assert [item.kind for item in look().findings] == ["changed"]
    (shards / "train-00000.safetensors").unlink()
    assert [item.kind for item in look().findings] == ["missing"]


@pytest.mark.parametrize("left", ["images/0123456789abcdef.jpg.x.gravurekit.part", "parts/keep/00000.jsonl", LOCK])
def test_what_an_ended_run_left_is_told_and_needs_nothing(
    look: Callable[..., Diagnosis], here: Path, left: str
) -> None:
    made(here / "clean")
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    write_text(here / "clean" / left, json.dumps({"pid": int(ended.stdout), "host": socket.gethostname()}))
    found = look()
    assert found.exit_code == 0 and not found.findings and place(found, "clean").state == "finished"
    (fault,) = place(found, "clean").faults
    assert fault.minor and fault.kind == ("stale-lock" if left == LOCK else "left-over") and "nothing" in fault.todo
    assert fault.kind in doctor.text(found)


@pytest.fixture
def holder(here: Path) -> Iterator[Callable[[Path], int]]:
    """`holder(path)`: a process that works in the folder; its number."""
    processes = []

    def hold(path: Path) -> int:
        code = "import sys; from pathlib import Path; from gravurekit import storage\n"
        code += "with storage.locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
        command = [sys.executable, "-c", code, str(path / LOCK)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout and process.stdout.readline() == "held\n"
        return process.pid

    yield hold
    for process in processes:
        process.communicate()


def test_a_folder_in_which_a_process_works_is_running(
    look: Callable[..., Diagnosis], here: Path, holder: Callable[[Path], int]
) -> None:
    clean = made(here / "clean")
    (clean / RECEIPT).unlink()
    remove_picture(clean)  # files come and go while somebody works
    pid = holder(clean)
    found = look()
    assert (found.exit_code, found.findings, place(found, "clean").state) == (0, (), "running")
    assert f"running     process {pid}" in doctor.text(found)
    assert (clean / LOCK).exists()


def test_an_unfinished_folder_is_to_be_finished_and_no_failure(look: Callable[..., Diagnosis], here: Path) -> None:
    clean = made(here / "clean")
    (clean / RECEIPT).unlink()
    remove_picture(clean)
    found = look()
    assert (found.exit_code, place(found, "clean").state) == (0, "unfinished")
    (finding,) = found.findings
    assert finding.kind == "unfinished" and "gravurekit filter" in finding.todo and not finding.damage


def test_folders_that_no_stage_made(look: Callable[..., Diagnosis], here: Path) -> None:
    write_bytes(here / "raw" / "holiday" / "1.jpg", b"sea")
    write_bytes(here / "raw" / METADATA, b'{"file_name": "holiday/1.jpg", "text": "another program\'s"}\n')
    (here / "clean").mkdir()
    made(here / "styled", "filter")
    found = look()
    assert found.exit_code == 0
    assert (place(found, "raw").state, place(found, "raw").counts) == ("yours", {"pictures": 1})
    assert place(found, "clean").state == "empty"
    assert place(found, "styled").state == "finished"
    (finding,) = found.findings
    assert finding.kind == "other-stage" and "made by filter, not by stylize" in finding.what


@pytest.mark.parametrize(
    "garbage",
    [b"", bytes(64), b"[" * 100_000, b"{}", b"\xff\xfe", b"null", b'{"pid": 1e999}', b"9" * 5000],
    ids=["empty", "zeros", "deep", "object", "latin", "null", "infinite", "digits"],
)
def test_no_garbage_makes_it_stumble(look: Callable[..., Diagnosis], here: Path, garbage: bytes) -> None:
    names = (RECEIPT, METADATA, MARKER, LOCK, "dropped.jsonl", "journal.jsonl", "log.jsonl", "state.safetensors")
    for place_name in ("raw", "clean", "styled", "shards", "coloured", "runs/1", "runs/2"):
        for name in names:
            write_bytes(here / place_name / name, garbage)
    write_text(here / "runs" / "2" / MARKER, "train\n")
    write_bytes(here / "gravurekit.toml", garbage)
    write_bytes(here / "keywords" / "dresses.txt", garbage)
    look(deep=True)


def test_names_that_no_terminal_can_show(look: Callable[..., Diagnosis], here: Path) -> None:
    clean = made(here / "clean")
    try:
        (clean / "images" / os.fsdecode(b"\xff\x1b[31m\n.jpg")).write_bytes(b"")
    except OSError:
        pytest.skip("this disk takes UTF-8 names only")
    write_bytes(here / "styled" / os.fsdecode(b"\xfc.jpg"), b"of a disk that was Latin-1")
    found = look(Wishes({"paths": {"raw": "a\x00b", "prints": ["\x1b[2J"]}}))
    assert {item.kind for item in found.findings} == {"unnamed", "lost", "unreadable"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("closed", [".", "images", METADATA, RECEIPT])
def test_what_may_not_be_read(look: Callable[..., Diagnosis], here: Path, closed: str) -> None:
    file = made(here / "clean") / closed
    mode = file.stat().st_mode
    file.chmod(0)
    try:
        found = doctor.examine(Wishes(), online=False)
    finally:
        file.chmod(mode)
    assert found.exit_code == 5
    assert [item.kind for item in found.findings] == ["no-access"] and "chmod" in found.findings[0].todo


def test_no_permission_is_told(look: Callable[..., Diagnosis], here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(here / "clean")
    for closed in ("clean", "clean/images", f"clean/{RECEIPT}"):
        monkeypatch.setattr(os, "access", lambda path, mode, closed=closed: str(path) != closed)
        found = look()
        assert found.exit_code == 5
        assert [item.kind for item in found.findings] == ["no-access"] and closed in found.findings[0].todo
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    found = look()
    assert found.exit_code == 0 and [item.kind for item in found.findings] == ["read-only"]


# ---- crawls and trainings ------------------------------------------------------------------------------


def test_an_ended_crawl_says_how_many_links_wait(look: Callable[..., Diagnosis], here: Path) -> None:
    raw = made(here / "raw", "crawl")
    results = [{"url": f"http://a.example/{n}.jpg"} for n in range(5)]
    feed = {"feed": ["bing", "dress"], "label": "dress", "limit": 5, "results": results}
    lines = [json.dumps(feed), json.dumps({"url": results[0]["url"], "sha256": "00"}), '{"url": "http://a.ex']
    write_text(raw / "journal.jsonl", "\n".join(lines))
    assert place(look(), "raw").state == "finished"
    write_bytes(raw / "incoming" / "00", b"half of a crawl that only added")
    found = look()
    assert (found.exit_code, place(found, "raw").state) == (0, "unfinished")
    assert "4 links aren't fetched yet" in doctor.text(found) and "gravurekit crawl" in found.findings[0].todo
    (raw / RECEIPT).unlink()
    assert place(look(), "raw").detail == "4 links aren't fetched yet"


def test_a_crawl_without_its_memory_is_told(look: Callable[..., Diagnosis], here: Path) -> None:
    (made(here / "raw", "crawl") / "journal.jsonl").unlink()
    found = look()
    assert (found.exit_code, place(found, "raw").state) == (0, "finished")
    assert [item.kind for item in found.findings] == ["journal"]


def state(path: Path, step: int, steps: int, name: str = details.STATE) -> None:
    """A training state without weights, as `checkpoint.py` writes it."""
    import numpy as np
    from safetensors.numpy import save

    about = {"kind": "state", "about": {"step": step, "identity": {"recipe.steps": steps}}}
    write_bytes(path / name, save({"x": np.zeros(9)}, {"gravurekit": json.dumps(about)}))


def log(path: Path, steps: int) -> None:
    lines = [json.dumps({"kind": "train", "step": step, "colour_loss": 0.5}) for step in range(1, steps + 1)]
    write_text(path / details.LOG, "\n".join([*lines, '{"kind": "train", "step": 99']))  # torn by a kill


def test_the_names_of_a_training_are_the_trainers() -> None:
    from gravurekit.model import checkpoint, states, trainer

    assert (trainer.STATE, trainer.LOG, checkpoint.KEY) == (details.STATE, details.LOG, details.KEY)
    assert trainer.BEST == details.BEST
    assert states._named(Path(states.EARLIER), 3) == Path(details.EARLIER) / "00000003.safetensors"


def test_a_state_of_the_trainer_can_be_read(here: Path) -> None:
    import torch

    from gravurekit.model import checkpoint
    from gravurekit.model.network import NetworkConfig

    config = NetworkConfig(classes=("dress",), head="average", global_size=64, L_mean=0.8)
    about = {"step": 3, "identity": {"recipe.steps": 8}, "losses": {}}
    checkpoint._write(here / "s", "state", {"network.x": torch.zeros(9)}, config, about)
    assert details._saved(here / "s") == (3, 8)


def test_a_training_says_its_step(look: Callable[..., Diagnosis], here: Path, holder: Callable[[Path], int]) -> None:
    for name in ("begun", "saved", "cut", "running"):
        folder.claim(here / "runs" / name, "train")
        log(here / "runs" / name, 7)
    for name in ("saved", "cut", "running"):
        state(here / "runs" / name, 5, 20)
    cut = here / "runs" / "cut" / details.STATE
    write_bytes(cut, cut.read_bytes()[:-8])
    folder.claim(here / "runs" / "new", "train")
    pid = holder(here / "runs" / "running")
    found = look()
    told = {item.path: (item.state, item.detail) for item in found.workspace if item.name == "run"}
    assert told == {
        "runs/begun": ("unfinished", "step 7, but no state is saved yet"),
        "runs/cut": ("damaged", ""),
        "runs/new": ("unfinished", ""),
        "runs/running": ("running", f"process {pid}; step 7 of 20"),
        "runs/saved": ("unfinished", "step 5 of 20"),
    }
    assert [(item.kind, item.damage) for item in found.findings if item.subject == "runs/cut"] == [("state", True)]
    assert found.exit_code == 5


def test_a_training_whose_newest_state_is_damaged_goes_on_from_an_earlier_one(
    look: Callable[..., Diagnosis], here: Path
) -> None:
    for name in ("cut", "both", "gone"):
        run = here / "runs" / name
        folder.claim(run, "train")
        state(run, 5, 20)
        for step in (3, 4):
            state(run, step, 20, f"{details.EARLIER}/{step:08d}.safetensors")
        write_text(run / details.EARLIER / "notes.safetensors", "mine")
        write_bytes(run / details.EARLIER / f"00000004.safetensors.x{storage.ASIDE}", b"half")
        write_bytes(run / "best.safetensors", b"weights")
        write_bytes(run / "panels" / "5.png", b"a sheet")
    for path in (here / "runs" / "cut" / details.STATE, here / "runs" / "both" / details.STATE,
                 *(here / "runs" / "both" / details.EARLIER).glob("0*.safetensors")):  # fmt: skip
        write_bytes(path, path.read_bytes()[:-8])
    (here / "runs" / "gone" / details.STATE).unlink()
    found = look(deep=True)
    told = {item.path: (item.state, item.detail) for item in found.workspace if item.name == "run"}
    assert told == {
        "runs/both": ("damaged", ""),
        "runs/cut": ("unfinished", "step 4 of 20"),
        "runs/gone": ("unfinished", "step 4 of 20"),
    }
    (damage,) = [item for item in found.findings if item.damage]
    assert damage.todo == "remove runs/both/state.safetensors and runs/both/earlier to train from the beginning"


def test_pipes_in_a_training_are_not_waited_for(look: Callable[..., Diagnosis], here: Path) -> None:
    run = here / "runs" / "1"
    folder.claim(run, "train")
    os.mkfifo(run / details.LOG)
    assert place(look(), "runs/1").state == "unfinished"
    os.mkfifo(run / details.STATE)
    assert [(item.kind, item.damage) for item in look().findings] == [("state", True)]
    storage.make_folder(run / details.EARLIER)
    os.mkfifo(run / details.EARLIER / "00000001.safetensors")
    assert [(item.kind, item.damage) for item in look().findings] == [("state", True)]


def test_a_finished_training_and_other_things_among_the_runs(look: Callable[..., Diagnosis], here: Path) -> None:
    run = here / "runs" / "shards-1"
    folder.claim(run, "train")
    write_bytes(run / "model.safetensors", b"weights")
    sums = {"model.safetensors": metadata.file_sha256(run / "model.safetensors")}
    folder.seal(run, Plan(stage="train", revision=1, settings={"steps": 8}, inputs={}), 30, [], (), 1.0, {}, sums)
    write_text(here / "runs" / "notes.txt", "the second one was better")
    write_text(here / "runs" / "old" / "notes.txt", "the first one")
    found = look()
    assert not found.findings
    assert (place(found, "runs/shards-1").state, place(found, "runs/shards-1").detail) == ("finished", "8 steps")
    assert place(found, "runs/old").state == "yours"
    state(run, 8, 8)
    write_bytes(run / "panels" / "8.png", b"a sheet")
    assert place(look(deep=True), "runs/shards-1").detail == "8 steps; state.safetensors (0 MiB) could be removed"
    write_bytes(run / "best.safetensors", bytes(3 << 20))
    both = "state.safetensors and best.safetensors (3 MiB) could be removed"
    assert place(look(), "runs/shards-1").detail == f"8 steps; {both}"
    storage.remove(here / "runs")
    write_text(here / "runs", "")
    assert place(look(), "runs").state == "damaged"


# ---- engines -------------------------------------------------------------------------------------------


def bing_at(address: str, **more: Any) -> Wishes:
    return Wishes({"paths": {"endpoints": {"bing": address}}, "crawl": {"allow_private_addresses": True}, **more})


def test_an_engine_that_answers(here: Path) -> None:
    with SampleEngine() as sample:
        found = doctor.examine(bing_at(sample.address))
    for name in ("bing", "sample"):
        answer = engine(found, name)
        assert answer.state == "answers" and answer.milliseconds is not None
    assert engine(found, "bing").chosen and not engine(found, "sample").chosen and not found.findings


def test_an_engine_behind_a_closed_port_says_so_at_once(here: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        began = time.monotonic()
        found = doctor.examine(bing_at(f"http://{address}"))
    assert time.monotonic() - began < 5 and found.exit_code == 0
    assert engine(found, "bing").state == "no answer" and address in engine(found, "bing").detail
    (finding,) = found.findings
    assert finding.kind == "silent" and "--source sample" in finding.todo and engine(found, "sample").state == "answers"


def test_an_engine_that_never_answers_is_not_waited_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "PATIENCE", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = doctor.examine(bing_at(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert engine(found, "bing").state == "no answer" and "0.4 s" in engine(found, "bing").detail


@pytest.mark.parametrize("address, says", [("http://127.0.0.1:1", "isn't a public address"), ("http://[", "Invalid")])
def test_an_address_that_may_not_be_asked(here: Path, address: str, says: str) -> None:
    found = doctor.examine(Wishes({"paths": {"endpoints": {"bing": address}}}))
    assert says in engine(found, "bing").detail


def test_a_source_that_breaks_is_a_finding(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("murl")

    monkeypatch.setattr(crafts.load("sources", "bing"), "connect", broken)
    found = doctor.examine(Wishes())
    assert engine(found, "bing").detail == "KeyError: 'murl'" and engine(found, "sample").state == "answers"


def test_folders_that_are_sources(look: Callable[..., Diagnosis], here: Path) -> None:
    write_bytes(here / "photos" / "red" / "1.jpg", b"1")
    (here / "none").mkdir()
    sources = ["folder:photos", "folder:none", "folder:nowhere", "folder", "sample"]
    found = look(Wishes({"paths": {"sources": sources}}))
    told = {item.name: (item.state, item.pictures) for item in found.engines}
    assert told == {
        "folder:photos": ("answers", 1),
        "folder:none": ("found nothing", 0),
        "folder:nowhere": ("missing", None),
        "folder": ("missing", None),
    } | {name: ("not asked", None) for name in crafts.names("sources") if name not in ("folder", "urls")}
    assert [item.subject for item in found.findings] == ["folder:nowhere", "folder"] and found.exit_code == 0


# ---- settings ------------------------------------------------------------------------------------------


def test_a_right_settings_file(look: Callable[..., Diagnosis], here: Path) -> None:
    write_text(here / "words.txt", "kaftan\ndress: red dress\n")
    write_text(here / "gravurekit.toml", '[paths]\nkeywords = ["words.txt", "fes"]\nraw = "elsewhere"\n')
    made(here / "elsewhere", "crawl")
    found = look()
    assert found.settings.state == "valid" and not found.findings
    assert {item.name: item.keywords for item in found.settings.words} == {"words.txt": 2, "keywords": 1}
    assert place(found, "raw").path == "elsewhere" and place(found, "raw").state == "finished"


def test_every_mistake_in_the_settings_is_told_and_the_rest_holds(look: Callable[..., Diagnosis], here: Path) -> None:
    lines = [
        "[paths]", 'raw = "elsewhere"', 'clena = "x"', 'sources = ["bong"]', 'endpoints = { bnig = "http://x" }',
        'model = "nix"', 'keywords = ["nothing.txt"]',
        "[fitler]", "x = 1", "[filter]", 'subject = "paintings"', 'skip = ["monocrome"]', "[filter.too_smal]",
        "min_side = 5", "[stylize]", 'style = "cartoons"', "[stylize.cartoon]", "median = 4", "[shard.oil]", "x = 1",
        "[train]", "steps = 0", "batch = 2000-01-01",
    ]  # fmt: skip
    write_text(here / "gravurekit.toml", "\n".join(lines))
    found = look()
    told = "\n".join(found.settings.complaints)
    for word in (
        "'clean'", "'bong'", "'bnig'", "'filter'", "paintings", "'monocrome'", "too_smal", "'cartoon'", "odd", "oil",
        "[train]",
    ):  # fmt: skip
        assert word in told, word
    assert {item.kind for item in found.findings} == {"settings", "keywords", "lost"} and found.exit_code == 0
    assert found.settings.state == "invalid" and place(found, "raw").path == "elsewhere"
    assert "mistakes" in doctor.text(found)


def test_settings_files_that_are_none(look: Callable[..., Diagnosis], here: Path) -> None:
    write_text(here / "gravurekit.toml", "[paths\n")
    assert "can't be read as TOML" in look().settings.complaints[0]
    (here / "gravurekit.toml").unlink()
    (here / "gravurekit.toml").mkdir()
    assert look().settings.complaints == ("gravurekit.toml is no file",)
    (here / "gravurekit.toml").rmdir()
    assert "no such" in look(config=Path("other.toml")).settings.complaints[0]


@pytest.mark.parametrize("flags", [{"train": {"steps": 0}}, {"paths": {"raw": 3}}, {"nothing": {"x": 1}}])
def test_wrong_flags_are_complaints_too(look: Callable[..., Diagnosis], flags: dict[str, dict[str, Any]]) -> None:
    assert look(Wishes(flags=flags)).settings.state == "invalid"


def test_knobs_that_are_right_alone_and_wrong_together(
    look: Callable[..., Diagnosis], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydantic import model_validator

    class Pair(pipeline.TABLES["shard"]):  # type: ignore[misc, name-defined]
        @model_validator(mode="after")
        def _enough(self) -> "Pair":
            if self.val_share + self.test_share >= 1:
                raise ValueError("nothing is left to train on")
            return self

    monkeypatch.setitem(pipeline.TABLES, "shard", Pair)
    write_text(here / "gravurekit.toml", "[shard]\nval_share = 0.6\ntest_share = 0.6\n")
    assert "nothing is left" in look().settings.complaints[0]


# ---- versions, extras, the machine ---------------------------------------------------------------------


def distribution(monkeypatch: pytest.MonkeyPatch, requires: list[str], installed: dict[str, str]) -> None:
    """Let the distribution be one that requires these, among those that are installed."""

    def version(name: str) -> str:
        if name not in installed:
            raise distributions.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(distributions, "requires", lambda name: requires)
    monkeypatch.setattr(distributions, "version", version)


def test_packages_that_are_missing_or_of_another_version(
    look: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch
) -> None:
    requires = [
        "numpy>=2.0", "lxml<5,>=4", "icrawler==0.6.10", "rich", 'winloop>=1; sys_platform == "win32"',
        'ray[default]>=2; extra == "ray"', 'pytest>=8; extra == "dev"', 'gravurekit[dev,ray]; extra == "all"',
        'uvloop>=1; sys_platform != "win32" and extra == "dev"',
    ]  # fmt: skip
    have = {"gravurekit": __version__, "numpy": "1.26.4", "lxml": "4.9+x", "icrawler": "0.6.10.0", "pytest": "9"}
    distribution(monkeypatch, requires, have)
    found = look()
    assert {item.name: item.good for item in found.versions.packages} == {
        "numpy": False, "lxml": True, "icrawler": True, "rich": False,
    }  # fmt: skip
    assert {item.subject: item.kind for item in found.findings} == {"numpy": "version", "rich": "missing"}
    assert {item.name: item.missing for item in found.extras} == {"all": ("ray",), "dev": (), "ray": ("ray",)}
    assert "pip install 'gravurekit[ray]'" in doctor.text(found)


def test_several_opencvs_are_a_trap(look: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch) -> None:
    have = {"gravurekit": "0.0.1", "opencv-python": "4.10", "opencv-python-headless": "4.11"}
    distribution(monkeypatch, ["opencv-python-headless>=4.10"], have)
    found = look()
    assert [item.kind for item in found.findings] == ["version", "clash"]
    assert "pip uninstall opencv-python opencv-python-headless" in found.findings[1].todo
    distribution(monkeypatch, [], {})
    assert [item.kind for item in look().findings] == ["missing"]


def test_a_torch_that_is_broken_is_a_finding(look: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = look()
    assert [item.kind for item in found.findings] == ["torch"] and found.machine.device == ""
    assert "torch is broken" in doctor.text(found) and found.exit_code == 0


def test_a_device_that_isnt_there(look: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = look(Wishes({"train": {"device": "cuda"}}))
    assert [item.kind for item in found.findings] == ["device"] and found.machine.device in ("cpu", "mps")


def test_a_graphics_card(look: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 << 30, 8 << 30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Card 8")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert "Card 8, 8.0 GiB, 3.0 GiB free, fast bf16" in doctor.text(look())

    def refuses(device: object) -> None:
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy")

    monkeypatch.setattr(torch.cuda, "mem_get_info", refuses)
    assert "busy" in look().findings[0].what


def test_a_control_group_bounds_the_memory(tmp_path: Path) -> None:
    write_text(tmp_path / "proc/meminfo", "MemTotal:       8000 kB\nMemFree:  10 kB\nMemAvailable:   7000 kB\n")
    assert machine._memory(tmp_path) == (8000 * 1024, 7000 * 1024)
    write_text(tmp_path / "proc/self/cgroup", "0::/box/inner\n")
    group = tmp_path / "sys/fs/cgroup/box"
    write_text(group / "inner" / "memory.max", "max\n")
    write_text(group / "memory.max", f"{4000 * 1024}\n")
    write_text(group / "memory.current", f"{3000 * 1024}\n")
    write_text(group / "memory.stat", f"anon 5\ninactive_file {500 * 1024}\n")
    assert machine._memory(tmp_path) == (4000 * 1024, 1500 * 1024)
    total, available = machine._memory(tmp_path / "nothing")
    assert total and available is None


def test_damaged_tombstones_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """crawl and filter stop at them."""
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "forgotten.jsonl", '{"key": "' + "ab" * 8 + '"}\n{"key": "zz"}\n')
    diagnosis = doctor.examine(Wishes(), False, False, None)
    (finding,) = [item for item in diagnosis.findings if item.section == "workspace"]
    assert finding.what == "forgotten.jsonl, line 2, is no tombstone" and finding.damage and diagnosis.exit_code == 5
