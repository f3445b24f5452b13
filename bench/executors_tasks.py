"""What the tasks of bench/executors.py do: in a file of its own, which processes of any kind can import."""

import hashlib
from pathlib import Path

LINES = 200  # of a task that may be killed: a few milliseconds


def nothing(number: int) -> int:
    return number


def note(items: list[str], _: None, stem: Path) -> list[str]:
    """Some milliseconds of work."""
    text = ""
    for n in range(LINES):
        text = hashlib.sha256(f"{text} {items} {n}".encode()).hexdigest()
    return [f"{item} {text}" for item in items]


def lost(item: str, why: str) -> str:
    return f"{item} is lost: it {why}"
