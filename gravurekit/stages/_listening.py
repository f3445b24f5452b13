"""Who listens to a training: the bar of a terminal, TensorBoard, and the panels that it is asked to draw.

Nothing is made ready before the trainer's first report: of several processes only the one that leads reports.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit.progress import Watch
from gravurekit.stages import _boards

if TYPE_CHECKING:
    from gravurekit.model.network import ColorizationNetwork
    from gravurekit.stages._panels import Panels

WORDS = {"delta_e": "ΔE", "delta_e_palette": "told its palette", "delta_e_grey": "grey"}  # of a validation


@dataclass(frozen=True)
class Shown:
    """What panels show of the training in `run`: so many `samples` of the shards in `source`, their checksums proved if
    `check`, and prints in the folder `prints`, if there is one."""

    run: Path
    source: Path
    samples: int
    prints: Path | None
    check: bool


class Listener:
    """Hears each report of a trainer (`hear`), and is shown its network (`look`). To be closed at the end."""

    def __init__(self, watch: Watch, shown: Shown) -> None:
        self._watch, self._shown = watch, shown
        self._step = 0
        self._begun = False
        self._boards: _boards.Boards | None = None
        self._panels: Panels | None = None

    def hear(self, report: dict[str, Any]) -> None:
        """One report of the trainer. Raises StorageError; at the first one also what `_panels.prepare` does."""
        if not self._begun:
            self._begin(report)
        self._watch.advance(report["step"] - self._step)
        self._step = report["step"]
        if report["kind"] == "feed":
            self._watch.note(f"train: {report['said']}")
        elif report["kind"] == "train":
            self._watch.say(_going(report))
        elif report["kind"] == "validation":
            self._watch.note(_examined(report))
        if self._boards:
            self._boards.hear(report)

    def look(self, network: "ColorizationNetwork", step: int) -> None:
        """Draw the panels. Raises StorageError."""
        if self._panels:
            sheet = self._panels.look(network, step)
            if self._boards:
                self._boards.show(sheet, step)

    def close(self) -> None:
        """All that was heard is on the disk. Raises StorageError."""
        if self._boards:
            self._boards.close()

    def _begin(self, report: dict[str, Any]) -> None:
        self._begun = True
        if "steps" in report:
            self._watch.begin("train", report["steps"])
        self._boards = _boards.opened(self._shown.run, self._watch.note)
        self._panels = _panels_of(self._shown, self._watch.note)


def _panels_of(shown: Shown, note: Callable[[str], None]) -> "Panels | None":
    if not shown.samples and shown.prints is None:
        return None
    from gravurekit.stages._panels import prepare

    return prepare(shown.run, shown.source, shown.samples, shown.prints, shown.check, note)


def _going(report: dict[str, Any]) -> str:
    """How it is going, in few words."""
    said = [f"loss {report.get('loss', report.get('colour_loss', 0)):.4f}"]
    if "samples_per_second" in report:
        rate = report["samples_per_second"]
        said.append(f"{rate:,.{0 if rate >= 100 else 1}f} pictures/s")
    if "waiting" in report:
        said.append(f"waiting {100 * report['waiting']:.1f} %")
    return ", ".join(said)


def _examined(report: dict[str, Any]) -> str:
    """What a validation found."""
    figures = [f"{word} {report[name]:.2f}" for name, word in WORDS.items() if report.get(name) is not None]
    figures = figures or [f"ab error {report['ab_error']:.2f}"]
    return f"step {report['step']}: {', '.join(figures)}, loss {report['loss']:.4f} on held-back pictures"
