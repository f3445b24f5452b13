"""Moods that are kept: global vectors of pictures, by which one print borrows the colours' manner of others.

A file of a mood is a safetensors file with one tensor, `mood` (256,) float32, and one entry in its header: which model
made it (the sha256 of the model's file) and of which pictures. The numbers of another model mean something else, so
they are refused.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from gravurekit import storage
from gravurekit.errors import DataError, UsageError

SUFFIX = ".safetensors"
KEY = "gravurekit"  # ONE metadata entry: safetensors writes several in no fixed order
KIND, VERSION = "mood", 1
LENGTH = 256
LARGEST = 1 << 20  # bytes; a mood has about 1,300


@dataclass(frozen=True, eq=False)
class Mood:
    """A global vector.

    vector  (256,) float32
    of      names of the pictures that it is the mean of
    model   sha256 of the model's file
    """

    vector: np.ndarray
    of: tuple[str, ...]
    model: str


def mean(moods: Sequence[Mood]) -> Mood:
    """The mean of moods of one model; each of their pictures counts alike. Raises ValueError for none, or of several
    models."""
    if len({mood.model for mood in moods}) != 1:
        raise ValueError("moods of one model, at least one, have a mean")
    weights = [max(1, len(mood.of)) for mood in moods]
    vector = np.average([mood.vector.astype(np.float64) for mood in moods], axis=0, weights=weights)
    return Mood(vector.astype(np.float32), tuple(name for mood in moods for name in mood.of), moods[0].model)


def save(path: Path, mood: Mood) -> None:
    """Write a mood. Raises StorageError."""
    storage.write_bytes(path, to_bytes(mood))


def to_bytes(mood: Mood) -> bytes:
    """The file of a mood; equal moods give equal bytes."""
    header = {"kind": KIND, "version": VERSION, "model": mood.model, "of": list(mood.of)}
    text = json.dumps(header, sort_keys=True, ensure_ascii=False)
    tensors = {"mood": np.ascontiguousarray(mood.vector, np.float32)}
    return safetensors.numpy.save(tensors, {KEY: text})


def load(path: Path, model: str) -> Mood:
    """The mood in a file, for the model whose file has the sha256 `model`. Raises UsageError if there is no such file,
    it is no mood, or another model's; DataError if it is damaged."""
    if not path.is_file():  # opening a pipe would wait for ever
        raise UsageError(f"{path}: no such file; name a picture, or a mood that --save-like wrote")
    header, vector = _read(path)
    if not isinstance(header, dict) or header.get("kind") != KIND:
        raise UsageError(f"{path} is a safetensors file, but no mood; name a picture, or what --save-like wrote")
    if header.get("version") != VERSION:
        found = f"{header.get('version')!r:.20}"
        raise UsageError(f"{path} has format version {found}, this gravurekit reads {VERSION}: make it again")
    of, made_by = header.get("of"), str(header.get("model"))
    names = tuple(name for name in of if isinstance(name, str)) if isinstance(of, list) else ()
    if not names or vector is None or vector.shape != (LENGTH,) or not np.isfinite(vector).all():
        raise DataError(f"{path} is damaged: it holds no mood of {LENGTH} numbers; make it again with --save-like")
    if made_by != model:
        raise UsageError(
            f"{path} was made with another model ({made_by[:12]}, not {model[:12]}), to whose network its numbers "
            "belong: name that one with --model, or the pictures themselves with --like"
        )
    return Mood(vector.astype(np.float32), names, made_by)


def _read(path: Path) -> tuple[object, np.ndarray | None]:
    """What a file's header says, and its tensor, if it has that."""
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is too large for a mood; name a picture, or what --save-like wrote")
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(KEY, "null"))
            return header, file.get_tensor("mood") if "mood" in file.keys() else None  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged or no safetensors file ({error!s:.80}); make it again") from None
