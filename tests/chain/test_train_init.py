"""`train --init`: beginning from a trained network; what is said of it, what decides, and what can't be begun from."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from styled import write_styled
from training import retold
from typer.testing import Result
from workspace import digests, run_here

from gravurekit import audit, metadata, storage
from gravurekit.model import checkpoint, states, trainer
from gravurekit.model.checkpoint import load_model
from gravurekit.model.network import ColorizationNetwork
from gravurekit.pipeline import Wishes, foresee
from gravurekit.receipt import RECEIPT, read_receipt
from gravurekit.shards import INHERITED, LEARNED, index
from gravurekit.stages import _beginning

WORDS = ("--batch", "4", "--steps", "1", "--precision", "fp32")
SHARD = ("shard", "--executor", "serial", "--quiet", "--val-share", "0.2", "--size")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of coats and dresses, others of hats and coats in larger pictures, and a trained network, runs/first."""
    place = tmp_path_factory.mktemp("made")
    write_styled(place / "styled", range(10))
    assert run_here("-C", str(place), *SHARD, "32").exit_code == 0
    write_styled(place / "hats", range(30, 40), labels=lambda number: (("hat", "coat")[number % 2],))
    assert run_here("-C", str(place), SHARD[0], "hats", "larger", *SHARD[1:], "40").exit_code == 0
    result = run_here("-C", str(place), "train", *WORDS, "--steps", "2", "--head", "average", "--json", "--quiet")
    (place / "first").symlink_to(place / json.loads(result.stdout)["out"])
    return place


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to work in; runs/first is the trained network."""
    shutil.copytree(made, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    os.replace(os.readlink("first").replace(str(made), "."), "runs/first")
    os.unlink("first")
    return tmp_path / "here"


def trained(*more: str) -> Result:
    return run_here("train", *WORDS, *more)


def said(result: Result) -> str:
    return " ".join(f"{result.output} {result.exception or ''}".split())


def run_made(*more: str) -> Path:
    """Train; the run that wasn't there before."""
    before = set(Path("runs").iterdir())
    result = trained(*more)
    assert result.exit_code == 0, said(result)
    (run,) = set(Path("runs").iterdir()) - before
    return run


def network_of(run: Path) -> ColorizationNetwork:
    return load_model(run / trainer.MODEL, "cpu")[0]


def reasons(**paths: str) -> list[str]:
    (prospect,) = foresee(
        Wishes({}, {"paths": paths, "train": {"batch": 4, "steps": 1, "precision": "fp32"}}), "train", "train"
    )
    return list(prospect.reasons)  # fmt: skip


# ---- what decides --------------------------------------------------------------------------------------


def test_what_it_began_from_is_in_receipt_and_model_and_decides_the_run(here: Path) -> None:
    plain, begun = run_made(), run_made("--init", "runs/first")
    assert plain != begun and not (begun / trainer.MODEL).samefile(plain / trainer.MODEL)
    sha256 = metadata.file_sha256(here / "runs" / "first" / trainer.MODEL)
    receipt = read_receipt(begun)
    assert receipt and receipt.plan.inputs["init"] == sha256 == load_model(begun / trainer.MODEL, "cpu")[1]["init"]
    other = read_receipt(plain)
    assert other and "init" not in other.plan.inputs and "init" not in load_model(plain / trainer.MODEL, "cpu")[1]
    for place in ("runs/first", "runs/first/model.safetensors", f"{here}/runs/first"):  # where it lies decides nothing
        assert json.loads(trained("--init", place, "--json").stdout)["fresh"] and not reasons(init=place)
    storage.copy(here / "runs" / "first" / trainer.MODEL, here / "copy")
    assert json.loads(trained("--init", "copy", "--json").stdout)["fresh"]
    Path("gravurekit.toml").write_text('[paths]\ninit = "copy"\n')
    assert json.loads(trained("--json").stdout)["fresh"]
    storage.copy(plain / trainer.MODEL, here / "copy")
    assert reasons(init="copy") == [f"side input changed: init (since {max((plain, begun), key=_age)})"]
    assert run_made() not in (plain, begun)


