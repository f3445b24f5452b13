"""Global vectors in files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from gravurekit import moods
from gravurekit.errors import DataError, GravurekitError, UsageError
from gravurekit.moods import Mood

MODEL, OTHER = "a" * 64, "b" * 64


def mood(seed: int, *of: str) -> Mood:
    return Mood(np.random.default_rng(seed).random(256, np.float32), of or ("a.png",), MODEL)


def test_a_mood_comes_back_and_equal_moods_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one.safetensors", "other.safetensors"):
        moods.save(tmp_path / name, mood(1, "a.png", "ü.jpg"))
    found = moods.load(tmp_path / "one.safetensors", MODEL)
    assert np.array_equal(found.vector, mood(1).vector) and found.vector.dtype == np.float32
    assert (found.of, found.model) == (("a.png", "ü.jpg"), MODEL)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "other.safetensors").read_bytes()


def test_another_models_mood_is_refused(tmp_path: Path) -> None:
    moods.save(tmp_path / "m.safetensors", mood(1))
    with pytest.raises(UsageError, match=f"another model.*{MODEL[:12]}.*--model"):
        moods.load(tmp_path / "m.safetensors", OTHER)


def test_a_mean_counts_each_picture_alike() -> None:
    found = moods.mean([mood(1, "a", "b"), mood(2, "c")])
    assert found.of == ("a", "b", "c")
    assert np.allclose(found.vector, (2 * mood(1).vector + mood(2).vector) / 3)
    for bad in ([], [mood(1), Mood(mood(2).vector, ("c",), OTHER)]):
        with pytest.raises(ValueError):
            moods.mean(bad)


def written(vector: np.ndarray | None, header: object) -> bytes:
    tensors = {"mood": vector} if vector is not None else {"weights": np.zeros(3, np.float32)}
    return bytes(safetensors.numpy.save(tensors, {moods.KEY: json.dumps(header)}))


SAYS = {"kind": "mood", "version": 1, "model": MODEL, "of": ["a.png"]}
GOOD = np.zeros(256, np.float32)


@pytest.mark.parametrize(
    "data, kind, said",
    [
        (b"", DataError, "damaged or no safetensors"),
        (b"words", DataError, "damaged or no safetensors"),
        (written(GOOD, SAYS)[:-8], DataError, "damaged or no safetensors"),
        (written(GOOD[:9], SAYS), DataError, "no mood of 256 numbers"),
        (written(np.full(256, np.nan, np.float32), SAYS), DataError, "no mood of 256 numbers"),
        (written(None, SAYS), DataError, "no mood of 256 numbers"),
        (written(GOOD, SAYS | {"of": 7}), DataError, "no mood of 256 numbers"),
        (written(GOOD, SAYS | {"version": 2}), UsageError, "version 2"),
        (written(GOOD, SAYS | {"kind": "model"}), UsageError, "no mood"),
        (written(GOOD, [SAYS]), UsageError, "no mood"),
        (b"\0" * (moods.LARGEST + 1), UsageError, "too large"),
    ],
)
def test_what_is_no_mood_is_refused(tmp_path: Path, data: bytes, kind: type[GravurekitError], said: str) -> None:
    (tmp_path / "m.safetensors").write_bytes(data)
    with pytest.raises(kind, match=said):
        moods.load(tmp_path / "m.safetensors", MODEL)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_mood_that_isnt_there(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match="no such file"):
        moods.load(tmp_path / "m.safetensors", MODEL)
