"""`python -m gravurekit.completion`, in the root of the repository: make flags.json anew of the commands and crafts."""

import json
from typing import Any

import typer

from gravurekit import cli, commands, crafts, pipeline, reference, storage, subjects
from gravurekit.completion.values import ROOMS
from gravurekit.completion.verbs import TABLE
from gravurekit.stages import crawl
from gravurekit.usage import value_of

LONGEST = 72  # letters of help beside a word


def table() -> dict[str, Any]:
    """All that a shell is told from."""
    classes = reference.classes()
    return {
        "verbs": {"": _parameters(typer.main.get_command(cli.app)), **_verbs()},
        "knobs": {
            room: {name: _knobs(room, name) for name in crafts.names(room)} for room in sorted(set(ROOMS.values()))
        },
        "presets": _presets(),
        "tables": list(classes),
        "stages": list(pipeline.ORDER),
        "subjects": list(subjects.SETTINGS),
        "retries": ["failed", *(f"failed:{reason}" for reason in sorted(crawl.REASONS))],
    }


def as_text() -> str:
    """The table as it stands in flags.json, a parameter or craft a line."""
    lines = [f"  {json.dumps(key)}: {_of(value)}" for key, value in table().items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _of(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    rows = ",\n".join(f"    {json.dumps(key)}: {_rows(item)}" for key, item in value.items())
    return "{\n" + rows + "\n  }"


def _rows(value: Any) -> str:
    if not value:
        return json.dumps(value)
    if isinstance(value, dict):
        rows = (f"      {json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}" for key, item in value.items())
        return "{\n" + ",\n".join(rows) + "\n    }"
    return "[\n" + ",\n".join(f"      {json.dumps(item, ensure_ascii=False)}" for item in value) + "\n    ]"


def _verbs() -> dict[str, Any]:
    made = typer.main.get_group(commands.app).commands
    return {verb: _parameters(made[verb]) for verb in cli.VERBS}


def _parameters(command: Any) -> list[dict[str, Any]]:
    """The flags and arguments of a command, with --help."""
    return [_parameter(item) for item in command.get_params(typer.Context(command))]


def _parameter(item: Any) -> dict[str, Any]:
    is_word = item.param_type_name == "argument"
    value = is_word or not item.is_flag
    metavar = item.metavar or ""
    return {
        "name": item.name,
        "flags": [] if is_word else [*item.opts, *item.secondary_opts],
        "value": value,
        "many": item.nargs != 1 or bool(getattr(item, "multiple", False)),
        "choices": metavar.split("|") if value and "|" in metavar else [],
        "files": value and (is_word or metavar not in ("N", "X")),
        "help": _short(item.help or ""),
    }


def _short(said: str) -> str:
    """The first sentence."""
    first = said.split(". ")[0].removesuffix(".")
    return first if len(first) <= LONGEST else first[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def _knobs(room: str, name: str) -> dict[str, Any]:
    found = {}
    for knob, field in crafts.load(room, name).Settings.model_fields.items():
        choices = value_of(field.annotation)
        default = json.dumps(field.default) if not isinstance(field.default, str) else field.default
        found[knob] = {
            "default": default if default.isascii() and not set(default) & set(" \"'[]{}") else "",
            "choices": choices.split("|") if "|" in choices else ["true", "false"] if field.annotation is bool else [],
            "help": _short(field.description or ""),
        }
    return found


def _presets() -> dict[str, list[str]]:
    styles = {name: crafts.load("styles", name) for name in crafts.names("styles")}
    return {name: list(style.PRESETS) for name, style in styles.items() if getattr(style, "PRESETS", None)}


if __name__ == "__main__":
    storage.write_text(TABLE, as_text())
