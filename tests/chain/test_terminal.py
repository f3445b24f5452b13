"""What people see on a terminal: a real one, as far as a program can tell."""

import io
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from gravurekit import terminal
from gravurekit.progress import Tally
from gravurekit.terminal import Board

CRAWL = ("crawl", "kaftan", "red dress", "--source", "sample", "--per-keyword", "6", "--executor", "serial")


def on_a_terminal(*arguments: str, stdout: io.FileIO | None = None, cwd: Path) -> str:
    """All that the command line writes to the terminal, with its control sequences."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [sys.executable, "-m", "gravurekit", *arguments]
    process = subprocess.Popen(command, stdin=theirs, stdout=stdout or theirs, stderr=theirs, env=environment, cwd=cwd)
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # how a terminal says that everybody has left it
        pass
    finally:
        os.close(ours)
        assert process.wait() == 0
    return written.decode()


@pytest.mark.slow
def test_a_live_table_is_shown_and_leaves_room_for_the_results(tmp_path: Path) -> None:
    written = on_a_terminal(*CRAWL, cwd=tmp_path)
    live, _, results = written.rpartition("crawl: 12 in")
    assert re.search(r"keyword.*found.*a second.*left", live)
    assert "kaftan" in results and "red dress" in results and "in the folder" in results
    assert not re.search(r"\x1b\[\d*[AJK]", results), "nothing wipes the results away"


@pytest.mark.slow
def test_json_goes_where_it_is_sent_though_progress_is_on_a_terminal(tmp_path: Path) -> None:
    with open(tmp_path / "out.json", "wb", buffering=0) as file:
        written = on_a_terminal(*CRAWL, "--json", stdout=file, cwd=tmp_path)
    assert json.loads((tmp_path / "out.json").read_text())["kept"] > 0 and '"kept"' not in written


def shown(board: Board, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(board)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_a_board_tells_what_becomes_of_each_keyword(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    tallies = {"red dress": Tally(found=10), "[bold]blue[/bold]": Tally(state="bing: blocked")}
    board = Board(tallies)
    assert shown(board)[1].split()[:7] == ["red", "dress", "10", "0", "0", "0"][:7]
    clock[0] += 2
    tallies["red dress"].new, tallies["red dress"].known = 3, 1
    tallies["red dress"].failed = Counter({"http-404": 2})
    head, red, blue = shown(board)
    assert head.split() == ["keyword", "found", "new", "known", "duplicate", "failed", "a", "second", "left"]
    assert red.split() == ["red", "dress", "10", "3", "1", "0", "2", "http-404", "3.0", "1", "s"]
    assert blue.startswith("[bold]blue[/bold]") and blue.rstrip().endswith("bing: blocked")


def test_of_many_keywords_a_board_shows_those_at_work() -> None:
    tallies = {f"word {n}": Tally(found=1, new=1) for n in range(100)} | {"slow": Tally(found=2)}
    lines = shown(Board(tallies))
    assert len(lines) == 2 and lines[1].startswith("slow")


def test_a_word_of_the_web_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    tallies = {"dress\x1b[2J\x07": Tally(found=1, new=1)}
    assert "\x1b" not in "".join(shown(Board(tallies))) and "\x07" not in "".join(shown(Board(tallies)))
    terminal.MESSAGES.print("note: \x1b[2J\r :x:")
    told = capsys.readouterr().err
    assert not {"\x1b", "\r"} & set(told) and ":x:" in told


@pytest.mark.parametrize(("width", "cut"), [(130, False), (80, False), (60, True), (20, True)])
def test_words_beside_a_bar_take_its_room_and_leave_the_figures(
    width: int, cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = terminal.Screen(file=io.StringIO(), force_terminal=True, width=width, highlight=False, soft_wrap=True)
    monkeypatch.setattr(terminal, "MESSAGES", screen)
    words = "loss 0.0213, 36.2 pictures/s, waiting 1.5 %"
    with terminal.Bar() as bar:
        bar.begin("train", 2000)
        bar.advance(600)
        bar.say("\x1b[2J\r" + words[:4])
        bar.say(words)
        bar._display.refresh()  # type: ignore[union-attr]
        written = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.file.getvalue())  # type: ignore[attr-defined]
        line = re.split(r"[\r\n]", written.rstrip())[-1].rstrip()
    assert len(line) <= width and "\x1b[2J" not in screen.file.getvalue()  # type: ignore[attr-defined]
    if width >= 60:
        assert re.match(r"train \S+ +600/2000 ", line) and re.search(r"-:--:--|\d:\d\d:\d\d", line)
        assert (words in line) != cut and words[:8] in line and (not cut or line.endswith("…"))


def test_words_without_a_bar_are_passed_over() -> None:
    bar = terminal.Bar()
    bar.say("loss 1")
    bar.advance()
