"""Counted chance: equal, independent, and the same whoever asks, and in which company."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit.model.chance import KEY_BITS, chance, grain

quick = settings(max_examples=50, deadline=None, derandomize=True)
PLACES = st.lists(st.integers(0, 2**62), min_size=1, max_size=20)


@quick
@given(st.integers(0, 2**70), PLACES, st.integers(0, 9), st.integers(1, 9), st.randoms())
def test_a_samples_numbers_dont_depend_on_its_company(seed, places, stream, count, shuffle) -> None:  # type: ignore[no-untyped-def]
    whole = chance(seed, np.array(places), stream, count)
    assert whole.shape == (len(places), count) and whole.dtype == np.float32
    assert whole.min() >= 0 and whole.max() < 1
    order = list(range(len(places)))
    shuffle.shuffle(order)
    for n in order:
        assert np.array_equal(chance(seed, np.array(places[n : n + 1]), stream, count)[0], whole[n])
    assert np.array_equal(chance(seed, np.array(places)[order], stream, count + 1)[:, :count], whole[order])


def test_numbers_are_equally_likely_and_tell_nothing_of_one_another() -> None:
    n = 20_000
    one = chance(0, np.arange(n), 0, 2)
    others = [chance(1, np.arange(n), 0, 1), chance(0, np.arange(n), 1, 1), chance(0, np.arange(n) + 1, 0, 1)]
    counts = np.histogram(one, 64, (0, 1))[0]
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 63 + 5 * (2 * 63) ** 0.5
    table = np.concatenate([one, *others], axis=1)
    related = np.corrcoef(table.T) - np.eye(5)
    assert np.abs(related).max() < 5 / n**0.5


def test_the_numbers_stay_what_they_are() -> None:
    """States on disk rely on it: if this fails, resumed trainings would change their pictures in other ways."""
    found = chance(7, np.array([0, 123_456_789_012]), 3, 3) * 2**24
    assert found.tolist() == [[3481131, 9408646, 6344724], [11387343, 7495960, 120081]]


# ---- noise ---------------------------------------------------------------------------------------------


def reference(key: int, height: int, width: int) -> np.ndarray:
    """The same in numpy's uint32, which wraps around and shifts in zeros."""
    words = np.arange(height * width // 4, dtype=np.uint32)
    words = words ^ np.array([key], np.uint32) * np.array([0x9E3779B1], np.uint32)
    words = (words ^ (words >> 16)) * np.array([0x7FEB352D], np.uint32)
    words = (words ^ (words >> 15)) * np.array([0x846CA68B], np.uint32)
    return (words ^ (words >> 16)).view(np.uint8).reshape(height, width)


@quick
@given(st.lists(st.integers(0, 2**KEY_BITS - 1), min_size=1, max_size=4), st.integers(1, 40), st.integers(1, 10))
def test_noise_is_exactly_this_on_any_machine_and_in_any_batch(keys: list[int], height: int, fours: int) -> None:
    found = grain(torch.tensor(keys, dtype=torch.float32)[:, None], height, 4 * fours)
    assert found.shape == (len(keys), 1, height, 4 * fours) and found.dtype == torch.uint8
    for plane, key in zip(found[:, 0].numpy(), keys, strict=True):
        assert np.array_equal(plane, reference(key, height, 4 * fours))


def test_noise_is_white_and_has_all_values_equally_often() -> None:
    raw = grain(torch.tensor([[0.0], [1.0], [2.0**KEY_BITS - 1]]), 128, 128)[:, 0].numpy()
    noise = (raw - 127.5) / ((256**2 - 1) / 12) ** 0.5
    n = noise[0].size
    bound = 5 / n**0.5
    for plane, values in zip(noise, raw, strict=True):
        counts = np.bincount(values.ravel(), minlength=256)
        assert ((counts - n / 256) ** 2 / (n / 256)).sum() < 255 + 5 * (2 * 255) ** 0.5
        assert abs(plane.mean()) < bound and abs(plane.var() - 1) < bound
        for shift, axis in ((1, 0), (1, 1), (2, 1), (3, 1), (4, 1), (64, 1), (8, 0)):
            assert abs((plane * np.roll(plane, shift, axis)).mean()) < bound
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs((noise[one] * noise[other]).mean()) < bound
