"""`train` by several processes: one writes, locks and talks; `torchrun` starts all again when one was killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import teams
from teams import together
from workspace import patchwork, run_here, until

from gravurekit import cli, storage
from gravurekit.errors import Busy, DataError, FailedElsewhere
from gravurekit.metadata import LOCK
from gravurekit.model import trainer
from gravurekit.model.log import read_log
from gravurekit.receipt import RECEIPT


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of some pictures."""
    place = tmp_path_factory.mktemp("made")
    patchwork(place / "photos/kaftan", 20)
    style = ("--short-side", "64", "--style", "cartoon", "--executor", "serial", "--quiet")
    assert run_here("-C", str(place), "stylize", "photos", "drawn", *style).exit_code == 0
    made = ("shard", "drawn", "shards", "--size", "32", "--val-share", "0.2", "--executor", "serial", "--quiet")
    assert run_here("-C", str(place), *made).exit_code == 0
    return place / "shards"


@pytest.mark.slow
def test_one_process_writes_and_tells_and_all_know_when_it_is_done(source: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for again in (False, True):
        ends = together(tmp_path, 2, teams.train_shards, source, runs, {}, meet=False)
        assert [end.error for end in ends] == [None, None]
        (summary, told), (followed, silence) = (end.value for end in ends)
        (run,) = runs.iterdir()
        assert summary.out == followed.out == run and summary.kept == followed.kept > 0
        assert summary.fresh == followed.fresh == again and summary.facts["processes"] == 2
        assert silence == [] and (again or "train: 2 processes, each with its share of every batch" in told)
    assert (run / RECEIPT).exists() and not (run / LOCK).exists()


@pytest.mark.slow
def test_a_training_that_another_has_in_hand_is_refused_once(source: Path, tmp_path: Path) -> None:
    assert [e.error for e in together(tmp_path, 2, teams.train_shards, source, tmp_path / "runs", {}, meet=False)] == [
        None,
        None,
    ]
    (run,) = (tmp_path / "runs").iterdir()
    storage.remove(run / RECEIPT)
    with storage.locked(run / LOCK):
        first, other = together(tmp_path, 2, teams.train_shards, source, tmp_path / "runs", {}, meet=False)
    assert isinstance(first.error, Busy) and isinstance(other.error, FailedElsewhere)


def test_shards_that_are_missing_are_told_once(tmp_path: Path) -> None:
    ends = together(tmp_path, 2, teams.train_shards, tmp_path / "none", tmp_path / "runs", {}, meet=False)
    assert isinstance(ends[0].error, DataError) and isinstance(ends[1].error, FailedElsewhere)
    assert ends[1].error.exit_code == DataError.exit_code


# ---- the command line ----------------------------------------------------------------------------------


def test_other_verbs_work_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = run_here("doctor")
    assert result.exit_code == 2 and "torchrun is for train only" in str(result.exception)


@pytest.mark.parametrize("rank", [0, 1])
def test_only_the_first_answers_and_nobody_tells_of_what_was_told(
    rank: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> None:
        sys.stdout.write("done\n")
        raise FailedElsewhere(5)

    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(cli, "app", failing)
    monkeypatch.setattr(cli, "_watch_interrupts", lambda: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 5 and capsys.readouterr() == ("done\n" if rank == 0 else "", "")


# ---- torchrun ------------------------------------------------------------------------------------------

KNOBS = ("--batch", "4", "--average", "0", "--checkpoint-every", "2", "--validate-every", "6", "--device", "cpu")


def torchrun(source: Path, runs: Path, *more: str, steps: int = 6, restarts: int = 0) -> subprocess.Popen[str]:
    program = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    train = ("-m", "gravurekit", "train", str(source), "--runs", str(runs), "--steps", str(steps), *KNOBS, *more)
    return subprocess.Popen(
        [*program, "--max-restarts", str(restarts), *train],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def steps(runs: Path) -> list[int]:
    logs = list(runs.glob("*/log.jsonl"))
    return [line["step"] for line in read_log(logs[0].parent)] if logs else []


def worker(agent: int, rank: int) -> int:
    """The process of that rank that `torchrun` has started."""
    for found in Path("/proc").glob("[0-9]*"):
        try:
            mine = int((found / "stat").read_text().rpartition(")")[2].split()[1]) == agent
            if mine and f"RANK={rank}" in (found / "environ").read_text().split("\0"):
                return int(found.name)
        except OSError:  # it has ended
            continue
    raise AssertionError("no such process")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the worker by /proc")
def test_torchrun_starts_all_again_when_one_was_killed_and_they_end_in_the_same_bytes(
    source: Path, tmp_path: Path
) -> None:
    whole = torchrun(source, tmp_path / "whole", "--json")
    out, errors = whole.communicate(timeout=300)
    assert whole.returncode == 0, errors
    answer: dict[str, Any] = json.loads(out)  # one of the two answers
    assert answer["facts"]["processes"] == 2

    agent = torchrun(source, tmp_path / "killed", restarts=1)
    assert until(lambda: max(steps(tmp_path / "killed"), default=0) >= 3, within=300)
    os.kill(worker(agent.pid, 1), signal.SIGKILL)
    _, errors = agent.communicate(timeout=300)
    assert agent.returncode == 0, errors
    assert errors.count("another process of the training died") <= 1  # torchrun may end the other one before it speaks
    (one,), (other,) = ((tmp_path / name).iterdir() for name in ("whole", "killed"))
    for name in (trainer.STATE, trainer.MODEL):
        assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.slow
def test_torchrun_shows_one_message_and_the_exit_code(tmp_path: Path) -> None:
    agent = torchrun(tmp_path / "none", tmp_path / "runs")
    _, errors = agent.communicate(timeout=300)
    assert agent.returncode != 0 and errors.count("holds no finished shards") == 1 and "exitcode  : 5" in errors


@pytest.mark.slow
def test_ctrl_c_reaches_all_and_the_state_is_saved(source: Path, tmp_path: Path) -> None:
    agent = torchrun(source, tmp_path, steps=1000)
    assert until(lambda: max(steps(tmp_path), default=0) >= 1, within=300)
    os.killpg(agent.pid, signal.SIGINT)
    _, errors = agent.communicate(timeout=300)
    assert errors.count("gravurekit: interrupted") == 1
    (run,) = tmp_path.iterdir()
    assert (run / trainer.STATE).exists() and not (run / LOCK).exists()
