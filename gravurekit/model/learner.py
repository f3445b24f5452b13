"""The learner: a network, its averaged weights and its optimizer, and what one step of training does to them."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gravurekit.model import bins, capture, losses
from gravurekit.model.augment import augmentation_of
from gravurekit.model.batches import Batch, on_device, prepared, thrown
from gravurekit.model.distributed import ALONE, Team
from gravurekit.model.network import ColorizationNetwork
from gravurekit.model.readings import Reading
from gravurekit.model.recipe import Recipe, learning_rate

DRAWS = "draws"  # the name of these among the tensors of a step


class Learner:
    """`network` (on its device) learns by `recipe`. `histogram` (bins.SIDE, bins.SIDE): how many pixels of the training
    pictures have which a and b; None: rare colours weigh no more than others. `team`: the processes that learn it
    together.

    rebalancing  weights of the cells of the ab plane on the device, or None
    average      the averaged network, or the network itself if nothing is averaged
    """

    def __init__(
        self,
        network: ColorizationNetwork,
        recipe: Recipe,
        bf16: bool,
        histogram: np.ndarray | None = None,
        team: Team = ALONE,
    ) -> None:
        self.recipe, self.bf16 = recipe, bf16
        self.device = next(network.parameters()).device
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.team = team
        if recipe.sync_batch_norm:
            team.share_norms(self.network)
        self.average = copy.deepcopy(self.network) if recipe.average else self.network
        self._summing = team.gradients(self.network)
        self.optimizer = optimizer_of(self.network, recipe)
        self.augmentation = augmentation_of(recipe)
        self.rebalancing = _rebalancing(recipe, histogram, self.device)
        self._factors = torch.tensor(losses.factors(recipe), device=self.device)
        self._rate = torch.zeros((), device=self.device)  # of learning, where a recorded step finds it
        self._replayed: capture.Replayed | None = None
        self._averaging = _floats(self.average), _floats(self.network)

    def settle(self, steps: int, tell: Callable[[str], None]) -> None:
        """Choose how the `steps` steps that are left are done: recipe.py, `compile`. `tell` hears what is to be said of
        it, now or later. Raises UsageError if they are to be compiled and can't be."""
        if self.recipe.compile == "inductor":
            capture.prove_compiler(self.device)
            self.network.compile()
        hindrance = capture.hindrance(self.recipe.compile, self.device, steps, self.team.world)
        if hindrance:
            tell(hindrance)
        elif hindrance is None:
            self._replayed = capture.Replayed(
                capture.CudaGraphs(self.device), partial(capture.recordable, self.optimizer), self._drop_gradients, tell
            )

    def release(self) -> None:
        """Give back what memory a recorded step takes; the next are done as they are."""
        if self._replayed:
            self._replayed.release()

    def step(self, samples: dict[str, Tensor], places: np.ndarray, sizes: Sequence[int], step: int) -> Reading:
        """Do step number `step` (from 0) on `samples`, this process's share of the batch, which have `places` (B,) in
        the order of training, and are seen in parts of these `sizes`. Returns the terms of the whole batch's loss. They
        may be infinite or NaN, and then the weights are lost too."""
        draws = thrown(samples, self.augmentation, places, self.recipe.seed)
        self._rate.fill_(learning_rate(step, self.recipe))
        work = partial(self._update, sizes=list(sizes))
        tensors = samples if draws is None else samples | {DRAWS: draws}
        terms = self._replayed(work, tensors) if self._replayed else work(tensors)
        self._average(step)
        return Reading(terms)

    def _update(self, tensors: dict[str, Tensor], sizes: list[int]) -> Tensor:
        """What of a step a device can replay: from samples and draws to new weights; the terms of the loss (3,)."""
        samples = {name: tensor for name, tensor in tensors.items() if name != DRAWS}
        batch = on_device(samples, tensors.get(DRAWS), self.network.config, self.augmentation)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate if "betas" in group else 1.0  # Adadelta's never changes
        self.network.train()
        self._drop_gradients()
        terms = self._gradients(batch, sizes)
        self.optimizer.step()
        if not self.recipe.sync_batch_norm:
            self.team.level([buffer for buffer in self.network.buffers() if buffer.is_floating_point()])
        return terms

    def _drop_gradients(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)

    def _gradients(self, batch: Batch, sizes: list[int]) -> Tensor:
        """Add up the gradients of the parts of a batch, and of all processes; the terms of its loss (3,)."""
        weight = losses.place_weights(batch, self.rebalancing, self.recipe.hint_weight)
        amounts = self.team.total(losses.amounts(batch, weight)).clamp(min=losses.LEAST)
        terms, left = torch.zeros_like(amounts), len(sizes)
        for part, own in zip(parts_of(batch, sizes), torch.split(weight, sizes), strict=True):
            left -= 1
            # No cache: a recorded step must not find in it what was cast before it was recorded
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16, cache_enabled=False):
                colour, logits = self.network(part.L, palette=part.palette, hints=part.hints)
            found = losses.sums(colour, logits, part, own, self.network, self.recipe.name) / amounts
            with self._summing(left == 0):
                (found * self._factors).sum().backward()  # type: ignore[no-untyped-call]
            terms += found.detach()
        return self.team.total(terms)

    def rehearse(self, samples: dict[str, Tensor]) -> None:
        """Find the gradients of some samples, as a step does, and do nothing with them. Running statistics of BN move,
        so nobody goes on from here."""
        self.network.train()
        batch = prepared(samples, self.network.config)
        self._gradients(batch, [len(batch.label)])

    @torch.no_grad()
    def _average(self, step: int) -> None:
        if self.average is self.network:
            return
        # at the beginning the average forgets quicker: the first weights are no good
        decay = min(self.recipe.average, (1 + step) / (10 + step))
        blend, (kept, new) = get_ema_multi_avg_fn(decay), self._averaging  # type: ignore[no-untyped-call]
        blend(kept, new, step)

    def finite(self) -> bool:
        """Whether all weights are numbers."""
        found = [torch.isfinite(tensor).all() for tensor in self.network.state_dict().values()]
        return bool(torch.stack(found).all())  # the device is asked once


def _floats(network: ColorizationNetwork) -> list[Tensor]:
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]


def parts_of(batch: Batch, sizes: list[int]) -> list[Batch]:
    """A batch in parts of these sizes."""
    cut = {name: torch.split(value, sizes) for name, value in vars(batch).items() if value is not None}
    return [Batch(**{name: pieces[number] for name, pieces in cut.items()}) for number in range(len(sizes))]


def optimizer_of(network: ColorizationNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    """The paper's Adadelta, or AdamW."""
    if recipe.name == "paper":
        return torch.optim.Adadelta(network.parameters(), lr=1.0)
    matrices = [p for p in network.parameters() if p.ndim > 1]
    scales = [p for p in network.parameters() if p.ndim <= 1]  # BN and biases: decay would only fight BN
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": scales, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def fast_bf16(device: torch.device) -> bool:
    """Whether a device is quicker in bf16 than in fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    return False


def _rebalancing(recipe: Recipe, histogram: np.ndarray | None, device: torch.device) -> Tensor | None:
    if histogram is None or recipe.rebalance == 0 or recipe.name == "paper":
        return None
    return torch.from_numpy(bins.rebalancing(histogram, uniform=1 - recipe.rebalance)).to(device)
