"""How shells ask, and how they are answered: the environment and the words of Typer's scripts."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """The words before the one that is typed, and its beginning. `before`: what of it the shell takes for other words,
    as bash does, which breaks them at : and =."""

    words: Sequence[str]
    current: str
    before: str = ""
    quoted: bool = False


@dataclass(frozen=True)
class Found:
    """What may stand there: values and what each is. `files`: a file or folder may as well, after `prefix`; `root`:
    below which folder, if it isn't the shell's own."""

    items: Sequence[tuple[str, str]] = ()
    files: bool = False
    prefix: str = ""
    root: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)  # what may be put behind a value that ends in "="


def read(shell: str, environment: Mapping[str, str]) -> Asked:
    """What is asked."""
    if shell == "bash":
        return _of_bash(environment.get("COMP_WORDS", "").split("\n"), int(environment.get("COMP_CWORD") or 0))
    text = environment.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(text)[1:]
    if not words or text[-1:].isspace():
        return Asked(words, "")
    return Asked(words[:-1], words[-1])


def _split(text: str) -> list[str]:
    """The words of a command line whose last quote may be open."""
    for closing in ("", '"', "'", "\\"):
        try:
            return shlex.split(text + closing)
        except ValueError:
            continue
    return text.split()


def _of_bash(pieces: Sequence[str], at: int) -> Asked:
    words: list[str] = []
    glued = False
    pieces = [*pieces, *[""] * (at + 1 - len(pieces))]
    for piece in pieces[: at + 1]:
        breaks = bool(piece) and not piece.strip(":=")
        if words and (glued or (breaks and len(words) > 1)):
            words[-1] += piece
        else:
            words.append(piece)
        glued = breaks
    if len(words) <= 1:
        return Asked([], "")
    typed = pieces[at] if pieces[at].strip(":=") else ""  # a : or = alone is a word that has ended
    before = words[-1].removesuffix(typed)
    return Asked([_plain(word) for word in words[1:-1]], _plain(words[-1]), before, words[-1][:1] in ("'", '"'))


def _plain(word: str) -> str:
    """A word without its quotes."""
    return (_split(word) or [""])[0]


def tell(shell: str, asked: Asked, found: Found, environment: Mapping[str, str]) -> tuple[str, int]:
    """What is written, and the exit code."""
    if shell == "zsh":
        return _in_zsh(found), 0
    items = list(found.items)
    if found.files and (found.root or (found.prefix and shell != "bash")):
        items += [(path, "") for path in paths(found, asked.current)]
    if shell == "bash":
        return _in_bash(asked, found, [value for value, _ in items]), 0
    if shell == "fish":
        if environment.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
            return "", 0 if items else 1
        return "".join(f"{value}\t{_line(said)}\n" for value, said in items), 0
    return "".join(f"{value}:::{_line(said) or ' '}\n" for value, said in items), 0


def paths(found: Found, current: str) -> list[str]:
    """Files and folders that begin as `current` does after the prefix."""
    typed = current.removeprefix(found.prefix)
    folder, begun = os.path.split(typed)
    there = Path(found.root, os.path.expanduser(folder))
    try:
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in os.scandir(there))
    except OSError:
        return []
    hidden = begun.startswith(".")
    visible = [name for name in names if name.startswith(begun) and (hidden or not name.startswith("."))]
    return [found.prefix + os.path.join(folder, name) for name in visible]


def _in_bash(asked: Asked, found: Found, values: Sequence[str]) -> str:
    """A value a line; nothing is what makes bash look for files. What bash takes for another word is left out."""
    lines = []
    for value in values:
        whole = value + found.defaults.get(value, "")
        rest = whole.removeprefix(asked.before)
        lines.append(rest if asked.quoted else re.sub(r"([\s'\"\\$`&|;<>()*?\[\]!#~{}])", r"\\\1", rest))
    return "\n".join(lines)


def _in_zsh(found: Found) -> str:
    """A command that zsh runs: values with what they are, and those after which no space comes; then files."""
    commands = []
    for ends, options in ((False, ""), (True, " -S ''")):
        some = [(value, said) for value, said in found.items if value.endswith(("=", ":", "/")) is ends]
        if some:
            told = " ".join(shlex.quote(_colon(value) + (f":{_line(said)}" if said else "")) for value, said in some)
            commands.append(f"local -a found; found=({told}); _describe -V value found{options}")
    if found.files:
        prefix = shlex.quote(f"{found.prefix}") if found.prefix else ""
        root = f" -W {shlex.quote(found.root)}" if found.root else ""
        commands.append((f"compset -P {prefix}; " if prefix else "") + f"_files{root}")
    return "; ".join(commands)


def _colon(value: str) -> str:
    return value.replace("\\", "\\\\").replace(":", "\\:")


def _line(text: str) -> str:
    return " ".join(text.split())
