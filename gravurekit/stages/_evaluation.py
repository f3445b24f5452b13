"""What the subjects of `evaluate` share: whose a report is, and what goes into it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gravurekit import __version__, folder, storage
from gravurekit.errors import UsageError
from gravurekit.reports.pages import files_of
from gravurekit.settings import digest

if TYPE_CHECKING:
    import numpy as np

CASES = 8  # of each set, the best ones and the worst ones
QUALITY = 88  # of their JPEG
OURS = re.compile(r"\d+-(best|worst)-\d+-\d+\.jpg")


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


@dataclass(frozen=True, eq=False)
class Case:
    """A picture of an evaluation that may be shown: its `figures`, and what is to be seen of it, by caption, (h, w, 3)
    uint8 sRGB or (h, w) uint8 grey."""

    key: str
    label: str
    figures: Mapping[str, float]
    seen: "Mapping[str, np.ndarray]"


def write_cases(report: Path, cases: Mapping[str, Sequence[Case]]) -> dict[str, Any]:
    """Write the pictures of the best and the worst cases beside the report, and return what it says of them. `cases`:
    by the set of pictures that they are of, from the best to the worst."""
    folder = files_of(report)
    told: dict[str, Any] = {}
    names: set[str] = set()
    for number, (name, those) in enumerate(cases.items()):
        most = min(CASES, len(those) // 2)
        some = {"best": those[: max(1, most)], "worst": those[len(those) - most :][::-1]}
        told[name] = {
            word: [_written(folder, f"{number}-{word}-{place}", case, names) for place, case in enumerate(found)]
            for word, found in some.items()
        }
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if OURS.fullmatch(path.name) and path.name not in names:
                storage.remove(path)
    return told


def _written(folder: Path, stem: str, case: Case, names: set[str]) -> dict[str, Any]:
    from gravurekit import images

    files = []
    for number, (caption, pixels) in enumerate(case.seen.items()):
        name = f"{stem}-{number}.jpg"
        files.append([caption, name])
        names.add(name)
        storage.write_bytes(folder / name, images.encode_jpeg(pixels, QUALITY))
    return {"key": case.key, "label": case.label, "figures": [list(pair) for pair in case.figures.items()],
            "files": files}  # fmt: skip


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
