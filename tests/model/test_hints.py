"""Hints: squares of the target's colour, inside the picture, as many as asked for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit.model import hints

quick = settings(max_examples=60, deadline=None, derandomize=True)


def dice(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).random((count, hints.COLUMNS)).astype(np.float32)


def squares(draws: np.ndarray, box: tuple[int, int, int, int]) -> list[tuple[slice, slice]]:
    """Where the squares of one sample lie, worked out one by one."""
    y0, x0, y1, x1 = box
    found = []
    for there, y, x, side in draws.reshape(hints.MOST, 4):
        top, left = (
            first + int(np.floor(np.float32(place) * np.float32(max(1, end - first - int(side) + 1))))
            for place, first, end in ((y, y0, y1), (x, x0, x1))
        )
        if there and y1 > y0 and x1 > x0:
            found.append((slice(top, min(top + int(side), y1)), slice(left, min(left + int(side), x1))))
    return found


@quick
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 12), st.data())
def test_hints_lie_in_the_picture_and_have_the_targets_colour(
    seed: int, height: int, width: int, data: st.DataObject
) -> None:
    y0, x0 = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    box = (y0, x0, data.draw(st.integers(y0, height)), data.draw(st.integers(x0, width)))
    draws = hints.drawn(dice(seed, 1), 1.0)
    ab = np.random.default_rng(seed).uniform(-100, 100, (2, height, width))
    inside = np.zeros((1, height, width))
    inside[:, box[0] : box[2], box[1] : box[3]] = 1
    sums, count = np.zeros((2, height, width)), np.zeros((height, width))
    for rows, columns in squares(draws[0], box):
        sums[:, rows, columns] += ab[:, rows, columns].mean((1, 2), keepdims=True)
        count[rows, columns] += 1
    found = hints.painted(
        torch.from_numpy(draws),
        torch.from_numpy(ab).float()[None],
        torch.from_numpy(inside).float()[None],
        torch.tensor([box]),
    )[0].numpy()
    assert found.shape == (3, height, width) and found.dtype == np.float32
    assert np.array_equal(found[2], count > 0)
    assert found[:2] == pytest.approx(sums / np.maximum(count, 1), abs=1e-3)
    assert not found[:, inside[0] == 0].any()
    assert bool(found[2].any()) == bool(inside.any())  # asked for, and there is room


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_as_many_have_hints_as_asked_for_and_mostly_few(share: float) -> None:
    n = 4000
    there = hints.drawn(dice(0, n), share).reshape(n, hints.MOST, 4)[:, :, 0]
    number = there.sum(1)
    some = (number > 0).sum()
    assert abs(some - n * share) <= 5 * (n * share * (1 - share)) ** 0.5
    assert (np.diff(there, axis=1) <= 0).all()  # the first so many
    if share:
        one = (number == 1).sum()
        assert abs(one - some * (1 - hints.GO_ON)) <= 5 * (some * hints.GO_ON * (1 - hints.GO_ON)) ** 0.5
        assert 3.5 < number[number > 0].mean() < 6 and number.max() <= hints.MOST


def test_squares_have_every_size_and_lie_everywhere() -> None:
    draws = hints.drawn(dice(1, 2000), 1.0).reshape(-1, 4)
    assert set(draws[:, 3]) == {1.0, 2.0, 3.0, 4.0}
    box = torch.tensor([[2, 3, 8, 9]])
    seen = sum(
        hints.painted(torch.from_numpy(d[None]), torch.zeros(1, 2, 10, 12), torch.ones(1, 1, 10, 12), box)[0, 2]
        for d in hints.drawn(dice(2, 200), 1.0)
    )
    assert seen[2:8, 3:9].min() > 0 and seen.sum() == seen[2:8, 3:9].sum()
