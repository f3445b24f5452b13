"""The states of a training: the newest one, and some before it, should the newest be damaged."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gravurekit import storage
from gravurekit.errors import ModelError
from gravurekit.model.checkpoint import State, load_state, save_state
from gravurekit.model.distributed import Team
from gravurekit.model.learner import Learner
from gravurekit.model.network import NetworkConfig

STATE, EARLIER = "state.safetensors", "earlier"
SHARDS, INIT = "shards", "init"  # in `about`: digests of the shards' manifest, and of the model it began from


def save(folder: Path, learner: Learner, about: dict[str, Any], keep: int) -> None:
    """Write the newest state, and of those before it keep the last `keep` − 1. `about` holds its "step"."""
    newest, earlier = folder / STATE, folder / EARLIER
    if newest.exists() and keep > 1:
        # by when it was written, in lines of its own: its step can't be read without reading the whole file
        storage.link_or_copy(newest, earlier / f"{_next(earlier):08d}.safetensors")
    average = None if learner.average is learner.network else learner.average
    save_state(newest, learner.network, average, learner.optimizer, about)
    for path in _kept(earlier)[keep - 1 :]:
        storage.remove(path)


def _kept(earlier: Path) -> list[Path]:
    """The states before the newest, the youngest first."""
    return sorted(earlier.glob("*.safetensors"), reverse=True) if earlier.is_dir() else []


def _next(earlier: Path) -> int:
    numbers = [int(path.stem) for path in _kept(earlier) if path.stem.isdigit()]
    return 1 + max(numbers, default=0)


def newest(folder: Path) -> tuple[State | None, list[str]]:
    """The newest state that can be read, or None if there is none; and what is to be said of those that can't.

    Raises ModelError if there are states and none can be read.
    """
    paths = [path for path in (folder / STATE, *_kept(folder / EARLIER)) if path.exists()]
    faults: list[ModelError] = []
    for path in paths:
        try:
            state = load_state(path)
        except ModelError as error:
            faults.append(error)
            continue
        return state, [f"{fault}; it goes on from {path} instead" for fault in faults]
    if faults:
        raise faults[0]
    return None, []


def newest_of(team: Team, folder: Path) -> tuple[State | None, list[str]]:
    """The same for all processes of a team; only the first one reads the folder."""
    found, notes = newest(folder) if team.leads else (None, [])
    said = json.loads(team.told(json.dumps(found and [str(found.path), found.config.to_dict(), found.about])))
    if said is None:
        return None, notes
    tensors = team.handed_out(found.tensors if found else {})
    return State(Path(said[0]), tensors, NetworkConfig.from_dict(said[1]), said[2]), notes


def refuse_others(state: State, identity: Mapping[str, Any]) -> None:
    """Raises ModelError for a state that a training of this `identity` can't go on with."""
    old = state.about.get("identity")
    if not isinstance(old, dict) or not isinstance(state.about.get("step"), int):
        raise ModelError(f"{state.path} doesn't say whose it is; remove it, or choose another folder")
    if not isinstance(state.about.get("seen"), int):
        raise ModelError(
            f"{state.path} was saved by an earlier gravurekit, which took the pictures in another order; "
            "remove it to train from the beginning, or choose another folder"
        )
    if old.get(SHARDS) != identity[SHARDS]:
        raise ModelError(
            f"{state.path} has learnt from other shards: the shards changed since; "
            "train in a new folder, or put the old shards back"
        )
    differing = [
        f"{name}: {old.get(name)!r} → {identity.get(name)!r}"
        for name in sorted(old.keys() | identity.keys())
        if old.get(name) != identity.get(name)
    ]
    if differing:
        raise ModelError(
            f"{state.path} belongs to another training ({'; '.join(differing)}); "
            "go back to the old settings, or choose another folder"
        )
