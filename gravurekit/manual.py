"""The command line as text: the page docs/cli.md, with every verb, argument and flag.

It is made from the verbs themselves, and what a flag of a stage may be from its Settings, so it can't say anything that
the program doesn't do. `python -m gravurekit.manual` in the repository writes the page anew.
"""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from typer.models import ArgumentInfo

from gravurekit import cli, commands, errors, pipeline, reference, storage
from gravurekit.errors import UsageError
from gravurekit.settings import Settings, flag_of

HEAD = """\
# The command line

Every verb, made from the code by `make reference`. The verbs come in the order of the chain; `gravurekit VERB --help`
says the same. Flags win over `gravurekit.toml`, and that over the defaults. What the knobs are called there, and those
that only one style, filter, source or export has (`--set CRAFT.KNOB=VALUE`): [settings.md](settings.md).

Results go to stdout, progress and messages to stderr.
"""

MACHINE = "Where tasks are done"
EXIT_CODES = {
    0: "done",
    errors.GravurekitError.exit_code: "a fault of ours",
    errors.UsageError.exit_code: "wrong words or settings, a package is missing, or somebody else is at work there",
    errors.QUARANTINED: "done, but some pictures were quarantined, or a print that was named couldn't be coloured",
    errors.SourceError.exit_code: "a source failed, or a keyword brought nothing (what others gave is kept)",
    errors.DataError.exit_code: "data damaged or missing, or the disk refuses",
    errors.TrainingError.exit_code: "the training failed",
    errors.Interrupted.exit_code: "interrupted; the same command goes on",
    errors.NobodyReads.exit_code: "the reader of the results went away, as in `gravurekit settings | head -1`",
}

# What gravurekit asks the environment for, or leaves to the library that does.
ENVIRONMENT = {
    "GRAVUREKIT_CACHE": "the folder of what object stores gave; without it `gravurekit` in `$XDG_CACHE_HOME`, or in "
    "`~/.cache` ([stores.md](stores.md))",
    "GRAVUREKIT_CACHE_GB": "how much of that is kept, in GB; without it 50",
    "FLICKR_API_KEY": "a key of your own, for `--source flickr` ([crawl.md](crawl.md#sources))",
    "OPENVERSE_TOKEN": "a token of your own, by which `--source openverse` gives more",
    "AWS_…, GOOGLE_APPLICATION_CREDENTIALS, FSSPEC_…": "credentials and addresses of object stores "
    "([stores.md](stores.md))",
    "RAY_AUTH_MODE, RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH": "the token of a Ray cluster ([cluster.md](cluster.md))",
    "RANK, WORLD_SIZE, …": "set by torchrun, when several processes train "
    "([train.md](train.md#several-processes-several-machines))",
}

WORDS = {bool: "", int: "whole number", float: "number", str: "text", Path: "path"}


@dataclass(frozen=True)
class Word:
    """An argument or flag as it is written, and what is known of it. `kind`: the Settings whose knob it is."""

    shown: str
    value: str
    default: str
    limits: str
    meaning: str
    is_flag: bool
    kind: type[Settings] | None = None


def markdown() -> str:
    """The page docs/cli.md."""
    verbs = typer.main.get_group(commands.app).commands
    parts = [HEAD, "## gravurekit\n", *_tables(_words(typer.main.get_group(cli.app)))]
    machine: dict[str, list[Word]] = {}
    for verb, does in cli.VERBS.items():
        words = _words(verbs[verb])
        arguments = " ".join(word.shown for word in words if not word.is_flag)
        parts += [f"## {verb}\n", f"{does}\n", f"    gravurekit {verb} [OPTIONS] {arguments}".rstrip() + "\n"]
        parts += _tables([word for word in words if word.kind is not pipeline.Machine])
        if shared := [word for word in words if word.kind is pipeline.Machine]:
            flags = ", ".join(reference.code(word.shown) for word in shared)
            parts.append(f"[{MACHINE}](#{MACHINE.lower().replace(' ', '-')}): {flags}.\n")
            machine[verb] = shared
    parts += [
        f"## {MACHINE}\n",
        f"Besides, {', '.join(map(reference.code, machine))} have these. No output depends on them.\n",
    ]
    parts += _tables(next(iter(machine.values())))
    parts += ["## Exit codes\n", _table(["code", "meaning"], EXIT_CODES.items())]
    parts += ["## Environment\n", _table(["variable", "what it says"], ENVIRONMENT.items())]
    return "\n".join(parts)


