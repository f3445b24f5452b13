"""What training minimises: places outside pictures count nowhere, and a batch in parts counts as the whole."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gravurekit.model import bins, losses
from gravurekit.model.batches import Batch
from gravurekit.model.learner import Learner, parts_of
from gravurekit.model.network import ColorizationNetwork, NetworkConfig, build
from gravurekit.model.order import share_of
from gravurekit.model.recipe import Recipe


def network(**options: Any) -> ColorizationNetwork:
    return build(NetworkConfig(("dress", "hat"), "average", 32, L_mean=0.5, **options), 0)


def batch(count: int = 3, seed: int = 0) -> Batch:
    """Random pictures, of which the left half is padding."""
    chance = torch.Generator().manual_seed(seed)
    inside = torch.ones(count, 1, 16, 16)
    inside[..., :8] = 0
    return Batch(
        L=torch.rand(count, 1, 32, 32, generator=chance) * 100,
        ab=torch.randint(-60, 61, (count, 2, 16, 16), generator=chance).float(),
        inside=inside,
        label=torch.arange(count) % 3 - 1,
        wash_L=torch.rand(count, 1, 16, 16, generator=chance) * 100,
    )


def said(made: ColorizationNetwork, about: Batch, seed: int = 1) -> tuple[Tensor, Tensor]:
    planes = made.colorization.C5.out_channels
    chance = torch.Generator().manual_seed(seed)
    colour = torch.rand(len(about.label), planes, 16, 16, generator=chance)
    return colour, torch.randn(len(about.label), 2, generator=chance)


def terms(made: ColorizationNetwork, about: Batch, colour: Tensor, logits: Tensor, name: str = "default") -> Tensor:
    weight = losses.place_weights(about, None)
    return losses.sums(colour, logits, about, weight, made, name) / losses.amounts(about, weight).clamp(
        min=losses.LEAST
    )


@pytest.mark.parametrize("options", [{}, {"lightness": True}, {"bins": True, "lightness": True}])
@pytest.mark.parametrize("name", ["default", "paper"])
def test_what_is_said_of_the_padding_counts_nowhere(options: dict[str, bool], name: str) -> None:
    made, about = network(**options), batch()
    colour, logits = said(made, about)
    other = colour.clone()
    other[..., :8] = 0.9
    assert torch.equal(terms(made, about, colour, logits, name), terms(made, about, other, logits, name))
    other[..., 9] = 0.9
    assert not torch.equal(terms(made, about, colour, logits, name), terms(made, about, other, logits, name))


def test_the_papers_loss_is_the_mean_squared_error_and_the_cross_entropy() -> None:
    made, about = network(), batch()
    colour, logits = said(made, about)
    found = terms(made, about, colour, logits, "paper")
    right = (about.ab / 110 + 1) / 2
    assert float(found[0]) == pytest.approx(float((colour - right)[..., 8:].square().mean()), rel=1e-5)
    assert float(found[1]) == 0
    labelled = about.label >= 0
    assert float(found[2]) == pytest.approx(float(F.cross_entropy(logits[labelled], about.label[labelled])), rel=1e-5)
    plan = Recipe(1, name="paper")
    assert losses.factors(plan)[0] == 1 and losses.factors(plan)[2] == 1 / 300


@pytest.mark.parametrize("options", [{}, {"lightness": True}])
def test_the_truth_costs_nothing(options: dict[str, bool]) -> None:
    made, about = network(**options), batch()
    planes = [(about.ab / 110 + 1) / 2, *([about.wash_L / 100] if options and about.wash_L is not None else [])]
    found = terms(made, about, torch.cat(planes, 1), torch.zeros(3, 2))
    assert float(found[0]) == pytest.approx(0, abs=1e-6) and float(found[1]) == pytest.approx(0, abs=1e-6)
    assert float(found[2]) == pytest.approx(np.log(2), rel=1e-6)


def test_pictures_without_labels_and_places_divide_nothing_by_zero() -> None:
    made, about = network(lightness=True), batch()
    about.label.fill_(-1)
    about.inside.zero_()
    assert terms(made, about, *said(made, about)).tolist() == [0, 0, 0]


def test_a_rare_colour_weighs_what_the_table_says() -> None:
    about = batch()
    table = torch.rand(27, 27, generator=torch.Generator().manual_seed(2))
    weight = losses.place_weights(about, table)
    cells = (about.ab / 10).round().long() + 13
    assert torch.equal(weight, about.inside * table[cells[:, :1], cells[:, 1:]])
    histogram = np.zeros((27, 27))
    histogram[13, 13], histogram[20, 16] = 900, 100
    learner = Learner(network(), Recipe(1, rebalance=0.5), False, histogram)
    assert learner.rebalancing is not None and learner.rebalancing[20, 16] > 3 * learner.rebalancing[13, 13]
    for plan in (Recipe(1, rebalance=0), Recipe(1, name="paper")):
        assert Learner(network(), plan, False, histogram).rebalancing is None


def test_a_hinted_place_weighs_more_and_its_neighbours_less_and_less() -> None:
    about = batch()
    hints = torch.zeros(3, 3, 32, 32)
    hints[:, :, 16:18, 20:22] = 1  # one place of the target, (8, 10), in each
    about = replace(about, hints=hints)
    plain, heavy = losses.place_weights(about, None), losses.place_weights(about, None, hinted=40.0)
    gain = (heavy / plain.clamp(min=1e-6))[0, 0, 8, 8:]
    assert float(gain[2]) == pytest.approx(41) and float(gain.max()) == pytest.approx(41)
    assert (gain[2:].diff() <= 0).all() and float(gain[-1]) < 41 / 2
    assert torch.equal(heavy[..., :8], plain[..., :8])  # what is no picture weighs nothing
    assert torch.equal(losses.place_weights(replace(about, hints=None), None, hinted=40.0), plain)


def test_bins_begin_about_where_the_smooth_l1_does() -> None:
    """Else the weights of classes and lightness would mean something else."""
    about = batch()
    plain, binned = network(), network(bins=True)
    one = terms(plain, about, torch.full((3, 2, 16, 16), 0.5), torch.zeros(3, 2))[0]
    other = terms(binned, about, torch.zeros(3, bins.COUNT, 16, 16), torch.zeros(3, 2))[0]
    assert 0.2 < float(one / other) < 5


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_in_parts_has_the_gradients_of_the_whole(count: int) -> None:
    """But for BN, which knows its part alone: here it doesn't learn."""
    about = batch(8)
    learner = Learner(network(lightness=True), Recipe(1), False)
    learner.network.eval()
    gradients, found = [], []
    for parts in (1, count):
        learner.optimizer.zero_grad()
        found.append(learner._gradients(about, list(share_of(8, parts).sizes)))
        gradients.append([p.grad.clone() for p in learner.network.parameters() if p.grad is not None])
    torch.testing.assert_close(found[1], found[0])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_parts_are_of_the_wanted_sizes_and_in_order() -> None:
    about = batch(7)
    cut = parts_of(about, [3, 2, 2])
    assert [len(part.label) for part in cut] == [3, 2, 2]
    assert torch.equal(torch.cat([part.ab for part in cut]), about.ab) and cut[0].palette is None


def test_the_average_follows_and_forgets_the_beginning_sooner() -> None:
    made = network()
    learner = Learner(made, Recipe(1, average=0.999), False)
    weight, average = made.low_level.L1[0].weight, learner.average.low_level.L1[0].weight
    start = weight.detach().clone()
    with torch.no_grad():
        weight += 1
    learner._average(0)
    torch.testing.assert_close(average, start + 0.9)
    learner._average(10**6)
    torch.testing.assert_close(average, start + 0.9 + 0.1 * 0.001)
    with torch.no_grad():
        made.low_level.L1[1].running_mean += 5
    learner._average(0)
    assert float(learner.average.low_level.L1[1].running_mean[0]) > 4
    assert Learner(made, Recipe(1, average=0.0), False).average is made
