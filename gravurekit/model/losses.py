"""What training minimises, and the figures of a validation."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gravurekit.model.batches import Batch, Samples, prepared, prove
from gravurekit.model.feed import Feed
from gravurekit.model.network import ColorizationNetwork
from gravurekit.model.recipe import Recipe

SOFT = 20.0  # ab units: the smooth-L1 is quadratic below, linear above
VIVID = 15.0  # ab units of chroma that double a pixel's weight: most pixels are dull, and would win


def colour_loss(p: Tensor, batch: Batch, limit: float, name: str) -> Tensor:
    """Mean over the pictures' places, in units of the output's range; p (B, 2, h, w) float32 0..1."""
    if name == "paper":
        error, weight = (p - (batch.ab / limit + 1) / 2).square(), batch.inside
    else:
        ab = (2 * p - 1) * limit
        error = F.smooth_l1_loss(ab, batch.ab, reduction="none", beta=SOFT) / (2 * limit)
        weight = batch.inside * (1 + batch.ab.norm(dim=1, keepdim=True) / VIVID)
    return (error.mean(1, keepdim=True) * weight).sum() / weight.sum().clamp(min=1e-6)


def class_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Mean cross-entropy of the labelled pictures, 0 if there are none; logits (B, N) float32."""
    total = F.cross_entropy(logits, label, ignore_index=-1, reduction="sum")
    return total / (label >= 0).sum().clamp(min=1)


@torch.no_grad()
def validate(
    network: ColorizationNetwork, val: Samples, recipe: Recipe, bf16: bool, batch: int
) -> dict[str, float | None]:
    """Figures over all of `val`, places outside the pictures left out.

    loss          what training minimises; colour_loss and class_loss its parts
    ab_error      mean distance in ab units
    chroma_ratio  predicted over true chroma: below 1 is duller (None if the truth is grey)
    top1          share of labelled pictures whose class was the most probable (None if none has a label)
    """
    network.eval()
    config, device = network.config, next(network.parameters()).device
    names = ("colour", "class", "error", "chroma", "true_chroma", "places", "right", "labelled")
    sums = dict.fromkeys(names, 0.0)
    parts = (np.arange(start, min(start + batch, len(val))) for start in range(0, len(val), batch))
    right_kind = partial(prove, classes=len(config.classes))
    with Feed(val, device, parts, batch, readers=recipe.readers, prove=right_kind) as feed:
        for samples in feed:
            data = prepared(samples)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                p, logits = network(data.L)
            ab, place = network.ab(p), data.inside[:, 0]
            labelled = data.label >= 0
            for name, value in (
                ("colour", colour_loss(p, data, config.ab_limit, recipe.name) * len(data.label)),
                ("class", class_loss(logits, data.label) * labelled.sum()),
                ("error", ((ab - data.ab).norm(dim=1) * place).sum()),
                ("chroma", (ab.norm(dim=1) * place).sum()),
                ("true_chroma", (data.ab.norm(dim=1) * place).sum()),
                ("places", place.sum()),
                ("right", ((logits.argmax(1) == data.label) & labelled).sum()),
                ("labelled", labelled.sum()),
            ):
                sums[name] += float(value)
    colour, classes = sums["colour"] / len(val), sums["class"] / max(1.0, sums["labelled"])
    return {
        "loss": colour + recipe.class_weight * classes,
        "colour_loss": colour,
        "class_loss": classes,
        "ab_error": sums["error"] / max(1.0, sums["places"]),
        "chroma_ratio": sums["chroma"] / sums["true_chroma"] if sums["true_chroma"] else None,
        "top1": sums["right"] / sums["labelled"] if sums["labelled"] else None,
    }
