"""stdin, stdout and stderr as a program finds them: closed, in another alphabet, or with nobody at their other end."""

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gravurekit.errors import NobodyReads

PLAIN = {
    "→": "->",
    "…": "...",
    "×": "x",
    "·": "*",
    "–": "-",
    "−": "-",
    "’": "'",
    "Δ": "d",
    "±": "+-",
    "█": "#",
    "━": "-",
}


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """What an alphabet lacks as what it has: -> for an arrow, ? where there is nothing like it."""
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return "".join(PLAIN.get(letter, "?") for letter in lost), error.end


codecs.register_error("gravurekit", _plainly)


def prepare() -> None:
    """See to it that there are all three, and that each takes every text."""
    while (
        spare := os.open(os.devnull, os.O_RDWR)
    ) <= 2:  # the next file that is opened would be in a closed one's place
        pass
    os.close(spare)
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w", encoding="utf-8") for stream in (sys.stdout, sys.stderr))
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="gravurekit")


@contextmanager
def delivered() -> Iterator[None]:
    """Whatever is written to stdout meanwhile has been read at the end, or could be. Raises NobodyReads if it can't,
    because its reader went away (`| head -1`)."""
    out = sys.stdout
    try:
        yield
        out.flush()
    except (BrokenPipeError, NobodyReads):
        hush()
        raise NobodyReads from None
    except BaseException as error:
        gone = sys.stdout is not out  # typer has put another there, since nobody reads this one
        try:
            out.flush()
        except BrokenPipeError:
            gone = True
        if gone:
            hush()
        if gone and isinstance(error, SystemExit):
            raise NobodyReads from None
        raise


def hush() -> None:
    """What is still written to stdout goes nowhere, so that Python's own last look at it is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.close(nowhere)