def _age(run: Path) -> int:
    return (run / RECEIPT).stat().st_mtime_ns


def test_a_run_that_begins_from_a_run_of_the_same_settings_is_another_one(here: Path) -> None:
    """Nobody can begin from itself: what a run begins from is part of its name."""
    plain = run_made()
    before = digests(plain)
    once, twice = run_made("--init", str(plain)), None
    twice = run_made("--init", str(once))
    assert len({plain, once, twice}) == 3 and digests(plain) == before


def test_it_begins_with_the_trained_weights_and_a_resumption_goes_on_with_its_own(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--init", "runs/first", "--steps", "3", "--checkpoint-every", "1", "--learning-rate", "1e-9")
    words = (*words, "--weight-decay", "0")
    seen: list[dict[str, torch.Tensor]] = []
    honest = trainer._Run._one_step

    def looked(self: Any, samples: Any) -> None:
        seen.append({name: tensor.clone() for name, tensor in self.learner.network.state_dict().items()})
        if len(seen) == 3:
            raise ZeroDivisionError
        honest(self, samples)

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(trainer._Run, "_one_step", looked)
        trained(*words)
    first = network_of(here / "runs" / "first").state_dict()
    assert all(torch.equal(seen[0][name], tensor) for name, tensor in first.items())
    (run,) = set(Path("runs").iterdir()) - {Path("runs/first")}
    result = trained(*words)
    assert result.exit_code == 0 and "begins from a trained network" not in said(result)
    assert network_of(run).config == network_of(here / "runs" / "first").config
    whole = run_here("train", *WORDS, *words, "--runs", "others")
    assert whole.exit_code == 0 and digests(run, but=("log.jsonl",)) == digests(
        Path("others") / run.name, but=("log.jsonl",)
    )


# ---- what fits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "notes"),
    [
        ((), "2 of 2 classes are known to it"),
        (("--no-palette", "--no-hints", "--no-lightness"), "2 of 2 classes"),
        (("--bins",), "begins anew: colorization.C5"),
        (("--head", "paper"), "begins anew: global_features.G5"),
        (("--recipe", "paper", "--batch", "4"), "begins anew: global_features.G5"),
        (("larger",), "1 of 2 classes are known to it"),
        (("larger", "--head", "paper", "--bins"), "1 of 2 classes are known to it"),
    ],
)
def test_another_network_begins_with_what_fits_and_the_rest_is_told(
    more: tuple[str, ...], notes: str, here: Path
) -> None:
    result = trained(*more, "--init", "runs/first", "--learning-rate", "1e-9")
    assert result.exit_code == 0 and notes in said(result)
    (run,) = set(Path("runs").iterdir()) - {Path("runs/first")}
    ours, theirs = network_of(run), network_of(Path("runs/first"))
    assert ours.config.L_mean == theirs.config.L_mean  # else its weights would mean something else
    close = dict(rtol=0, atol=1e-2) if "paper" in more else dict(rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.mid_level.M1[0].weight, theirs.mid_level.M1[0].weight, **close)
    if "larger" in more:  # classes are known by their names
        assert ours.config.classes == ("coat", "hat") and theirs.config.classes == ("coat", "dress")
        mine, known = (network.classification.K2.weight for network in (ours, theirs))
        torch.testing.assert_close(mine[0], known[0], **close)
        assert not torch.allclose(mine[1], known[1], **close)


# ---- what can't be begun from --------------------------------------------------------------------------


def test_the_width_is_that_of_the_network_it_began_from_unless_another_is_asked_for(here: Path) -> None:
    narrow = run_made("--head", "average", "--width", "0.5")
    for more, width in (((), 0.5), (("--width", "1"), 1.0)):
        assert network_of(run_made("--head", "average", "--init", str(narrow), *more)).config.width == width
    assert network_of(run_made("--head", "average")).config.width == 1.0


