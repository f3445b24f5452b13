"""The train stage: its data card, shards that change or are being written, and samples that aren't square."""

import json
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from typer.testing import Result
from workspace import copied, patchwork, run_here

from gravurekit import audit, metadata, shards, storage
from gravurekit.errors import TrainingError
from gravurekit.model import trainer
from gravurekit.model.checkpoint import load_model
from gravurekit.receipt import RECEIPT, read_receipt
from gravurekit.stages import _data_card, _palettes, train
from gravurekit.stages._data_card import CARD

TRAIN = ("train", "tensors", "--head", "average", "--batch", "2", "--steps", "2", "--quiet")
SHARD = ("shard", "drawn", "tensors", "--size", "32", "--val-share", "0.2", "--executor", "serial", "--quiet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of some pictures."""
    place = tmp_path_factory.mktemp("made")
    patchwork(place / "photos/kaftan", 20)
    style = ("--short-side", "64", "--style", "cartoon", "--executor", "serial", "--quiet")
    assert run_here("-C", str(place), "stylize", "photos", "drawn", *style).exit_code == 0
    assert run_here("-C", str(place), *SHARD).exit_code == 0
    return place


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copied(made, tmp_path / "here", monkeypatch)


class Trainer:
    """In the place of the trainer: reads every sample, learns nothing. `ends` is raised after half of the work."""

    def __init__(self) -> None:
        self.about: dict[str, Any] = {}
        self.recipe: Any = None
        self.config: Any = None
        self.more: dict[str, Any] = {}
        self.ends: BaseException | None = None

    def train(
        self,
        samples: Any,
        val: Any,
        config: Any,
        recipe: Any,
        folder: Path,
        hear: Any,
        about: dict[str, Any],
        **more: Any,
    ) -> dict[str, Any]:
        self.about, self.recipe, self.config, self.more = about, recipe, config, more
        hear({"kind": "feed", "step": 0, "said": "two threads"})
        assert samples.batch(np.arange(len(samples))).keys() == {"L", "wash", "label", "box"}
        if self.ends:
            storage.write_bytes(folder / trainer.STATE, b"half")
            raise self.ends
        storage.write_bytes(folder / trainer.MODEL, b"weights")
        figures = {"device": "cpu", "precision": "fp32", "validation": None}
        return figures | {"samples_per_second": 1.0, "feed": "read ahead", "waiting": 0.25}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    found = Trainer()
    monkeypatch.setattr(trainer, "train", found.train)
    return found


def runs(here: Path) -> list[Path]:
    return sorted((here / "runs").iterdir()) if (here / "runs").exists() else []


def message(result: Result) -> str:
    return str(result.exception)


def card_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / CARD).read_text("utf-8"))
    return found


# ---- the data card -------------------------------------------------------------------------------------


def test_a_run_carries_the_numbers_of_what_it_learned_from(here: Path, quick: Trainer) -> None:
    result = run_here(*TRAIN, "--json")
    assert result.exit_code == 0
    facts = json.loads(result.stdout)["facts"]
    assert (facts["feed"], facts["waiting"]) == ("read ahead", 0.25)
    (run,) = runs(here)
    card, manifest = card_of(run), json.loads((here / "tensors" / shards.MANIFEST).read_text("utf-8"))
    assert card["manifest"] == metadata.file_sha256(here / "tensors" / shards.MANIFEST) == quick.about["shards"]
    assert card["learned_from"] == metadata.file_sha256(run / shards.LEARNED)
    assert card["shards"]["size"] == manifest["size"] and card["shards"]["style"] == manifest["style"]
    index = [json.loads(line) for line in (here / "tensors" / shards.INDEX).read_text("utf-8").splitlines()]
    for split, numbers in card["splits"].items():
        mine = [entry for entry in index if entry["split"] == split]
        assert numbers["samples"] == len(mine) == manifest["splits"][split]
        assert numbers["pictures"] == len({entry["photo_key"] or entry["key"] for entry in mine})
        assert numbers["labels"] == manifest["labels"][split]
        assert numbers["licenses"] == Counter(entry["license"] for entry in mine)
        assert numbers["sources"] == Counter(entry["source"] for entry in mine)
    learnt = card["splits"]["train"]
    assert quick.about["licenses"] == learnt["licenses"] and quick.about["sources"] == learnt["sources"]
    receipt = read_receipt(run)
    assert receipt and receipt.files.keys() == {trainer.MODEL, shards.LEARNED, CARD, _palettes.FILE}
    assert _palettes.find(run, "kaftan").samples == learnt["samples"]
    assert audit.inspect(run, deep=True).faults == []


