"""What all tests share: a small world made once."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result
from workspace import KEYWORDS, run_here

# A shell starts background jobs with Ctrl-C ignored, and children inherit that; the tests of Ctrl-C need it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _back_home() -> Iterator[None]:
    """`-C` changes into a folder, which may be gone once its test is over."""
    yield
    os.chdir(Path(__file__).parent)


@pytest.fixture
def gravurekit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command line, run in a folder of its own; errors of ours become exit codes as in a real process."""
    monkeypatch.chdir(tmp_path)
    return run_here


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the chain ran on the sample source up to shards. Look, don't touch."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "words.txt").write_text(KEYWORDS, "utf-8")
    for arguments in (
        ("crawl", "words.txt", "--source", "sample", "--per-keyword", "22"),
        ("filter", "--relevance", "none"),  # figures are looked for in a test of their own
        ("stylize", "--short-side", "128", "--style", "cartoon"),
        ("shard", "--size", "64"),
    ):
        assert run_here("-C", str(folder), *arguments).exit_code == 0
    return folder
