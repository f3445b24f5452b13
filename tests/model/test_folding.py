"""A network that is put to use says what it said in training."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gravurekit.model.folding import folded
from gravurekit.model.network import ColorizationNetwork, NetworkConfig, build
from gravurekit.model.palette import CELLS

PLAIN = NetworkConfig(("dress", "hat", "coat"), "average", 64, L_mean=0.6, width=0.25)
CONFIGS = {
    "plain": PLAIN,
    "all options": replace(PLAIN, palette=True, hints=True, lightness=True),
    "bins": replace(PLAIN, bins=True, lightness=True),
    "the paper's head": replace(PLAIN, head="paper", global_size=224),
}


def trained(config: NetworkConfig) -> ColorizationNetwork:
    """One whose normalisations do something, each channel's something else."""
    network = build(config, seed=3)
    chance = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 2, generator=chance)
            for tensor in (module.bias.data, module.running_mean):
                tensor.uniform_(-0.5, 0.5, generator=chance)
    return network.eval()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_colours_and_classes_come_out(name: str) -> None:
    network = trained(CONFIGS[name])
    config, chance = network.config, torch.Generator().manual_seed(2)
    L = torch.rand(2, 1, 48, 72, generator=chance) * 100
    told = {
        "palette": torch.rand(2, CELLS + 1, generator=chance) if config.palette else None,
        "hints": torch.rand(2, 3, 48, 72, generator=chance) if config.hints else None,
    }
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with torch.inference_mode():
        (colour, logits), (own, odds) = folded(network)(L, **told), network(L, **told)
        said, ab = network.ab(colour), network.ab(own)
        assert (said - ab).abs().max() <= 1e-4 * ab.std() and ab.std() > 1
    assert torch.allclose(logits, odds, atol=1e-4)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_what_is_left_of_normalisation_comes_after_a_sum() -> None:
    left = [
        name for name, part in folded(build(CONFIGS["all options"], seed=0)).named_modules()
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)
    ]  # fmt: skip
    assert left == ["fusion.norm"]
