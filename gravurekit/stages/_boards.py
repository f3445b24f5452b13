"""TensorBoard, where it is installed: the figures of a training and its panels, in `tensorboard/` of the run.

Nobody needs it: all figures are in `log.jsonl`, and `gravurekit report` draws them. The files are no part of a run's
receipt.
"""

import importlib.util
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import storage

if TYPE_CHECKING:
    import numpy as np

FOLDER = "tensorboard"
POINTS = 1000  # of a curve of steps, about


def opened(run: Path, note: Callable[[str], None]) -> "Boards | None":
    """What writes into the run's folder; None if TensorBoard isn't installed. `note` hears of one that is, and can't be
    used."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        note(f"TensorBoard is installed, but can't be used ({error}): {FOLDER}/ isn't written")
        return None
    return Boards(run / FOLDER, SummaryWriter)


class Boards:
    """Listens to a training, and writes what it hears. `kind` makes the writer, at the first report: only that says
    where the training begins, and what an ended run wrote of later steps is to be taken back."""

    def __init__(self, folder: Path, kind: Callable[..., Any]) -> None:
        self._folder, self._kind = folder, kind
        self._writer: Any = None

    def hear(self, report: Mapping[str, Any]) -> None:
        """One report of the trainer. Raises StorageError."""
        kind, step = report["kind"], report["step"]
        with storage.explained(self._folder):
            writer = self._opened(step - (kind != "feed"))
            if kind == "train" and step % max(1, report["steps"] // POINTS) and step != report["steps"]:
                return
            for name, value in report.items():
                if name not in ("step", "steps") and type(value) in (int, float) and math.isfinite(value):
                    writer.add_scalar(f"{kind}/{name}", value, step)

    def show(self, sheet: "np.ndarray", step: int) -> None:
        """A panel sheet, (h, w, 3) uint8 sRGB. Raises StorageError."""
        with storage.explained(self._folder):
            self._opened(step).add_image("panels", sheet, step, dataformats="HWC")

    def close(self) -> None:
        """All that was heard is on the disk. Raises StorageError."""
        if self._writer is not None:
            with storage.explained(self._folder):
                self._writer.close()
            self._writer = None

    def _opened(self, done: int) -> Any:
        """The writer; a new one takes back what is there of steps after those that are done."""
        if self._writer is None:
            storage.make_folder(self._folder)
            earlier = any(self._folder.iterdir())
            self._writer = self._kind(str(self._folder), purge_step=done + 1 if earlier else None)
        return self._writer
