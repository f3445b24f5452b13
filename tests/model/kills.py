"""Trainings that are killed, to be run as a program of its own: kills.py FOLDER HOW NUMBER…

HOW disk: each training is killed before one of the steps that it takes on the disk, before every NUMBER-th of them in
turn, and run again; chance: a training for each NUMBER, a seed, is killed several times at random moments. All must end
as the unbroken one. Prints how many kills there were.

Each training is a process forked from this one, which has imported torch and used none of it.
"""

import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training import CONFIG, Blocks, narrow, recipe

from gravurekit import folder as folders
from gravurekit import storage
from gravurekit.model import states
from gravurekit.model.log import read_log
from gravurekit.model.recipe import Recipe
from gravurekit.model.trainer import train

PLANS = {
    "disk": recipe(3, validate_every=2, checkpoint_every=1, keep=2),
    # It ends early, by its patience, and its best network is neither the first nor the last.
    "chance": recipe(14, validate_every=1, patience=3, learning_rate=2e-2, average=0.1, checkpoint_every=2, keep=2),
}
STEPS = [(os, name) for name in ("link", "replace", "chmod", "fsync", "unlink", "rmdir")]
STEPS += [(tempfile, "mkstemp"), (storage, "append_line"), (storage, "write_chunks")]


Kill = Callable[[str, int], bool]


def once(how: str, folder: Path, kill: Kill = lambda what, number: False) -> int:
    """Train in a process of its own, which is killed when `kill` says so, asked at each step on the disk ("disk", how
    many there were before) and after each report and look (its kind, its step). The exit code."""
    sys.stdout.flush()
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        _train(PLANS[how], folder, kill)
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def _train(plan: Recipe, folder: Path, kill: Kill) -> None:
    folders.swept(folder)  # as the stage does

    def perhaps(what: str, number: int) -> None:
        if kill(what, number):
            os.kill(os.getpid(), signal.SIGKILL)

    done = [0]
    for module, name in STEPS:

        def step(*given: Any, _do: Callable[..., Any] = getattr(module, name), **more: Any) -> Any:
            perhaps("disk", done[0])
            done[0] += 1
            return _do(*given, **more)

        setattr(module, name, step)

    def hear(report: dict[str, Any]) -> None:
        perhaps(report["kind"], report["step"])

    with narrow():
        train(Blocks(), Blocks(5), CONFIG, plan, folder, hear, look=lambda network, step: perhaps("look", step))


def digests(folder: Path) -> dict[str, str]:
    """All files but the log by their sha256, and the log."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "log.jsonl"]
    found = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return found | {"log": str([{k: v for k, v in line.items() if k not in ("samples_per_second", "waiting")}
                                for line in read_log(folder)])}  # fmt: skip


def at_each_step(root: Path, often: int) -> int:
    wanted, kills = digests(root / "whole"), 0
    while True:
        folder = root / "killed"
        code = once("disk", folder, lambda *moment, then=("disk", kills * often): moment == then)
        if code == 0:
            return kills
        assert code == -signal.SIGKILL, code
        found, _ = states.newest(folder)  # what is there is whole
        assert found or not (folder / states.STATE).exists()
        assert once("disk", folder) == 0 and digests(folder) == wanted, kills * often
        shutil.rmtree(folder)
        kills += 1


def by_chance(root: Path, seeds: list[int]) -> int:
    wanted, kills = digests(root / "whole"), 0
    state = states.newest(root / "whole")[0]
    assert state and 1 < state.about["best"]["step"] < state.about["step"] < PLANS["chance"].steps
    for seed in seeds:
        chance, folder = random.Random(seed), root / f"killed-{seed}"
        for _ in range(4):
            what, number = chance.choice(["train", "validation", "look"]), chance.randint(1, state.about["step"])
            code = once("chance", folder, lambda *moment, then=(what, number): moment == then)
            assert code in (0, -signal.SIGKILL), code
            kills += code != 0
        assert once("chance", folder) == 0 and digests(folder) == wanted, seed
    return kills


def main(root: Path, how: str, numbers: list[int]) -> int:
    assert once(how, root / "whole") == 0
    if how == "disk":
        return at_each_step(root, *numbers)
    return by_chance(root, numbers)


if __name__ == "__main__":
    sys.stdout.write(f"{main(Path(sys.argv[1]), sys.argv[2], list(map(int, sys.argv[3:])))}\n")
