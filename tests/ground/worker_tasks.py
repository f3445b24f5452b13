"""Functions for the processes that the executors start: these must be importable by name."""

import os
import signal
from pathlib import Path
from typing import Any

from gravurekit.errors import MissingExtra


def square(number: int) -> int:
    return number * number


def square_or_die(number: int) -> int:
    """Odd hundreds leave by the back door, even ones are killed."""
    if number >= 100:
        if number % 200 == 100:
            os._exit(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def refuse_seven(number: int) -> int:
    if number == 7:
        raise ValueError("seven is refused")
    return square(number)


def need_an_extra(number: int) -> int:
    if number == 3:
        raise MissingExtra("a style", "styles")
    return square(number)


def noted(items: list[str], context: Any, stem: Path) -> list[str]:
    """A line for each item; each call leaves a file that names its part and its process."""
    (Path(context) / f"{stem.name}.{os.getpid()}").write_text("\n".join(items))
    return [f"{item}!" for item in items]


def noted_or_die(items: list[str], context: Any, stem: Path) -> list[str]:
    if "poison" in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return noted(items, context, stem)


def quarantined(item: str, why: str) -> str:
    return f"{item} {why}"
