"""A shelf: bytes by a name that can't be guessed, as many as there is room for. What nobody asked for the longest goes
first."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

from gravurekit.studio.refusals import Gone


@dataclass(frozen=True)
class Kept:
    """Bytes, what kind they are (as HTTP has it), and the name that a file of them would have."""

    data: bytes = field(repr=False)
    kind: str = "application/octet-stream"
    name: str = ""


class Shelf:
    """Holds at most so many bytes."""

    def __init__(self, room: int) -> None:
        self._room, self._taken = room, 0
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def put(self, kept: Kept, name: str = "") -> str:
        """Keep it under `name`, or under one that nobody can guess; that name."""
        name = name or secrets.token_urlsafe(16)
        self._remove(name)
        while self._kept and self._taken + len(kept.data) > self._room:
            self._remove(next(iter(self._kept)))
        self._kept[name] = kept
        self._taken += len(kept.data)
        return name

    def get(self, name: str) -> Kept:
        """What is kept under a name. Raises Gone."""
        if name not in self._kept:
            raise Gone("this picture isn't kept any more: drop it in again")
        self._kept.move_to_end(name)
        return self._kept[name]

    def _remove(self, name: str) -> None:
        if kept := self._kept.pop(name, None):
            self._taken -= len(kept.data)