def test_drawings_of_one_picture_are_told_from_pictures(tmp_path: Path) -> None:
    line = {"split": "train", "labels": [], "license": "", "source": "met", "photo_key": "a"}
    lines = [line | {"key": f"k{n}", "variant": n} for n in range(3)]
    storage.write_lines(tmp_path / shards.INDEX, map(json.dumps, lines))
    manifest = {"format": 2, "shards": [{"split": "train", "samples": 3}]}
    numbers = _data_card.write(tmp_path, tmp_path / "run", manifest, "f00")["splits"]["train"]
    assert (numbers["samples"], numbers["pictures"], numbers["variants"]) == (3, 1, 3)
    assert numbers["labels"] == {"": 3} and numbers["sources"] == {"met": 3}


def test_a_card_that_is_lost_or_changed_is_told_and_made_again(here: Path, quick: Trainer) -> None:
    assert run_here(*TRAIN).exit_code == 0
    (run,) = runs(here)
    before = (run / CARD).read_bytes()
    for damage in (lambda: storage.write_text(run / CARD, "{}"), (run / CARD).unlink):
        damage()
        assert audit.inspect(run, deep=True).grave
        assert not json.loads(run_here(*TRAIN, "--json").stdout)["fresh"] and (run / CARD).read_bytes() == before


@pytest.mark.slow
def test_the_model_itself_says_where_it_comes_from(here: Path) -> None:
    assert run_here(*TRAIN).exit_code == 0
    (run,) = runs(here)
    about = load_model(run / trainer.MODEL, "cpu")[1]
    card = card_of(run)
    assert about["shards"] == card["manifest"] and about["training"]["pictures"] == card["splits"]["train"]["samples"]
    assert about["licenses"] == card["splits"]["train"]["licenses"] and about["sources"]
    pictures = json.loads(run_here("credits", str(run), "--json").stdout)["pictures"]
    assert pictures == card["splits"]["train"]["pictures"]


@pytest.mark.parametrize(("name", "old", "new"), [(shards.MANIFEST, "kaftan", "caftan"), (shards.INDEX, "CC0", "CC1")])
def test_a_list_that_was_changed_is_not_learnt_from(name: str, old: str, new: str, here: Path, quick: Trainer) -> None:
    """It is whole, and says something else: another class, another licence."""
    path = here / "tensors" / name
    text = path.read_text("utf-8")
    storage.write_text(path, text.replace(old, new) if old in text else text.replace("folder", "Folder"))
    result = run_here(*TRAIN)
    assert result.exit_code == 5 and f"{name} isn't the file that was written" in message(result)
    assert not quick.about


def test_an_index_must_tell_of_every_split(here: Path, quick: Trainer) -> None:
    lines = (here / "tensors" / shards.INDEX).read_text("utf-8").splitlines()
    storage.write_lines(here / "tensors" / shards.INDEX, (line for line in lines if '"val"' not in line))
    result = run_here(*TRAIN)
    assert result.exit_code == 5 and "doesn't tell of the samples" in message(result)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"manifest": 7}', "[" * 100_000, None])
