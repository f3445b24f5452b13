"""Folders on a server that speaks S3, a real one on loopback: the same bytes as on a disk, by several processes,
through kills, cuts and refusals."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stores import Store, digests_of, in_environment, running
from typer.testing import Result
from workspace import digests, patchwork, run_here, until

from gravurekit import objects, storage
from gravurekit.errors import Busy
from gravurekit.storage import _locks

for package in ("moto", "flask", "flask_cors", "s3fs"):
    pytest.importorskip(package)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

Run = Callable[..., Result]
PROGRAM = [sys.executable, "-m", "gravurekit"]
BYTES = "s3://plates"
QUICK = ("--short-side", "64", "--style", "cartoon")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running(tmp_path_factory.mktemp("cache")) as store:
        yield store


@pytest.fixture
def store(server: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    """The server, found by this process; a cache of its own, and nothing in the bucket."""
    server.environment["GRAVUREKIT_CACHE"] = str(tmp_path / "cache")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    server.line.cuts, server.line.down = 0, False
    server.line.seen.clear()
    objects.forget_stores()
    objects.remove_below(f"{BYTES}/x")
    yield server
    server.line.cuts, server.line.down = 0, False
    objects.remove_below(f"{BYTES}/x")
    objects.forget_stores()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 pictures: two tasks; and beside it what is made of them on a disk."""
    place = tmp_path_factory.mktemp("place")
    patchwork(place / "photos", 100)
    (place / "few").mkdir()
    for name in ("3.png", "4.png", "5.png"):
        shutil.copy(place / "photos" / name, place / "few" / name)
    assert run_here("stylize", str(place / "photos"), str(place / "styled"), *QUICK).exit_code == 0
    assert run_here("shard", str(place / "styled"), str(place / "shards"), "--size", "32").exit_code == 0
    return place


