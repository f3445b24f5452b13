"""Work that is asked for again and again, by several at once: done once for all of them, and no oftener than it costs,
since what is watched needs the processors as well."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gravurekit.errors import GravurekitError

T = TypeVar("T")

SHARE = 10  # times as long as a thing took until it is done anew: a tenth of a core is spent on it
KEPT = 32  # things that are kept


@dataclass(frozen=True)
class _Made(Generic[T]):
    """What was made, or why it couldn't be; `until`: by the clock, when it may be made anew."""

    value: T | GravurekitError
    until: float


class Pace(Generic[T]):
    """Keeps the latest of what was made, by name. `cost`: the seconds of a processor's time that a value took; `least`:
    the seconds until it may be made anew, though it took none; `clock`: says the time, in seconds."""

    def __init__(self, cost: Callable[[T], float], least: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._cost, self._least, self._clock = cost, least, clock
        self._kept: OrderedDict[str, _Made[T]] = OrderedDict()
        self._going: dict[str, asyncio.Task[_Made[T]]] = {}

    async def get(
        self, name: str, make: Callable[[], Awaitable[T]], is_good: Callable[[T], bool] = lambda _: False
    ) -> tuple[T, float]:
        """What is kept under `name` if it is good still, or too young to be made anew; else what `make` gives, once for
        all who ask meanwhile. And the seconds until it may be made anew. Raises `make`'s GravurekitError."""
        kept = self._kept.get(name)
        if kept is None or (self._clock() >= kept.until and not self._is_good(kept, is_good)):
            kept = await self._joined(name, make)
        if isinstance(kept.value, GravurekitError):
            raise kept.value.with_traceback(None)
        return kept.value, max(0.0, kept.until - self._clock())

    def _is_good(self, kept: _Made[T], is_good: Callable[[T], bool]) -> bool:
        return not isinstance(kept.value, GravurekitError) and is_good(kept.value)

    async def _joined(self, name: str, make: Callable[[], Awaitable[T]]) -> _Made[T]:
        """Whoever goes away leaves the others what they wait for."""
        if name not in self._going:
            task = self._going[name] = asyncio.ensure_future(self._done(name, make))
            task.add_done_callback(lambda _: self._going.pop(name))
        return await asyncio.shield(self._going[name])

    async def _done(self, name: str, make: Callable[[], Awaitable[T]]) -> _Made[T]:
        began = self._clock()
        value: T | GravurekitError
        try:
            value = await make()
            cost = self._cost(value)
        except GravurekitError as error:
            value, cost = error, self._clock() - began
        self._kept[name] = made = _Made(value, self._clock() + max(self._least, SHARE * cost))
        self._kept.move_to_end(name)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made
