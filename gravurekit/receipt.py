"""Receipt: proof that a folder is whole, and of what it was made; Plan: all that decides what is made."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from gravurekit.errors import DataError
from gravurekit.settings import digest

RECEIPT = "receipt.json"
FORMAT = 1  # raised when an older gravurekit could misread the folder
RECORDS = "records"  # the input that a Plan digests as a whole; every other one is a side input
SHOWN = 60  # characters of a value in a message


class Plan(BaseModel):
    """What decides a stage's output: two runs of equal plan write equal bytes. (A crawl, which only ever adds to its
    folder, depends on what earlier crawls brought as well.)"""

    model_config = ConfigDict(frozen=True)

    stage: str
    revision: int  # raised when the stage's or its craft's output changes
    settings: dict[str, Any]
    inputs: dict[str, str]  # digests of the input's metadata and of every side input
    seed: int = 0

    @property
    def digest(self) -> str:
        return digest(self.model_dump(mode="json"))

    def digest_for(self, sha256: str) -> str:
        """16 hex digits over all that decides what is made of ONE picture: the plan with the picture's own bytes in the
        place of the whole input."""
        inputs = {name: value for name, value in self.inputs.items() if name != RECORDS}
        own = self.model_copy(update={"inputs": inputs | {"picture": sha256}})
        return own.digest[:16]


class Receipt(BaseModel):
    """Written last: a folder that has one is finished."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    plan: Plan
    counts: dict[str, int]
    outputs: dict[str, str]  # sha256 of metadata.jsonl and the like
    files: dict[str, str] = {}  # sha256 of large files that no Record names: shards, a model
    measured: dict[str, Any] = {}  # seconds, rates, hosts' answers: never part of a digest


def read_receipt(folder: Path) -> Receipt | None:
    """The receipt of a folder; None if it has none. Raises DataError if it is damaged or a newer gravurekit's."""
    path = folder / RECEIPT
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise DataError(f"{path} is no file: move it away and run the stage again")
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): allow it, or run the stage again") from None
    try:
        found = json.loads(text)
        if isinstance(found, dict) and isinstance(found.get("format"), int) and found["format"] > FORMAT:
            raise NewerReceipt(path, found["format"])
        receipt = Receipt.model_validate_json(text)
    except (ValidationError, ValueError, RecursionError):
        receipt = None
    if receipt is None or not {"in", "kept"} <= receipt.counts.keys():
        raise DataError(f"{path} is damaged: run the stage again, which makes it anew")
    return receipt


def receipt_if_any(folder: Path) -> Receipt | None:
    """`read_receipt`, for those who have the damage told by somebody else: None also for a damaged one. Raises
    NewerReceipt."""
    try:
        return read_receipt(folder)
    except NewerReceipt:
        raise
    except DataError:
        return None


class NewerReceipt(DataError):
    """A folder of a later gravurekit, which this one must neither read nor write into."""

    def __init__(self, path: Path, found: int) -> None:
        super().__init__(
            f"{path} was written by a newer gravurekit (format {found}; this one knows {FORMAT}): "
            "pip install --upgrade gravurekit, or work in another folder"
        )
        self.path, self.found = path, found

    def __reduce__(self) -> tuple[type["NewerReceipt"], tuple[Path, int]]:
        return type(self), (self.path, self.found)  # as PictureError's


def newest_finished(parent: Path, pattern: str = "*") -> Path | None:
    """Of the folders in `parent` whose names fit `pattern` and that have a receipt, the one whose receipt is newest;
    None if there is none."""
    finished = [path.parent for path in parent.glob(f"{pattern}/{RECEIPT}")] if parent.is_dir() else []
    return max(finished, key=lambda path: ((path / RECEIPT).stat().st_mtime_ns, path.name), default=None)


def differences(old: Plan, new: Plan) -> list[str]:
    """Why a folder that was made by `old` isn't what `new` asks for, one sentence a cause; empty if it is."""
    causes = [f"it holds what {old.stage} made"] if old.stage != new.stage else []
    if old.revision != new.revision:
        causes.append(f"gravurekit does it otherwise now: revision {old.revision} → {new.revision}")
    before, after = flat(old.settings | {"seed": old.seed}), flat(new.settings | {"seed": new.seed})
    knobs = [_change(name, before, after) for name in after | before if _said(before, name) != _said(after, name)]
    if knobs:
        causes.append(f"settings changed: {', '.join(knobs)}")
    for name in new.inputs | old.inputs:
        if old.inputs.get(name) != new.inputs.get(name):
            causes.append("the pictures that go in changed" if name == RECORDS else f"side input changed: {name}")
    return causes


def flat(settings: dict[str, Any]) -> dict[str, Any]:
    """A Plan's knobs by name; those of the table [NAME] as NAME.KNOB."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict) and name.startswith("["):
            flat |= {f"{name.strip('[]')}.{knob}": inner for knob, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _said(knobs: dict[str, Any], name: str) -> Any:
    """What is said of a knob; a craft that isn't used says as little as one that leaves it empty."""
    return None if knobs.get(name) == "" else knobs.get(name)


def _change(name: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    old, new = before.get(name), after.get(name)
    if _is_range(old) and _is_range(new):
        return f"{name} {'–'.join(map(_shown, old or ()))} → {'–'.join(map(_shown, new or ()))}"
    if isinstance(old, list) and isinstance(new, list):
        steps = [f"+{_shown(item)}" for item in new if item not in old]
        steps += [f"-{_shown(item)}" for item in old if item not in new]
        return f"{name} {' '.join(steps[:4]) or 'in another order'}{' …' if len(steps) > 4 else ''}"
    return f"{name} {_shown(old)} → {_shown(new)}"


def _is_range(value: Any) -> bool:
    """As `settings.Range` leaves it: two numbers."""
    return isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(end, int | float) for end in value)


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
