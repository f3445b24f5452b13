"""The settings file and what it names: every mistake is told, and what is right holds for the rest of the diagnosis."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from gravurekit import crafts, keywords
from gravurekit import settings as base
from gravurekit.doctor.diagnosis import Finding, SettingsFile, Words
from gravurekit.doctor.trouble import BROKEN_IMPORT, reason
from gravurekit.errors import UsageError
from gravurekit.pipeline import ROOMS, TABLES, Paths, Wishes
from gravurekit.settings import did_you_mean, layered


def look(wishes: Wishes, named: Path | None, findings: list[Finding]) -> tuple[SettingsFile, Wishes]:
    """What is said of the settings, and the wishes without what is wrong in them."""
    complaints: list[str] = []
    path = named or Path("gravurekit.toml")
    there = os.path.lexists(path)
    file = wishes.file or (_read(path, complaints) if there or named else {})
    tables: dict[str, dict[str, Any]] = {}
    for table, said in [*file.items(), *wishes.flags.items()]:
        tables[table] = tables.get(table, {}) | _sound(table, said, complaints)
    sound = Wishes(tables, crafts=wishes.crafts)
    complaints += _unknown_crafts(sound)
    todo = f"correct it in {path}" if there else "correct it"
    findings += [Finding("settings", str(path), "settings", complaint, todo) for complaint in complaints]
    words = tuple(_words(sound.settings("paths").keywords, "keywords" in tables.get("paths", {}), findings))
    findings += _lost(sound.settings("paths"))
    state: Literal["absent", "valid", "invalid"] = "invalid" if complaints else "valid" if there else "absent"
    return SettingsFile(str(path), state, tuple(complaints), words), sound


def _read(path: Path, complaints: list[str]) -> dict[str, Any]:
    try:
        if os.path.lexists(path) and not os.path.isfile(path):  # opening a pipe would wait for ever
            raise UsageError(f"{path} is no file")
        return base.read_toml(path)
    except UsageError as error:
        complaints.append(reason(error))
        return {}


def _sound(table: str, said: Any, complaints: list[str]) -> dict[str, Any]:
    """The knobs, and the tables of crafts, that are right each by itself; none if they don't go together."""
    if table not in TABLES:
        complaints.append(f"unknown table [{table}]{did_you_mean(table, TABLES)}")
        return {}
    if not isinstance(said, Mapping):
        complaints.append(f"[{table}] isn't a table: write [{table}] once, and its keys below it")
        return {}
    right = {}
    for key, value in said.items():
        try:
            if table in ROOMS and isinstance(value, Mapping):
                crafts.check_tables(ROOMS[table], table, {key: value})
            else:
                layered(TABLES[table], table, {key: value})
            right[key] = value
        except UsageError as error:
            complaints += str(error).splitlines()
        except BROKEN_IMPORT as error:
            complaints.append(f"[{table}.{key}]: {key} can't be loaded ({reason(error)})")
    try:
        Wishes({table: right}).settings(table)
        return right
    except UsageError as error:
        complaints += str(error).splitlines()
        return {}


def _unknown_crafts(wishes: Wishes) -> Iterator[str]:
    """Complaints about crafts that the settings name and that aren't there."""
    paths = wishes.settings("paths")
    named = [("sources", source.partition(":")[0], "[paths] sources") for source in paths.sources]
    named += [("sources", name, "[paths] endpoints") for name in paths.endpoints]
    named += [("styles", wishes.settings("stylize").style, "[stylize] style")]
    named += [("filters", name, "[filter] skip") for name in wishes.settings("filter").skip]
    for room, name, where in named:
        if name not in crafts.names(room):
            yield f"{where}: no {room.removesuffix('s')} is called {name!r}{did_you_mean(name, crafts.names(room))}"


def _words(names: tuple[str, ...], said: bool, findings: list[Finding]) -> Iterator[Words]:
    """The keyword files. That the usual one isn't there is no trouble, as long as nobody `said` that it is."""
    inline = 0
    for name in names:
        there = os.path.lexists(name)
        if not name.endswith(".txt") and not os.path.isfile(name):
            inline += len(keywords.parse(name))
            continue
        try:
            if there and not os.path.isfile(name):
                raise UsageError(f"keyword file {name} is no file")
            yield Words(name, len(keywords.read(Path(name))))
        except (UsageError, ValueError) as error:  # ValueError: no name that a file can have
            if there or said:
                todo = "put it right, or name another in [paths] keywords"
                findings.append(Finding("settings", name, "keywords", reason(error), todo))
            yield Words(name, None, "can't be read" if there else "not there")
    if inline:
        yield Words("keywords", inline, "in the settings")


def _lost(paths: Paths) -> Iterator[Finding]:
    """What [paths] names besides the folders, and isn't there."""
    named = [("decisions", paths.decisions), ("model", paths.model), *(("prints", name) for name in paths.prints)]
    for key, name in named:
        if name and not os.path.exists(name):
            what = f"[paths] {key} = {name!r}: there is no such file or folder"
            yield Finding("settings", "[paths]", "lost", what, f"correct [paths] {key}")
