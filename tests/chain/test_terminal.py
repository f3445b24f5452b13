"""What people see on a terminal: a real one, as far as a program can tell."""

import io
import json
import math
import os
import pty
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from workspace import until

from gravurekit import screen
from gravurekit.progress import Tally
from gravurekit.watching import Bar, Board, Log, watching

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
    live, _, results = written.rpartition(": 12 in, ")
    results = re.sub(r"\x1b\[[0-9;]*m", "", results)
    assert re.search(r"keyword.*found.*rate.*left", live)
    assert (
        "kaftan" in results
        and "red dress" in results
        and re.search(r"keyword +found +new +known +duplicate +kept", results)
    )
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
    assert head.split() == ["keyword", "found", "new", "known", "duplicate", "failed", "rate", "left"]
    assert red.split() == ["red", "dress", "10", "3", "1", "0", "2", "http-404", "3.0/s", "1", "s"]
    assert blue.startswith("[bold]blue[/bold]") and blue.rstrip().endswith("bing: blocked")


def test_of_many_keywords_a_board_shows_those_at_work() -> None:
    tallies = {f"word {n}": Tally(found=1, new=1) for n in range(100)} | {"slow": Tally(found=2)}
    lines = shown(Board(tallies))
    assert len(lines) == 2 and lines[1].startswith("slow")


def test_a_word_of_the_web_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    tallies = {"dress\x1b[2J\x07": Tally(found=1, new=1)}
    assert "\x1b" not in "".join(shown(Board(tallies))) and "\x07" not in "".join(shown(Board(tallies)))
    screen.MESSAGES.print("note: \x1b[2J\r :x:")
    told = capsys.readouterr().err
    assert not {"\x1b", "\r"} & set(told) and ":x:" in told


class Terminal(io.StringIO):
    """A file that says that it is a terminal."""

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        """What was written, without control sequences."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.getvalue())


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[..., io.StringIO]:
    """Where messages go from now on: to a terminal of some width, or to a file."""

    def to(file: io.StringIO, width: int | None = None, **environment: str) -> io.StringIO:
        made = screen.Screen(file=file, width=width, highlight=False, soft_wrap=True, stderr=True, _environ=environment)
        monkeypatch.setattr(screen, "MESSAGES", made)
        return file

    return to


@pytest.mark.parametrize(("width", "cut"), [(130, False), (90, False), (60, True), (20, True)])
def test_words_beside_a_bar_take_its_room_and_leave_the_figures(
    width: int, cut: bool, written: Callable[..., Terminal]
) -> None:
    file = written(Terminal(), width, TERM="xterm")
    words = "loss 0.0213, 36.2 pictures/s, waiting 1.5 %"
    bar = Bar()
    bar.begin("train", 2000)
    bar.advance(600)
    bar.say("\x1b[2J\r" + words[:4])
    bar.say(words)
    bar._display.refresh()  # type: ignore[union-attr]
    line = re.split(r"[\r\n]", file.text.rstrip())[-1].rstrip()
    bar.rest()
    assert len(line) <= width and "\x1b[2J" not in file.getvalue()
    if width >= 60:
        assert re.match(r"train \S+ +600/2,000 ", line)
        assert (words in line) != cut and words[:8] in line and (not cut or line.endswith("…"))


def test_a_bar_tells_how_fast_and_how_long(written: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch) -> None:
    file, clock = written(Terminal(), 100, TERM="xterm"), [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    bar = Bar()
    bar.begin("draw", 12_000)
    bar.advance(9_000)  # of an earlier run: it counts for nothing
    for _ in range(10):
        clock[0] += 1
        bar.advance(10)
    bar._display.refresh()  # type: ignore[union-attr]
    bar.rest()
    assert "9,100/12,000" in file.text and "290 s left" not in file.text and "5 min left, 10.0/s" in file.text


def test_words_without_a_bar_are_passed_over() -> None:
    bar = Bar()
    bar.say("loss 1")
    bar.advance()
    bar.rest()


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_where_nothing_can_be_drawn_over_there_is_a_line_now_and_then(
    environment: dict[str, str], written: Callable[..., io.StringIO]
) -> None:
    file = written(Terminal() if "TERM" in environment else io.StringIO(), **environment)
    assert not screen.MESSAGES.draws
    log = Log(first=0.001, every=0.002)
    log.begin("draw", 2000)
    log.advance(600)
    assert until(lambda: file.getvalue().count("draw: 600/2,000") > 2)
    log.note("a note")
    log.say("loss 1")
    assert until(lambda: "loss 1" in file.getvalue())
    log.board({"kaftan": Tally(found=10, new=4, failed=Counter({"http-404": 2}))})
    assert until(lambda: "10 found: 4 new, 4 waiting, 2 failed" in file.getvalue())
    log.rest()
    lines = file.getvalue().splitlines()
    assert lines[0] == "draw: begins, 2,000 to do" and "a note" in lines and "crawl: begins, 1 keywords" in lines
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", file.getvalue())


def test_short_work_has_no_line_and_quiet_work_none_at_all(written: Callable[..., io.StringIO]) -> None:
    file = written(io.StringIO())
    with watching(quiet=False) as watch:
        assert isinstance(watch, Log)
        watch.begin("draw", 3)
        watch.advance(3)
    with watching(quiet=True) as watch:
        watch.begin("draw", 3)
        watch.note("a note")
    assert file.getvalue() == ""


def test_a_long_line_goes_on_below_on_a_terminal_and_stays_one_elsewhere(written: Callable[..., io.StringIO]) -> None:
    line = "  figure: " + ", ".join(f"{n} at 0.{n}" for n in range(9))
    written(there := Terminal(), 40, TERM="xterm")
    screen.MESSAGES.print(line)
    first, *rest = there.text.splitlines()
    assert first.startswith("  figure: 0 at 0.0") and rest and all(more.startswith("      ") for more in rest)
    assert " ".join(there.text.split()) == line.strip() and max(map(len, there.text.splitlines())) <= 40
    written(file := io.StringIO(), 40)
    screen.MESSAGES.print(line)
    assert file.getvalue() == line + "\n"


def test_json_has_no_nan_and_paths_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    screen.put_json({"loss": math.nan, "out": Path("a"), "rows": ({"x": math.inf},)})
    assert json.loads(capsys.readouterr().out) == {"loss": None, "out": "a", "rows": [{"x": None}]}


def test_a_table_has_its_numbers_at_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    screen.put_table(("word", "found", "why"), [("a", 1_234_567, "x"), ("bc", 2, "")], words=("word", "why"), indent=2)
    assert capsys.readouterr().out == "  word      found  why\n  a     1,234,567  x\n  bc            2\n"


def test_a_table_that_a_terminal_has_no_room_for_is_told_as_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names, rows = ("network", "ΔE alone", "ratio"), [("told nothing", "21.89 (21.30 to 22.40)", "0.5")]
    written = {}
    for width in (80, 30, 20):
        monkeypatch.setattr(screen, "WIDEST", width)
        screen.put_table(names, rows, words=names[:1], wraps=names[1:])
        written[width] = capsys.readouterr().out
    assert written[80].splitlines()[1] == "told nothing  21.89 (21.30 to 22.40)    0.5"
    assert max(map(len, written[30].splitlines())) <= 30 and "(21.30" in written[30].split()
    assert written[20] == "told nothing: ΔE alone 21.89 (21.30 to 22.40), ratio 0.5\n"
