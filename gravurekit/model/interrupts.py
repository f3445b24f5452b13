"""Ctrl-C while a network learns."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def held_interrupts() -> Iterator[Callable[[], int]]:
    """Ctrl-C waits for the end of the step: in its middle the weights are of no step. A second one acts. Gives how many
    there were."""
    caught: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: 0  # only the main thread gets signals; one that ignores Ctrl-C goes on so
        return

    def hold(number: int, frame: Any) -> None:
        caught.append(number)
        if len(caught) > 1:
            signal.signal(signal.SIGINT, before)
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: len(caught)
    finally:
        signal.signal(signal.SIGINT, before)
