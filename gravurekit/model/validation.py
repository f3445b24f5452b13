"""Validation: how good a network is on pictures that it doesn't learn from, and what of that decides which is best."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gravurekit.model import losses
from gravurekit.model.augment import PLAIN, Augmentation, augmentation_of
from gravurekit.model.batches import Batch, Samples, prepared, prove
from gravurekit.model.difference import delta_e_2000
from gravurekit.model.distributed import ALONE, Team
from gravurekit.model.feed import Feed
from gravurekit.model.network import ColorizationNetwork
from gravurekit.model.recipe import Recipe

CHANCE = 0  # seed of the augmented validation: the same pictures are changed in the same way each time


@dataclass(frozen=True)
class Examiner:
    """Asks a network for the colours of all of `samples`, or of `most` of them, evenly out of the whole. Each process
    of a `team` asks for some of them."""

    samples: Samples
    recipe: Recipe
    bf16: bool
    batch: int
    most: int = 0
    team: Team = ALONE

    @torch.no_grad()
    def figures(
        self, network: ColorizationNetwork, rebalancing: Tensor | None, augmentation: Augmentation = PLAIN
    ) -> dict[str, float | None]:
        """Places outside the pictures are left out.

        loss                    what training minimises; colour_loss, lightness_loss, class_loss its parts
        ab_error                mean distance in ab units
        delta_e, delta_e_grey   mean over pictures of ΔE2000 at the wash's own lightness; what grey would have
        chroma_ratio            predicted over true chroma: below 1 is duller (None if the truth is grey)
        top1                    share of labelled pictures whose class was the most probable (None if none has a label)
        variation               how much of the true colours' variation over all places is in what it says: of grey, or
                                of one colour everywhere, 0; of the truth 1 (None if the truth doesn't vary)
        delta_e_palette, chroma_ratio_palette, variation_palette   when the network is told each picture's palette
        score                   see `score`
        """
        network.eval()
        totals = _Totals(self.recipe, network, rebalancing)
        for samples, numbers in self._batches(next(network.parameters()).device, network):
            # the wash's lightness is needed to measure by, also where the network doesn't say it
            wanted = replace(network.config, lightness="wash" in samples)
            totals.add(prepared(samples, wanted, augmentation, numbers, CHANCE), self.bf16)
        return totals.told(self.team)

    def _batches(
        self, device: torch.device, network: ColorizationNetwork
    ) -> Iterator[tuple[dict[str, Tensor], np.ndarray]]:
        count = len(self.samples)
        numbers = (
            np.linspace(0, count - 1, min(self.most or count, count))
            .round()
            .astype(np.int64)[self.team.rank :: self.team.world]
        )
        parts = [numbers[start : start + self.batch] for start in range(0, len(numbers), self.batch)]
        right_kind = partial(prove, classes=len(network.config.classes))
        with Feed(self.samples, device, iter(parts), self.batch, readers=self.recipe.readers, prove=right_kind) as feed:
            yield from zip(feed, parts, strict=True)


MOMENTS = ("said a", "said b", "true a", "true b", "both", "true square")


def _moments(ab: Tensor, truth: Tensor, place: Tensor) -> dict[str, Tensor]:
    """Sums over the places, from which `_variation` is found."""
    said, true = ((values * place).sum((0, 2, 3)) for values in (ab, truth))
    products = [((one * truth).sum(1, keepdim=True) * place).sum() for one in (ab, truth)]
    return dict(zip(MOMENTS, (*said, *true, *products), strict=True))


def _variation(found: Mapping[str, float], row: str) -> float | None:
    """How much of the true colours' variation over all places is in what was said: the slope of what was said over the
    truth, both from their means. None if the truth doesn't vary."""
    a, b, true_a, true_b, both, square = (found[f"{name}{row}"] for name in MOMENTS)
    places = max(1e-6, found[f"places{row}"])
    spread = square - (true_a**2 + true_b**2) / places
    return (both - (a * true_a + b * true_b) / places) / spread if spread > 1e-6 * places else None


class _Totals:
    """Sums over the batches of a validation. They stay on the device: each look at one would wait for it."""

    def __init__(self, recipe: Recipe, network: ColorizationNetwork, rebalancing: Tensor | None) -> None:
        self._recipe, self._network, self._rebalancing = recipe, network, rebalancing
        self._sums: dict[str, Tensor] = {}

    def add(self, batch: Batch, bf16: bool) -> None:
        colour, logits = self._asked(batch, bf16, None)
        weight = losses.place_weights(batch, self._rebalancing)
        terms = losses.sums(colour, logits, batch, weight, self._network, self._recipe.name)
        for name, term, amount in zip(losses.TERMS, terms, losses.amounts(batch, weight), strict=True):
            self._add({name: term, f"{name} of": amount})
        labelled = batch.label >= 0
        right = (logits.argmax(1) == batch.label) & labelled
        self._add(
            {"pictures": labelled.new_ones(len(labelled)).sum(), "right": right.sum(), "labelled": labelled.sum()}
        )
        self._add_colours(batch, self._network.ab(colour), "")
        self._add_colours(batch, torch.zeros_like(batch.ab), "_grey")
        if batch.palette is not None:
            colour, _ = self._asked(batch, bf16, batch.palette)
            self._add_colours(batch, self._network.ab(colour), "_palette")

    def _asked(self, batch: Batch, bf16: bool, palette: Tensor | None) -> tuple[Tensor, Tensor]:
        with torch.autocast(batch.L.device.type, torch.bfloat16, enabled=bf16):
            found: tuple[Tensor, Tensor] = self._network(batch.L, palette=palette)
        return found

    def _add_colours(self, batch: Batch, ab: Tensor, row: str) -> None:
        place = batch.inside
        L = torch.full_like(place, 50) if batch.wash_L is None else batch.wash_L
        difference = delta_e_2000(torch.cat([L, ab], 1), torch.cat([L, batch.ab], 1), axis=1)[:, None]
        own = (difference * place).flatten(1).sum(1) / place.flatten(1).sum(1).clamp(min=1e-6)
        self._add(
            {
                f"delta_e{row}": own.sum(),
                f"error{row}": ((ab - batch.ab).norm(dim=1, keepdim=True) * place).sum(),
                f"chroma{row}": (ab.norm(dim=1, keepdim=True) * place).sum(),
                f"true{row}": (batch.ab.norm(dim=1, keepdim=True) * place).sum(),
                f"places{row}": place.sum(),
                **{f"{name}{row}": value for name, value in _moments(ab, batch.ab, place).items()},
            }
        )

    def _add(self, more: Mapping[str, Tensor]) -> None:
        for name, value in more.items():
            self._sums[name] = self._sums.get(name, 0) + value.double()

    def told(self, team: Team) -> dict[str, float | None]:
        """The figures, see `Examiner.figures`."""
        found = self._of_all(team)
        terms = {name: found[name] / max(losses.LEAST, found[f"{name} of"]) for name in losses.TERMS}
        loss = sum(factor * term for factor, term in zip(losses.factors(self._recipe), terms.values(), strict=True))
        pictures = found["pictures"]
        figures: dict[str, float | None] = {
            "loss": loss,
            **terms,
            "ab_error": found["error"] / max(1.0, found["places"]),
            "delta_e_grey": found["delta_e_grey"] / pictures,
            "top1": found["right"] / found["labelled"] if found["labelled"] else None,
        }
        for row in ("", "_palette"):
            if f"delta_e{row}" in found:
                figures[f"delta_e{row}"] = found[f"delta_e{row}"] / pictures
                true = found[f"true{row}"]
                figures[f"chroma_ratio{row}"] = found[f"chroma{row}"] / true if true else None
                figures[f"variation{row}"] = _variation(found, row)
        return figures | {"score": score(figures)}

    def _of_all(self, team: Team) -> dict[str, float]:
        """The sums of all processes. Of fewer pictures than processes some have none, but the first has."""
        names = team.told("\n".join(self._sums)).split("\n")
        device = next(self._network.parameters()).device
        nothing = torch.zeros((), dtype=torch.float64, device=device)
        values = team.total(torch.stack([self._sums.get(name, nothing) for name in names]))
        return dict(zip(names, values.tolist(), strict=True))


def score(figures: Mapping[str, float | None]) -> float:
    """What decides which network is best, the lower the better: how far its colours are off, as a share of what grey is
    off, and how far the variation of its colours is from that of the true ones. Grey has 2 and the truth 0; one colour
    over everything, such as sepia, gains nothing by its chroma. By ΔE or the mean squared error alone a network wins by
    going grey, by its chroma alone by going sepia. With a palette, the mean of the scores without and with it."""
    grey = max(1e-6, figures["delta_e_grey"] or 0.0)

    def of(row: str) -> float:
        share = figures[f"variation{row}"]
        return (figures[f"delta_e{row}"] or 0.0) / grey + abs(1 - (1.0 if share is None else share))

    rows = [row for row in ("", "_palette") if f"delta_e{row}" in figures]
    return sum(map(of, rows)) / len(rows)


def examiners(
    train: Samples, val: Samples | None, recipe: Recipe, bf16: bool, batch: int, team: Team
) -> list[tuple[str, Examiner, Augmentation]]:
    """What a validation looks at, under which prefix: pictures that are held back, as they are and changed as those of
    training are, and as many of those that it learns from."""
    if val is None or not len(val):
        return []
    held_back = Examiner(val, recipe, bf16, batch, team=team)
    changed = replace(augmentation_of(recipe), palette_drop=0.0, hints=0.0)  # who is told a palette is told it
    learnt = Examiner(train, recipe, bf16, batch, most=len(val), team=team)
    return [("", held_back, PLAIN), ("augmented_", held_back, changed), ("train_", learnt, PLAIN)]
