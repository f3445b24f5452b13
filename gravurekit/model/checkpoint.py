"""Model and training-state files: safetensors with one JSON entry in the header. No pickle.

    model.safetensors   weights; config; `about` (where the weights come from)
    state.safetensors   weights, their average, optimizer tensors; config; `about` (step, recipe, …)

A file is replaced by rename, so a kill leaves the old one or the new one. A digest over the tensors catches
what happens later on the disk.

Models of earlier versions are read as well: of 1, of a network that had no options yet, and of 2, which had one width.
States of these versions are not.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gravurekit import storage
from gravurekit.errors import ModelError, UsageError
from gravurekit.model.network import OPTIONS, ColorizationNetwork, NetworkConfig

VERSION = 3
READ = {"model": (1, 2, 3), "state": (3,)}
KEY = "gravurekit"  # ONE metadata entry: safetensors writes several in no fixed order


class Damaged(ModelError):
    """A file that isn't as it was written. `what` is wrong, without what to do about it."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what}; {todo}")
        self.what, self.todo = what, todo

    def __reduce__(self) -> tuple[type["Damaged"], tuple[str, str]]:
        return type(self), (self.what, self.todo)  # the default would call __init__ with one argument


@dataclass(frozen=True)
class State:
    """A training state as read: tensors by name (on the CPU), the network's config, and `about`."""

    path: Path
    tensors: dict[str, Tensor]
    config: NetworkConfig
    about: dict[str, Any]


def pick_device(name: str) -> torch.device:
    """ "auto" → cuda, else mps, else cpu; a device that this machine lacks is a UsageError."""
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if found[kind]))
    if not found.get(name.partition(":")[0], False):
        usable = ", ".join(["auto", *(kind for kind, here in found.items() if here)])
        raise UsageError(f"device '{name}' isn't available to torch on this machine; choose one of: {usable}")
    return torch.device(name)


def save_model(path: Path, network: ColorizationNetwork, about: dict[str, Any]) -> None:
    """Write a model file. `about` is any JSON object; equal arguments give equal bytes."""
    _write(path, "model", _plain(network.state_dict()), network.config, about)


def load_model(path: Path, device: str | torch.device = "auto") -> tuple[ColorizationNetwork, dict[str, Any]]:
    """The network of a model file, in eval mode on `device`, and its `about`."""
    place = pick_device(str(device))
    tensors, config, about = _read(path, "model")
    with torch.device("meta"):
        network = ColorizationNetwork(config)
    _check_shapes(path, tensors, network.state_dict())
    network.to_empty(device="cpu")
    network.load_state_dict(tensors)
    return network.to(place).eval(), about


def about_model(path: Path) -> dict[str, Any]:
    """The `about` of a model file that is whole; no network is made. Raises ModelError."""
    return _read(path, "model")[2]


def save_state(
    path: Path,
    network: ColorizationNetwork,
    average: ColorizationNetwork | None,
    optimizer: torch.optim.Optimizer,
    about: dict[str, Any],
) -> None:
    """Write a training state: everything that `restore` needs to go on exactly."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    _write(path, "state", _plain(tensors), network.config, about)


def load_state(path: Path) -> State:
    """Read and check a training state; nothing is changed yet."""
    return State(path, *_read(path, "state"))


def step_of(path: Path) -> int | None:
    """The step of a training state, from its header alone: its tensors may be damaged. None if it doesn't say it."""
    try:
        with safe_open(path, framework="pt") as file:
            step = json.loads(file.metadata()[KEY])["about"]["step"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return step if type(step) is int and step >= 0 else None


def restore(
    state: State,
    network: ColorizationNetwork,
    average: ColorizationNetwork | None,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Put a state into a network of the same config, its average, and an optimizer that was made for it."""
    for prefix, module in (("network", network), ("average", average)):
        if module is not None:
            weights = _named(state, prefix)
            _check_shapes(state.path, weights, module.state_dict())
            module.load_state_dict(weights)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {number: {} for number in range(len(parameters))}
    for full_name, tensor in _named(state, "optimizer").items():
        index, _, name = full_name.partition(".")
        if not index.isdecimal() or int(index) not in moments:
            raise ModelError(f"{state.path} is of another optimizer ({full_name}); remove it, or choose another folder")
        moments[int(index)][name] = _like(tensor, parameters[int(index)])
    if len({frozenset(found) for found in moments.values()}) != 1:
        raise ModelError(f"{state.path} lacks tensors of its optimizer; remove it, or choose another folder")
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def _named(state: State, prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in state.tensors.items() if name.startswith(start)}


def _like(tensor: Tensor, parameter: nn.Parameter) -> Tensor:
    # Fused optimizers walk weights and moments side by side in memory: the layouts must be equal.
    if tensor.shape != parameter.shape:
        return tensor  # the step counter
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor).detach()


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _write(path: Path, kind: str, tensors: dict[str, Tensor], config: NetworkConfig, about: dict[str, Any]) -> None:
    header = {
        "kind": kind,
        "version": VERSION,
        "config": config.to_dict(),
        "about": about,
        "digest": _digest(tensors),
    }
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, allow_nan=False)
    storage.write_bytes(path, safetensors.torch.save(tensors, metadata={KEY: text}))


def _read(path: Path, kind: str) -> tuple[dict[str, Tensor], NetworkConfig, dict[str, Any]]:
    todo = {
        "model": "train again, or copy the file again from where it came",
        "state": f"remove {path} to train from the beginning, or choose another folder",
    }[kind]
    if not path.is_file():
        raise ModelError(f"no {kind} file at {path}; check the path, or run `gravurekit train` first")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise Damaged(f"{path} is damaged or no safetensors file ({error})", todo) from error
    if not isinstance(header, dict) or header.get("kind") != kind:
        raise ModelError(f"{path} is a safetensors file, but no {kind} file of gravurekit; {todo}")
    version = header.get("version")
    if type(version) is not int or version not in READ[kind]:
        raise ModelError(f"{path} has format version {version!r:.20}, {_other(version)}, or {todo}")
    if header.get("digest") != _digest(tensors) or not isinstance(header.get("about"), dict):
        raise Damaged(f"{path} is damaged: its tensors don't match the digest in its header", todo)
    try:
        config = NetworkConfig.from_dict(_complete(header.get("config"), version))
    except ModelError as error:
        raise ModelError(f"{path}: {error}; {todo}") from error
    return tensors, config, header["about"]


def _other(version: Any) -> str:
    """What to do about a version that can't be read."""
    newer = type(version) is int and version > VERSION
    use = "pip install --upgrade gravurekit" if newer else "use the gravurekit that wrote it"
    return f"this gravurekit reads version {VERSION}: {use}"


def _complete(config: Any, version: int) -> Any:
    """A config of an earlier version, with what it didn't know yet."""
    if not isinstance(config, dict) or version == VERSION:
        return config
    return ({} if version > 1 else dict.fromkeys(OPTIONS, False)) | {"width": 1.0} | config


def _check_shapes(path: Path, found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    for name in sorted(found.keys() | wanted.keys()):
        here, there = (f"{tuple(t[name].shape)} {t[name].dtype}" if name in t else "absent" for t in (found, wanted))
        if here != there:
            raise ModelError(
                f"{path} doesn't fit the network its config describes: {name} is {here}, should be {there}; "
                "train again, or use the gravurekit that wrote it"
            )
