"""Who listens to a training: what the bar says, panels of samples and of real prints, and that none of it changes what
is learnt."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workspace import patchwork, run_here

from gravurekit import audit, images, storage
from gravurekit.errors import StorageError
from gravurekit.model import trainer
from gravurekit.model.network import NetworkConfig, build
from gravurekit.progress import Silent
from gravurekit.receipt import read_receipt
from gravurekit.reports import training
from gravurekit.stages import _boards
from gravurekit.stages._listening import Listener, Shown

TRAIN = ("train", "tensors", "--batch", "2", "--steps", "2", "--validate-every", "1", "--device", "cpu", "--quiet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with shards of some pictures, and prints."""
    place = tmp_path_factory.mktemp("made")
    patchwork(place / "photos/kaftan", 8)
    style = ("--short-side", "64", "--style", "cartoon", "--executor", "serial", "--quiet")
    shard = ("shard", "drawn", "tensors", "--size", "32", "--val-share", "0.3", "--executor", "serial", "--quiet")
    assert run_here("-C", str(place), "stylize", "photos", "drawn", *style).exit_code == 0
    assert run_here("-C", str(place), *shard).exit_code == 0
    storage.write_bytes(place / "prints/a.png", images.encode_png(np.full((40, 30, 3), 200, np.uint8)))
    storage.write_bytes(place / "prints/broken.png", b"\x89PNG\r\nhalf")
    return place


