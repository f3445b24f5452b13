"""A picture that kills the process which decodes it costs itself alone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from workspace import digests, patchwork, run_here

from gravurekit import metadata, record
from gravurekit.errors import QUARANTINED
from gravurekit.executor import Outcome
from gravurekit.progress import SILENT
from gravurekit.stages import crawl, filter


class Deadly:
    """An executor whose process dies of every task that holds the poison."""

    def __init__(self, poison: str) -> None:
        self.poison = poison

    def map(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Outcome[Any]]:
        for index, task in enumerate(task for task in tasks if task is not None):
            dies = self.poison in repr(task)
            yield Outcome(index, None if dies else function(task), "killed the process" * dies)

    def reach(self, *_: Any) -> None:
        pass

    def here(self) -> "Deadly":
        return self


def test_in_a_crawl(tmp_path: Path) -> None:
    patchwork(tmp_path / "photos", 70)
    poison = metadata.file_sha256(tmp_path / "photos" / "33.png")
    job = crawl.Job(tmp_path / "raw", [], [f"folder:{tmp_path / 'photos'}"], crawl.Settings(), {}, {})
    summary = crawl.run(job, Deadly(poison), SILENT)
    assert (summary.kept, summary.dropped) == (69, {"quarantined": 1})
    assert [item.sha256 for item in metadata.read_lines(tmp_path / "raw" / metadata.DROPPED)] == [poison]


def test_in_a_filter(tmp_path: Path) -> None:
    patchwork(tmp_path / "photos", 70)
    poison = record.key_of(metadata.file_sha256(tmp_path / "photos" / "33.png"))
    settings = filter.Settings(skip=("too_small", "duplicate"), relevance="none")
    job = filter.Job(tmp_path / "photos", tmp_path / "clean", settings, {})
    summary = filter.run(job, Deadly(poison), SILENT)
    assert (summary.kept, summary.dropped) == (69, {"quarantined": 1})
    assert [item.key for item in metadata.read_lines(tmp_path / "clean" / metadata.DROPPED)] == [poison]


# ---- processes that really die ---------------------------------------------------------------------------


DEADLY = """
import hashlib, os, signal
from gravurekit import cli, images

openly = images._open

def opened(data):
    if hashlib.sha256(data).hexdigest() in {poison!r}:
        {end}
    return openly(data)

images._open = opened  # in the workers too, which begin with this file
if __name__ == "__main__":
    cli.main()
"""
ENDS = {
    "kill": "os.kill(os.getpid(), signal.SIGKILL)",
    "hang": "\n        while True: pass",
    "swell": "\n        taken = []\n        while True: taken.append(b'x' * 10_000_000)",
}
WORDS = {
    "crawl": ["--source", "folder:photos", "--out", "out"],
    "filter": ["photos", "out", "--skip", "too_small", "--relevance", "none"],
    "stylize": ["photos", "out", "--short-side", "64", "--style", "cartoon"],
    "shard": ["drawn", "out", "--size", "32"],
}
slow = pytest.mark.slow


def run_with(end: str, poison: list[Path], verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A run beside these files, in which each process that opens one of them ends like that."""
    place = next(path for path in poison[0].parents if (path / "photos").is_dir())
    (place / "deadly.py").write_text(DEADLY.format(poison=[*map(metadata.file_sha256, poison)], end=ENDS[end]))
    command = [sys.executable, "deadly.py", verb, *WORDS[verb], "--quiet", *words]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("verb", "end", "limits", "detail"), [
    ("crawl", "kill", (), "decoding it killed the process"),
    pytest.param("filter", "kill", (), "reading it killed the process", marks=slow),
    pytest.param("shard", "kill", (), "reading it killed the process", marks=slow),
    pytest.param("stylize", "kill", (), "drawing it killed the process", marks=slow),
    pytest.param("stylize", "hang", ("--time-limit", "4"), "drawing it took longer than 4 s", marks=slow),
    pytest.param("stylize", "swell", ("--memory-limit", "1500"), "drawing it needed more than 1,500 MB of memory",
                 marks=slow),
    pytest.param("crawl", "hang", ("--time-limit", "4"), "decoding it took longer than 4 s", marks=slow),
    pytest.param("shard", "swell", ("--memory-limit", "1500"), "reading it needed more than 1,500 MB of memory",
                 marks=slow),
])  # fmt: skip
def test_one_picture_that_ends_its_process_is_quarantined_with_the_reason(
    verb: str, end: str, limits: tuple[str, ...], detail: str, tmp_path: Path
) -> None:
    patchwork(tmp_path / "photos", 12)
    poison = tmp_path / "photos" / "7.png"
    if verb == "shard":
        run_here("-C", str(tmp_path), "stylize", "photos", "drawn", "--short-side", "64", "--style", "cartoon")
        poison = sorted((tmp_path / "drawn" / "plain").iterdir())[5]
    done = run_with(end, [poison], verb, "--jobs", "2", *limits)
    assert done.returncode == QUARANTINED, done.stderr
    (lost,) = metadata.read_lines(tmp_path / "out" / metadata.DROPPED)
    assert (lost.reason, lost.detail) == ("quarantined", detail)
    if verb == "stylize":  # what the docs say
        (tmp_path / "out" / "receipt.json").unlink()
        again = run_here("-C", str(tmp_path), verb, *WORDS[verb], "--json")
        assert json.loads(again.stdout)["kept"] == 12 and json.loads(again.stdout)["facts"]["drawn before"] == 11


@pytest.mark.slow
def test_what_is_left_is_the_same_however_many_processes_die_at_once(tmp_path: Path) -> None:
    patchwork(tmp_path / "photos", 70)  # two tasks
    poison = [tmp_path / "photos" / f"{number}.png" for number in (3, 4, 69)]
    found = []
    for jobs in ("1", "3"):
        done = run_with("kill", poison, "stylize", "--jobs", jobs)
        assert done.returncode == QUARANTINED, done.stderr
        found.append(digests(tmp_path / "out"))
        assert len(metadata.read_lines(tmp_path / "out" / metadata.DROPPED)) == 3
        shutil.rmtree(tmp_path / "out")
    assert found[0] == found[1]
