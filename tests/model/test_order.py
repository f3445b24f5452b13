"""The order of training: each sample once an epoch, the same for any number of processes, exact from anywhere."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit.model import order
from gravurekit.model.order import Order, part_of, share_of

COUNTS = st.integers(1, 60)
SEEDS = st.integers(0, 3)
quick = settings(max_examples=100, deadline=None, derandomize=True)


@quick
@given(COUNTS, SEEDS, st.integers(0, 4))
def test_every_epoch_takes_every_sample_once_in_an_order_of_its_own(count: int, seed: int, epoch: int) -> None:
    one, other = (Order(count, seed).take(e * count, count) for e in (epoch, epoch + 1))
    assert sorted(one) == sorted(other) == list(range(count))
    if count > 20:
        assert not np.array_equal(one, other)
        assert not np.array_equal(one, Order(count, seed + 1).take(epoch * count, count))


@quick
@given(COUNTS, SEEDS, st.integers(0, 200), st.lists(st.integers(0, 70), max_size=5))
def test_the_stream_is_the_same_however_it_is_cut(count: int, seed: int, seen: int, cuts: list[int]) -> None:
    stream = Order(count, seed)
    parts, place = [stream.take(0, 0)], seen
    for length in cuts:
        parts.append(stream.take(place, length))
        place += length
    assert np.array_equal(np.concatenate(parts), stream.take(seen, sum(cuts)))


@quick
@given(st.integers(0, 500), st.integers(1, 9))
def test_the_parts_of_the_processes_are_neighbours_and_as_equal_as_can_be(count: int, world: int) -> None:
    places = [range(count)[part_of(count, rank, world)] for rank in range(world)]
    assert [place for part in places for place in part] == list(range(count))
    assert max(map(len, places)) - min(map(len, places)) <= 1


@quick
@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 5))
def test_parts_of_a_batch_are_the_same_whatever_the_number_of_processes(batch: int, parts: int, world: int) -> None:
    alone, shares = share_of(batch, parts), [share_of(batch, parts, rank, world) for rank in range(world)]
    assert alone.places.tolist() == list(range(batch)) and max(alone.sizes) - min(alone.sizes) <= 1
    pieces = [np.split(share.places, np.cumsum(share.sizes)[:-1]) for share in shares]
    for number, part in enumerate(np.split(alone.places, np.cumsum(alone.sizes)[:-1])):
        assert np.array_equal(np.concatenate([of[number] for of in pieces]), part)
        assert len(part) < world or all(len(of[number]) for of in pieces)


@quick
@given(
    COUNTS,
    SEEDS,
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6)), min_size=1, max_size=4),
)
def test_trainings_that_switch_between_worlds_see_the_same_samples_in_the_same_order(
    count: int, seed: int, batch: int, runs: list[tuple[int, int]]
) -> None:
    """`runs`: one after another, each with so many processes for so many steps."""
    stream, seen, came = Order(count, seed), 0, []
    for world, steps in runs:
        end = seen + steps * batch
        ranks = [stream.batches(seen, end, batch, share_of(batch, 1, rank, world)) for rank in range(world)]
        came += [np.concatenate(parts) for parts in zip(*ranks, strict=True)]
        seen = end
    assert all(len(part) == batch for part in came)
    whole = np.concatenate(came)
    assert np.array_equal(whole, stream.take(0, seen))
    for epoch in range(seen // count):
        assert sorted(whole[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_places_are_kept_in_as_little_memory_as_they_need_and_nobody_changes_them() -> None:
    epoch = order._epoch(0, 0, 1000)
    assert epoch.dtype == np.uint32 and not epoch.flags.writeable
    batch = Order(1000, 0).take(0, 4)
    batch[:] = 0  # whoever asked may do as they like with what they got
    assert np.array_equal(Order(1000, 0).take(0, 4), epoch[:4])


def test_the_order_stays_what_it_is() -> None:
    """States on disk rely on it: if this fails, resumed trainings would see other pictures."""
    assert Order(10, 7).take(8, 6).tolist() == [5, 9, 9, 0, 8, 6]
