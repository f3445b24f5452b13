"""Presets: settings of a style that belong together, by a name that the style gives them, or in a TOML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gravurekit import crafts
from gravurekit.errors import UsageError
from gravurekit.settings import did_you_mean, layered, read_toml

Presets = Mapping[str, Mapping[str, Any]]


def line_of(style: str) -> list[str]:
    """The styles that take part when `style` is asked for, in the order of their work: one that refines another's
    drawings comes after that one. Raises UsageError for a style that there isn't."""
    first = getattr(crafts.load("styles", style), "STARTS_FROM", None)
    return [first, style] if first else [style]


def named(style: str) -> Presets:
    """The presets that `style` knows by name, with what each says; a refining style knows those of both."""
    found: dict[str, Mapping[str, Any]] = {}
    for name in line_of(style):
        found |= getattr(crafts.load("styles", name), "PRESETS", {})
    return found


def file_of(style: str, preset: str) -> Path | None:
    """The file that a preset is read from; None if it is a name, or nothing was asked for."""
    if not preset or preset in named(style):
        return None
    path = Path(preset)
    if path.suffix == ".toml" or path.is_file():
        return path
    known = named(style)
    raise UsageError(f"{style} has no preset {preset!r}{did_you_mean(preset, known)}; or name a TOML file")


def read(style: str, preset: str) -> dict[str, dict[str, Any]]:
    """What a preset says of each style that takes part, `{"engrave": {"pitch": 5}}`.

    Raises UsageError for a preset that there isn't, or that says what its style can't take.
    """
    if not preset:
        return {}
    path = file_of(style, preset)
    said = _in_file(path, style) if path else _by_name(style, preset)
    for name, knobs in said.items():
        layered(crafts.load("styles", name).Settings, f"preset {preset}: stylize.{name}", knobs)
    return said


def _by_name(style: str, preset: str) -> dict[str, dict[str, Any]]:
    tables = {name: getattr(crafts.load("styles", name), "PRESETS", {}) for name in line_of(style)}
    return {name: dict(presets[preset]) for name, presets in tables.items() if preset in presets}


def _in_file(path: Path, style: str) -> dict[str, dict[str, Any]]:
    """The tables `[stylize.NAME]` of a file; keys in no table are those of `style`."""
    said = read_toml(path)
    if not any(isinstance(value, dict) for value in said.values()):
        return {style: said}
    if strange := [key for key in said if key != "stylize"]:
        raise UsageError(f"{path}: {strange[0]!r} isn't a preset's: write [stylize.{style}], and its keys below it")
    tables = said["stylize"]
    if loose := [key for key, value in tables.items() if not isinstance(value, dict)]:
        raise UsageError(f"{path}: {loose[0]!r} is no style's: write [stylize.{style}], and its keys below it")
    crafts.check_tables("styles", "stylize", tables)
    found = {name: dict(tables[name]) for name in line_of(style) if name in tables}
    if not found:
        raise UsageError(f"{path} says nothing of {style}: it has {', '.join(f'[stylize.{name}]' for name in tables)}")
    return found
