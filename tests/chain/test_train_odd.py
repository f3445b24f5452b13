"""Training on odd shards, with odd settings, and when something goes wrong, as people meet it: on the command line."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from styled import write_styled
from training import NARROW, retold
from typer.testing import Result
from workspace import copied, digests, run_here, until

from gravurekit import audit, doctor, metadata, storage
from gravurekit.errors import DataError
from gravurekit.model import losses, states, trainer
from gravurekit.model.checkpoint import load_model, load_state
from gravurekit.model.log import LOG, read_log
from gravurekit.pipeline import Wishes
from gravurekit.receipt import RECEIPT, read_receipt
from gravurekit.shards import LEARNED, index
from gravurekit.stages import _data_card, train

SHARD = ("shard", "--size", "32", "--executor", "serial", "--quiet")
WORDS = ("--batch", "4", "--steps", "4", "--checkpoint-every", "1", "--validate-every", "2", "--precision", "fp32")
UNORDERED = ("log.jsonl",)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of some drawings, and what an unbroken training makes of them."""
    place = tmp_path_factory.mktemp("made")
    write_styled(place / "styled", range(16))
    assert run_here("-C", str(place), *SHARD, "--val-share", "0.2").exit_code == 0
    assert run_here("-C", str(place), "train", *WORDS, "--runs", "whole").exit_code == 0
    return place


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copied(made, tmp_path / "here", monkeypatch)


def trained(*more: str) -> Result:
    return run_here("train", *WORDS, *more)


def said(result: Result) -> str:
    return " ".join(f"{result.output} {result.exception or ''}".split())


def run_of(runs: str = "runs") -> Path:
    (run,) = Path(runs).iterdir()
    return run


def broken_off(monkeypatch: pytest.MonkeyPatch, after: int = 3) -> Path:
    """A training that was killed, as it were, after so many steps: its folder."""
    honest = trainer._Run._one_step

    def ending(self: Any, samples: Any) -> None:
        if self.step == after:
            raise ZeroDivisionError
        honest(self, samples)

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(trainer._Run, "_one_step", ending)
        trained()
    return run_of()


# ---- a loss that isn't finite --------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_pictures(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, honest = [0], losses.sums

    def poisoned(colour: Any, *rest: Any) -> Any:
        calls[0] += colour.requires_grad  # not of a validation
        return honest(colour, *rest) * (float("nan") if calls[0] == 3 and colour.requires_grad else 1)

    monkeypatch.setattr(losses, "sums", poisoned)
    result = trained()
    run = run_of()
    assert result.exit_code == 6 and "at step 3 the loss isn't finite (colour_loss nan" in said(result)
    assert f"the last good state is kept in {run}. Train anew with a smaller learning rate" in said(result)
    (line,) = [line for line in read_log(run) if line["kind"] == "spoilt"]
    learnt = {entry["key"]: entry["url"] for entry in index.read(run / LEARNED)}
    assert 0 < len(line["pictures"]) <= 4
    for name in line["pictures"]:
        key, _, url = name.rstrip(")").partition(" (")
        assert learnt[key] == url and name in said(result)
    assert load_state(run / states.STATE).about["step"] == 2 and not (run / RECEIPT).exists()
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert trained().exit_code == 0 and digests(run, but=UNORDERED) == digests(run_of("whole"), but=UNORDERED)


def test_pictures_are_named_by_shard_and_row_and_else_by_their_number(tmp_path: Path) -> None:
    manifest = {"shards": [{"split": "train", "file": "a", "samples": 2}, {"split": "val", "file": "v", "samples": 9},
                           {"split": "train", "file": "b", "samples": 2}]}  # fmt: skip
    lines = [{"shard": "b", "row": 1, "key": "k3", "url": ""}, {"shard": "a", "row": 0, "key": "k0", "url": "http://x"},
             {"shard": "v", "row": 2, "key": "v2"}, {"shard": "c", "row": 0, "key": "c0"}]  # fmt: skip
    (tmp_path / LEARNED).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert _data_card.called(tmp_path, manifest, [0, 1, 3]) == ["k0 (http://x)", "sample 1", "k3"]
    (tmp_path / LEARNED).write_text("{")
    assert _data_card.called(tmp_path, manifest, [0]) == ["sample 0"]


# ---- states, the disk, and another process -------------------------------------------------------------


