"""The studio: a page on this machine, in which pictures are judged, drawn and coloured by hand, and trainings watched.

`server.py` answers, `guard.py` says to whom; each tab is a file (`review.py`, `stylize.py`, `colorize.py`, `runs.py`)
with a page and a script of the same name in `page/`. Whatever opens pictures or computes is done by `line.py`'s worker
processes, so a picture that kills a decoder costs its own task and no more.
"""

from collections.abc import Callable

from pydantic import Field

from gravurekit import settings
from gravurekit.pipeline import Wishes


class Settings(settings.Settings):
    """Where the studio listens, and how much it takes on."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="The address it listens at; any but a loopback address needs its token."
    )
    port: int = Field(8470, ge=0, le=65535, description="The port; 0: one that is free.")
    token: bool = Field(False, description="Ask for a token at a loopback address, too: others use this machine.")
    jobs: int = Field(0, ge=0, le=256, description="Processes that draw and colour; 0: one for each core.")
    waiting: int = Field(64, ge=1, le=10_000, description="Drawings and colourings that may wait for their turn.")
    max_upload: int = Field(64, ge=1, le=1024, description="Largest file that may be dropped in, MB.")
    max_pixels: int = Field(50, ge=1, le=120, description="Largest picture that may be dropped in, million px.")
    time_limit: float = Field(120, ge=1, description="Seconds that a drawing or a colouring may take.")
    memory_limit: int = Field(4096, ge=256, description="MB of memory that each of the processes may take.")


def serve(wishes: Wishes, settings: Settings, ready: Callable[[str], None]) -> None:
    """Answer until Ctrl-C. `ready` is told the page's address, with the token if one is needed.

    Raises UsageError for an address that can't be listened at."""
    from gravurekit.studio.server import run

    run(wishes, settings, ready)
