"""What the subjects of `evaluate` share: whose a report is, and what goes into it."""

import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from gravurekit import __version__, folder
from gravurekit.errors import UsageError
from gravurekit.settings import digest


def check_out(out: Path, kind: str) -> None:
    """Raises UsageError for a report that isn't to be a .json, or a place where something else than a report of this
    `kind` lies."""
    if out.suffix != ".json":
        raise UsageError(f"{out}: the report is a .json, and a .png beside it")
    if out.exists() and not _is_of(out, kind):
        raise UsageError(f"{out} is there already, and no report of ours: name another file with --out")


def _is_of(path: Path, kind: str) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("kind") == kind


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    import cv2
    import numpy
    import torch

    found = {"numpy": numpy, "opencv": cv2, "torch": torch}
    return {"gravurekit": __version__, **{name: str(module.__version__) for name, module in found.items()}}


def revisions(*parts: ModuleType) -> dict[str, int]:
    """Of measures."""
    return {part.__name__.rpartition(".")[2]: part.REVISION for part in parts}


def rounded(value: Any) -> Any:
    """Numbers to six places: the bits beyond depend on where in memory a sum lay."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value


def digest_of(files: Iterable[Path]) -> str:
    """Of the bytes of pictures. Raises UsageError if one can't be read."""
    return digest([folder.side_digest(path, "picture") for path in files])


def told(figure: Any) -> str:
    """A figure in a table; a dash for what can't be said."""
    return "–" if figure is None else str(figure)
