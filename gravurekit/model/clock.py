"""How long a training has been learning, and how often it can afford to save its state."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Runs from now on, but not while something is done `aside`: validations, panels, states."""

    def __init__(self) -> None:
        self._began, self._left_out = time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """How long it ran, more than 0."""
        return max(time.perf_counter() - self._began - self._left_out, 1e-9)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is done within doesn't count."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._left_out += time.perf_counter() - began


class Budget:
    """Sees to it that what is done now and then takes no more than a twentieth of the time, however long it takes."""

    SHARE = 1 / 20
    FREE = 0.5  # seconds; what takes no longer may be done as often as one likes

    def __init__(self) -> None:
        self._took, self._ended = 0.0, 0.0

    def is_time(self) -> bool:
        """Whether it may be done again."""
        rest = self._took * (1 / self.SHARE - 1)
        return self._took <= self.FREE or time.perf_counter() - self._ended >= rest

    @contextmanager
    def spent(self) -> Iterator[None]:
        """It is done within."""
        began = time.perf_counter()
        yield
        self._ended = time.perf_counter()
        self._took = self._ended - began
