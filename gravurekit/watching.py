"""How work tells of itself: on a terminal a bar or a live table, elsewhere a line now and then."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column, Table
from rich.text import Text

from gravurekit import figures, screen
from gravurekit.errors import Interrupted
from gravurekit.model.ranks import place
from gravurekit.progress import SILENT, Tally, Watch
from gravurekit.words import short

SHORTEST, LONGEST = 5, 40  # columns of a bar
FIRST, EVERY = 1.0, 30.0  # seconds from the beginning to the first line of a log, and from line to line
LATELY = 60.0  # seconds over which a rate is taken


class Board:
    """What becomes of each keyword, as a live table: it is drawn anew whenever it is looked at."""

    ROWS = 30  # of more keywords those are shown that are at work

    def __init__(self, tallies: Mapping[str, Tally]) -> None:
        self._tallies = tallies
        self._began: dict[str, tuple[float, int]] = {}  # when a keyword's first result was seen, and what was done then

    def __rich__(self) -> Table:
        names = ("keyword", "found", "new", "known", "duplicate", "failed", "rate", "left", "")
        now, rows = time.monotonic(), list(self._tallies.items())
        busy = [(word, tally) for word, tally in rows if tally.waiting or tally.state]
        shown = (rows if len(rows) <= self.ROWS else busy)[: self.ROWS]
        return screen.table(names, (self._row(word, tally, now) for word, tally in shown), ("keyword", "failed", ""))

    def _row(self, word: str, tally: Tally, now: float) -> list[screen.Cell]:
        done, since = self._progress(word, tally, now)
        left = figures.about(tally.waiting * since / done) if done and tally.waiting else ""
        numbers = (tally.found, tally.new, tally.known, tally.duplicate)
        return [
            name_of(word),
            *numbers,
            failures(tally),
            figures.rate(done, since),
            left,
            Text(screen.still(tally.state)),
        ]

    def _progress(self, word: str, tally: Tally, now: float) -> tuple[int, float]:
        """How much was done since the keyword was first looked at, and how long that is; nothing before a second."""
        done = tally.found - tally.waiting
        began, before = self._began.setdefault(word, (now, done))
        return (done - before, now - began) if now - began > 1 and tally.waiting else (0, 0.0)


def name_of(keyword: str) -> Text:
    """A keyword, which may be a book."""
    return Text(short(screen.still(keyword), 48))


def failures(tally: Tally) -> str:
    """How many failed, for which reasons."""
    failed = Counter(dict(tally.failed)) + Counter({"license": tally.refused})  # a copy: it changes meanwhile
    return ", ".join(f"{figures.number(count)} {reason}" for reason, count in failed.most_common())


class Bar:
    """A Watch on a terminal: a progress bar or a live table with rates and time left. One of them is there at a time,
    and none while results are printed, which it would wipe away."""

    def __init__(self) -> None:
        self._display: Progress | Live | None = None
        self._stretch = Stretch("", None)

    def rest(self) -> None:
        """Nothing is shown until other work begins."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def board(self, tallies: Mapping[str, Tally]) -> None:
        """A live table takes the place of what was shown before."""
        self._show(Live(Board(tallies), console=screen.MESSAGES, transient=True))

    def begin(self, what: str, total: int | None) -> None:
        """A bar takes the place of what was shown before."""
        self._stretch = Stretch(what, total)
        said = Column(no_wrap=True, overflow="ellipsis")
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(LONGEST),
            TextColumn("{task.fields[count]}", justify="right"),
            TextColumn("{task.fields[said]}", markup=False, table_column=said),
        )
        bar = Progress(*columns, console=screen.MESSAGES, transient=True)
        bar.add_task(f"{what:>16}", total=total, count=self._stretch.count, said="")
        self._show(bar)

    def advance(self, units: int = 1) -> None:
        """So many units more are done."""
        if isinstance(self._display, Progress):
            self._stretch.advance(units)
            (task,) = self._display.tasks
            self._display.update(task.id, advance=units, count=self._stretch.count)
            self._beside_the_bar()

    def say(self, text: str) -> None:
        """A few words beside the bar, in the place of the rate and of some of the bar; on a narrow terminal their end
        is cut off."""
        self._stretch.words = screen.still(text)
        self._beside_the_bar()

    def note(self, text: str) -> None:
        """A line above what is shown."""
        screen.MESSAGES.print(text)

    def _show(self, display: Progress | Live) -> None:
        self.rest()
        self._display = display
        display.start()

    def _beside_the_bar(self) -> None:
        if isinstance(self._display, Progress):
            (task,) = self._display.tasks
            name = task.description.strip() if self._stretch.words else task.description
            room = screen.MESSAGES.width - len(name) - len(self._stretch.count) - 4
            words = short(self._stretch.going, max(1, room - SHORTEST))
            for column in self._display.columns:
                if isinstance(column, BarColumn):
                    column.bar_width = max(SHORTEST, min(LONGEST, room - len(words)))
            self._display.update(task.id, description=name, said=words)


