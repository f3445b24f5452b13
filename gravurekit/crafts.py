"""The crafts in the rooms `sources/`, `filters/`, `styles/`, `exports/`: a file is a craft, its name the craft's name.

Names are listed without importing anything, not even pydantic, since shells ask for them while people type; a craft is
imported when it is used. Nothing registers itself.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gravurekit.errors import UsageError

if TYPE_CHECKING:
    from gravurekit.settings import Settings


def names(room: str) -> list[str]:
    """The crafts of a room, sorted; files whose names begin with "_" serve the others."""
    folder = Path(__file__).parent / room
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if module.name[0] != "_")


def load(room: str, name: str) -> ModuleType:
    """The craft `name` of `room`. Raises UsageError with the nearest name if there is none."""
    if name not in names(room):
        from gravurekit.settings import did_you_mean

        raise UsageError(f"no {room.removesuffix('s')} is called {name!r}{did_you_mean(name, names(room))}")
    return importlib.import_module(f"gravurekit.{room}.{name}")


def settings_of(room: str, stage: str, name: str, tables: Mapping[str, Mapping[str, Any]]) -> "Settings":
    """The Settings of a craft: its defaults, then its table `[stage.name]` (the file's, with `--set` over it)."""
    from gravurekit.settings import layered

    kind: type[Settings] = load(room, name).Settings
    return layered(kind, f"{stage}.{name}", tables.get(name, {}))


def check_tables(room: str, stage: str, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises UsageError if a table `[stage.NAME]` belongs to no craft of the room, or holds what its craft can't
    take."""
    from gravurekit.settings import did_you_mean

    for name in tables:
        if name not in names(room):
            raise UsageError(
                f"[{stage}.{name}] is the table of no {room.removesuffix('s')}{did_you_mean(name, names(room))}"
            )
        settings_of(room, stage, name, tables)
