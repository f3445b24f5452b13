"""What training minimises: sums over places and pictures, each divided by how much there was of them.

Sums and amounts are kept apart because a batch may be seen in parts, by several processes too: the amounts are those
of the whole batch, so the parts' gradients add up to that of the whole.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from gravurekit.model import bins
from gravurekit.model.batches import Batch
from gravurekit.model.network import ColorizationNetwork
from gravurekit.model.recipe import Recipe

TERMS = ("colour_loss", "lightness_loss", "class_loss")
SOFT = 4.0  # ab or L units: the smooth-L1 is quadratic below, linear above
LEAST = 1e-6
NEAR = 4  # places of the target around a hint; even
BINS_SHARE = 0.01  # of the cross-entropy of bins, so that it begins about as large as the smooth-L1


def place_weights(batch: Batch, rebalancing: Tensor | None, hinted: float = 0.0) -> Tensor:
    """(B, 1, h, w) float32, how much a place counts: the share of it that is picture, times the weight of its true
    colour, more where a hint is.

    rebalancing  (bins.SIDE, bins.SIDE) float32: weights of the cells of the ab plane; None: all weigh 1
    hinted       ≥ 0, what a hint's place weighs besides; it fades within some places. Hints are so few that without
                 it the least error is to take no notice of them.
    """
    weight = batch.inside
    if rebalancing is not None:
        weight = weight * bins.looked_up(rebalancing, batch.ab)
    if hinted and batch.hints is not None:
        weight = weight * (1 + hinted * _around(F.max_pool2d(batch.hints[:, 2:], 2)))
    return weight


def _around(mask: Tensor) -> Tensor:
    """(B, 1, h, w) 0 or 1 → float32 0..1: 1 where it is, less and less within NEAR places around it."""
    grown = F.max_pool2d(mask, 2 * NEAR + 1, stride=1, padding=NEAR)
    return F.avg_pool2d(grown, NEAR + 1, stride=1, padding=NEAR // 2)


def amounts(batch: Batch, weight: Tensor) -> Tensor:
    """(3,) float32: the places that count for colour and for lightness, and the pictures with a label. Any may be 0:
    then the sum is 0 as well, and LEAST is what to divide by."""
    return torch.stack([weight.sum(), batch.inside.sum(), (batch.label >= 0).sum().float()])


def sums(
    colour: Tensor, logits: Tensor, batch: Batch, weight: Tensor, network: ColorizationNetwork, name: str
) -> Tensor:
    """(3,) float32: the weighted error of colour and the error of lightness over all places, in units of their range;
    and the cross-entropy over the labelled pictures. `name` is the recipe's."""
    error = colour_error(colour, batch, network, name)
    lightness = network.wash_lightness(colour)
    dark = colour.new_zeros(())
    if lightness is not None and batch.wash_L is not None:
        dark = (F.smooth_l1_loss(lightness, batch.wash_L, reduction="none", beta=SOFT) / 100 * batch.inside).sum()
    classes = F.cross_entropy(logits, batch.label, ignore_index=-1, reduction="sum")
    return torch.stack([(error * weight).sum(), dark, classes])


def colour_error(colour: Tensor, batch: Batch, network: ColorizationNetwork, name: str) -> Tensor:
    """(B, 1, h, w) float32: how far a place's colour is off, in units of the range of a and b."""
    if network.config.bins:
        return BINS_SHARE * bins.cross_entropy(colour[:, : bins.COUNT], batch.ab)
    limit = network.config.ab_limit
    if name == "paper":
        return (colour[:, :2] - (batch.ab / limit + 1) / 2).square().mean(1, keepdim=True)
    error = F.smooth_l1_loss(network.ab(colour), batch.ab, reduction="none", beta=SOFT) / (2 * limit)
    return error.mean(1, keepdim=True)


def factors(recipe: Recipe) -> tuple[float, float, float]:
    """What the terms of a loss are multiplied by before they are added."""
    return 1.0, recipe.lightness_weight, recipe.class_weight
