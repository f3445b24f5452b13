"""The states of a training: kept, damaged, of other versions, on a full disk; and kill -9 at every step of them."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from training import CONFIG, Blocks, narrow, recipe, retold

from gravurekit.errors import ModelError, StorageError
from gravurekit.model import checkpoint, states
from gravurekit.model.checkpoint import load_model, load_state
from gravurekit.model.recipe import Recipe
from gravurekit.model.trainer import BEST, MODEL, train

PLAN = recipe(6, validate_every=2, checkpoint_every=1, keep=3)


@pytest.fixture(scope="module", autouse=True)
def _narrow() -> Iterator[None]:
    with narrow():
        yield


def ran(folder: Path, plan: Recipe = PLAN, until: int = 99, **more: Any) -> list[str]:
    """Train, to the end or for `until` steps; what was said."""
    asked = iter(range(1, 100))
    heard: list[dict[str, Any]] = []
    train(Blocks(), Blocks(5), CONFIG, plan, folder, heard.append, lambda: next(asked) >= until, **more)
    return [report["said"] for report in heard if report["kind"] == "feed"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    ran(folder)
    return folder


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that was stopped after 5 of its 6 steps; the best network is of step 4."""
    folder = tmp_path_factory.mktemp("begun")
    ran(folder, until=5)
    return folder


@pytest.fixture
def here(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "here"))


def files(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if name != "log.jsonl"}


def bitflip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 8
    path.unlink()
    path.write_bytes(data)


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()  # another name may be a link to it
    path.write_bytes(data[: len(data) // 2])


def emptied(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"")


# ---- what is kept --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keep", "earlier"), [(1, []), (2, [4]), (3, [3, 4]), (9, [1, 2, 3, 4])])
def test_the_last_states_are_kept_by_their_steps_as_long_as_the_training_goes_on(
    keep: int, earlier: list[int], whole: Path, tmp_path: Path
) -> None:
    plan = recipe(6, validate_every=2, checkpoint_every=1, keep=keep)
    ran(tmp_path, plan, until=5)
    found = {int(path.stem): load_state(path) for path in (tmp_path / "earlier").glob("*")}
    assert sorted(found) == earlier and all(state.about["step"] == step for step, state in found.items())
    assert load_state(tmp_path / states.STATE).about["step"] == 5
    ran(tmp_path, PLAN)
    assert files(tmp_path) == files(whole) and not (tmp_path / "earlier").exists()


def test_fewer_states_are_kept_as_soon_as_that_is_asked_for(here: Path, whole: Path) -> None:
    asked = iter([True])
    train(Blocks(), Blocks(5), CONFIG, recipe(6, validate_every=2, checkpoint_every=1, keep=1), here,
          should_stop=lambda: next(asked, False))  # fmt: skip
    assert files(here) == files(whole)


# ---- damage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "said"),
    [(bitflip, "don't match"), (cut, "damaged or no"), (emptied, "damaged or no"), (os.unlink, "is missing")],
)
@pytest.mark.parametrize("lost", [1, 2])
def test_of_damaged_states_an_earlier_one_is_taken_and_ends_in_the_same_bytes(
    lost: int, damage: Callable[[Path], None], said: str, here: Path, whole: Path
) -> None:
    for path in (here / states.STATE, here / "earlier" / "00000004.safetensors")[:lost]:
        damage(path)
    notes = ran(here)
    used = here / "earlier" / f"0000000{5 - lost}.safetensors"
    assert [str(used) in note for note in notes] == [True] * len(notes[:-1]) + [False]
    assert said in notes[0] and f"going on from {used}" in notes[0] and str(here / states.STATE) in notes[0]
    assert files(here) == files(whole)


def test_a_damaged_state_is_never_kept_as_an_earlier_one(here: Path) -> None:
    emptied(here / states.STATE)
    ran(here, until=1)  # goes on from 4
    kept = sorted((here / "earlier").iterdir())
    assert [load_state(path).about["step"] for path in kept] == [3, 4]
    assert load_state(here / states.STATE).about["step"] == 5


def test_when_none_is_whole_it_is_told_what_to_remove_and_nothing_changes(here: Path, whole: Path) -> None:
    for path in (here / states.STATE, *(here / "earlier").iterdir()):
        cut(path)
    before = files(here)
    with pytest.raises(ModelError, match=f"no state is whole.*; remove {here}/state.* and {here}/earlier to train"):
        ran(here)
    assert files(here) == before
    (here / states.STATE).unlink()
    shutil.rmtree(here / "earlier")
    ran(here)
    assert files(here) == files(whole)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"version": 4},
            "format version 4, this gravurekit reads version 3: pip install --upgrade gravurekit, or remove",
        ),
        (
            {"version": 2},
            "format version 2, .*use the gravurekit that wrote it, or remove .*state.safetensors to train",
        ),
        ({"version": "2"}, "format version '2'"),
        ({"kind": "model"}, "no state file of gravurekit; remove"),
        ({"config": {"classes": []}}, "bad network config"),
        ({"about": {}}, "doesn't say whose it is"),
        ({"about": {"step": 5, "identity": {}}}, "earlier gravurekit"),
    ],
)
def test_a_state_of_another_version_is_refused_and_never_passed_over(
    facts: dict[str, Any], message: str, here: Path
) -> None:
    """Also where an earlier one could be read: it would take the place of a newer gravurekit's work."""
    retold(here / states.STATE, facts)
    before = files(here)
    with pytest.raises(ModelError, match=message):
        ran(here)
    assert files(here) == before


