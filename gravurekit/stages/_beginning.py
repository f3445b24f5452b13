"""What a training begins from (`train --init`): a trained network, and whose pictures that one had learned from.

learned_before.jsonl   a line for each sample that the network had learned from, before this training
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import folder, metadata, storage
from gravurekit.errors import DataError, UsageError
from gravurekit.shards import INHERITED, LEARNED, index

if TYPE_CHECKING:
    from gravurekit.model.network import ColorizationNetwork

INIT = "init"  # the side input
MODEL = "model.safetensors"  # as model/trainer.py has it, which needs torch
PLACE = ("split", "shard", "row", "crc32")  # of the facts of the index
TOLD = ("licenses", "sources", "shards", "before")  # of what a model says of itself


@dataclass(frozen=True)
class Beginning:
    """A trained `network`, on the CPU; `about`: what the model that is made of it tells of it."""

    network: "ColorizationNetwork"
    about: dict[str, Any]


def file_of(run: Path) -> Path:
    """The file of the network of a run, or the model file itself. Raises UsageError if there is none."""
    path = run / MODEL if run.is_dir() else run
    if path.is_file():  # opening a pipe would wait for ever
        return path
    if metadata.owner_of(run) == "train":
        raise UsageError(f"--init {run}: that training isn't finished; finish it first, or name {run}/best.safetensors")
    raise UsageError(f"--init {run}: no model file there; name the folder of a finished training, or a model file")


def digest_of(run: Path) -> str:
    """The sha256 of that file."""
    return folder.side_digest(file_of(run), INIT)


def read(run: Path, sha256: str) -> Beginning:
    """The network, whose file has that digest. Raises ModelError if it is damaged or too new, DataError if it has
    become another one."""
    from gravurekit.model import checkpoint

    network, about = checkpoint.load_model(file_of(run), "cpu")
    if digest_of(run) != sha256:
        raise DataError(f"{run} was made anew while the training began: run the same command again")
    before = {name: about[name] for name in TOLD if name in about}
    return Beginning(network, {INIT: sha256, "before": before})


def inherit(run: Path, out: Path) -> str:
    """Write into the training `out` whose pictures the network of `run` had learned from; what is to be said if nobody
    knows. Raises DataError if that list is damaged."""
    home = run if run.is_dir() else run.parent
    lists = [home / name for name in (INHERITED, LEARNED) if (home / name).exists()]
    if lists:
        storage.write_lines(out / INHERITED, _lines(lists))
    elif not (out / INHERITED).exists():  # of an earlier start
        return f"{home} doesn't say whose pictures that network had learned from ({LEARNED}): credits will lack them"
    return ""


def _lines(lists: list[Path]) -> Iterator[str]:
    """Each sample once, whichever of the lists has it; where it lay in its shards is of no use any more."""
    seen: set[str] = set()
    for path in lists:
        for entry in index.read(path, ("key",)):
            line = json.dumps({name: value for name, value in entry.items() if name not in PLACE}, ensure_ascii=False)
            if line not in seen:
                seen.add(line)
                yield line
