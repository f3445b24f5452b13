"""How long a training has been learning."""

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