def test_there_must_be_a_network(here: Path) -> None:
    storage.make_folder(here / "empty")
    os.mkfifo(here / "pipe")
    unfinished = here / "runs" / "half"
    storage.write_text(unfinished / metadata.MARKER, "train\n")
    before = digests(here)
    for place in ("nowhere", "empty", "pipe", "shards", "runs", "nowhere/model.safetensors"):
        result = trained("--init", place)
        assert result.exit_code == 2 and f"--init {place}: no model file there" in said(result)
    result = trained("--init", "runs/half")
    assert result.exit_code == 2 and "that training isn't finished; finish it first" in said(result)
    assert digests(here) == before


@pytest.mark.parametrize("content", ["cut", "flipped", "empty", "state", "version", "other"])
def test_a_file_that_is_no_whole_model_is_refused(content: str, here: Path) -> None:
    path, first = here / "network", here / "runs" / "first"
    data = (first / trainer.MODEL).read_bytes()
    made = {"cut": data[:-9], "flipped": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "empty": b"", "version": data,
            "state": (first / states.STATE).read_bytes(), "other": b"<html>" * 99}  # fmt: skip
    path.write_bytes(made[content])
    if content == "version":
        retold(path, {"version": 4})
    result = trained("--init", "network")
    says = {"state": "no model file of gravurekit", "version": "format version 4, this gravurekit reads version 3: pip"}
    assert result.exit_code == 5 and says.get(content, "is damaged") in said(result)
    assert list(Path("runs").iterdir()) == [Path("runs/first")]


def test_a_network_that_changes_while_the_training_begins_is_not_begun_from(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = checkpoint.load_model
    storage.copy(here / "runs" / "first" / trainer.MODEL, here / "network")

    def late(path: Path, device: str) -> Any:
        found = honest(path, device)
        retold(path, {"about": {}})
        return found

    monkeypatch.setattr(checkpoint, "load_model", late)
    result = trained("--init", "network")
    assert result.exit_code == 5 and "network was made anew while the training began" in said(result)


# ---- whose pictures it had learned from ----------------------------------------------------------------


def keys_in(path: Path) -> set[str]:
    return {entry["key"] for entry in index.read(path)}


def test_the_pictures_of_the_network_it_began_from_are_credited_and_forgotten_too(here: Path) -> None:
    old = keys_in(here / "runs" / "first" / LEARNED)
    second = run_made("larger", "--init", "runs/first")
    third = run_made("larger", "--init", f"{second}/best.safetensors", "--seed", "1")
    new = keys_in(second / LEARNED)
    assert old and new and old.isdisjoint(new)
    for run, before in ((second, old), (third, old | new)):
        assert keys_in(run / INHERITED) == before and keys_in(run / LEARNED) == new
        receipt = read_receipt(run)
        assert receipt and receipt.files[INHERITED] == metadata.file_sha256(run / INHERITED)
        assert audit.inspect(run, deep=True).faults == []
        shutil.rmtree(here / "runs" / "first", ignore_errors=True)  # credit outlives it
        assert json.loads(run_here("credits", str(run), "--json").stdout)["pictures"] == len(old | new)
    about = load_model(third / trainer.MODEL, "cpu")[1]
    assert about["before"]["before"]["licenses"] == {"CC0-1.0": len(old)}
    told = json.loads(run_here("forget", min(old), "--dry-run", "--json", "--quiet").stdout)
    assert told["runs"] == sorted(map(str, (second, third))) and told["yours"] == []


def test_a_run_and_its_model_have_the_names_of_the_trainer() -> None:
    assert (_beginning.MODEL, _beginning.INIT) == (trainer.MODEL, trainer.INIT)


def test_when_nobody_knows_whose_they_were_it_is_told(here: Path) -> None:
    storage.copy(here / "runs" / "first" / trainer.MODEL, here / "network.safetensors")
    result = trained("--init", "network.safetensors")
    assert result.exit_code == 0 and "doesn't say whose pictures that network had learned from" in said(result)
    (run,) = set(Path("runs").iterdir()) - {Path("runs/first")}
    assert not (run / INHERITED).exists()
    (here / "runs" / "first" / LEARNED).write_text("{\n")
    result = trained("--init", "runs/first", "--seed", "5")
    assert result.exit_code == 5 and "learned_from.jsonl, line 1, is damaged" in said(result)
