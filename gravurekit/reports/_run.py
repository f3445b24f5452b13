"""What a run holds, as far as it can be read: a training that hasn't ended, or is damaged, is shown as well."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gravurekit.audit import Fault, inspect
from gravurekit.receipt import Receipt, receipt_if_any
from gravurekit.reports import _page, _panels, _runlog
from gravurekit.reports._runlog import Curve, RunLog

# names that a training has; model/ and stages/ define them
LOG, STATE, CARD = "log.jsonl", "state.safetensors", "data.json"
NAMED = 8  # pictures of a step whose loss was no number
ROW_LIMIT = 30  # of a table
BIGGEST = 1 << 24  # bytes of a card


@dataclass(frozen=True)
class Content:
    """What a run holds. `knobs`: its settings as they were said; `seen`: the pictures that
    the last saved state has seen, if no receipt tells; `rows`: whose pictures the panels show."""

    path: Path
    receipt: Receipt | None
    log: RunLog
    card: dict[str, Any]
    knobs: dict[str, str]
    seen: int
    rows: list[str]
    faults: list[Fault]

    @property
    def name(self) -> str:
        return self.path.resolve().name or str(self.path)

    @property
    def steps(self) -> int:
        """The steps that there will be; 0 if nobody can tell. Settings may say how often each picture is seen
        instead."""
        epochs, batch = _number(self.knobs.get("epochs")), _whole(self.knobs.get("batch"))
        if epochs and batch and self.learnt_from:
            return max(1, math.ceil(epochs * self.learnt_from / min(batch, self.learnt_from)))
        return 0 if epochs else _whole(self.knobs.get("steps"))

    @property
    def learnt_from(self) -> int:
        """The number of samples; 0 if nobody can tell."""
        return int(self.splits.get("train", {}).get("samples", 0))

    @property
    def pictures_seen(self) -> int:
        """How many samples the network has been shown, each as often as it was; 0 if nobody can tell."""
        said = self.log.said.get("seen")
        if type(said) is int:
            return said
        batch = _whole(self.knobs.get("batch"))
        counted = self.log.step * (min(batch, self.learnt_from) if self.learnt_from else batch)
        return max(counted, self.seen)

    @property
    def best(self) -> tuple[int, float] | None:
        """The step with the lowest score, and that score."""
        score = self.log.curve("validation", "score")
        return score.least if score else None

    def said_at(self, step: int) -> str:
        """A step in words, with its score if it was validated."""
        score = self._scores.get(step)
        return f"step {step:,}" + (f" (score {figure(score)})" if score is not None else "")

    @cached_property
    def _scores(self) -> dict[int, float]:
        score = self.log.curve("validation", "score")
        return dict(score.points) if score else {}

    @property
    def headline(self) -> list[tuple[str, str]]:
        """What one wants to know first, each with its name."""
        return list(_headline(self))

    @property
    def figures(self) -> list[tuple[str, str, Curve]]:
        """All figures of the log: of what, their name, and their curve."""
        return [(kind, name, curve) for kind in reversed(_runlog.KINDS) for name, curve in
                sorted(self.log.curves[kind].items())]  # fmt: skip

    @cached_property
    def splits(self) -> dict[str, dict[str, Any]]:
        """What the card tells of each split."""
        found = self.card.get("splits")
        splits = found.items() if isinstance(found, dict) else ()
        return {name: numbers for name, numbers in splits if name in ("train", "val", "test") and _is_tally(numbers)}

    def counted(self, what: str) -> list[tuple[str, list[int]]]:
        """How many samples of each split have each label, licence or source, the most frequent first; those that there
        is no room for together."""
        counts: dict[str, list[int]] = {}
        for column, numbers in enumerate(self.splits.values()):
            for name, count in numbers[what].items():
                if type(count) is int:
                    counts.setdefault(name, [0] * len(self.splits))[column] = count
        rows = sorted(counts.items(), key=lambda row: (-sum(row[1]), row[0]))
        rest = rows[ROW_LIMIT:]
        together = [sum(column) for column in zip(*(numbers for _, numbers in rest), strict=True)]
        return rows[:ROW_LIMIT] + ([(f"{len(rest)} others", together)] if rest else [])


def _is_tally(numbers: Any) -> bool:
    """Whether it is what a data card tells of a split."""
    return (
        isinstance(numbers, dict)
        and all(type(numbers.get(name)) is int for name in ("samples", "pictures", "variants"))
        and all(isinstance(numbers.get(name), dict) for name in ("labels", "licenses", "sources"))
    )


def _whole(word: str | None) -> int:
    return int(word) if word and re.fullmatch(r"\d{1,15}", word) else 0


def _number(word: str | None) -> float:
    return float(word) if word and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", word) else 0.0


def read(run: Path) -> Content:
    """Look a run over. Raises DataError if a newer gravurekit made it."""
    receipt = receipt_if_any(run)
    faults = list(inspect(run).faults)
    return _told(run, receipt, _log(run / LOG, faults, bool(receipt)), faults)


def outline(run: Path, step: int) -> Content:
    """What a run says of itself in few bytes, its log unread, but for the last `step` that is in it, and its files not
    looked over. Raises DataError if a newer gravurekit made it."""
    return _told(run, receipt_if_any(run), RunLog({kind: {} for kind in _runlog.KINDS}, step), [])


def _told(run: Path, receipt: Receipt | None, log: RunLog, faults: list[Fault]) -> Content:
    card = _card(run / CARD, faults)
    about = {} if receipt else _state(run / STATE)
    knobs = _page.knobs(receipt.plan) if receipt else about.get("knobs", {})
    return Content(run, receipt, log, card, knobs, about.get("seen", 0), list(_panels.rows(run)), faults)


def _log(path: Path, faults: list[Fault], finished: bool) -> RunLog:
    log = RunLog({kind: {} for kind in _runlog.KINDS})
    try:
        log = _runlog.read(path)
    except OSError as error:
        faults.append(Fault("log", f"{path} can't be read ({error.strerror})", "allow it, and make the report again"))
        return log
    if not path.is_file() and finished:
        faults.append(Fault("log", f"{path} is missing", "put it back: nothing else tells of the curves"))
    if log.torn:
        what = f"{log.torn} line{'s' * (log.torn != 1)} of {path} can't be read"
        faults.append(Fault("torn", what, "what they told isn't shown here", minor=True))
    if log.spoilt:
        faults.append(_spoilt(log.spoilt))
    for lost in log.lost:
        times = f"{lost.steps} logged step{'s' * (lost.steps != 1)}, first at step {lost.first:,}"
        what = f"{lost.name} ({lost.kind}) was no finite number at {times}"
        faults.append(Fault("lost", what, "the line has a gap there", minor=True))
    return log


def _spoilt(line: dict[str, Any]) -> Fault:
    named = line.get("pictures")
    names = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    seen = f", which saw {', '.join(names[:NAMED])}{', …' * (len(names) > NAMED)}" if names else ""
    what = f"the training ended: its loss or weights were no finite numbers at step {line['step']:,}{seen}"
    return Fault("spoilt", what, "train anew with a smaller learning rate or precision fp32")


def _card(path: Path, faults: list[Fault]) -> dict[str, Any]:
    """The data card; an empty one if there is none, or none that can be read."""
    if not path.is_file():  # opening a pipe would wait for ever
        return {}
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(BIGGEST))
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        faults.append(Fault("card", f"{path} can't be read", "run `gravurekit train` again, which makes it anew"))
        return {}
    return found


def _state(path: Path) -> dict[str, Any]:
    """What the saved state of an unfinished training says of its settings and how much it has seen; only the header of
    the file is read, and what doesn't say it says nothing."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return {}
    try:
        with safe_open(path, "numpy") as file:
            about = json.loads(file.metadata()["gravurekit"])["about"]
        identity = {str(name): value for name, value in about["identity"].items() if not isinstance(value, dict)}
        seen = about.get("seen")
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    knobs = {name.removeprefix("recipe."): _page.said(value) for name, value in identity.items()}
    return {"knobs": knobs, "seen": seen if type(seen) is int else 0}


