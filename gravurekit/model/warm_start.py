"""Beginning from a trained network in the place of chance: what fits is taken over, and the rest is told."""

from dataclasses import replace

import torch
from torch import Tensor

from gravurekit.model import bins
from gravurekit.model.network import ColorizationNetwork, NetworkConfig

PALETTE = "fusion.W_palette"
FIRST, COLOURS, CLASSES = "low_level.L1.0.weight", "colorization.C5", "classification.K2"


def scaled_like(config: NetworkConfig, other: NetworkConfig) -> NetworkConfig:
    """The config with the other's scales of lightness and colour: in another's terms weights would mean something
    else."""
    return replace(config, L_mean=other.L_mean, ab_limit=other.ab_limit)


@torch.no_grad()
def begin_from(trained: ColorizationNetwork, network: ColorizationNetwork) -> list[str]:
    """Give `network` the weights of `trained`, as far as both have them, and say what begins anew. Classes are matched
    by their names, never by their numbers; planes of colour by what they mean."""
    theirs, ours = trained.state_dict(), network.state_dict()
    anew: list[str] = []
    strange = {
        _block(name)
        for name, tensor in ours.items()
        if not _in_part(name, theirs.get(name), tensor) and (name not in theirs or theirs[name].shape != tensor.shape)
    }
    for name, tensor in ours.items():
        found = theirs.get(name)
        if _block(name) in strange:
            anew.append(_block(name))
            if name.startswith(PALETTE):  # what it hadn't been told before says nothing at first
                tensor.zero_()
        elif name.startswith(CLASSES):
            _by_rows(tensor, found, _classes(trained.config, network.config))
        elif name.startswith(COLOURS):
            _by_rows(tensor, found, _planes(trained.config, network.config))
        elif name == FIRST and found is not None:
            shared = min(tensor.shape[1], found.shape[1])
            tensor.zero_()  # what it hadn't seen before says nothing at first
            tensor[:, :shared] = found[:, :shared]
        elif found is not None:
            tensor.copy_(found)
    return _said(trained.config, network.config, anew)


def _in_part(name: str, found: Tensor | None, tensor: Tensor) -> bool:
    """Whether a part of `found`, some of its planes or classes, can become a part of `tensor`, of the same width."""
    if name == FIRST:
        return found is not None and len(found) == len(tensor)
    return name.startswith((COLOURS, CLASSES)) and (found is None or found.shape[1:] == tensor.shape[1:])


def _block(name: str) -> str:
    """The layer that a tensor belongs to, and its BN: of weights that begin anew the old statistics are wrong."""
    return ".".join(name.split(".")[:2])


def _by_rows(tensor: Tensor, found: Tensor | None, rows: dict[int, int]) -> None:
    """Rows of `found` into those of `tensor`: ours → theirs. Others stay as they begin."""
    if found is not None:
        for ours, theirs in rows.items():
            tensor[ours] = found[theirs].to(tensor)


def _classes(trained: NetworkConfig, config: NetworkConfig) -> dict[int, int]:
    places = {name: number for number, name in enumerate(trained.classes)}
    return {number: places[name] for number, name in enumerate(config.classes) if name in places}


def _planes(trained: NetworkConfig, config: NetworkConfig) -> dict[int, int]:
    def colours(of: NetworkConfig) -> int:
        return bins.COUNT if of.bins else 2

    rows = {n: n for n in range(colours(config))} if trained.bins == config.bins else {}
    if trained.lightness and config.lightness:
        rows[colours(config)] = colours(trained)
    return rows


def _said(trained: NetworkConfig, config: NetworkConfig, anew: list[str]) -> list[str]:
    known = _classes(trained, config)
    notes = [f"begins from a trained network: {len(known)} of {len(config.classes)} classes are known to it"]
    if trained.bins != config.bins:
        anew = [*anew, COLOURS]
    parts = sorted({name for name in anew})
    return [*notes, f"begins anew: {', '.join(parts)}"] if parts else notes
