"""The pages in docs/: their fenced blocks, their commands, the flags that they name."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gravurekit

REPOSITORY = Path(gravurekit.__file__).parents[1]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]

_FENCE = re.compile(r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.M | re.S)
_COMMAND = re.compile(r"(?:^|\$ |-m |/bin/|&& )gravurekit (?=[a-z-])")
_MARK = "\x1e"  # between the outputs of two commands


@dataclass(frozen=True)
class Block:
    """A fenced block: in which language, of which file, and what it says."""

    language: str
    title: str
    text: str


@dataclass(frozen=True)
class Step:
    """A command as a page shows it, and the lines that it shows below it."""

    command: str
    shown: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    return [Block(found["language"], found["title"] or "", found["text"]) for found in _FENCE.finditer(read(page))]


def steps(page: Path) -> list[Step]:
    """What a page's ```console blocks show: commands, which begin with "$ ", and what came of each."""
    lines = [line for block in blocks(page) if block.language == "console" for line in block.text.splitlines()]
    assert lines and lines[0].startswith("$ "), f"{page.name}: a console block begins with a command"
    starts = [n for n, line in enumerate(lines) if line.startswith("$ ")]
    return [
        Step(lines[start].removeprefix("$ "), tuple(lines[start + 1 : end]))
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]


def read(page: Path) -> str:
    return page.read_text("utf-8")


def commands(page: Path) -> Iterator[list[str]]:
    """The words behind `gravurekit` of each command that a page names, in code of any kind, without comments."""
    text = re.sub(r" *\\\n *", " ", read(page))
    inline = re.findall(r"`gravurekit ([a-z-][^`]*)`", text)
    indented = re.findall(r"^    +(\S.*)$", text, re.M)
    shells = [found["text"] for found in _FENCE.finditer(text) if found["language"] in ("console", "sh")]
    lines = [line for line in (*indented, *"\n".join(shells).splitlines()) if _COMMAND.search(line)]
    for found in [*inline, *(_COMMAND.split(line, maxsplit=1)[1] for line in lines)]:
        yield re.split(r"\s#", found)[0].split()


def play(found: list[Step], folder: Path, package: Path = REPOSITORY) -> list[str]:
    """Give the commands of a page in one shell, in `folder`, with the gravurekit that lies in `package`; what each of
    them wrote. Fails at the first one that fails."""
    script = ['set -e; gravurekit() { "$PYTHON" -m gravurekit "$@"; }']
    for step in found:
        script += [f"printf '{_MARK}'", step.command]
    surroundings = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(package), "COLUMNS": "120"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=folder, env=surroundings, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    wrote = done.stdout.split(_MARK)[1:]
    last = found[len(wrote) - 1].command if wrote else "nothing"
    assert done.returncode == 0, f"{last} ended with {done.returncode}: {wrote[-1:]}"
    return wrote
