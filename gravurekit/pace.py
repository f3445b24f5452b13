"""How gently hosts are asked: so many requests at once, so many a second, and quiet for as long as one asks for it."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType

from gravurekit.errors import FetchError


@dataclass(frozen=True)
class Pace:
    """How gently a host is asked: requests at once, and a second (0: as fast as it answers)."""

    at_once: int = 8
    per_second: float = 0.0


# Hosts with rules of their own that many sources lead to
KNOWN_PACES = {"upload.wikimedia.org": Pace(at_once=2)}


MOST_REFUSALS = 3  # that a host may give after it had its quiet


class Rate:
    """Turns at even distances."""

    def __init__(self, per_second: float) -> None:
        self._distance = 1 / per_second if per_second else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Waits for the next turn."""
        now = time.monotonic()
        mine = max(now, self._next)
        self._next = mine + self._distance
        if mine > now:
            await asyncio.sleep(mine - now)


class Places:
    """Places among all downloads, given away at a rate."""

    def __init__(self, count: int, per_second: float) -> None:
        self._places = asyncio.Semaphore(count)
        self._rate = Rate(per_second)

    async def __aenter__(self) -> None:
        await self._places.acquire()
        try:
            await self._rate.turn()
        except BaseException:  # Ctrl-C while it waited
            self._places.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._places.release()


class Host:
    """A host's places, its rate, and the quiet that it asked for. `longest`: seconds that we would wait for it."""

    def __init__(self, pace: Pace, longest: float) -> None:
        self._places = asyncio.Semaphore(pace.at_once)
        self._rate = Rate(pace.per_second)
        self._longest = longest
        self._quiet_until = 0.0
        self._refusals = 0  # one after the other, each of them after it had had its quiet
        self._why: FetchError | None = None  # why it isn't asked at all until then

    def hush(self, seconds: float, why: FetchError, longest: float = 0.0) -> None:
        """It asked for quiet, so everything that waits for it waits as well. If that takes longer than we wait, or it
        asks again and again, nobody asks it until then."""
        now = time.monotonic()
        if now >= self._quiet_until:
            self._refusals += 1
        ends = self._refusals >= MOST_REFUSALS
        until = math.inf if ends else now + seconds
        if until > self._quiet_until:
            self._quiet_until = until
            self._why = why if ends or seconds > max(self._longest, longest) else None

    def listens(self) -> None:
        """It answered as it should."""
        self._refusals = 0

    @asynccontextmanager
    async def turn(self, place: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
        """A turn at this host, and a `place` among all, for as long as the context lasts. Raises FetchError if nobody
        asks it any more."""
        async with self._places:
            while True:
                await self._quiet()
                await self._rate.turn()
                async with place:
                    if time.monotonic() < self._quiet_until:  # somebody was told so meanwhile
                        continue
                    yield
                    return

    async def _quiet(self) -> None:
        while (wait := self._quiet_until - time.monotonic()) > 0:
            if self._why is not None:
                raise FetchError("not-asked", f"{self._why.detail} to others, and wants quiet for long")
            await asyncio.sleep(wait * random.uniform(1, 1.2))  # not all at the same moment
