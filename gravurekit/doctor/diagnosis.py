"""What doctor finds, as plain data: `dataclasses.asdict` of a Diagnosis is JSON."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from gravurekit.audit import Fault
from gravurekit.errors import DataError

Value = TypeVar("Value")


@dataclass(frozen=True)
class Finding:
    """Something to do. `damage`: data of this workspace is damaged or can't be read."""

    section: Literal["versions", "machine", "engines", "settings", "workspace"]
    subject: str  # the row of the section
    kind: str  # a short word for counting
    what: str
    todo: str
    damage: bool = False


@dataclass(frozen=True)
class Package:
    """A distribution that gravurekit stands on. `installed` is its version; empty: it is missing."""

    name: str
    installed: str
    required: str
    good: bool


@dataclass(frozen=True)
class Versions:
    """What runs here."""

    gravurekit: str
    python: str
    system: str
    packages: tuple[Package, ...]


@dataclass(frozen=True)
class Machine:
    """What there is to work with, sizes in bytes; None is "not known"."""

    cores: int
    memory: int
    memory_available: int | None
    disk_free: int
    writable: bool
    device: str = ""  # where training would run; empty: nowhere
    device_name: str = ""
    device_memory: int | None = None
    device_memory_free: int | None = None
    threads: int | None = None  # of torch
    bf16: bool | None = None  # whether the device is fast at it


@dataclass(frozen=True)
class Extra:
    """An optional part of gravurekit: what it lacks, and what installs it; both empty: it is there."""

    name: str
    missing: tuple[str, ...]
    install: str


@dataclass(frozen=True)
class Engine:
    """A source, and whether it answers. `chosen`: [paths] names it. `pictures`: of a folder."""

    name: str
    chosen: bool
    state: Literal["answers", "found nothing", "no answer", "not asked", "missing"]
    milliseconds: int | None = None
    pictures: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Words:
    """A keyword file, or the keywords that stand in the settings themselves. None: it can't be read."""

    name: str
    keywords: int | None
    detail: str = ""


@dataclass(frozen=True)
class SettingsFile:
    """The settings file and what is wrong in it, a sentence each."""

    path: str
    state: Literal["absent", "valid", "invalid"]
    complaints: tuple[str, ...]
    words: tuple[Words, ...]


Condition = Literal["absent", "empty", "yours", "finished", "unfinished", "running", "newer", "damaged"]


@dataclass(frozen=True)
class Place:
    """A folder of the workspace. `name`: its key in [paths], or "run"; `stage` whose output it is or would be.

    "yours": no stage made it; "newer": a later gravurekit did, and this one can't read it.
    """

    name: str
    path: str
    stage: str
    state: Condition
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    detail: str = ""
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """All that was looked at, and in `findings` what there is to do, damage first."""

    folder: str
    versions: Versions
    machine: Machine
    extras: tuple[Extra, ...]
    engines: tuple[Engine, ...]
    settings: SettingsFile
    workspace: tuple[Place, ...]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """That of damaged data if any is, else 0: what is unfinished or doesn't answer is no failure."""
        return DataError.exit_code if any(item.damage for item in self.findings) else 0


def printable(value: Value) -> Value:
    """`value` with what a terminal or UTF-8 can't take replaced in every text: names on disk may hold anything."""
    new: Any = value
    if isinstance(value, str):
        new = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)
    elif isinstance(value, tuple):
        new = tuple(printable(item) for item in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: printable(getattr(value, field.name)) for field in dataclasses.fields(value)}
        new = dataclasses.replace(value, **changes)
    return new


def in_units(size: int) -> str:
    """Bytes for people."""
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"
