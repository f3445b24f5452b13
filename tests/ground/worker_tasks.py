"""Functions for the processes that the executors start: these must be importable by name."""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gravurekit.errors import MissingExtra


def square(number: int) -> int:
    return number * number


def square_or_die(number: int) -> int:
    """Odd hundreds leave by the back door, even ones are killed."""
    if number >= 100:
        if number % 200 == 100:
            os._exit(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def refuse_seven(number: int) -> int:
    if number == 7:
        raise ValueError("seven is refused")
    return square(number)


def need_an_extra(number: int) -> int:
    if number == 3:
        raise MissingExtra("a style", "styles")
    return square(number)


def noted(items: list[str], context: Any, stem: Path) -> list[str]:
    """A line for each item; each call leaves a file that names its part and its process."""
    (Path(context) / f"{stem.name}.{os.getpid()}").write_text("\n".join(items))
    return [f"{item}!" for item in items]


def noted_or_die(items: list[str], context: Any, stem: Path) -> list[str]:
    if "poison" in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return noted(items, context, stem)


def quarantined(item: str, why: str) -> str:
    return f"{item} {why}"


# ---- ways to end badly ---------------------------------------------------------------------------------


def segfault(_: Any) -> None:
    ctypes.string_at(0)


def kill(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(_: Any) -> None:
    os._exit(0)


def leave_as_if_too_large(_: Any) -> None:
    os._exit(86)


def abort(_: Any) -> None:
    os.abort()


def shut_all_files(_: Any) -> None:
    """Its pipe as well: nobody will hear of it, although it lives."""
    os.closerange(3, 256)
    threading.Event().wait(600)


def hang(_: Any) -> None:
    while True:
        pass


def hang_in_c(_: Any) -> None:
    """In a library's call that keeps Python's lock."""
    ctypes.PyDLL(None).sleep(600)


def hang_deaf(_: Any) -> None:
    """The alarm is somebody else's."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    threading.Event().wait(600)


def hang_unless_even(number: int) -> int:
    if number % 2:
        hang(number)
    return square(number)


def swell(_: Any) -> None:
    """Take ever more memory, in Python's objects."""
    taken = []
    while True:
        taken.append(bytearray(1 << 20))
        time.sleep(0.001)


def swell_in_numpy(_: Any) -> None:
    import numpy as np

    taken = []
    while True:
        taken.append(np.ones(1 << 17))
        time.sleep(0.001)


def swell_in_c(_: Any) -> None:
    """A library's call that keeps Python's lock, for longer than this test."""
    taken = bytearray(900_000_000)
    taken[::4096] = b"x" * len(taken[::4096])
    hang_in_c(taken)


def swell_if_odd(number: int) -> int:
    if number % 2:
        swell(number)
    return square(number)


def keep_much(number: int) -> int:
    """A process that keeps 200 MB of what it did before."""
    KEPT.append(bytearray(200_000_000))
    return number


KEPT: list[bytearray] = []


class Unpackable(Exception):
    """One that no other process can read."""

    def __init__(self) -> None:
        super().__init__("it can't travel", threading.Lock())


class HalfPackable(Exception):
    """One that is packed, and then not to be unpacked."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def raise_unpackable(_: Any) -> None:
    raise Unpackable


def raise_half_packable(_: Any) -> None:
    raise HalfPackable(1, 2)


def lock(_: Any) -> Any:
    return threading.Lock()


class Surprise:
    """Unpacked by calling what isn't to be called so."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return int, ("no number",)


def surprise(_: Any) -> Surprise:
    return Surprise()


def leave_by_the_front_door(_: Any) -> None:
    raise SystemExit(7)


# ---- much to carry -------------------------------------------------------------------------------------


def bytes_of(size: int) -> bytes:
    return b"x" * size


def length(data: bytes) -> int:
    return len(data)


def killed_while_it_tells(size: int) -> "Dying":
    return Dying(size)


class Dying:
    """What kills its process when most of it is on its way."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes]]:
        threading.Timer(0.3, kill, (0,)).start()  # the other end isn't listening: a pipe takes 200 kB, no more
        return bytes, (b"x" * self.size,)


def where(_: Any) -> str:
    return os.getcwd()


def own_pid(_: Any) -> int:
    return os.getpid()


def note_and_wait(place: str) -> None:
    """Leave a note with the pid, and be at work for long."""
    Path(place, f"{os.getpid()}").touch()
    hang_in_c(place)
