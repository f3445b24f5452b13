"""What people see: progress and notes on stderr, results on stdout."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from gravurekit import reference
from gravurekit.doctor import Diagnosis, text
from gravurekit.errors import Interrupted, may_pass
from gravurekit.folder import Summary
from gravurekit.metadata import DROPPED
from gravurekit.objects import shown
from gravurekit.pipeline import Prospect
from gravurekit.progress import SILENT, Tally, Watch
from gravurekit.receipt import RECEIPT
from gravurekit.reference import Knob
from gravurekit.reports import Report
from gravurekit.reports.credits import Credits
from gravurekit.stages import crawl, evaluate_colours
from gravurekit.stages.evaluate import Evaluation
from gravurekit.stages.forget import Forgotten
from gravurekit.words import clean, short


class Screen(Console):
    """Where people read. No text moves its cursor or changes its colours, whoever wrote it."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's, without markup and without words that become pictures (`:x:`)."""
        calm = (still(shown(item)) if isinstance(item, str) else item for item in objects)
        super().print(*calm, **({"markup": False, "emoji": False} | options))


def still(text: str) -> str:
    return clean(text).replace("\r", " ")


RESULTS = Screen(highlight=False, soft_wrap=True)
WIDEST = 200  # columns of a table whose output isn't a terminal
DEVIATIONS = 10  # figures of texture that are told
FIGURES = 14  # columns beside a bar: the time left, a stroke, and the gaps
SHORTEST, LONGEST = 5, 40  # columns of a bar
NARROW = 72  # columns; on a terminal of fewer a table says less than lines
MESSAGES = Screen(stderr=True, highlight=False, soft_wrap=True)


