"""Which of the processes of a training this one is, as `torchrun` tells in the environment. Needs no torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from gravurekit.errors import UsageError


@dataclass(frozen=True)
class Place:
    """The process `rank` of `world`; on its own machine `local_rank` of `local_world`."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and talks."""
        return self.rank == 0


def place(environment: Mapping[str, str] = os.environ) -> Place:
    """From RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE; without the first two a process is alone. Raises
    UsageError if they contradict each other."""
    if not environment.get("RANK") or not environment.get("WORLD_SIZE"):
        return Place()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    said = {name: environment[name] for name in names if environment.get(name)}
    shown = ", ".join(f"{name}={value}" for name, value in said.items())
    if not all(value.isdecimal() for value in said.values()):
        raise UsageError(f"the environment says {shown}: these must be numbers; start with torchrun, which sets them")
    numbers = {name: int(value) for name, value in said.items()}
    found = Place(
        numbers["RANK"], numbers["WORLD_SIZE"], numbers.get("LOCAL_RANK", 0), numbers.get("LOCAL_WORLD_SIZE", 1)
    )
    if found.rank >= found.world or found.local_rank >= found.local_world:
        raise UsageError(f"the environment says {shown}: no such rank; start with torchrun, which sets them")
    return found