class Heard(Silent):
    """A Watch that remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def begin(self, what: str, total: int | None) -> None:
        self.told.append((what, total))

    def advance(self, units: int = 1) -> None:
        self.told.append(("done", units))

    def say(self, text: str) -> None:
        self.told.append(("say", text))

    def note(self, text: str) -> None:
        self.told.append(("note", text))


@pytest.fixture
def without_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)


def train_quickly(samples: Any, val: Any, config: Any, recipe: Any, folder: Path, hear: Any, **more: Any) -> Any:
    """In the place of the trainer: reports and is looked at, and learns nothing."""
    untaught = build(config, 0).eval()
    hear({"kind": "feed", "step": 0, "steps": recipe.steps, "said": "at once"})
    for step in range(1, recipe.steps + 1):
        hear({"kind": "train", "step": step, "steps": recipe.steps, "colour_loss": 1.0})
        hear({"kind": "validation", "step": step, "steps": recipe.steps, "loss": 1.0, "ab_error": 9.0})
        more["look"](untaught, step)
    storage.write_bytes(folder / trainer.MODEL, b"weights")
    return {"device": "cpu", "precision": "fp32", "samples_per_second": 1.0, "feed": "at once", "waiting": 0.0}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "train", train_quickly)


def test_what_a_trainer_reports_is_said_in_few_words(tmp_path: Path, without_boards: None) -> None:
    watch = Heard()
    listener = Listener(watch, Shown(tmp_path, tmp_path, 0, None, True))
    listener.hear({"kind": "feed", "step": 600, "steps": 2000, "said": "two threads read ahead"})
    train = {"kind": "train", "step": 601, "steps": 2000, "colour_loss": 0.02134, "waiting": 0.0149}
    listener.hear(train | {"samples_per_second": 36.234})
    listener.hear(train | {"step": 602, "samples_per_second": 5234.9, "loss": 0.5})
    figures = {"loss": 0.12, "ab_error": 9.0, "delta_e": 9.123, "delta_e_grey": 9.0, "delta_e_palette": None}
    listener.hear({"kind": "validation", "step": 602, "steps": 2000, **figures})
    listener.hear({"kind": "validation", "step": 602, "steps": 2000, "loss": 0.12, "ab_error": 9.0})
    listener.look(None, 602)  # type: ignore[arg-type]
    listener.close()
    assert watch.told == [
        ("train", 2000), ("done", 600), ("note", "train: two threads read ahead"),
        ("done", 1), ("say", "loss 0.0213, 36.2 pictures/s, waiting 1.5 %"),
        ("done", 1), ("say", "loss 0.5000, 5,235 pictures/s, waiting 1.5 %"),
        ("done", 0), ("note", "step 602: ΔE 9.12, grey 9.00, loss 0.1200 on held-back pictures"),
        ("done", 0), ("note", "step 602: ab error 9.00, loss 0.1200 on held-back pictures"),
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_ready_for_a_process_that_hears_nothing(tmp_path: Path) -> None:
    listener = Listener(Heard(), Shown(tmp_path / "run", tmp_path / "nowhere", 6, tmp_path / "nowhere", True))
    listener.close()
    assert not (tmp_path / "run").exists()


def test_panels_come_with_each_validation_and_are_no_part_of_the_receipt(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_boards: None, quick: None
) -> None:
    monkeypatch.chdir(made)
    assert run_here(*TRAIN, "--runs", str(tmp_path / "a"), "--panels", "2", "--watch", "prints").exit_code == 0
    (run,) = (tmp_path / "a").iterdir()
    assert sorted(path.name for path in (run / "panels").iterdir()) == ["0000001.png", "0000002.png", training.ROWS]
    rows = storage.read_json_lines(run / "panels" / training.ROWS)
    assert [row.get("split") or row["file"] for row in rows] == ["val", "val", "a.png"]
    receipt = read_receipt(run)
    assert receipt and not any("panel" in name for name in receipt.files) and "panels" not in receipt.plan.settings
    assert audit.inspect(run, deep=True).faults == []
    again = json.loads(run_here(*TRAIN, "--runs", str(tmp_path / "a"), "--panels", "5", "--json").stdout)
    assert again["fresh"]
    made_page = run_here("report", str(run), "--out", str(tmp_path / "page.html"), "--json", "--quiet")
    assert made_page.exit_code == 0 and json.loads(made_page.stdout)["panels"] == 2
    assert rows[0]["key"] in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.slow
def test_panels_change_nothing_of_what_is_learnt(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_boards: None
) -> None:
    monkeypatch.chdir(made)
    models = []
    for name, more in (("a", ("--panels", "2", "--watch", "prints")), ("b", ("--panels", "0"))):
        assert run_here(*TRAIN, "--runs", str(tmp_path / name), *more).exit_code == 0
        (run,) = (tmp_path / name).iterdir()
        assert (run / "panels").exists() == (name == "a") and not (run / _boards.FOLDER).exists()
        models.append((run.name, (run / trainer.MODEL).read_bytes()))
    assert models[0] == models[1]


@pytest.mark.parametrize(
    ("folder", "code", "said"), [("nowhere", 2, "--watch nowhere: no such folder"), ("none", 5, "no picture")]
)
def test_a_folder_to_watch_must_hold_prints(
    folder: str, code: int, said: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    storage.make_folder(made / "none")
    result = run_here(*TRAIN, "--runs", str(tmp_path / "runs"), "--watch", folder)
    assert result.exit_code == code and said in str(result.exception)
    assert (code == 2) == (not (tmp_path / "runs").exists())


def test_a_print_that_cant_be_read_is_told_once_and_a_disk_that_refuses_ends_it(
    made: Path, tmp_path: Path, without_boards: None
) -> None:
    watch = Heard()
    listener = Listener(watch, Shown(tmp_path / "run", made / "tensors", 1, made / "prints", True))
    listener.hear({"kind": "feed", "step": 0, "said": "x"})
    notes = [text for kind, text in watch.told if kind == "note"]
    assert len(notes) == 2 and "broken.png isn't watched" in notes[0]
    storage.remove(tmp_path / "run/panels")
    storage.write_text(tmp_path / "run/panels", "in the way")
    with pytest.raises(StorageError):
        listener.look(build(NetworkConfig(("a",), "average", 32, L_mean=0.5), 0).eval(), 1)


def test_where_tensorboard_is_installed_it_gets_figures_and_panels(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    heard: list[Any] = []

    class Board:
        def hear(self, report: dict[str, Any]) -> None:
            heard.append(report["kind"])

        def show(self, sheet: np.ndarray, step: int) -> None:
            heard.append((sheet.dtype, step))

        def close(self) -> None:
            heard.append("closed")

    monkeypatch.setattr(_boards, "opened", lambda run, note: Board())
    monkeypatch.chdir(made)
    assert run_here(*TRAIN, "--runs", str(tmp_path), "--panels", "1").exit_code == 0
    shown = [item for item in heard if isinstance(item, tuple)]
    assert shown == [(np.dtype(np.uint8), 1), (np.dtype(np.uint8), 2)] and heard[-1] == "closed"
    assert heard.count("train") == 2 and heard.count("validation") == 2