class Board:
    """What becomes of each keyword, as a live table: it is drawn anew whenever it is looked at."""

    ROWS = 30  # of more keywords those are shown that are at work

    def __init__(self, tallies: Mapping[str, Tally]) -> None:
        self._tallies = tallies
        self._began: dict[str, tuple[float, int]] = {}  # when a keyword's first result was seen, and what was done then

    def __rich__(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("keyword", "found", "new", "known", "duplicate", "failed", "a second", "left", ""):
            table.add_column(name, justify="left" if name in ("keyword", "failed", "") else "right")
        now, rows = time.monotonic(), list(self._tallies.items())
        busy = [(word, tally) for word, tally in rows if tally.waiting or tally.state]
        for word, tally in (rows if len(rows) <= self.ROWS else busy)[: self.ROWS]:
            rate = self._rate(word, tally, now)
            left = f"{tally.waiting / rate:.0f} s" if rate and tally.waiting else ""
            speed = f"{rate:.1f}" if rate else ""
            numbers = (str(count) for count in (tally.found, tally.new, tally.known, tally.duplicate))
            table.add_row(_word(word), *numbers, _failed(tally), speed, left, Text(still(tally.state)))
        return table

    def _rate(self, word: str, tally: Tally, now: float) -> float:
        done = tally.found - tally.waiting
        began, before = self._began.setdefault(word, (now, done))
        return (done - before) / (now - began) if now - began > 1 and tally.waiting else 0.0


def _word(text: str) -> Text:
    """A keyword, which may be a book."""
    return Text(short(still(text), 48))


def _failed(tally: Tally) -> str:
    """How many failed, for which reasons."""
    failed = Counter(dict(tally.failed)) + Counter({"license": tally.refused})  # a copy: it changes meanwhile
    return ", ".join(f"{count} {reason}" for reason, count in failed.most_common())


class Bar:
    """A Watch: a progress bar or a live table with rates and time left when stderr is a terminal, else only the
    notes. One of them is there at a time, and none while results are printed, which it would wipe away."""

    def __init__(self) -> None:
        self._display: Progress | Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()

    def _show(self, display: Progress | Live) -> None:
        self.rest()
        if MESSAGES.is_terminal:
            self._display = display
            display.start()

    def rest(self) -> None:
        """Nothing is shown until other work begins."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def board(self, tallies: Mapping[str, Tally]) -> None:
        """A live table takes the place of what was shown before."""
        self._show(Live(Board(tallies), console=MESSAGES, transient=True))

    def begin(self, what: str, total: int | None) -> None:
        """A bar takes the place of what was shown before."""
        columns = (
            "{task.description}",
            BarColumn(LONGEST),
            MofNCompleteColumn(),
            "{task.fields[rate]}",
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        )
        bar = Progress(*columns, console=MESSAGES, transient=True)
        bar.add_task(f"{what:>16}", total=total, rate="", said="")
        self._show(bar)

    def advance(self, units: int = 1) -> None:
        """So many units more are done."""
        if isinstance(self._display, Progress):
            (task,) = self._display.tasks
            self._display.advance(task.id, units)
            rate = f"{task.speed:.1f}/s" if task.speed and not task.fields["said"] else ""
            self._display.update(task.id, rate=rate)

    def say(self, text: str) -> None:
        """A few words beside the bar, in the place of the rate and of some of the bar; on a narrow terminal their end
        is cut off."""
        if isinstance(self._display, Progress):
            (task,) = self._display.tasks
            name = task.description.strip()
            room = MESSAGES.width - len(name) - 2 * len(str(task.total or 0)) - FIGURES
            words = short(still(text), max(1, room - SHORTEST))
            for column in self._display.columns:
                if isinstance(column, BarColumn):
                    column.bar_width = max(SHORTEST, min(LONGEST, room - len(words)))
            self._display.update(task.id, description=name, said=words, rate="")

    def note(self, text: str) -> None:
        """A line above what is shown."""
        MESSAGES.print(text)


def show(summary: Summary, as_json: bool) -> None:
    """One line a stage, or one JSON object, on stdout."""
    if as_json:
        sys.stdout.write(shown(json.dumps(asdict(summary) | {"out": str(summary.out)})) + "\n")
        return
    RESULTS.print(_line(summary))
    for file in summary.facts.get("files", []):
        RESULTS.print(f"  {summary.out / file}")
    if "quarantined" in summary.dropped:
        RESULTS.print(f"  quarantined: {summary.out / DROPPED} says why; without {RECEIPT} there they are tried again")
    if "keywords" in summary.facts:
        _show_keywords(summary)
    if "relevance" in summary.facts:
        _show_relevance(summary)


def _show_keywords(summary: Summary) -> None:
    """What came of each keyword of a crawl, and of each search that brought nothing."""
    console = RESULTS if RESULTS.is_terminal else Screen(highlight=False, width=WIDEST)
    table = Table(box=None, pad_edge=False, header_style="")
    for name in ("  keyword", "found", "new", "known", "duplicate", "in the folder", "failed"):
        table.add_column(name, justify="left" if name in ("  keyword", "failed") else "right", no_wrap=name != "failed")
    for word, counts in summary.facts["keywords"].items():
        tally = Tally(**{name: counts[name] for name in ("found", "new", "known", "duplicate", "refused")})
        tally.failed.update(counts["failed"])
        if summary.fresh:  # what was new then is known now
            tally.known, tally.new = tally.known + tally.new, 0
        numbers = (str(n) for n in (tally.found, tally.new, tally.known, tally.duplicate, counts["kept"]))
        table.add_row(_word(f"  {word}"), *numbers, _failed(tally))
    console.print(table, crop=False)
    for word, outcomes in summary.facts["searches"].items():
        for source, outcome in outcomes.items():
            if outcome != "found":
                RESULTS.print(f"  {source}, {word!r}: {outcome}")
    again = {reason for counts in summary.facts["keywords"].values() for reason in counts["failed"]}
    # 403 is what some hosts say when they mean 429
    if passing := sorted(reason for reason in again if may_pass(reason) or reason in ("http-403", "not-asked")):
        RESULTS.print(f"  to ask again: --retry failed:{','.join(passing)}")


def show_results(prospects: Iterable[crawl.Prospect], as_json: bool) -> None:
    """What a crawl would fetch, a URL a line on stdout; as JSON with all that is known of each. Of the others only
    their number is told, on stderr."""
    states: Counter[str] = Counter()
    for prospect in prospects:
        states[prospect.state] += 1
        if as_json:
            line = asdict(prospect) | asdict(prospect.result)
            sys.stdout.write(json.dumps({name: value for name, value in line.items() if name != "result"}) + "\n")
        elif prospect.state == "new":
            RESULTS.print(prospect.result.url)
    said = ", ".join(f"{count} {state}" for state, count in states.items())
    MESSAGES.print(f"{states.total()} results: {said}")


def _show_relevance(summary: Summary) -> None:
    """What a cut by each score would drop."""
    if "examples auc" in summary.facts:
        RESULTS.print(f"  examples that weren't learnt from are told apart with AUC {summary.facts['examples auc']}")
    for name, about in summary.facts["relevance"].items():
        counts = ", ".join(f"{count} at {cut}" for cut, count in about["would drop"].items())
        said = f"cut at {about['cut']:g}" if about["cut"] else f"no cut (--min-{name})"
        RESULTS.print(f"  {name}: {said}; of all pictures lie below: {counts}")


def _line(summary: Summary) -> str:
    if summary.stage == "train":
        head = f"train: {summary.kept} pictures"
        if not summary.fresh:
            head += f", {summary.facts['samples_per_second']} a second on {summary.facts['device']}"
            head += f" ({100 * summary.facts['waiting']:.1f} % of the time waiting for them)"
    elif off := summary.facts.get("largest difference"):
        head = f"{summary.stage}: the network; onnxruntime is at most {off['ab']:.1g} ab units from torch"
    else:
        came = f"{summary.came} in"
        if photographs := summary.facts.get("photographs"):  # each was drawn several times
            came = f"{photographs} photographs × {summary.came // photographs}"
        head = f"{summary.stage}: {came}, {summary.kept} kept"
    if summary.dropped:
        reasons = ", ".join(f"{reason} {count}" for reason, count in summary.dropped.items())
        head += f", {sum(summary.dropped.values())} dropped ({reasons})"
    if summary.stage == "shard":
        head += f"; {', '.join(f'{split} {count}' for split, count in summary.facts['samples'].items())}"
    when = "fresh" if summary.fresh else f"{summary.seconds:.1f} s"
    return f"{head} → {summary.out} [{when}]"


def show_table(done: Sequence[Summary]) -> None:
    """A line a stage on stdout, in columns: what came, what stayed, how long it took, what was dropped why."""
    console = RESULTS if RESULTS.is_terminal else Screen(highlight=False, width=WIDEST)
    if console.width < NARROW:
        for item in done:
            show(item, as_json=False)
        return
    table = Table(box=None, pad_edge=False, header_style="")
    for name in ("stage", "in", "kept", "seconds", "per second", "", "out", "dropped"):
        number = name in ("in", "kept", "seconds", "per second")
        table.add_column(name, justify="right" if number else "left", no_wrap=name not in ("out", "dropped"))
    for item in done:
        reasons = ", ".join(f"{reason} {count}" for reason, count in item.dropped.items())
        dropped = f"{sum(item.dropped.values())}: {reasons}" if reasons else "0"
        seconds, rate = f"{item.seconds:.1f}", f"{item.came / max(item.seconds, 1e-3):.1f}"
        if item.stage == "train":  # of its pictures each is seen many times
            rate = str(item.facts["samples_per_second"])
        state = "fresh" if item.fresh else ""
        table.add_row(item.stage, str(item.came), str(item.kept), seconds, rate, state, shown(str(item.out)), dropped)
    console.print(table, crop=False)
    for item in done:
        for file in item.facts.get("files", []):
            RESULTS.print(f"  {item.out / file}")


def show_prospect(prospect: Prospect, as_json: bool) -> None:
    """What a stage would do, and why, on stdout."""
    if as_json:
        line = {"stage": prospect.stage, "out": shown(str(prospect.out)), "fresh": not prospect.reasons}
        sys.stdout.write(json.dumps(line | {"reasons": prospect.reasons}) + "\n")
        return
    said = f"would run: {'; '.join(prospect.reasons)}" if prospect.reasons else "fresh"
    RESULTS.print(f"{prospect.stage:<9} {said}")


def show_file(path: Path) -> None:
    """The name of a file that was written, on stdout."""
    RESULTS.print(str(path))


def show_made(path: Path, as_json: bool) -> None:
    """The file that was made instead of a folder, on stdout."""
    if as_json:
        sys.stdout.write(json.dumps({"out": str(path)}) + "\n")
    else:
        show_file(path)


def show_knobs(knobs: Sequence[Knob], as_json: bool) -> None:
    """The settings in force, on stdout: a settings file with the origin of each value, or a JSON object a line."""
    lines = [json.dumps(asdict(knob)) for knob in knobs]
    sys.stdout.write("".join(line + "\n" for line in lines) if as_json else reference.shown(knobs))


def show_report(made: Report, as_json: bool) -> None:
    """Where the page is, and what it shows, on stdout."""
    if as_json:
        plots = {"plots": [str(path) for path in made.plots]} if made.plots else {}
        told = {"out": str(made.out), "kind": made.kind} | dict(made.facts) | plots
        sys.stdout.write(shown(json.dumps(told)) + "\n")
        return
    RESULTS.print(f"report: {made.said} → {made.out}")
    for path in made.plots:
        RESULTS.print(f"  {path}")


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    """A head, and a line a row: words first, then numbers."""
    console = RESULTS if RESULTS.is_terminal else Screen(highlight=False, width=WIDEST)
    table = Table(box=None, pad_edge=False, header_style="")
    for n, name in enumerate(lines[0] if lines else ()):
        table.add_column(name, justify="left" if n == 0 else "right", no_wrap=n == 0)
    for cells in lines[1:]:
        table.add_row(*(Text(still(cell)) for cell in cells))
    if lines:
        console.print(table, crop=False)


def show_evaluation(made: Evaluation, lines: Sequence[Sequence[str]], as_json: bool) -> None:
    """The figures of a style beside those of controls and books, what is wrong with its texture, and where the report
    is, on stdout."""
    if as_json:
        sys.stdout.write(json.dumps(asdict(made) | {"out": str(made.out), "sheet": str(made.sheet)}) + "\n")
        return
    _print_table(lines)
    for item in made.deviations[:DEVIATIONS]:
        if item.outside:
            RESULTS.print(f"  {item.name}: {item.value:+.2f} sd; books {item.least:+.2f} to {item.most:+.2f}")
    for name in made.doubts:
        RESULTS.print(f"  not to be believed: {name!r} does as well as a book in both J and T")
    RESULTS.print(f"evaluate: {made.style.pictures} drawings of {made.style.name} → {made.out}, {made.sheet}")


def show_colours(made: evaluate_colours.Evaluation, as_json: bool) -> None:
    """The figures of a network's colours beside those who know none, and where the report is, on stdout."""
    if as_json:
        told = evaluate_colours.as_json(made) | {"out": str(made.out), "sheet": str(made.sheet)}
        sys.stdout.write(json.dumps(told) + "\n")
        return
    for name, part in {"held-back samples": made.samples, **made.prints}.items():
        RESULTS.print(name or "real prints")
        _print_table(evaluate_colours.table(part))
    _print_table(evaluate_colours.gains_table(made.samples))
    _print_table(evaluate_colours.curve_table(made.samples))
    for line in evaluate_colours.notes(made):
        RESULTS.print(f"  {line}")
    pictures = len(made.samples.pictures)
    RESULTS.print(f"evaluate: {made.run} on {pictures} samples → {made.out}, {made.sheet}")


def show_credits(made: Credits, as_json: bool) -> None:
    """How many pictures have which licence, and where that is written, on stdout."""
    if as_json:
        sys.stdout.write(json.dumps(asdict(made) | {"files": [str(file) for file in made.files]}) + "\n")
        return
    counts = [f"{name} {count}" for name, count in made.licenses.items()]
    if made.unknown:
        counts.append(f"no known licence {made.unknown}")
    RESULTS.print(f"credits: {made.pictures} pictures ({', '.join(counts)})")
    for file in made.files:
        RESULTS.print(f"  {file}")


def show_forgotten(made: Forgotten, as_json: bool) -> None:
    """What went from where, and what can't be taken back, on stdout."""
    if as_json:
        sys.stdout.write(shown(json.dumps(asdict(made))) + "\n")
        return
    _print_table([tuple(map(shown, line)) for line in made.table])
    for line in made.lines:
        RESULTS.print(line)


def show_diagnosis(diagnosis: Diagnosis, as_json: bool) -> None:
    """What doctor found, on stdout."""
    sys.stdout.write(shown(json.dumps(asdict(diagnosis)) if as_json else text(diagnosis)))
    sys.stdout.write("\n")


def complain(text: str) -> None:
    """An error on stderr."""
    MESSAGES.print(f"gravurekit: {text}", style="red")


def workspace_file(given: Path | None) -> Path | None:
    """The settings file: the one that was named, or ./gravurekit.toml if there is one."""
    default = Path("gravurekit.toml")
    return given or (default if default.is_file() else None)


@contextmanager
def watching(quiet: bool) -> Iterator[Watch]:
    """What tells of progress: a bar, or nothing. Ctrl-C inside becomes the error Interrupted."""
    try:
        if quiet:
            yield SILENT
        else:
            with Bar() as bar:
                yield bar
    except KeyboardInterrupt:
        raise Interrupted from None