def test_the_chain_ends_in_the_same_bytes(store: Store, photos: Path, tmp_path: Path, gravurekit: Run) -> None:
    """Crawl, filter, stylize, shard, train, by two processes, from store to store."""
    few = str(photos / "few")
    for root in (f"{BYTES}/x", str(tmp_path)):
        for arguments in (
            ("crawl", "--source", f"folder:{few}", "--out", f"{root}/raw"),
            ("filter", f"{root}/raw", f"{root}/clean", "--relevance", "none", "--skip", "too_small"),
            ("stylize", f"{root}/clean", f"{root}/styled", *QUICK),
            ("shard", f"{root}/styled", f"{root}/shards", "--size", "32", "--photo", "--val-share", "0",
             "--test-share", "0"),
        ):  # fmt: skip
            result = gravurekit(*arguments, "--executor", "local", "--jobs", "2")
            assert result.exit_code == 0, (result.output, result.exception)
    for name in ("raw", "clean", "styled", "shards"):
        there = digests_of(f"{BYTES}/x/{name}", tmp_path / "taken" / name, but=("journal.jsonl",))
        assert there == digests(tmp_path / name, but=("journal.jsonl",))
    verified = gravurekit("shard", "--verify", f"{BYTES}/x/shards")
    assert verified.exit_code == 0 and "0 faults" in verified.output


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(store: Store, photos: Path, tmp_path: Path) -> None:
    """The driver killed, then run again on another machine, to which the cache is unknown; twice."""
    chance = random.Random(3)
    command = [*PROGRAM, "stylize", str(photos / "photos"), f"{BYTES}/x/styled", *QUICK, "--quiet", "--jobs", "2"]
    hits = 0
    for number in range(2):
        environment = in_environment(store) | {"GRAVUREKIT_CACHE": str(tmp_path / f"machine {number}")}
        moment = len(store.line.seen) + chance.randrange(60, 300)
        process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
        until(lambda: process.poll() is not None or len(store.line.seen) > moment)  # noqa: B023
        hits += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert hits
    done = subprocess.run(command, env=in_environment(store), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert digests_of(f"{BYTES}/x/styled", tmp_path / "taken") == digests(photos / "styled")


@pytest.mark.slow
def test_shards_are_resumed_from_parts_on_the_store(store: Store, photos: Path, tmp_path: Path) -> None:
    command = [*PROGRAM, "shard", str(photos / "styled"), f"{BYTES}/x/shards", "--size", "32", "--quiet", "--jobs", "2"]
    process = subprocess.Popen(command, env=in_environment(store), start_new_session=True, stderr=subprocess.DEVNULL)
    until(lambda: process.poll() is not None or any("parts/val" in line for line in store.line.seen))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert objects.below(f"{BYTES}/x/shards/parts")
    environment = in_environment(store) | {"GRAVUREKIT_CACHE": str(tmp_path / "elsewhere")}
    store.line.seen.clear()
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not [line for line in store.line.seen if line.startswith("PUT") and "parts/train/00000." in line]
    assert digests_of(f"{BYTES}/x/shards", tmp_path / "taken") == digests(photos / "shards")


def test_an_upload_that_is_cut_half_way_is_made_again(
    store: Store, photos: Path, gravurekit: Run, tmp_path: Path
) -> None:
    store.line.cuts, store.line.after = 3, 1_000
    words = ("stylize", str(photos / "few"), f"{BYTES}/x/styled", *QUICK, "--executor", "serial")
    assert gravurekit(*words).exit_code == 0
    assert store.line.cuts == 0, "no upload was cut: the test tests nothing"
    assert gravurekit("stylize", str(photos / "few"), str(tmp_path / "styled"), *QUICK).exit_code == 0
    assert digests_of(f"{BYTES}/x/styled", tmp_path / "taken") == digests(tmp_path / "styled")


def test_a_store_that_goes_away_ends_the_run_and_nothing_is_half_there(
    store: Store, photos: Path, gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PATIENCE", ())
    words = ("stylize", str(photos / "few"), f"{BYTES}/x/styled", *QUICK, "--executor", "serial")

    def fall() -> None:
        until(lambda: any("styled/plain" in line for line in store.line.seen))
        store.line.down = True

    watching = threading.Thread(target=fall)
    watching.start()
    result = gravurekit(*words)
    watching.join()
    assert result.exit_code == 5
    assert "s3://plates/x/styled" in str(result.exception) and "run the same command again" in str(result.exception)
    store.line.down = False
    assert "receipt.json" not in objects.below(f"{BYTES}/x/styled")
    assert gravurekit(*words).exit_code == 0
    assert gravurekit("stylize", str(photos / "few"), str(tmp_path / "styled"), *QUICK).exit_code == 0
    assert digests_of(f"{BYTES}/x/styled", tmp_path / "taken") == digests(tmp_path / "styled")


def test_a_bucket_without_permission_is_told(
    store: Store, photos: Path, gravurekit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    reader = store.reader()
    requests.post(f"{store.direct}/moto-api/reset-auth", data=b"0", timeout=10)
    try:
        for name, value in reader.items():
            monkeypatch.setenv(name, value)
        objects.forget_stores()
        result = gravurekit("stylize", str(photos / "few"), f"{BYTES}/x/styled", *QUICK, "--executor", "serial")
        said = str(result.exception)
        assert result.exit_code == 5 and "can't write s3://plates/x/styled" in said and "permission denied" in said
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        objects.forget_stores()
        result = gravurekit("stylize", f"{BYTES}/x/photos", "styled", *QUICK, "--executor", "serial")
        assert result.exit_code == 5 and "can't list s3://plates/x/photos" in str(result.exception)
    finally:
        requests.post(f"{store.direct}/moto-api/reset-auth", data=b"1000000", timeout=10)


def test_a_bucket_that_there_isnt_is_told(store: Store, photos: Path, gravurekit: Run) -> None:
    result = gravurekit("stylize", str(photos / "few"), "s3://nowhere/x", *QUICK, "--executor", "serial")
    assert result.exit_code == 5 and "no such bucket" in str(result.exception)


def test_a_store_that_doesnt_answer_is_told(store: Store, gravurekit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    store.line.down = True
    monkeypatch.setattr(objects, "PATIENCE", ())
    result = gravurekit("stylize", f"{BYTES}/x/photos", "styled", *QUICK)
    assert result.exit_code == 5 and "see to it that the store answers" in str(result.exception)


def test_what_was_fetched_is_read_from_here(store: Store, photos: Path, gravurekit: Run) -> None:
    """A picture crosses the line once, whatever is made of it."""
    for number, path in enumerate(sorted((photos / "few").iterdir())):
        objects.put(path, f"{BYTES}/x/mine/{number}.png")
    assert gravurekit("crawl", "--source", f"folder:{photos / 'few'}", "--out", f"{BYTES}/x/raw").exit_code == 0
    storage.forget_fetched()
    store.line.seen.clear()
    for out in ("a", "b"):
        assert gravurekit("stylize", f"{BYTES}/x/raw", out, *QUICK, "--seed", str(ord(out))).exit_code == 0
    assert len([line for line in store.line.seen if line.startswith("GET") and "/raw/images/" in line]) == 3


def test_two_at_work_in_one_folder(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of another machine is alive as long as it writes its lock anew."""
    monkeypatch.setattr(_locks, "BEAT", 0.2)
    lock = objects.mirror_of(f"{BYTES}/x/styled") / ".gravurekit.lock"
    theirs = json.dumps({"pid": 1, "host": "another"}).encode()
    ended = threading.Event()
    objects.write(objects.url_of(lock), theirs)

    def beat() -> None:
        for count in itertools.count(1):
            if ended.wait(0.1):
                return
            objects.write(objects.url_of(lock), theirs + b" " * count)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with pytest.raises(Busy, match="process 1 on another is at work in s3://plates/x/styled"), storage.locked(lock):
            pass
    finally:
        ended.set()
        beating.join()
    with storage.locked(lock) as before:  # it was killed
        assert before is not None and before.host == "another"
        with pytest.raises(Busy), storage.locked(lock):
            pass
    assert objects.entry(objects.url_of(lock)) is None


def test_a_lock_that_another_took_over_is_left_to_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a machine sleeps for longer than others wait."""
    monkeypatch.setattr(_locks, "BEAT", 0.05)
    lock = objects.mirror_of(f"{BYTES}/x/styled") / ".gravurekit.lock"
    theirs = json.dumps({"pid": 1, "host": "another"}).encode()
    with storage.locked(lock):
        objects.write(objects.url_of(lock), theirs)
        assert until(lambda: threading.active_count() and not [t for t in threading.enumerate() if "_beat" in t.name])
    assert objects.read(objects.url_of(lock)) == theirs


def test_a_missing_package_is_named() -> None:
    code = "import sys; sys.modules['s3fs'] = None; from gravurekit.cli import main; main()"
    words = [sys.executable, "-c", code, "stylize", f"{BYTES}/x", "styled"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "gravurekit[cloud]" in done.stderr
