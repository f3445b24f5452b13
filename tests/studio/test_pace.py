"""What many ask for is done once, and no oftener than it costs."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gravurekit.errors import DataError
from gravurekit.studio._pace import KEPT, SHARE, Pace


class Work:
    """Counts what was made, each of which takes `cost` seconds; waits for `leave` while it does. `now`: a clock."""

    def __init__(self, cost: float = 1.0) -> None:
        self.cost, self.made, self.now = cost, 0, 0.0
        self.leave = asyncio.Event()
        self.leave.set()
        self.pace = Pace[int](lambda _: self.cost, 3.0, lambda: self.now)

    async def make(self) -> int:
        await self.leave.wait()
        self.made += 1
        return self.made

    async def get(self, good: bool = False, name: str = "a") -> tuple[int, float]:
        return await self.pace.get(name, self.make, lambda _: good)


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    return lambda: asyncio.run(test())


@in_a_loop
async def test_all_who_ask_at_once_wait_for_one_making() -> None:
    work = Work()
    work.leave.clear()
    asked = [asyncio.ensure_future(work.get()) for _ in range(5)]
    await asyncio.sleep(0)
    asked[0].cancel()  # whoever goes away leaves the others what they wait for
    await asyncio.sleep(0)
    work.leave.set()
    assert [await one for one in asked[1:]] == [(1, 10.0)] * 4 and work.made == 1


@in_a_loop
async def test_what_is_good_still_is_never_made_anew() -> None:
    work = Work()
    await work.get()
    work.now = 1e6
    assert await work.get(good=True) == (1, 0.0) and await work.get() == (2, 10.0)


@pytest.mark.parametrize(("cost", "rest"), [(0.001, 3.0), (0.3, 3.0), (2.0, 20.0)])
def test_ten_times_as_long_as_it_took_it_is_not_made_anew(cost: float, rest: float) -> None:
    async def asked() -> None:
        work = Work(cost)
        assert await work.get() == (1, rest)
        work.now = rest - 0.5
        assert await work.get() == (1, 0.5)
        work.now = rest
        assert await work.get() == (2, rest)

    asyncio.run(asked())


@in_a_loop
async def test_whoever_asks_and_however_often_a_tenth_is_spent() -> None:
    work = Work(0.7)
    for second in range(1000):
        work.now = second / 4
        await work.get()
    assert 30 <= work.made <= 250 / (SHARE * 0.7) + 1


@in_a_loop
async def test_what_failed_fails_again_without_being_tried_until_its_time() -> None:
    work = Work()

    async def fail() -> int:
        work.made += 1
        work.now += 2.0
        raise DataError("spoilt")

    for now, made in ((0.0, 1), (10.0, 1), (21.9, 1), (22.0, 2)):
        work.now = max(work.now, now)
        with pytest.raises(DataError, match="spoilt"):
            await work.pace.get("a", fail, lambda _: True)
        assert work.made == made


@in_a_loop
async def test_only_the_latest_are_kept() -> None:
    work = Work()
    for number in range(KEPT + 1):
        await work.get(name=str(number))
    assert await work.get(True, "1") == (2, 10.0) and await work.get(True, "0") == (KEPT + 2, 10.0)