def test_a_damaged_state_is_told_and_an_earlier_one_taken(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = broken_off(monkeypatch)
    path = run / states.STATE
    path.unlink()
    path.write_bytes(b"half")
    assert not any(item.damage for item in doctor.examine(Wishes(), online=False).findings)
    result = trained()
    assert result.exit_code == 0
    assert f"{path} is damaged" in said(result) and f"going on from {run}/earlier/00000002" in said(result)
    assert digests(run, but=UNORDERED) == digests(run_of("whole"), but=UNORDERED)


@pytest.mark.parametrize(("facts", "says"), [({"version": 1}, "; remove|, or remove"), ({"version": 4}, "pip install")])
def test_a_state_of_another_version_is_refused(
    facts: dict[str, Any], says: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = broken_off(monkeypatch)
    retold(run / states.STATE, facts)
    before = digests(run)
    result = trained()
    assert result.exit_code == 5 and any(word in said(result) for word in says.split("|"))
    assert digests(run) == before


def test_when_no_state_is_whole_it_is_told_what_to_remove(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = broken_off(monkeypatch)
    for path in (run / states.STATE, *(run / "earlier").iterdir()):
        path.unlink()
        path.write_bytes(b"half")
    result = trained()
    assert result.exit_code == 5 and f"remove {run}/state.safetensors and {run}/earlier to train from" in said(result)
    (run / states.STATE).unlink()
    shutil.rmtree(run / "earlier")
    assert trained().exit_code == 0
    assert digests(run, but=UNORDERED) == digests(run_of("whole"), but=UNORDERED)


@pytest.mark.parametrize(("full", "after"), [(states.STATE, 2), (states.BEST, 0), (trainer.MODEL, 0), (LOG, 5)])
def test_a_disk_that_fills_up_is_told_with_what_is_needed_and_with_room_it_goes_on(
    full: str, after: int, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [after]

    def until_full(honest: Callable[..., Any], name_of: Callable[..., Path]) -> Callable[..., Any]:
        def fills(*given: Any, **more: Any) -> Any:
            left[0] -= name_of(*given).name == full
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return honest(*given, **more)

        return fills

    monkeypatch.setattr(os, "replace", until_full(os.replace, lambda aside, path: Path(path)))
    monkeypatch.setattr(os, "link", until_full(os.link, lambda path, link: Path(link)))
    monkeypatch.setattr(storage.LineFile, "_opened", until_full(storage.LineFile._opened, lambda file: file.path))
    result = trained()
    run = run_of()
    assert result.exit_code == 5 and "the disk is full: make room" in said(result) and full in said(result)
    assert full == LOG or " bytes, of which " in said(result)
    assert not list(run.rglob("*.part")) and not (run / RECEIPT).exists()
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert trained().exit_code == 0
    assert digests(run, but=UNORDERED) == digests(run_of("whole"), but=UNORDERED)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["damaged", "lost", "card", "nothing left"])
def test_a_finished_run_that_was_hurt_is_mended_from_its_last_state(
    how: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trained().exit_code == 0
    run = run_of()
    if how == "damaged":
        data = (run / trainer.MODEL).read_bytes()
        with open(run / trainer.MODEL, "r+b") as file:  # in its place, as a disk does it
            file.write(data[:-9] + bytes([data[-9] ^ 4]) + data[-8:])
        later = (run / trainer.MODEL).stat().st_mtime_ns + 10**9  # a clock of files may stand still for some ms
        os.utime(run / trainer.MODEL, ns=(later, later))
    elif how == "card":
        (run / _data_card.CARD).unlink()
    else:
        (run / trainer.MODEL).unlink()
    steps = 0
    if how == "nothing left":  # as doctor says it could be
        (run / states.STATE).unlink()
        steps = 4
    counted: list[int] = []
    honest = trainer._Run._one_step
    monkeypatch.setattr(trainer._Run, "_one_step", lambda self, given: counted.append(0) or honest(self, given))
    assert not json.loads(trained("--json").stdout)["fresh"] and len(counted) == steps
    assert digests(run, but=UNORDERED) == digests(run_of("whole"), but=UNORDERED)


def test_a_last_state_that_was_removed_is_missed_by_nobody(here: Path) -> None:
    assert trained().exit_code == 0
    for name in (states.STATE, states.BEST):
        (run_of() / name).unlink()
    assert json.loads(trained("--json").stdout)["fresh"] and audit.inspect(run_of(), deep=True).faults == []


@pytest.mark.slow
def test_two_trainings_of_one_run_are_never_at_work_together(here: Path) -> None:
    words = ("train", *WORDS[:2], "--steps", "100000", *WORDS[4:], "--quiet")
    first = subprocess.Popen([*NARROW, *words], stderr=subprocess.DEVNULL)
    try:
        assert until(lambda: list(here.glob("runs/*/state.safetensors")) or first.poll() is not None)
        result = run_here(*words)
        assert result.exit_code == 2 and f"process {first.pid} is at work in {run_of()}: wait" in said(result)
        assert first.poll() is None  # and wasn't disturbed
    finally:
        first.kill()
        first.wait()
    assert load_state(run_of() / states.STATE).about["step"] >= 1


def test_shards_of_another_size_make_another_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = broken_off(monkeypatch)
    assert run_here(*SHARD[:2], "40", *SHARD[3:], "--val-share", "0.2").exit_code == 0
    result = trained()
    assert result.exit_code == 0 and f"the shards changed since {run}, which isn't finished" in said(result)
    (new,) = set(Path("runs").iterdir()) - {run}
    assert load_model(new / trainer.MODEL, "cpu")[0].config.global_size == 40


# ---- odd shards ----------------------------------------------------------------------------------------


def sharded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, *more: str, **facts: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write_styled(tmp_path / "styled", range(count), **facts)
    assert run_here(*SHARD, *more).exit_code == 0


ONE_CLASS: dict[str, Callable[[int], Any]] = {"labels": lambda number: ("coat",)}
LONELY: dict[str, Callable[[int], Any]] = {"labels": lambda number: ("dress" if number == 3 else "coat",)}
NO_LABELS: dict[str, Callable[[int], Any]] = {"labels": lambda number: ()}
NONE = ("--val-share", "0", "--test-share", "0")
SOME = ("--val-share", "0.3", "--test-share", "0")


@pytest.mark.parametrize(
    ("count", "shares", "facts", "more"),
    [
        (12, SOME, ONE_CLASS, ()),
        (12, NONE, LONELY, ()),
        (12, SOME, NO_LABELS, ()),
        (12, NONE, {}, ("--patience", "1")),
        (2, NONE, {}, ()),
        (3, NONE, {}, ("--batch", "64", "--accumulate", "32")),
        pytest.param(5, NONE, {}, ("--batch", "4096", "--epochs", "3", "--accumulate", "2"), marks=pytest.mark.slow),
        pytest.param(8, SOME, {}, ("--crop", "0.25", "--head", "paper"), marks=pytest.mark.slow),
        pytest.param(8, SOME, {}, ("--crop", "0.25", "--bins", "--accumulate", "2"), marks=pytest.mark.slow),
        pytest.param(8, SOME, {}, ("--recipe", "paper", "--batch", "4"), marks=pytest.mark.slow),
    ],
)
def test_odd_shards_are_trained_on(
    count: int,
    shares: tuple[str, ...],
    facts: dict[str, Any],
    more: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sharded(tmp_path, monkeypatch, count, *shares, **facts)
    result = trained(*more, "--json")
    assert result.exit_code == 0, said(result)
    run = run_of()
    config = load_model(run / trainer.MODEL, "cpu")[0].config
    classes = {"coat"} if facts is ONE_CLASS else {"picture"} if facts is NO_LABELS else {"coat", "dress"}
    assert set(config.classes) == classes
    told = json.loads(result.stdout)["facts"]
    assert (told["validation"] is None) == (told["best"] is None) == (shares is NONE)
    assert audit.inspect(run, deep=True).faults == [] and not (run / "earlier").exists()
    assert json.loads(trained(*more, "--json").stdout)["fresh"]
    if "--epochs" in more:
        assert told["steps"] == 3


def test_too_few_pictures_are_told_before_there_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharded(tmp_path, monkeypatch, 1, *NONE)
    result = trained()
    assert result.exit_code == 6 and not Path("runs").exists()
    assert "at least 2 pictures in the split train of shards (train 1, val 0, test 0): shard more" in said(result)


@pytest.mark.parametrize("histogram", [None, 3, "0,0", "0,0:x", "900,0:1", "0:1", {}])
def test_colours_that_nobody_can_count_are_damage(histogram: Any) -> None:
    manifest = {} if histogram is None else {"ab_histogram": histogram}
    with pytest.raises(DataError, match="manifest.json doesn't say which colours there are .*gravurekit shard"):
        train._histogram(manifest, Path("shards"))


def test_parts_of_one_picture_are_refused_beforehand(here: Path) -> None:
    for words in (("--accumulate", "3"), ("--batch", "2", "--accumulate", "2")):
        result = trained(*words)
        assert result.exit_code == 2 and "[train] accumulate = " in said(result) and not Path("runs").exists()


@pytest.mark.parametrize("size", ["64", "64x96"])
def test_the_papers_recipe_on_small_shards(size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharded(tmp_path, monkeypatch, 6, *NONE, "--size", size)
    assert run_here("train", "--recipe", "paper", "--steps", "1").exit_code == 0
    config = load_model(run_of() / trainer.MODEL, "cpu")[0].config
    assert (config.head, config.global_size, config.palette) == ("paper", 224, False)
    receipt = read_receipt(run_of())
    assert receipt and {name: receipt.plan.settings[name] for name in train.PAPER} == train.PAPER


# ---- the paper's settings ------------------------------------------------------------------------------


def resolved(file: dict[str, Any], **flags: Any) -> train.Settings:
    found: train.Settings = Wishes({"train": file}, {"train": flags}).settings("train")
    return found


def test_the_papers_recipe_fills_in_what_nobody_said() -> None:
    plain = train.Settings()
    for settings in (resolved({"recipe": "paper"}), resolved({}, recipe="paper"), train.Settings(recipe="paper")):
        assert {name: getattr(settings, name) for name in train.PAPER} == train.PAPER
        rest = train.Settings.model_fields.keys() - train.PAPER.keys() - {"recipe"}
        assert all(getattr(settings, name) == getattr(plain, name) for name in rest)
    assert resolved({"recipe": "paper"}, recipe="default") == plain
    assert resolved({"recipe": "default"}, recipe="paper") == train.Settings(recipe="paper")


@pytest.mark.parametrize("name", train.PAPER)
def test_what_is_said_wins_over_the_paper_wherever_it_is_said(name: str) -> None:
    other = getattr(train.Settings(), name)
    other = {"bins": True, "crop": 0.5}.get(name, other)
    for settings in (resolved({"recipe": "paper", name: other}), resolved({"recipe": "paper"}, **{name: other}),
                     resolved({name: other}, recipe="paper")):  # fmt: skip
        assert getattr(settings, name) == other
        assert all(getattr(settings, rest) == value for rest, value in train.PAPER.items() if rest != name)
    between = resolved({"recipe": "paper", name: train.PAPER[name]}, **{name: other})
    assert getattr(between, name) == other


@pytest.mark.parametrize(
    "table",
    ['recipe = "papier"', 'recipe = "paper"\nbatch = "128"', 'recipe = "paper"\npalette = 1', "recipe = true",
     'recipe = "paper"\ncrop = 2.0', 'recipe = "paper"\nmirror = true', 'recipe = ["paper"]'],
)  # fmt: skip
def test_the_papers_recipe_is_as_strict_as_any(table: str, here: Path) -> None:
    Path("gravurekit.toml").write_text(f"[train]\n{table}\n")
    result = run_here("train")
    assert result.exit_code == 2 and "[train]" in said(result) and not Path("runs").exists()


def test_the_receipt_holds_what_was_resolved_and_the_flags_are_fresh_to_the_file(here: Path) -> None:
    Path("gravurekit.toml").write_text('[train]\nrecipe = "paper"\nbatch = 4\nsteps = 1\nhead = "average"\n')
    assert run_here("train", "--quiet").exit_code == 0
    receipt = read_receipt(run_of())
    expected = train.PAPER | {"batch": 4, "steps": 1, "head": "average", "recipe": "paper"}
    assert receipt and {name: receipt.plan.settings[name] for name in expected} == expected
    Path("gravurekit.toml").unlink()
    words = (
        "--recipe",
        "paper",
        "--batch",
        "4",
        "--steps",
        "1",
        "--head",
        "average",
        "--no-palette",
        "--crop",
        "0.875",
    )
    assert json.loads(run_here("train", *words, "--json").stdout)["fresh"]
    assert metadata.owner_of(run_of()) == "train"
