"""Every verb, and every flag that asks for something else than its work, on every kind of stdout and stderr."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from colouring import engraved, write_run
from typer.testing import Result

from gravurekit import cli, images
from gravurekit.instead import CALIBRATE, DRY_RUN, EXPLAIN, MATCH, PREVIEW, VERIFY
from gravurekit.storage import write_bytes

Run = Callable[..., Result]

PAGE = Path(__file__).parents[2] / "docs" / "terminal.md"
CARTOON = ("--style", "cartoon", "--short-side", "64")
SERIAL = ("--executor", "serial")
CALLS = {
    "init": ("init", "here"),
    "crawl": ("crawl", "kaftan", "--source", "sample", "--per-keyword", "2", "--out", "found", *SERIAL),
    "crawl --dry-run": ("crawl", "kaftan", "--source", "sample", "--per-keyword", "2", "--dry-run", "--out", "found"),
    "filter": ("filter", "photos", "kept", "--relevance", "none", *SERIAL),
    "filter --explain": ("filter", "raw", "clean", "--relevance", "none", "--explain", "KEY"),
    "filter --calibrate": ("filter", "raw", "clean", "--relevance", "none", "--calibrate", "photos", *SERIAL),
    "stylize": ("stylize", "photos", "drawn", *CARTOON, *SERIAL),
    "stylize --preview": ("stylize", "--preview", "photos/0.png", *CARTOON),
    "shard": ("shard", "styled", "tensors", "--size", "32", *SERIAL),
    "shard --verify": ("shard", "--verify", "shards", *SERIAL),
    "colorize": ("colorize", "photos/0.png", "--model", "run"),
    "run": ("run", "--from", "filter", "--to", "filter"),
    "run --dry-run": ("run", "--from", "filter", "--to", "shard", "--dry-run"),
    "report": ("report", "clean", "--limit", "1", *SERIAL),
    "export": ("export", "imagefolder", "photos", "given", *SERIAL),
    "credits": ("credits", "clean", "--out", "credits"),
    "forget": ("forget", "KEY", "--dry-run"),
    "settings": ("settings", "crawl"),
    "doctor": ("doctor", "--offline"),
}
SLOW = {"filter --calibrate", "doctor", "crawl"}  # they take seconds
MODES = {
    "a file": {},
    "colours": {"FORCE_COLOR": "1"},
    "no colours": {"NO_COLOR": "1"},
    "a terminal": {"TERM": "xterm"},
    "a dumb terminal": {"TERM": "dumb"},
    "another alphabet": {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"},
}


def marked(names: Sequence[str]) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in names]


@pytest.fixture
def place(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace to do all that in, with two prints and a network."""
    here = tmp_path / "workspace"
    shutil.copytree(world, here)
    for n in range(2):
        write_bytes(here / "photos" / f"{n}.png", images.encode_png(engraved(n, 200, 150)))
    write_run(here / "run")
    (here / "gravurekit.toml").write_text("[filter]\nrelevance = 'none'\n")
    monkeypatch.chdir(here)
    return here


def words(name: str, place: Path) -> list[str]:
    """The words of a call, with the key of a picture in it."""
    first = json.loads((place / "clean" / "metadata.jsonl").read_text("utf-8").splitlines()[0])
    return [first["key"] if word == "KEY" else word for word in CALLS[name]]


