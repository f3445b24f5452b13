"""The log of a training: losses, validation figures and what else happened, a line of JSON each."""

from pathlib import Path
from typing import Any

from gravurekit import storage

LOG = "log.jsonl"


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of log.jsonl, each step once: what a resumption did again replaces what it was before."""
    kept: list[dict[str, Any]] = []
    for line in storage.read_json_lines(folder / LOG):
        step = line.get("step")
        if not isinstance(step, int):
            continue
        while kept and kept[-1]["step"] > step:
            kept.pop()
        same = [k for k in _last(kept, step) if k["kind"] == line.get("kind")]
        for earlier in same:
            kept.remove(earlier)
        kept.append(line)
    return [line for line in kept if line["kind"] != "start"]


def _last(lines: list[dict[str, Any]], step: int) -> list[dict[str, Any]]:
    """The lines of a step at the end of the list."""
    found: list[dict[str, Any]] = []
    for line in reversed(lines):
        if line["step"] != step:
            break
        found.append(line)
    return found