def test_a_card_that_says_nothing_is_as_none(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        storage.write_text(tmp_path / CARD, text)
    assert _data_card.manifest_of(tmp_path) == ""


# ---- shards that change --------------------------------------------------------------------------------


def left_unfinished(here: Path, quick: Trainer, *more: str) -> Path:
    before = runs(here)
    quick.ends = TrainingError("out of memory")
    assert run_here(*TRAIN, *more).exit_code == 6
    quick.ends = None
    (run,) = set(runs(here)) - set(before)
    return run


def shard_anew(*more: str) -> None:
    assert run_here(*SHARD, "--seed", "1", *more).exit_code == 0


def reasons() -> list[str]:
    job = train.Job(Path("tensors"), Path("runs"), train.Settings(head="average", batch=2, steps=2))
    return list(train.look(job).reasons)


def test_an_unfinished_training_is_told_when_its_shards_are_gone(here: Path, quick: Trainer) -> None:
    old = left_unfinished(here, quick)
    assert reasons() == ["the last run didn't finish"]
    before = (old / trainer.STATE).read_bytes()
    shard_anew()
    told = f"the shards changed since runs/{old.name}, which isn't finished and can't be resumed with others"
    assert reasons() == [f"{told}, so a new training begins"]
    result = run_here(*[word for word in TRAIN if word != "--quiet"])
    said = " ".join(result.output.split())
    assert result.exit_code == 0 and told in said and "train: two threads" in said
    assert "1.0/s on cpu (25.0 % of the time waiting for them)" in said
    assert (old / trainer.STATE).read_bytes() == before and not (old / RECEIPT).exists()
    (new,) = set(runs(here)) - {old}
    assert card_of(new)["manifest"] != card_of(old)["manifest"] and reasons() == []


@pytest.mark.parametrize("how", ["finished", "other settings", "not ours"])
def test_other_trainings_are_not_taken_for_stranded_ones(how: str, here: Path, quick: Trainer) -> None:
    if how == "finished":
        assert run_here(*TRAIN).exit_code == 0
    elif how == "other settings":
        left_unfinished(here, quick, "--seed", "9")
    else:
        storage.write_json(here / "runs" / "mine" / CARD, {"manifest": "f00"})
        storage.write_text(here / "runs" / "notes.txt", "the second was better")
    shard_anew()
    assert not any("can't be resumed" in reason for reason in reasons())


def test_with_the_old_shards_back_it_goes_on(here: Path, quick: Trainer) -> None:
    old = left_unfinished(here, quick)
    shutil.copytree(here / "tensors", here / "kept")
    shard_anew()
    shutil.rmtree(here / "tensors")
    (here / "kept").rename(here / "tensors")
    assert reasons() == ["the last run didn't finish"]
    assert run_here(*TRAIN).exit_code == 0 and runs(here) == [old]


@pytest.mark.parametrize("finished", [True, False])
def test_shards_that_are_being_written_are_waited_for(finished: bool, here: Path, quick: Trainer) -> None:
    if not finished:
        (here / "tensors" / shards.MANIFEST).unlink()
    with storage.locked(here / "tensors" / metadata.LOCK):
        result = run_here(*TRAIN)
    assert result.exit_code == 5 and not runs(here)
    assert "tensors is being written by process" in message(result) and "wait until it is done" in message(result)


def test_shards_that_change_while_a_training_begins_are_not_learnt_from(
    here: Path, quick: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = _data_card.write

    def late(source: Path, *rest: Any) -> dict[str, Any]:
        card = honest(source, *rest)
        storage.append_line(source / shards.MANIFEST, "")
        return card

    monkeypatch.setattr(_data_card, "write", late)
    result = run_here(*TRAIN)
    assert result.exit_code == 5 and "made anew while the training began: run the same command again" in message(result)
    assert not quick.about


# ---- samples -------------------------------------------------------------------------------------------


def test_how_samples_are_read_decides_nothing_of_the_result(here: Path, quick: Trainer) -> None:
    assert run_here(*TRAIN, "--readers", "3").exit_code == 0 and quick.recipe.readers == 3
    for words in ((), ("--readers", "1"), ("--no-check-samples",)):
        assert json.loads(run_here(*TRAIN, *words, "--json").stdout)["fresh"]


def test_another_way_to_do_a_step_is_another_run_if_it_rounds_otherwise(here: Path) -> None:
    def folder(**values: Any) -> Path:
        out, _ = train._place(train.Job(here / "tensors", here / "runs", train.Settings(**values)))
        return out

    assert {folder(compile=how) for how in ("auto", "off", "graph")} == {folder()}
    assert len({folder(), folder(compile="inductor"), folder(deterministic=True)}) == 3


def test_damage_is_learnt_from_only_if_nobody_looks(here: Path, quick: Trainer) -> None:
    (path,) = (here / "tensors").glob("train-*.safetensors")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    storage.write_bytes(path, bytes(data))
    result = run_here(*TRAIN)
    assert result.exit_code == 5 and path.name in message(result)
    assert run_here(*TRAIN, "--no-check-samples").exit_code == 0


def test_the_papers_network_has_the_papers_width_whatever_it_begins_from() -> None:
    assert train.Settings(recipe="paper").width == 1.0 and train.Settings(recipe="paper", width=0.5).width == 0.5
    with pytest.raises(ValidationError, match="at least 0.01"):
        train.Settings(width=0.005)


@pytest.mark.parametrize(
    ("size", "head", "side"),
    [(64, "average", 64), ([64, 64], "average", 64), ([256, 384], "average", 256), ([384, 256], "paper", 224)],
)
def test_the_global_path_sees_a_square_of_the_shorter_side(size: Any, head: Any, side: int) -> None:
    samples: Any = SimpleNamespace(manifest={"size": size, "L_mean": 0.5}, classes=("a",))
    assert train._network(train.Settings(head=head), samples, None).global_size == side
