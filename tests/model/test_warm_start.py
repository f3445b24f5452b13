"""Beginning from a trained network: what is taken over, what begins anew, and how classes are matched."""

from typing import Any

import pytest
import torch

from gravurekit.model import bins
from gravurekit.model.network import ColorizationNetwork, NetworkConfig, build
from gravurekit.model.palette import CELLS
from gravurekit.model.warm_start import begin_from, scaled_like


def made(*classes: str, seed: int = 0, head: str = "average", **options: Any) -> ColorizationNetwork:
    size = 224 if head == "paper" else 32
    network = build(NetworkConfig(classes or ("dress", "hat"), head, size, L_mean=0.5, **options), seed)
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(seed))
    return network.eval()


def answers(network: ColorizationNetwork, **more: Any) -> tuple[torch.Tensor, torch.Tensor]:
    L = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(3)) * 100
    with torch.inference_mode():
        found: tuple[torch.Tensor, torch.Tensor] = network(L, **more)
    return found


def test_the_same_network_says_the_same() -> None:
    trained, network = made(seed=1), made(seed=2)
    notes = begin_from(trained, network)
    assert notes == ["begins from a trained network: 2 of 2 classes are known to it"]
    for one, other in zip(answers(trained), answers(network), strict=True):
        assert torch.equal(one, other)


def test_classes_are_matched_by_name() -> None:
    trained, network = made("hat", "dress", "shoe", seed=1), made("dress", "veil", "hat", seed=2)
    before = answers(network)[1]
    notes = begin_from(trained, network)
    assert "2 of 3 classes" in notes[0]
    theirs, ours = answers(trained)[1], answers(network)[1]
    assert torch.equal(ours[:, 0], theirs[:, 1]) and torch.equal(ours[:, 2], theirs[:, 0])
    assert torch.equal(
        network.classification.K2.weight[1], made("dress", "veil", "hat", seed=2).classification.K2.weight[1]
    )
    assert not torch.equal(ours, before)


@pytest.mark.parametrize("option", ["palette", "hints", "lightness"])
def test_a_network_that_can_more_says_the_same_at_first(option: str) -> None:
    trained, network = made(seed=1), made(seed=2, **{option: True})
    begin_from(trained, network)
    torch.testing.assert_close(answers(network)[0][:, :2], answers(trained)[0])


@pytest.mark.parametrize("option", ["palette", "hints", "lightness", "bins"])
def test_a_network_that_can_less_begins_from_one_that_can_more(option: str) -> None:
    trained, network = made(seed=1, **{option: True}), made(seed=2)
    notes = begin_from(trained, network)
    if option == "bins":
        assert "colorization.C5" in notes[1]
    else:
        theirs = answers(trained)[0][:, :2]
        if option != "palette":
            torch.testing.assert_close(answers(network)[0], theirs)
    assert torch.equal(network.low_level.L2[0].weight, trained.low_level.L2[0].weight)


def test_planes_are_matched_by_what_they_mean() -> None:
    trained, network = made(seed=1, lightness=True), made(seed=2, lightness=True, bins=True)
    begin_from(trained, network)
    theirs, ours = trained.colorization.C5.weight, network.colorization.C5.weight
    assert torch.equal(ours[bins.COUNT], theirs[2])
    assert torch.equal(ours[:2], made(seed=2, lightness=True, bins=True).colorization.C5.weight[:2])


def test_another_head_begins_anew_and_is_told() -> None:
    trained, network = made(seed=1, head="paper"), made(seed=2, palette=True)
    notes = begin_from(trained, network)
    assert notes[1].startswith("begins anew: ")
    assert {"fusion.W_palette", "global_features.G5", "palette_features.P1"} <= set(notes[1][13:].split(", "))
    assert network.palette_features.P1[0].weight.shape[1] == CELLS + 1


def test_another_width_keeps_the_classes_and_is_told() -> None:
    wide, slim = made("dress", "hat"), made("hat", "coat", width=0.5, seed=2)
    said = begin_from(wide, slim)
    assert "anew" in " ".join(said) and "colorization.C5" in " ".join(said)
    assert torch.equal(wide.classification.K2.weight[1], slim.classification.K2.weight[0])


def test_scales_are_the_trained_ones() -> None:
    ours = NetworkConfig(("a",), "average", 32, L_mean=0.5)
    theirs = NetworkConfig(("b",), "paper", ab_limit=100.0, L_mean=0.75)
    assert scaled_like(ours, theirs) == NetworkConfig(("a",), "average", 32, ab_limit=100.0, L_mean=0.75)
