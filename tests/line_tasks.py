"""Tasks for worker processes."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from gravurekit.errors import PictureError


def noted(task: tuple[Path, str]) -> str:
    """Write a word down, as a line of a file."""
    path, word = task
    with path.open("a") as file:
        file.write(f"{word}\n")
    return word


def held(task: tuple[Path, str]) -> str:
    """The same, and wait until the file `go` is beside it."""
    word = noted(task)
    while not (task[0].parent / "go").exists():
        time.sleep(0.005)
    return word


def killed(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refused(_: object) -> None:
    raise PictureError("not-an-image", "a web page")


def gorged(_: object) -> int:
    """Take far more memory than one may."""
    hoard = [np.ones(30_000_000) for _ in range(40)]
    time.sleep(10)
    return len(hoard)


def process(_: object) -> int:
    return os.getpid()
