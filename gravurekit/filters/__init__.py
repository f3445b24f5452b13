"""Filters: reasons to drop a picture. A filter is one file; its name, with "-" for "_", is the reason.

class Settings(Settings)                       its knobs, the table [filter.NAME]
SUBJECTS = {"photos", "prints"}                for which it serves
COMPARES = False                               True: it compares pictures, and runs after those that don't
drops(probes, settings) -> Iterator[Drop]      those of the probes that it drops, and why
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Drop:
    """A picture that is dropped, with the figure that decided, and the key of the twin that is kept instead."""

    key: str
    detail: str
    kept_key: str = ""
