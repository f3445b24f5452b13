"""Running the command line in the tests' own process, and quickly made pictures."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gravurekit import metadata, receipt
from gravurekit.cli import app
from gravurekit.errors import GravurekitError
from gravurekit.storage import write_bytes

KEYWORDS = "kaftan\nsalvar: şalvar\ndress: red dress\n"


def run_here(*arguments: str) -> Result:
    """Run the command line in this folder; errors of ours become exit codes and text as in a process of its own."""
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, GravurekitError):
        result.exit_code = result.exception.exit_code
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def patchwork(root: Path, count: int) -> None:
    """`count` different pictures of coloured squares of rough cloth, 192 × 144."""
    from gravurekit import images

    rng = np.random.default_rng(5)
    for n in range(count):
        squares = np.kron(rng.integers(0, 255, (8, 6, 3), np.uint8), np.ones((24, 24, 1), np.uint8))
        grain = rng.integers(-12, 13, squares.shape[:2])[..., None]  # else they are what `graphic` drops
        pixels = np.clip(squares + grain, 0, 255).astype(np.uint8)
        write_bytes(root / f"{n}.png", images.encode_png(pixels))


def until(condition: Callable[[], object], within: float = 60.0) -> bool:
    """Look again and again, until the condition holds (True) or the time is over (False)."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.002)
    return True


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be noticed doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path("/proc/self").exists()


def copied(made: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a folder, times and all, to work in: it is where commands run from now on."""
    shutil.copytree(made, place)
    monkeypatch.chdir(place)
    return place


def digests(root: Path, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """sha256 of every file below `root`; of a receipt, its digest part only. `but`: names of files and folders that are
    left out. TensorBoard's files tell the machine and the moment, and are there only where it is installed."""
    found, out = {}, {*but, "tensorboard"}
    files = (path for path in root.rglob("*") if path.is_file() and out.isdisjoint(path.relative_to(root).parts))
    for path in sorted(files):
        if path.name == receipt.RECEIPT:
            proof = receipt.read_receipt(path.parent)
            assert proof is not None
            found[str(path.relative_to(root))] = json.dumps(
                [proof.plan.digest, proof.counts, proof.outputs, proof.files]
            )
        else:
            found[str(path.relative_to(root))] = metadata.file_sha256(path)
    return found