def _tables(words: Sequence[Word]) -> Iterator[str]:
    """Arguments first, then flags that are no knobs, then the knobs of each Settings class."""
    if arguments := [word for word in words if not word.is_flag]:
        yield _table(["argument", "default", "meaning"], [(w.shown, w.default, w.meaning) for w in arguments])
    for kind in sorted(dict.fromkeys(w.kind for w in words if w.is_flag), key=lambda kind: kind is not None):
        found = [word for word in words if word.is_flag and word.kind is kind]
        if kind is not None:
            yield f"{_whence(kind)}\n"
        limited = any(word.limits for word in found)
        head = ["flag", "value", "default", *(["limits"] if limited else []), "meaning"]
        rows = [[w.shown, w.value, w.default, *([w.limits] if limited else []), w.meaning] for w in found]
        yield _table(head, rows)


def _whence(kind: type[Settings]) -> str:
    """Where else the knobs of a class can be said."""
    tables = [name for name, other in pipeline.TABLES.items() if other is kind]
    told = f"Knobs, in `gravurekit.toml` below `[{tables[0]}]`" if tables else "Knobs, as flags only"
    return f"{told}. {' '.join((kind.__doc__ or '').split())}"


def _table(head: Sequence[str], rows: Iterable[Any]) -> str:
    lines = [reference.row(head), reference.row(["---"] * len(head))]
    return (
        "\n".join([*lines, *(reference.row([reference.code(str(first)), *others]) for first, *others in rows)]) + "\n"
    )


# ---- one word ------------------------------------------------------------------------------------------


def _words(command: Any) -> list[Word]:
    """The arguments and flags of a command, in its order."""
    # how each is annotated, which Typer has taken apart
    annotations = {name: item.annotation for name, item in inspect.signature(command.callback).parameters.items()}
    options = [(item, *get_args(annotations[item.name])) for item in command.params if item.name in annotations]
    kinds = _kinds({_flag(item) for item, _, said in options if not isinstance(said, ArgumentInfo)})
    return [_word(item, annotation, said, kinds) for item, annotation, said in options]


def _word(item: Any, annotation: Any, said: Any, kinds: Sequence[type[Settings]]) -> Word:
    value = _value(annotation, item.metavar)
    meaning = str(item.help).replace("<", "&lt;")
    if isinstance(said, ArgumentInfo):
        return Word(_argument(item, annotation), value, _default(item), "", meaning, is_flag=False)
    for kind in kinds:
        for name, field in kind.model_fields.items():
            if flag_of(name, field) == _flag(item) and meaning.startswith(str(field.description).replace("<", "&lt;")):
                default = reference.code(reference.literal(field.default))
                meaning = str(field.description).replace("<", "&lt;")
                return Word(_flag(item), value, default, reference.limits(field), meaning, True, kind)
    least = f"at least {said.min}" if said.min is not None else ""
    return Word(_flag(item), value, _default(item), least, meaning, is_flag=True)


def _flag(item: Any) -> str:
    """As `flag_of` writes it: `--photo/--no-photo`."""
    return "/".join([", ".join(item.opts), *item.secondary_opts])


def _kinds(flags: set[str]) -> list[type[Settings]]:
    """The Settings classes all of whose knobs are among these flags."""
    found: list[type[Settings]] = []
    left = [Settings]
    while left:
        kind = left.pop(0)
        left += kind.__subclasses__()
        knobs = {flag_of(name, field) for name, field in kind.model_fields.items()}
        found += [kind] if knobs and knobs <= flags else []
    return sorted(found, key=lambda kind: (-len(kind.model_fields), kind.__module__))


def _argument(item: Any, annotation: Any) -> str:
    """An argument as usage has it: NAME, [NAME] if it may be left out, with … if there may be several."""
    several = "…" if get_origin(_only(annotation)) is list else ""
    name = f"{item.metavar or item.name.upper()}{several}"
    return name if item.required else f"[{name}]"


def _only(annotation: Any) -> Any:
    """`X` of `X | None`."""
    left = [kind for kind in get_args(annotation) if kind is not type(None)]
    return left[0] if type(None) in get_args(annotation) else annotation


def _value(annotation: Any, metavar: str | None) -> str:
    """What is written behind a flag; nothing behind one that is said or not."""
    kind = _only(annotation)
    if get_origin(kind) is list:
        return f"{_value(get_args(kind)[0], metavar)}; may be repeated"
    if get_origin(kind) is Literal:
        return ", ".join(reference.code(str(word)) for word in get_args(kind))
    return metavar or WORDS[kind]


def _default(item: Any) -> str:
    """In words where the code says it in words."""
    if isinstance(item.show_default, str):
        return item.show_default
    if item.required:
        return "must be given"
    return "" if item.default in (None, False) else reference.code(str(item.default))


def main(root: Path = Path()) -> None:
    """Write docs/cli.md of the repository whose root is `root`."""
    if not (root / "pyproject.toml").is_file():
        raise UsageError(f"{root.absolute()} isn't the root of the repository")
    storage.write_text(root / "docs" / "cli.md", markdown())


if __name__ == "__main__":
    main()
