"""A small chain to export from."""

import shutil
from pathlib import Path

import exporting
import pytest


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with raw/, clean/, styled/ and shards/."""
    return exporting.chain(tmp_path_factory.mktemp("made"))


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, times and all, to work in."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"