def names_of(call: str) -> set[str]:
    """The names that the page promises of a call."""
    rows = [line.split("|")[1:4] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    (told,) = [
        told for calls, _, told in rows if f"`{call}`" in calls.replace("`run` ", "`run`") and "`--" not in calls
    ]
    return set(re.findall(r"`(\w+)`", told)) if "the same" not in told else names_of("filter")


def test_every_verb_and_every_flag_that_asks_for_something_else_is_tried() -> None:
    flags = {"crawl": [DRY_RUN], "filter": [EXPLAIN, CALIBRATE], "stylize": [PREVIEW, MATCH], "shard": [VERIFY]}
    asked = {f"{verb} --{item.flag.name.replace('_', '-')}" for verb, items in flags.items() for item in items}
    # a training, a fit and an evaluation take their time, a studio ends when it is ended: each has tests of its own
    assert {*cli.VERBS, *asked} - set(CALLS) == {"train", "evaluate", "studio", "stylize --match"}


@pytest.mark.parametrize("name", marked(list(CALLS)))
def test_quiet_json_is_all_that_is_written(name: str, place: Path, gravurekit: Run) -> None:
    os.chdir(place)
    result = gravurekit(*words(name, place), "--json", "--quiet")
    assert (result.exit_code, result.stderr) == (0, "") and result.stdout.isascii()
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert told and all(names_of(name) <= set(line) for line in told)


@pytest.mark.parametrize("name", marked(list(CALLS)))
def test_people_are_told_on_stdout_and_of_quiet_work_nothing_else(name: str, place: Path, gravurekit: Run) -> None:
    os.chdir(place)
    result = gravurekit(*words(name, place), "--quiet")
    assert (result.exit_code, result.stderr) == (0, "") and result.stdout.endswith("\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f]| \n", result.stdout), "no control characters, no blanks at the end"


def run(command: Sequence[str], place: Path, mode: str, columns: int = 80) -> tuple[int, str, str]:
    """The program in a process of its own: exit code, what came on stdout and on stderr."""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "TERM")}
    environment |= MODES[mode]
    program = [sys.executable, "-m", "gravurekit", *command]
    if "terminal" not in mode:
        done = subprocess.run(program, cwd=place, env=environment, capture_output=True, check=False)
        return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    process = subprocess.Popen(program, cwd=place, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # how a terminal says that everybody has left it
        pass
    os.close(ours)
    return process.wait(), written.decode().replace("\r\n", "\n"), ""


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["filter", "report", "run", "settings", "shard --verify", "doctor", "forget"])
def test_each_place_gets_what_it_can_show(name: str, mode: str, place: Path) -> None:
    code, out, err = run(words(name, place), place, mode)
    assert code == 0 and out and "Traceback" not in out + err
    if mode == "a terminal":
        lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.rpartition("\r")[2]).splitlines()
        assert name in ("settings", "doctor") or max(map(len, lines)) <= 80
    elif mode != "colours":
        assert "\x1b" not in out + err and "\r" not in out + err
    else:
        assert not re.search(r"\x1b\[\d*[AJKl]", out + err), "colours, but nothing is drawn over"


@pytest.mark.slow
def test_the_results_of_a_narrow_terminal_are_lines(place: Path) -> None:
    command = ["run", "--from", "filter", "--to", "filter"]
    assert "filter: " in re.sub(r"\x1b\[[0-9;]*m", "", run(command, place, "a terminal", columns=60)[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{} settings | head -1", None),  # whether it has written before nobody reads is a matter of luck
        ("{} settings --json | (exec <&-; sleep 3)", 141),
        ("{} --help | (exec <&-; sleep 1)", 141),
        ("{} settings >&-", 0),
        ("{} filter raw clean --relevance none 2>&-", 0),
        ("{} filter raw clean --relevance none >&- 2>&- <&-", 0),
        ("{} nonsense 2>&-", 2),
        ("{} filter raw clean --relevance none 2> >(true)", 0),
        ("{} filter $'caf\\xe9'", 2),
        ("LC_ALL=C {} filter 'café'", 2),
    ],
)
def test_pipes_that_are_closed_end_it_quietly(line: str, code: int | None, place: Path) -> None:
    script = f"set -o pipefail; {line.format(f'{sys.executable} -m gravurekit')}"
    done = subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, check=False)
    said = done.stderr.decode()
    assert "Traceback" not in said and "Broken" not in said and "Exception" not in said
    assert done.returncode == code or (code is None and done.returncode in (0, 141))


@pytest.mark.slow
def test_an_alphabet_without_arrows_gets_what_it_has(place: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "gravurekit", "credits", "clean", "--out", "credits"]
    assert subprocess.run(command, cwd=place, env=environment, capture_output=True, check=True).stdout.isascii()
    command = [sys.executable, "-m", "gravurekit", "filter", "raw", "clean", "--relevance", "none"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, check=True)
    assert b" -> clean [fresh]" in done.stdout
