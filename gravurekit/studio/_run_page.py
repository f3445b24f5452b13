"""One training as its report shows it: figures, faults, charts, and which panels there are.

Done by a worker process: logs may be long, and charts are matplotlib's.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gravurekit.audit import Fault
from gravurekit.errors import DataError, PictureError
from gravurekit.reports import _curves, _panels, _run
from gravurekit.reports._content import below
from gravurekit.reports._panels import Panel
from gravurekit.reports._run import Content
from gravurekit.studio._trainings import Condition, condition_of, leads_out, signature_of
from gravurekit.words import clean, short

NONE_WHILE_RUNNING = {"running", "stale-lock", "left-over"}  # faults that are none while a training goes on
WORDS = 120  # characters of a figure that are shown


@dataclass(frozen=True)
class Chart:
    """A drawing: an <svg>, and what is said of it."""

    name: str
    title: str
    about: str
    svg: str


@dataclass(frozen=True)
class Sheet:
    """A panel sheet: its step, what is said of it, and `made`, another word when it was made anew."""

    step: int
    said: str
    made: str


@dataclass(frozen=True)
class Drawn:
    """A training as it is shown. `wrong`: one of its faults stands in its way; `rows`: whose pictures its panels show;
    `validated`: the last step that was, with its score, in words; `seconds`: of a processor's time that this took."""

    signature: str
    condition: Condition
    headline: list[tuple[str, str]]
    knobs: list[tuple[str, str]]
    faults: list[str]
    wrong: bool
    charts: list[Chart]
    panels: list[Sheet]
    rows: list[str]
    validated: str
    seconds: float


def draw(run: Path) -> Drawn:
    """All that is shown of a training. Its signature is of before it was read, so what came meanwhile shows as well.
    Raises DataError for a run that can't be shown: a newer gravurekit made it, or its files lie elsewhere."""
    import matplotlib.backends.backend_svg  # noqa: F401 (the second that this takes is no cost of the training)

    began, signature = time.process_time(), signature_of(run)
    if away := leads_out(run):
        raise DataError(f"{away} of {run.name} is a link out of its folder: put the file itself there")
    content = _run.read(run)
    condition = condition_of(run, bool(content.log.spoilt))
    panels, faults = _sheets(content)
    faults += [fault for fault in content.faults if condition != "running" or fault.kind not in NONE_WHILE_RUNNING]
    charts = [Chart(plot.name, plot.title, plot.about, plot.svg()) for plot in _curves.plots(content.log)]
    return Drawn(
        signature,
        condition,
        _fit(content.headline),
        _fit(content.knobs.items()),
        [_without_place(fault, run) for fault in faults],
        not all(fault.minor for fault in faults),
        charts,
        panels,
        [clean(short(row)) for row in content.rows],
        _validated(content),
        time.process_time() - began,
    )


def _fit(words: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(clean(short(name, WORDS)), clean(short(value, WORDS))) for name, value in words]


def _without_place(fault: Fault, run: Path) -> str:
    """A fault in words. Where the run lies, who sees it knows."""
    return clean(str(fault).replace(f"{run}/", "").replace(str(run), run.name))


def _validated(content: Content) -> str:
    score = content.log.curve("validation", "score")
    return content.said_at(score.last[0]) if score else ""


# ---- panels --------------------------------------------------------------------------------------------


def _sheets(content: Content) -> tuple[list[Sheet], list[Fault]]:
    """The panels that there are, and what stands in the way of seeing them."""
    try:
        steps = _panels.steps(content.path)
    except OSError as error:
        what = f"{content.path / _panels.PANELS} can't be read ({error.strerror})"
        return [], [Fault("panels", what, "allow it", minor=True)]
    sheets = []
    for step in steps:
        with suppress(FileNotFoundError):  # of many every second goes, maybe in this very moment
            made = os.lstat(_panels.path_of(content.path, step)).st_mtime_ns
            sheets.append(Sheet(step, content.said_at(step), f"{made:x}"))
    return sheets, []


def panel(task: tuple[Path, int]) -> Panel:
    """The panel sheet of a training at a step, as a JPEG. Raises PictureError if there is none that can be shown."""
    run, step = task
    path = _panels.path_of(run, step)
    found = _panels.at(run, step) if below(run, f"{_panels.PANELS}/{path.name}") else Panel(step, fault="it is a link")
    if found.fault:
        raise PictureError("panel", f"the panel of step {step:,} isn't shown: {found.fault}")
    return found
