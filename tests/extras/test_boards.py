"""TensorBoard: each step once, also after a kill; and where it isn't installed, nothing at all."""

import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gravurekit import storage
from gravurekit.errors import StorageError
from gravurekit.stages import _boards
from gravurekit.stages._boards import Boards, opened

pytestmark = pytest.mark.filterwarnings("ignore")  # of other people's packages


def reports(boards: Boards, first: int, last: int, loss: float, steps: int = 100) -> None:
    """What a trainer tells of a part of a training."""
    boards.hear({"kind": "feed", "step": first, "steps": steps, "way": "read ahead", "said": "two threads"})
    for step in range(first + 1, last + 1):
        figures = {"colour_loss": loss, "class_loss": math.nan, "waiting": None, "whole": True}
        boards.hear({"kind": "train", "step": step, "steps": steps, **figures})
        if step % 10 == 0:
            boards.hear({"kind": "validation", "step": step, "steps": steps, "delta_e": loss, "top1": None})
            boards.show(np.full((8, 8, 3), step, np.uint8), step)


# ---- without it ----------------------------------------------------------------------------------------


def test_without_it_nothing_is_written_and_nothing_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    said: list[str] = []
    assert opened(tmp_path, said.append) is None and said == [] and list(tmp_path.iterdir()) == []


def test_one_that_cant_be_used_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ModuleType("tensorboard")
    broken.__spec__ = __spec__  # type: ignore[name-defined]  # any will do: it is there
    monkeypatch.setitem(sys.modules, "tensorboard", broken)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    said: list[str] = []
    assert opened(tmp_path, said.append) is None and list(tmp_path.iterdir()) == []
    assert len(said) == 1 and "can't be used" in said[0]


class Writer:
    """In the place of TensorBoard's. What it was told, by tag."""

    def __init__(self, folder: str, purge_step: int | None) -> None:
        self.purge_step, self.told = purge_step, dict[str, list[int]]()
        storage.write_text(Path(folder) / "events", "")

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.told.setdefault(tag, []).append(step)

    def add_image(self, tag: str, sheet: np.ndarray, step: int, dataformats: str) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        self.told["closed"] = []


def test_numbers_are_written_and_of_many_steps_some(tmp_path: Path) -> None:
    boards = Boards(tmp_path / "tensorboard", Writer)
    boards.hear({"kind": "feed", "step": 0, "steps": 12_345, "said": "two threads"})
    writer = boards._writer
    for step in range(1, 12_346):
        boards.hear({"kind": "train", "step": step, "steps": 12_345, "loss": 1.0, "bad": math.inf, "yes": True})
    boards.close()
    assert list(writer.told) == ["train/loss", "closed"] and writer.purge_step is None
    assert 1000 <= len(writer.told["train/loss"]) <= 1100 and writer.told["train/loss"][-1] == 12_345


@pytest.mark.parametrize(("kind", "purged"), [("feed", 41), ("train", 40)])
def test_what_an_ended_run_wrote_of_later_steps_is_taken_back(kind: str, purged: int, tmp_path: Path) -> None:
    storage.write_text(tmp_path / "tensorboard/events.before", "")
    boards = Boards(tmp_path / "tensorboard", Writer)
    boards.hear({"kind": kind, "step": 40, "steps": 100})
    assert boards._writer.purge_step == purged


def test_a_disk_that_refuses_says_what_to_do(tmp_path: Path) -> None:
    boards = Boards(tmp_path / "tensorboard", Writer)
    with pytest.raises(StorageError, match="the disk is full: make room"):
        boards.show(np.zeros((8, 8, 3), np.uint8), 1)
    storage.write_text(tmp_path / "file", "")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        Boards(tmp_path / "file/tensorboard", Writer).hear({"kind": "feed", "step": 0})


# ---- with it -------------------------------------------------------------------------------------------


def seen(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


def test_each_step_is_there_once_also_after_a_kill(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    first = opened(tmp_path, print)
    assert first is not None
    reports(first, 0, 47, loss=2.0)
    first._writer.flush()  # and it is killed: nobody closes it
    second = opened(tmp_path, print)
    assert second is not None
    reports(second, 30, 60, loss=1.0)
    second.close()
    found = seen(tmp_path / _boards.FOLDER)
    losses = {event.step: event.value for event in found.Scalars("train/colour_loss")}
    assert [event.step for event in found.Scalars("train/colour_loss")] == list(range(1, 61))
    assert {step for step, loss in losses.items() if loss == 2.0} == set(range(1, 31))
    assert [event.step for event in found.Scalars("validation/delta_e")] == [10, 20, 30, 40, 50, 60]
    assert [event.step for event in found.Images("panels")] == [10, 20, 30, 40, 50, 60]
    assert set(found.Tags()["scalars"]) == {"train/colour_loss", "validation/delta_e"}
    first.close()
