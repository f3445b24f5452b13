"""What there is to hand over of a training: its network, and whose pictures that learned from."""

from pathlib import Path
from typing import Any

from gravurekit import audit, metadata, storage
from gravurekit import settings as base
from gravurekit.errors import DataError, UsageError
from gravurekit.exports import Layout
from gravurekit.progress import Watch
from gravurekit.reports import credits
from gravurekit.shards import INHERITED, LEARNED
from gravurekit.stages._handing import Stock

MODEL = "model.safetensors"  # as model/trainer.py has it, which needs torch
LISTS = (INHERITED, LEARNED)


def is_run(source: Path) -> bool:
    """Whether `source` is a training, or a folder that holds a trained network."""
    return metadata.owner_of(source) == "train" or (source / MODEL).exists()


def read(source: Path) -> Stock:
    """What a Plan says of the run `source`. Raises UsageError if it is none, DataError if it isn't finished or isn't
    whole."""
    if not source.is_dir():
        raise UsageError(f"{source}: no such folder; name the folder of a training, runs/NAME")
    if not is_run(source):
        raise UsageError(f"{source} is no training, and this format is of trained networks: name runs/NAME")
    if faults := audit.inspect(source).grave:
        raise DataError("\n  ".join(str(fault) for fault in faults))
    if not (source / MODEL).is_file():  # a receipt would have missed it
        raise DataError(f"{source / MODEL} is missing: put it back, or run `gravurekit train` again")
    inputs = {name: metadata.file_sha256(source / name) for name in (MODEL, *_lists(source))}
    return Stock("train", Layout(()), {}, inputs)


def write(craft: Any, source: Path, out: Path, knobs: base.Settings, watch: Watch) -> tuple[list[str], dict[str, Any]]:
    """Write the network into the folder `out`, with the lists of whose pictures it learned from and with credits: the
    names of all files, and the figures that are told. Raises ModelError for one that can't be used, and DataError for
    lists that are damaged."""
    names, figures = craft.convert(source / MODEL, out, knobs)
    for name in _lists(source):
        storage.copy(source / name, out / name)
        names.append(name)
    if (source / LEARNED).is_file():
        names += [file.name for file in credits.write(source, out).files]
    else:
        watch.note(f"{source} doesn't say whose pictures its network learned from ({LEARNED}): {out} has no credits")
    return names, figures


def _lists(source: Path) -> list[str]:
    return [name for name in LISTS if (source / name).is_file()]
