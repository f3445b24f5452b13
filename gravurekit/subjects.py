"""The subjects of `evaluate`: which words and flags each of them takes, and what it makes of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gravurekit import terminal
from gravurekit.errors import UsageError
from gravurekit.options import said
from gravurekit.settings import Settings, flag_of, layered
from gravurekit.stages import evaluate as style
from gravurekit.stages import evaluate_colours as colours

Words = Mapping[str, Path | None]  # by name, None where it wasn't said

SETTINGS: Mapping[str, type[Settings]] = {"style": style.Settings, "colors": colours.Settings}
WORDS = {"style": ("styled", "photos", "prints", "cache"), "colors": ("model", "shards", "prints")}


def evaluate(what: str, words: Words, out: Path | None, values: dict[str, Any], json: bool, quiet: bool) -> None:
    """Measure a subject and show what came of it. Raises UsageError for what only the other one has a use for."""
    _refuse_strangers(what, words, values)
    knobs = layered(SETTINGS[what], "evaluate", said(SETTINGS[what], values))
    {"style": _style, "colors": _colours}[what](words, out, knobs, json, quiet)


def _refuse_strangers(what: str, words: Words, values: dict[str, Any]) -> None:
    given = {_shown(word) for word, path in words.items() if path is not None and word not in WORDS[what]}
    for kind in SETTINGS.values():
        others = set(said(kind, values)) - SETTINGS[what].model_fields.keys()
        given |= {flag_of(name, kind.model_fields[name]) for name in others}
    if given:
        raise UsageError(f"evaluate {what} has no use for {', '.join(sorted(given))}: see `gravurekit evaluate --help`")


def _shown(word: str) -> str:
    return "STYLED" if word == "styled" else f"--{word}"


def _style(words: Words, out: Path | None, knobs: Any, json: bool, quiet: bool) -> None:
    styled, photos, prints = words["styled"], words["photos"], words["prints"]
    if styled is None or photos is None or prints is None:
        raise UsageError("evaluate style STYLED --photos FOLDER --prints FOLDER: all three are needed")
    out = out or Path("reports", f"{styled.resolve().name or 'folder'}-style.json")
    cache = words["cache"] or styled.resolve().parent / ".gravurekit-cache"
    with terminal.watching(quiet) as watch:
        made = style.run(style.Job(styled, photos, prints, out, cache, knobs), watch)
    terminal.show_evaluation(made, style.table(made), json)


def _colours(words: Words, out: Path | None, knobs: Any, json: bool, quiet: bool) -> None:
    job = colours.Job(words["model"], Path("runs"), words["shards"] or Path("shards"), words["prints"], out, knobs)
    with terminal.watching(quiet) as watch:
        made = colours.run(job, watch)
    terminal.show_colours(made, json)
