"""A picture that kills the process which decodes it costs itself alone."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from workspace import patchwork

from gravurekit import metadata, record
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
