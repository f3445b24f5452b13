"""However a run is ended — kill -9, Ctrl-C once or twice, a full disk —, the next one goes on to the same bytes."""

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training import NARROW
from workspace import digests, is_alive, patchwork, run_here, until

from gravurekit import folder, metadata, receipt

PROGRAM = [sys.executable, "-m", "gravurekit"]
UNORDERED = ("journal.jsonl", "log.jsonl")  # they tell what happened, and when
VERBS = {
    "crawl": ("crawl", "kaftan", "red dress", "--source", "sample", "--per-keyword", "14", "--out"),
    "filter": ("filter", "photos", "--skip", "too_small", "--relevance", "none"),
    "stylize": ("stylize", "photos", "--short-side", "64", "--style", "cartoon", "--out"),
    "shard": ("shard", "drawn", "--size", "64"),
    "train": ("train", "tensors", "--head", "average", "--batch", "2", "--steps", "4", "--checkpoint-every", "2",
              "--runs"),
    "colorize": ("colorize", "prints", "--model", "model", "--panel", "--out"),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each verb works on, and under whole/VERB what an unbroken run of it makes."""
    place = tmp_path_factory.mktemp("place")
    patchwork(place / "photos", 150)  # three tasks
    patchwork(place / "prints", 9)
    quick = ("-C", str(place))
    assert run_here(*quick, "stylize", "photos", "drawn", "--short-side", "64", "--style", "cartoon").exit_code == 0
    assert run_here(*quick, "shard", "drawn", "tensors", "--size", "32").exit_code == 0
    train = (*quick, "train", "tensors", "--head", "average", "--batch", "2", "--steps", "1", "--json", "--quiet")
    (place / "model").symlink_to(place / json.loads(run_here(*train).stdout)["out"])
    for verb in VERBS:
        assert run_here(*quick, *words(verb, f"whole/{verb}")).exit_code == 0
    return place


def words(verb: str, out: str) -> list[str]:
    """The words of a verb that writes into `out`."""
    named = [word for word in VERBS[verb] if not (verb == "stylize" and word == "--out")]
    return [*named, out]


def program(verb: str) -> list[str]:
    """The networks of `place` are narrow."""
    return NARROW if verb in ("train", "colorize") else PROGRAM


def results(root: Path) -> dict[str, str]:
    """The digests of what a run left; the plan of a training names its folder, which is the same for both."""
    return digests(root, but=UNORDERED)


def progress(out: Path) -> int:
    """A number that grows while a run works: files, and lines of the log."""
    try:
        files = [path for path in out.rglob("*") if path.is_file()]
        return len(files) + sum(path.read_bytes().count(b"\n") for path in files if path.name == "log.jsonl")
    except OSError:  # one vanished while it was looked at
        return 0


def end_at(command: list[str], out: Path, moment: int, how: int) -> tuple[int, bool]:
    """Run until so much is done, then send a signal to the whole group: the exit code, and whether it was hit."""
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def at_work() -> bool:
        return f'"pid": {process.pid},' in "".join(lock.read_text() for lock in out.rglob(metadata.LOCK))

    until(lambda: process.poll() is not None or at_work())
    until(lambda: process.poll() is not None or progress(out) >= moment)
    hit = process.poll() is None
    try:
        os.killpg(process.pid, how)
    except ProcessLookupError:
        hit = False
    return process.wait(), hit


def slow_but(*quick: str) -> list[Any]:
    """All verbs; those that aren't `quick` marked as slow."""
    return [pytest.param(verb, marks=() if verb in quick else pytest.mark.slow) for verb in VERBS]


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_ended_at_random_moments_a_run_goes_on_to_the_same_bytes(verb: str, place: Path) -> None:
    """kill -9 early, Ctrl-C later, kill -9 once more, then undisturbed."""
    out, chance = place / "ended" / verb, random.Random(verb)
    command = [*program(verb), "-C", str(place), *words(verb, f"ended/{verb}"), "--quiet"]
    most = progress(place / "whole" / verb)
    moments = sorted(chance.randrange(1, most + 1) for _ in range(3))
    hits = 0
    for moment, how in zip(moments, (signal.SIGKILL, signal.SIGINT, signal.SIGKILL), strict=True):
        code, hit = end_at(command, out, moment, how)
        hits += hit and code != 0
        # hit in its last moments it may have ended by itself, or while Python, all done, was letting go of its handlers
        assert code in ((0, 130, -signal.SIGINT) if how == signal.SIGINT else (0, -signal.SIGKILL))
        assert code != -signal.SIGINT or list(out.rglob(receipt.RECEIPT))
    assert hits, "no run was ended: the test tests nothing"
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0
    assert results(out) == results(place / "whole" / verb)
    assert not list(out.rglob("*.part")) and not list(out.rglob(metadata.LOCK))


def test_a_second_ctrl_c_ends_at_once_and_leaves_no_worker(tmp_path: Path) -> None:
    """A run that wouldn't end by itself after the first one."""
    (tmp_path / "stubborn.py").write_text(
        "import multiprocessing, pathlib, threading, time, sys\n"
        "from gravurekit import cli\n"
        "def app():\n"
        "    worker = multiprocessing.get_context('spawn').Process(target=time.sleep, args=(600,))\n"
        "    worker.start()\n"
        "    try:\n"
        "        pathlib.Path('pid').write_text(str(worker.pid))\n"
        "        pathlib.Path('one').touch()\n"
        "        threading.Event().wait(600)\n"
        "    except KeyboardInterrupt:\n"
        "        pathlib.Path('two').touch()\n"
        "        threading.Event().wait(600)\n"
        "if __name__ == '__main__':\n"
        "    cli.app = app\n"
        "    cli.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "stubborn.py"], cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    for name in ("one", "two"):
        assert until((tmp_path / name).exists)
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "ended at once" in said and "Traceback" not in said
    worker = int((tmp_path / "pid").read_text())
    assert until(lambda: not is_alive(worker))


# ---- a disk that is full, or read-only ---------------------------------------------------------------


SMALL_DISK = ["unshare", "--user", "--map-root-user", "--mount"]


def can_mount(tmp_path: Path) -> bool:
    """Whether this machine lets us have a small disk of our own, in a namespace of its own."""
    if not shutil.which("unshare"):
        return False
    command = [*SMALL_DISK, "mount", "-t", "tmpfs", "none", str(tmp_path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


SCRIPT = """
mount -t tmpfs -o size={small}k none {disk} || exit 99
cp -r {begun}/. {disk}/ 2>/dev/null
{command}; echo "full $?"
mount -o remount,ro {disk}; {command}; echo "readonly $?"
mount -o remount,rw,size=2g {disk}; {command}; echo "room $?"
cp -r {disk}/. {result}
"""


@pytest.mark.parametrize("verb", slow_but("stylize"))
def test_a_full_disk_and_a_read_only_one_are_told_and_with_room_the_run_goes_on(
    verb: str, place: Path, tmp_path: Path
) -> None:
    for name in ("disk", "begun", "result"):
        (tmp_path / name).mkdir()
    if not can_mount(tmp_path / "disk"):
        pytest.skip("no small disk can be mounted here; test_faults.py lets writing fail instead")
    need = sum(path.stat().st_size for path in (place / "whole" / verb).rglob("*") if path.is_file())
    chosen = words(verb, str(tmp_path / "disk" / "out"))
    command = shlex.join([*program(verb), "-C", str(place), *chosen, "--quiet"]) + " 2>&1"
    script = SCRIPT.format(small=max(48, need // 1024 * 6 // 10), command=command, **names(tmp_path))
    done = subprocess.run([*SMALL_DISK, "sh", "-c", script], capture_output=True, text=True, check=False)
    assert {"full 5", "readonly 5", "room 0"} <= set(done.stdout.splitlines()), done.stdout + done.stderr
    assert "the disk is full: make room" in done.stdout and "the disk is read-only" in done.stdout
    assert "Traceback" not in done.stdout
    assert results(tmp_path / "result" / "out") == results(place / "whole" / verb)


def names(root: Path) -> dict[str, str]:
    return {name: str(root / name) for name in ("disk", "begun", "result")}


# ---- two processes in one folder -----------------------------------------------------------------------


HOLD = """
import pathlib, sys, threading
from gravurekit import storage
with storage.locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    threading.Event().wait(600)
"""


@pytest.fixture
def hold() -> Callable[[Path], int]:
    """`hold(path)`: another process holds that lock; its pid."""
    holders = []

    def held(path: Path) -> int:
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
        holders.append(process)
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process.pid

    yield held
    for process in holders:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("verb", VERBS)
def test_a_second_process_is_refused_with_the_first_ones_pid(
    verb: str, place: Path, tmp_path: Path, hold: Callable[[Path], int]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(place / "whole" / verb, out)
    for path in out.rglob(receipt.RECEIPT):
        path.unlink()
    before = digests(out)
    lock = next(out.rglob(metadata.MARKER)).with_name(metadata.LOCK)
    pid = hold(lock)
    result = run_here("-C", str(place), *words(verb, str(out)))
    assert result.exit_code == 2 and f"process {pid} is at work in" in str(result.exception)
    assert digests(out, but=(metadata.LOCK,)) == before


def test_a_folder_that_is_being_written_isnt_read(place: Path, hold: Callable[[Path], int], tmp_path: Path) -> None:
    shutil.copytree(place / "whole" / "crawl", tmp_path / "raw")
    pid = hold(tmp_path / "raw" / metadata.LOCK)
    result = run_here("-C", str(tmp_path), "filter")
    assert result.exit_code == 5 and f"is being written by process {pid}: wait" in str(result.exception)


def test_what_a_killed_process_left_locked_is_taken_over_and_told(place: Path, tmp_path: Path) -> None:
    words = ["stylize", str(place / "photos"), "out", "--short-side", "64", "--style", "cartoon", "--quiet"]
    command = [*PROGRAM, "-C", str(tmp_path), *words]
    code, hit = end_at(command, tmp_path / "out", 8, signal.SIGKILL)
    lock = tmp_path / "out" / metadata.LOCK
    assert hit and code == -signal.SIGKILL and lock.exists()
    pid = json.loads(lock.read_text())["pid"]
    result = run_here("-C", str(tmp_path), *command[5:-1])
    assert result.exit_code == 0 and f"the last run (process {pid}) was ended; going on" in result.stderr
    assert not lock.exists() and len(folder.read(tmp_path / "out")) == 150


def test_a_lock_that_names_a_living_process_which_doesnt_hold_it_is_stale(place: Path, tmp_path: Path) -> None:
    """Process numbers come round again."""
    shutil.copytree(place / "whole" / "crawl", tmp_path / "raw")
    (tmp_path / "raw" / metadata.LOCK).write_text(json.dumps({"pid": os.getppid(), "host": os.uname().nodename}))
    assert len(folder.read(tmp_path / "raw")) > 10


# ---- what an ended run leaves may itself be damaged ----------------------------------------------------


PARTS = {
    "filter": ["probe/00000.jsonl", "probe/00001.jsonl", "keep/00000.jsonl"],
    "stylize": ["draw/00000.jsonl", "draw/00001.jsonl"],
    "shard": ["train/00000.jsonl", "train/00000.of-*.safetensors", "join/00000.jsonl"],
}
SPOIL: dict[str, Callable[[Path], object]] = {
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "emptied": lambda path: path.write_bytes(b""),
    "foreign": lambda path: path.write_text('{"a": 1}\n'),
    "gone": lambda path: path.unlink(),
}


@pytest.fixture(scope="module")
def ended_late(place: Path) -> Path:
    """Folders whose runs were ended after all parts were done, before anything was joined."""
    for verb, room in (("filter", "keep"), ("stylize", "draw"), ("shard", "train")):
        code = (
            "import os, sys\n"
            "from gravurekit import cli, folder, shards, storage\n"
            "from gravurekit.shards import writer\n"
            "end = lambda *a, **k: os._exit(9)\n"
            "folder.finish = end\n"
            "storage.write_lines = lambda p, l, w=storage.write_lines: end() if p.name == shards.INDEX else w(p, l)\n"
            "sys.argv[1:] = sys.argv[1:]\n"
            "cli.main()\n"
        )
        command = [sys.executable, "-c", code, "-C", str(place), *words(verb, f"late/{verb}"), "--executor", "serial"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 9 and list((place / "late" / verb / "parts" / room).iterdir()), done.stderr
    return place


@pytest.mark.parametrize("damage", SPOIL)
@pytest.mark.parametrize(("verb", "part"), [(verb, part) for verb in PARTS for part in PARTS[verb]])
def test_a_damaged_part_is_done_again(verb: str, part: str, damage: str, ended_late: Path, tmp_path: Path) -> None:
    shutil.copytree(ended_late / "late" / verb, tmp_path / "out")
    (path,) = (tmp_path / "out" / "parts").glob(part)
    SPOIL[damage](path)
    result = run_here("-C", str(ended_late), *words(verb, str(tmp_path / "out")), "--executor", "serial")
    assert result.exit_code == 0
    assert results(tmp_path / "out") == results(ended_late / "whole" / verb)


def test_a_picture_that_vanishes_before_the_end_is_told_and_made_the_next_time(
    ended_late: Path, tmp_path: Path
) -> None:
    shutil.copytree(ended_late / "late" / "stylize", tmp_path / "out")
    sorted((tmp_path / "out" / "wash").iterdir())[0].unlink()
    command = ("-C", str(ended_late), *words("stylize", str(tmp_path / "out")))
    result = run_here(*command)
    assert result.exit_code == 5 and "vanished while it was being made: run the same command" in str(result.exception)
    assert run_here(*command).exit_code == 0
    assert results(tmp_path / "out") == results(ended_late / "whole" / "stylize")


@pytest.mark.parametrize("spoil", [
    lambda path: path.unlink(),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_text("{" + path.read_text()),
    lambda path: path.write_text('{}\n{"feed": "x"}\n{"feed": ["a", "b"], "results": [{"x": 1}]}\n{"url": 7}\n[]\n'),
], ids=["gone", "emptied", "first line torn", "no events"])  # fmt: skip
def test_a_lost_journal_loses_no_picture(spoil: Callable[[Path], object], place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "whole" / "crawl", tmp_path / "raw")
    before = folder.read(tmp_path / "raw")
    spoil(tmp_path / "raw" / "journal.jsonl")
    result = run_here("-C", str(tmp_path), "crawl", "kaftan", "--source", "sample", "--per-keyword", "3")
    assert result.exit_code == 0
    assert {item.key for item in folder.read(tmp_path / "raw")} == {item.key for item in before}


def test_what_is_taken_out_of_a_source_folder_stays_crawled(tmp_path: Path) -> None:
    patchwork(tmp_path / "photos", 3)
    crawl = ("-C", str(tmp_path), "crawl", "--source", "folder:photos")
    assert run_here(*crawl).exit_code == 0
    before = folder.read(tmp_path / "raw")
    (tmp_path / "photos" / "1.png").unlink()
    assert run_here(*crawl).exit_code == 0 and folder.read(tmp_path / "raw") == before


@pytest.mark.parametrize("spoil", [
    lambda path: path.write_bytes(path.read_bytes()[:-9]),
    lambda path: path.write_bytes(path.read_bytes() + b'{"foo": 1}\n'),
], ids=["torn", "foreign line"])  # fmt: skip
def test_colorize_goes_on_over_damaged_metadata(spoil: Callable[[Path], object], place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(place / "whole" / "colorize", out)
    spoil(out / metadata.METADATA)
    result = run_here("-C", str(place), *words("colorize", str(out)), "--overwrite")
    assert result.exit_code == 0 and results(out) == results(place / "whole" / "colorize")


def test_a_second_ctrl_c_ends_even_a_long_step_of_c(tmp_path: Path) -> None:
    """Python looks at signals between its own steps only; torch's can be long."""
    (tmp_path / "long.py").write_text(
        "import lzma, os, pathlib\n"
        "from gravurekit import cli\n"
        "def app():\n"
        "    noise = os.urandom(1 << 27)\n"
        "    pathlib.Path('begun').touch()\n"
        "    while True:\n"
        "        try:\n"
        "            lzma.compress(noise)\n"
        "        except KeyboardInterrupt:\n"
        "            pass\n"
        "cli.app = app\n"
        "cli.main()\n"
    )
    process = subprocess.Popen([sys.executable, "long.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert until((tmp_path / "begun").exists)

    def ended() -> bool:
        process.send_signal(signal.SIGINT)
        return process.poll() is not None

    assert until(ended)
    said = process.communicate()[1]
    assert process.returncode == 130 and "ended at once" in said
