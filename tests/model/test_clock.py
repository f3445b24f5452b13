"""Time that counts, and time that is left between two states."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from training import CONFIG, Blocks, narrow, recipe

from gravurekit.model import states
from gravurekit.model.clock import Budget, Clock
from gravurekit.model.trainer import train


class Hands:
    """A clock that goes on when it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_what_is_done_aside_does_not_count(hands: Hands) -> None:
    clock = Clock()
    hands.now += 3
    with clock.aside():
        hands.now += 10
    hands.now += 1
    assert clock.seconds == 4


@pytest.mark.parametrize(("takes", "rest"), [(0.125, 0), (0.5, 0), (1, 19), (60, 1140)])
def test_what_takes_long_is_done_seldom(hands: Hands, takes: float, rest: float) -> None:
    budget = Budget()
    assert budget.is_time()
    for _ in range(2):
        with budget.spent():
            hands.now += takes
        assert budget.is_time() == (rest == 0)
        hands.now += rest - 0.25
        assert budget.is_time() == (rest == 0)
        hands.now += 0.5
        assert budget.is_time()


@pytest.mark.parametrize(("takes", "saved"), [(0.25, [1, 2, 3, 4]), (1.0, [1, 4])])
def test_a_state_that_takes_long_to_save_waits(
    takes: float, saved: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands, steps, save = Hands(monkeypatch), [], states.save

    def slow(folder: Path, learner: object, about: dict[str, int], keep: int) -> None:
        steps.append(about["step"])
        hands.now += takes
        save(folder, learner, about, keep)  # type: ignore[arg-type]

    monkeypatch.setattr(states, "save", slow)
    with narrow():
        train(Blocks(), None, CONFIG, replace(recipe(), steps=4, checkpoint_every=1), tmp_path)
    assert steps == saved  # the last one always
