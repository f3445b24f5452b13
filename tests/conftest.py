"""What all tests share: a small world made once."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from typer.testing import Result
from workspace import KEYWORDS, run_here

# As many tests run at once as there are cores: each with threads for all of them, they keep waiting for one another,
# and take four times as long. Before torch is imported, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples each time: what breaks nothing fails nothing. `--hypothesis-profile=default` looks for others.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

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