# ---- what is said of it --------------------------------------------------------------------------------


def _headline(content: Content) -> Iterator[tuple[str, str]]:
    log, receipt = content.log, content.receipt
    of = f" of {content.steps:,}" if content.steps else ""
    yield "steps", f"{log.step:,}{of}"
    if seen := content.pictures_seen:
        yield "pictures seen", f"{seen:,}"
    if seen and content.learnt_from:
        yield f"each of {content.learnt_from:,} samples", f"{seen / content.learnt_from:,.1f} times"
    if content.best:
        step, score = content.best
        yield "best step", f"{step:,} (score {figure(score)})"
    for name, (title, percent) in HEADLINES.items():
        if curve := log.curve("validation", name):
            yield title, _percent(curve.last[1]) if percent else f"{curve.last[1]:.2f}"
    if (rate := log.curve("train", "samples_per_second")) and rate.last[1] > 0:
        yield "speed", f"{figure(rate.last[1])} pictures/s"
    if waiting := log.curve("train", "waiting"):
        yield "waiting for pictures", _percent(waiting.last[1])
    device, precision = (log.said.get(name) for name in ("device", "precision"))
    if isinstance(device, str):
        yield "on", f"{device}, {precision}" if isinstance(precision, str) else device
    seconds = receipt.measured.get("seconds") if receipt else None
    if isinstance(seconds, int | float) and seconds > 0:
        yield "last run took", _duration(seconds)
    if log.begun > 1:
        yield "begun again", f"{log.begun - 1} time{'s' * (log.begun != 2)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


# figures of the last validation that the headline names: in words, and whether they are shares
HEADLINES: Mapping[str, tuple[str, bool]] = {
    "delta_e": ("ΔE2000", False),
    "delta_e_palette": ("ΔE2000 with the own palette", False),
    "delta_e_grey": ("ΔE2000 of grey", False),
    "ab_error": ("ab error", False),
    "chroma_ratio": ("chroma ratio", False),
    "top1": ("class right", True),
}


def figure(value: float) -> str:
    """A figure in words: four digits that count."""
    if value != value:
        return "–"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"