@pytest.mark.parametrize(
    "facts",
    [{"step": "5"}, {"step": True}, {"seen": None}, {"validated": []}, {"losses": 3}, {"best": []},
     {"best": {"step": 4}}, {"best": {"step": "4", "score": 1, "since": 0}}, {"identity": 7}],
)  # fmt: skip
def test_a_state_that_says_something_senseless_is_refused(facts: dict[str, Any], here: Path) -> None:
    retold(here / states.STATE, {"about": load_state(here / states.STATE).about | facts})
    with pytest.raises(ModelError, match="remove it"):
        ran(here)


@pytest.mark.parametrize("tensor", ["optimizer.999.step", "optimizer.x.step", "optimizer.0"])
def test_a_state_of_another_optimizer_is_refused(tensor: str, here: Path) -> None:
    state = load_state(here / states.STATE)
    checkpoint._write(here / states.STATE, "state", state.tensors | {tensor: torch.zeros(1)}, CONFIG, state.about)
    with pytest.raises(ModelError, match="optimizer"):
        ran(here)


# ---- the best network ----------------------------------------------------------------------------------


def test_the_model_is_the_best_network_and_its_own_step_is_told(whole: Path) -> None:
    about = load_state(whole / states.STATE).about
    assert about["validated"] == 4 and not (whole / BEST).samefile(whole / MODEL)
    assert (whole / BEST).read_bytes() == (whole / MODEL).read_bytes()
    assert load_model(whole / MODEL, "cpu")[1]["training"]["step"] == 6


@pytest.mark.parametrize("damage", [bitflip, cut, emptied])
def test_a_damaged_best_network_is_an_error_that_leaves_the_choice(damage: Callable[[Path], None], here: Path) -> None:
    damage(here / BEST)
    before = files(here)
    with pytest.raises(ModelError, match=f"{BEST} is damaged.*; remove it to go on .* after step 5, or remove {here}"):
        ran(here)
    assert files(here) == before
    (here / BEST).unlink()
    notes = ran(here)
    assert any(f"{BEST} is missing" in note for note in notes)
    assert load_model(here / MODEL, "cpu")[1]["training"]["step"] == 6


def test_the_best_network_of_another_training_is_not_taken_for_ours(here: Path, tmp_path: Path) -> None:
    ran(tmp_path / "other", recipe(6, validate_every=3, seed=3), until=4)
    shutil.copy(tmp_path / "other" / BEST, here / BEST)
    with pytest.raises(ModelError, match="isn't the best network of this training"):
        ran(here)


# ---- a full disk ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", range(0, 9, 2))
def test_a_full_disk_leaves_what_was_there_and_with_room_it_goes_on(
    room: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, fsync = [room], os.fsync

    def nearly_full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", nearly_full)
    with pytest.raises(
        StorageError, match=r"safetensors, [\d,]+ bytes, of which [\d,]+ are free: the disk is full: make room"
    ):
        ran(tmp_path)  # fmt: skip
    monkeypatch.undo()
    for path in (tmp_path / states.STATE, *tmp_path.glob("earlier/*")):
        assert not path.exists() or load_state(path)
    assert not list(tmp_path.rglob("*.part"))
    ran(tmp_path)
    assert files(tmp_path) == files(whole)


def test_where_no_links_can_be_made_an_earlier_state_is_a_copy_or_an_error(
    here: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = files(here)
    monkeypatch.setattr(os, "link", refused)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(StorageError, match="the disk is full: make room"):
            ran(here)
    assert files(here) == before
    ran(here)
    assert files(here) == files(whole)


# ---- kill -9 -------------------------------------------------------------------------------------------


def killed(tmp_path: Path, how: str, *numbers: int) -> int:
    """How many kills it survived."""
    program = Path(__file__).with_name("kills.py")
    paths = [str(Path(__file__).parent), str(Path(__file__).parent.parent), *filter(None, sys.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(program), str(tmp_path), how, *map(str, numbers)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
def test_killed_before_any_step_on_the_disk_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    assert killed(tmp_path, "disk", 1) > 30


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    """Between a step and its report, a report and its validation, the best network and the state; and early stop."""
    assert killed(tmp_path, "chance", *range(5)) > 5
