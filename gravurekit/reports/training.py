"""The page of a run: one HTML file with its curves, what it was made of, its panels over the steps, and where its
pictures came from.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gravurekit.errors import UsageError
from gravurekit.metadata import owner_of
from gravurekit.progress import Watch
from gravurekit.receipt import receipt_if_any
from gravurekit.reports import Report, _curves, _page, _panels, _run, _runlog
from gravurekit.reports._gallery import as_json
from gravurekit.reports._panels import PANELS, ROWS, Panel
from gravurekit.reports._run import CARD, LOG, STATE, Content, figure
from gravurekit.reports._sections import Table
from gravurekit.reports._thumbs import Inside

__all__ = ["CARD", "LOG", "PANELS", "ROWS", "STATE", "fits", "write"]

COUNTED = {"Licences": "licenses", "Sources": "sources", "Labels": "labels"}


def fits(path: Path) -> bool:
    """Whether the folder is a training's: by its marker, its receipt, or, where both are lost, its log."""
    if owner := owner_of(path):
        return owner == "train"
    receipt = receipt_if_any(path)
    return receipt.plan.stage == "train" if receipt else _runlog.begins_as_log(path / LOG)


def write(run: Path, out: Path, panels: int, png: bool, watch: Watch) -> Report:
    """Write the page of the run `run` to `out`, with so many of its panels at most; with `png` its plots besides.

    Raises UsageError if there is no such folder, or `out` is somebody else's; DataError if a newer gravurekit made it.
    """
    _page.refuse_to_overwrite(out)
    if not run.is_dir():
        raise UsageError(f"{run}: no such folder")
    watch.begin("curves", None)
    content = _run.read(run)
    plots = list(_curves.plots(content.log))
    watch.begin("panels", None)
    shown = list(_panels.read(run, panels))
    page = {
        "content": content, "eyebrow": "Report · training", "kind": "train", "plots": plots,
        "figures": _figures(content),
        "tables": list(_tables(content)), "panels": [_told(panel, content) for panel in shown], "as_json": as_json,
        "wrong": "Something is wrong with this training, or it isn't finished",
    }  # fmt: skip
    _page.write(out, "training.html", page, ("panels.js",))
    written = _page.write_plots(_page.files_of(out), plots if png else [])
    best = content.best[0] if content.best else None
    step, steps = content.log.step, content.steps
    facts = {"step": step, "steps": steps, "best_step": best, "charts": len(plots), "panels": len(shown)}
    of = f" of {steps}" if steps else ""
    marked = f", best at {best}" if best is not None else ""
    return Report(out, "run", f"step {step}{of}{marked}; {len(plots)} charts, {len(shown)} panels", facts, written)


def _told(panel: Panel, content: Content) -> dict[str, Any]:
    """A panel as the script knows it, with the score of its step."""
    said = content.said_at(panel.step)
    if panel.fault:
        return {"said": said, "fault": f"The panel of step {panel.step:,} isn't shown: {panel.fault}"}
    return {"said": said, "src": Inside().put(panel.jpeg), "width": panel.width, "height": panel.height}


def _figures(content: Content) -> Table | None:
    """All figures of the log."""
    rows: list[list[str | int]] = [
        [
            name,
            kind,
            figure(curve.last[1]),
            figure(curve.least[1]),
            curve.least[0],
            figure(curve.most[1]),
            curve.most[0],
        ]
        for kind, name, curve in content.figures
    ]
    head = ("figure", "of", "last", "lowest", "at step", "highest", "at step")
    return Table("All figures", head, rows) if rows else None


def _tables(content: Content) -> Iterator[Table]:
    """Where the pictures came from."""
    if not content.splits:
        return
    head = ("split", "samples", "pictures", "drawings of one, at most")
    yield Table("Splits", head, [
        [name, said["samples"], said["pictures"], said["variants"]] for name, said in content.splits.items()
    ])  # fmt: skip
    for caption, what in COUNTED.items():
        if rows := content.counted(what):
            lines: list[list[str | int]] = [[name or "not known", *counts] for name, counts in rows]
            yield Table(caption, (caption.lower(), *content.splits), lines)