class Stretch:
    """A piece of work: how much there is, how much is done, how fast, and how long the rest will take."""

    def __init__(self, what: str, total: int | None) -> None:
        self.what, self.total = what, total
        self.words = ""
        self._done = 0
        self._began = time.monotonic()
        self._marks = deque([(self._began, 0)])  # when so much was done, of late

    def advance(self, units: int) -> None:
        """So many units more are done. What is done at once at the beginning was done by an earlier run."""
        now = time.monotonic()
        known = self._done == 0 and now - self._began < 0.1
        self._done += units
        if known:
            self._marks[0] = (now, self._done)
        elif now - self._marks[-1][0] >= 1:
            self._marks.append((now, self._done))
            if now - self._marks[0][0] > LATELY:
                self._marks.popleft()

    @property
    def count(self) -> str:
        """60/2,000; only what is done, if nobody knows how much there is."""
        if self.total is None:
            return figures.number(self._done) if self._done else ""
        return f"{figures.number(self._done)}/{figures.number(self.total)}"

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    @property
    def going(self) -> str:
        """How long it will take, and what its worker says of it or else the rate: on a narrow terminal the end is cut
        off."""
        began, before = self._marks[0]
        done, since = self._done - before, time.monotonic() - began
        left = ""
        if self.total is not None and done > 0 and self._done < self.total:
            left = f"{figures.about((self.total - self._done) * since / done)} left"
        pace = figures.rate(done, since) if since > 0.5 else ""
        return ", ".join(filter(None, (left if since > 0.5 else "", self.words or pace)))


class Log:
    """A Watch where nothing can be drawn over, in a file or the log of a cluster's job: a line once a stretch of work
    has taken a second, then one now and then."""

    def __init__(self, first: float = FIRST, every: float = EVERY) -> None:
        self._first, self._every = first, every
        self._stretch: Stretch | None = None
        self._over = threading.Event()
        self._teller: threading.Thread | None = None

    def rest(self) -> None:
        """No line until other work begins."""
        if self._teller is not None:
            self._over.set()
            self._teller.join()
            self._teller = None

    def board(self, tallies: Mapping[str, Tally]) -> None:
        """Now and then a line on all keywords together."""
        began = time.monotonic()
        self._begin(f"crawl: begins, {figures.number(len(tallies))} keywords", lambda: _all_of(tallies, began))

    def begin(self, what: str, total: int | None) -> None:
        """Now and then a line on this work."""
        stretch = self._stretch = Stretch(what, total)
        self._begin(
            f"{what}: begins{'' if total is None else f', {figures.number(total)} to do'}", lambda: _line(stretch)
        )

    def advance(self, units: int = 1) -> None:
        """So many units more are done."""
        if self._stretch:
            self._stretch.advance(units)

    def say(self, text: str) -> None:
        """A few words for the next line."""
        if self._stretch:
            self._stretch.words = screen.still(text)

    def note(self, text: str) -> None:
        """A line."""
        screen.MESSAGES.print(text)

    def _begin(self, beginning: str, line: Callable[[], str]) -> None:
        self.rest()
        over = self._over = threading.Event()

        def tell() -> None:
            if over.wait(self._first):
                return
            screen.MESSAGES.print(beginning)
            told = False
            while not over.wait(self._every):
                screen.MESSAGES.print(line())
                told = True
            if told:
                screen.MESSAGES.print(line())

        self._teller = threading.Thread(target=tell, daemon=True)
        self._teller.start()


def _line(stretch: Stretch) -> str:
    said = filter(None, (stretch.count, stretch.going, f"since {figures.duration(stretch.seconds)}"))
    return f"{stretch.what}: {', '.join(said)}"


def _all_of(tallies: Mapping[str, Tally], began: float) -> str:
    every = list(tallies.values())
    found, waiting = sum(tally.found for tally in every), sum(tally.waiting for tally in every)
    counts = [("new", sum(tally.new for tally in every)), ("known", sum(tally.known for tally in every)),
              ("duplicate", sum(tally.duplicate for tally in every)), ("waiting", waiting)]  # fmt: skip
    failed = sum(tally.failed.total() + tally.refused for tally in every)
    said = ", ".join(f"{figures.number(count)} {word}" for word, count in [*counts, ("failed", failed)] if count)
    since = time.monotonic() - began
    pace = figures.rate(found - waiting, since)
    left = f", {figures.about(waiting * since / (found - waiting))} left" if waiting and found > waiting else ""
    return f"crawl: {figures.number(found)} found{said and f': {said}'}{pace and f', {pace}'}{left}"


@contextmanager
def watching(quiet: bool) -> Iterator[Watch]:
    """What tells of progress: a bar, lines, or nothing; of several processes the one that leads tells. Ctrl-C inside
    becomes the error Interrupted."""
    watch: Watch = SILENT if quiet or not place().leads else Bar() if screen.MESSAGES.draws else Log()
    try:
        yield watch
    except KeyboardInterrupt:
        raise Interrupted from None
    finally:
        watch.rest()
