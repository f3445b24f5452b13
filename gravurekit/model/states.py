"""The states of a training: the newest one, and some before it, should the newest be damaged; and the best network.

    state.safetensors   the newest state
    earlier/STEP.safetensors   those before it, as long as the training isn't over
    best.safetensors    the network with the best score so far: a model file

Each is written aside and renamed, so a kill or a full disk leaves what was there before.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gravurekit import storage
from gravurekit.errors import ModelError
from gravurekit.model.checkpoint import Damaged, State, about_model, load_state, save_state, step_of
from gravurekit.model.distributed import Team
from gravurekit.model.learner import Learner
from gravurekit.model.network import NetworkConfig

STATE, EARLIER, BEST = "state.safetensors", "earlier", "best.safetensors"
SHARDS, INIT = "shards", "init"  # in `about`: digests of the shards' manifest, and of the model it began from
FACTS = {"step": int, "seen": int, "validated": int, "losses": dict, "best": dict, "identity": dict}  # of `about`


def save(folder: Path, learner: Learner, about: dict[str, Any], keep: int) -> None:
    """Write the newest state, and of those before it keep the last `keep` − 1. `about` holds its "step"."""
    newest, earlier = folder / STATE, folder / EARLIER
    step = step_of(newest) if newest.is_file() else None
    if keep > 1 and step is not None:  # whose header is damaged, is no help
        storage.link_or_copy(newest, _named(earlier, step))
    average = None if learner.average is learner.network else learner.average
    save_state(newest, learner.network, average, learner.optimizer, about)
    for path in (*_kept(earlier)[keep - 1 :], *earlier.glob(f"*{storage.ASIDE}")):  # half written by a killed one
        storage.remove(path)


def settle(folder: Path) -> None:
    """The training is over: nobody will go back to an earlier state."""
    storage.remove(folder / EARLIER)


def _named(earlier: Path, step: int) -> Path:
    return earlier / f"{step:08d}.safetensors"


def _kept(earlier: Path) -> list[Path]:
    """The states before the newest, the youngest first."""
    found = [path for path in earlier.glob("*.safetensors") if path.stem.isdigit()] if earlier.is_dir() else []
    return sorted(found, key=lambda path: int(path.stem), reverse=True)


def newest(folder: Path) -> tuple[State | None, list[str]]:
    """The newest state that is whole, or None if there is none; and what is to be said of those that aren't.

    Raises ModelError if there are states and none is whole, or if the newest whole one is another gravurekit's.
    """
    paths = [folder / STATE, *_kept(folder / EARLIER)]
    faults: list[str] = []
    for path in paths:
        if not path.exists():
            faults += [f"{path} is missing"] if len(paths) > 1 else []
            continue
        try:
            state = load_state(path)
        except Damaged as error:
            faults.append(error.what)
            continue
        return state, [f"{fault}: going on from {path}" for fault in faults]
    if not faults:
        return None, []
    these = f"{folder / STATE}" + (f" and {folder / EARLIER}" if len(paths) > 1 else "")
    raise ModelError(
        f"no state is whole ({'; '.join(faults)}); remove {these} to train from the beginning, or choose another folder"
    )


def put_first(folder: Path, state: State) -> None:
    """From now on `state` is the newest one: those after it are damaged."""
    if state.path == folder / STATE:
        return
    storage.link_or_copy(state.path, folder / STATE)
    for path in _kept(folder / EARLIER):
        if int(path.stem) >= int(state.path.stem):
            storage.remove(path)


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
    about, old = state.about, state.about.get("identity")
    if isinstance(old, dict) and "seen" not in about:
        raise ModelError(
            f"{state.path} was saved by an earlier gravurekit, which took the pictures in another order; "
            "remove it to train from the beginning, or choose another folder"
        )
    if not isinstance(old, dict) or not _says_all(about):
        raise ModelError(f"{state.path} doesn't say whose it is; remove it, or choose another folder")
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


def _says_all(about: Mapping[str, Any]) -> bool:
    """Whether the facts are there that a training goes on from."""
    if not all(type(about.get(name)) is kind for name, kind in FACTS.items()):
        return False
    best = about["best"]
    return not best or all(isinstance(best.get(name), int | float) for name in ("step", "score", "since"))


def best_of(folder: Path, about: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What a state says of the best network so far, if that is there; and what is to be said if it isn't.

    Raises ModelError if it is damaged, or not of this training: the user decides whether to go on without it.
    """
    best, path = dict(about["best"]), folder / BEST
    if not best:
        return {}, ""
    if not path.exists():
        return {}, f"{path} is missing: the best network after step {about['step']} will take its place"
    try:
        whose = about_model(path).get("training")
        step = whose.get("step") if isinstance(whose, dict) else None
        # a later one than the state knows of was found in steps that will be done again
        known = step == best.get("step") or (isinstance(step, int) and step > about["validated"])
        fault = "" if known else f"{path} isn't the best network of this training"
    except Damaged as error:
        fault = error.what
    if fault:
        raise ModelError(
            f"{fault}; remove it to go on with the best network after step {about['step']}, or remove "
            f"{folder / STATE} and {folder / EARLIER} as well to train from the beginning"
        )
    return best, ""
