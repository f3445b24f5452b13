"""How things look where people read: results on stdout, all else on stderr; tables, JSON, errors."""

import json
import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from gravurekit.errors import NobodyReads
from gravurekit.figures import number
from gravurekit.objects import shown
from gravurekit.words import clean

NARROW = 72  # columns; on a terminal of fewer a table says less than lines
HANGING = 4  # columns by which the rest of a long line is further in
WIDEST = 200  # columns of a table whose output isn't a terminal
UNBOUNDED = 100_000

Cell = str | int | Text


class Screen(Console):
    """Where people read. No text moves its cursor or changes its colours, whoever wrote it."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's, without markup and without words that become pictures (`:x:`). On a terminal a long line goes on
        below, further in; elsewhere it stays one."""
        calm = (Text(still(shown(item))) if isinstance(item, str) else item for item in objects)
        fitting = (self._fitted(item) if isinstance(item, Text) else item for item in calm)
        super().print(*fitting, **({"markup": False, "emoji": False} | options))

    def _fitted(self, text: Text) -> Text:
        if not self.draws:
            return text
        return Text("\n").join(self._broken(line) for line in text.split("\n", allow_blank=True))

    def _broken(self, line: Text) -> Text:
        indent = " " * (len(line.plain) - len(line.plain.lstrip()) + HANGING)
        if line.cell_len <= self.width or len(indent) > self.width // 2:
            return line
        parts = line.wrap(self, self.width - len(indent))
        for part in parts:
            part.rstrip()
        return Text(f"\n{indent}").join(parts)

    @property
    def is_seen(self) -> bool:
        """Whether this is a terminal; FORCE_COLOR makes none."""
        tells = getattr(self.file, "isatty", None)
        return bool(tells and tells())

    @property
    def draws(self) -> bool:
        """Whether a line can be drawn over: on a terminal that isn't a dumb one."""
        return self.is_seen and self.is_terminal and not self.is_dumb_terminal

    def on_broken_pipe(self) -> None:
        """Nobody reads any more. Without a reader of results there is nothing to work for; without one of progress
        there is."""
        if not self.stderr:
            raise NobodyReads
        self.file = open(os.devnull, "w", encoding="utf-8")


RESULTS = Screen(highlight=False, soft_wrap=True)
MESSAGES = Screen(stderr=True, highlight=False, soft_wrap=True)


def still(text: str) -> str:
    """`text` on one line, with nothing in it that a terminal obeys."""
    return clean(text).replace("\r", " ")


def put(text: str) -> None:
    """`text` as it is, on stdout."""
    RESULTS.file.write(text)


def put_json(told: Mapping[str, Any]) -> None:
    """A JSON object on a line of its own, on stdout. It is ASCII, whatever the terminal; paths are text; what isn't a
    number in JSON (nan) is null."""
    put(shown(json.dumps(_plain(told), default=str, allow_nan=False)) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def tell(verb: str, said: str, where: object = "", when: str = "") -> None:
    """What came of a verb, on one line of stdout: who, what, where it is, how long it took."""
    where = f" → {where}" if where else ""
    when = f" [{when}]" if when else ""
    line = Text(still(shown(f"{verb}: {said}{where}{when}")))
    line.stylize("bold", 0, len(verb))
    RESULTS.print(line)


def table(
    names: Sequence[str], rows: Iterable[Sequence[Cell]], words: Collection[str], wraps: Collection[str] = ()
) -> Table:
    """A head, and a line a row; the columns `words` begin at the left, numbers end at the right. The columns `wraps`
    are broken into lines, between words, where there is no room."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    cells = [[_cell(item) for item in row] for row in rows]
    for n, name in enumerate(names):
        justify: Literal["left", "right"] = "left" if name in words else "right"
        texts = [name, *(row[n].plain for row in cells)]
        least = max((cell_len(word) for text in texts for word in text.split()), default=0) if name in wraps else None
        made.add_column(Text(name), justify=justify, no_wrap=name not in wraps, overflow="fold", min_width=least)
    for row in cells:
        made.add_row(*row)
    return made


def _cell(item: Cell) -> Text:
    if isinstance(item, Text):
        return item
    return Text(number(item) if isinstance(item, int) else still(shown(item)))


def put_table(
    names: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    words: Collection[str],
    wraps: Collection[str] = (),
    indent: int = 0,
) -> None:
    """A `table` on stdout, `indent` columns from its edge; on a terminal that is too narrow for it, rows as text."""
    console = RESULTS if RESULTS.is_seen else Screen(highlight=False, width=WIDEST)
    room, some = max(1, console.width - indent), list(rows)
    made = table(names, some, words, wraps)
    if Measurement.get(console, console.options.update(max_width=UNBOUNDED), made).minimum > room:
        for row in some:
            _put_row(names, row, " " * indent)
        return
    with console.capture() as captured:
        console.print(made, crop=False, width=room)
    lines = (" " * indent + line.rstrip() for line in captured.get().splitlines())
    put("".join(line + "\n" for line in lines))


def _put_row(names: Sequence[str], row: Sequence[Cell], indent: str) -> None:
    first, *others = (_cell(item).plain for item in row)
    said = (f"{name} {text}" for name, text in zip(names[1:], others, strict=True) if text)
    RESULTS.print(f"{indent}{first}: {', '.join(said)}")


def complain(text: str) -> None:
    """An error on stderr."""
    MESSAGES.print(f"gravurekit: {text}", style="red")
