"""Trainings for the tests of those who watch them: made by hand, and what makes real ones in a moment."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gravurekit import images, storage
from gravurekit.metadata import MARKER
from gravurekit.reports._run import LOG

# commands that make shards of what lies in photos/, and flags of a training on them
SHARDS = (
    ("stylize", "photos", "drawn", "--short-side", "64", "--style", "cartoon", "--executor", "serial", "--quiet"),
    ("shard", "drawn", "shards", "--size", "32", "--val-share", "0.3", "--executor", "serial", "--quiet"),
)
KNOBS = ("--batch", "4", "--quiet")


def made(run: Path, *log: dict[str, Any] | str) -> Path:
    """An unfinished training's folder. `log`: its lines; a text is a line as it stands."""
    storage.write_text(run / MARKER, "train\n")
    storage.write_lines(run / LOG, (line if isinstance(line, str) else json.dumps(line) for line in log))
    return run


def step(number: int, kind: str = "train", **figures: Any) -> dict[str, Any]:
    """A line of a log."""
    return {"kind": kind, "step": number} | figures


def goes_on(run: Path, *log: dict[str, Any]) -> None:
    """Add lines to its log."""
    for line in log:
        storage.append_line(run / LOG, json.dumps(line))


def panel_at(run: Path, number: int, width: int = 9) -> None:
    """A panel sheet of a step."""
    pixels = np.full((9, width, 3), number % 256, np.uint8)
    storage.write_bytes(run / f"panels/{number:07d}.png", images.encode_png(pixels))
