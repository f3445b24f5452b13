"""Recipe: how to train, and the learning rate of each step."""

import math
from dataclasses import dataclass

from gravurekit.errors import UsageError

COMPILE = ("auto", "off", "graph", "inductor")


@dataclass(frozen=True)
class Recipe:
    """How to train.

    name               "default": AdamW, warm-up and cosine, smooth-L1 (or, with bins, cross-entropy);
                       "paper": Adadelta at rate 1, mean squared error (learning_rate, weight_decay, rebalance don't
                       apply)
    batch, accumulate  pictures a step, and in how many parts of equal size the network sees them
    rebalance          0..1, how far rare colours weigh more than common ones: losses.py
    class_weight       of the cross-entropy of classes, lightness_weight of the wash's lightness, beside the colours
    hint_weight        of a place where a hint is, beside that of any (losses.py)
    sync_batch_norm    several processes take BN's statistics from the whole batch, as one process does; False: each
                       from its own share
    average            the averaged weights, which are validated and kept at the end, forget with this factor a step;
                       0: they are the last weights
    precision          "bf16", "fp32", or "auto": bf16 where the device is fast at it
    compile            how steps are done: "off", as they are; "graph", replayed from a CUDA graph; "auto", that if it
                       pays; "inductor", compiled by torch, which rounds in another order
    deterministic      the same bits every time on CUDA too, which is slower
    patience           ends the training when the score hasn't become better in so many validations; 0: never
    keep               states that are kept, the last ones
    readers            threads that read samples ahead

    Of the pictures, on the device (augment.py): crop (height, width) or None; tone, blur, noise, photographs,
    palette_drop, hint_share.
    """

    steps: int
    batch: int = 16
    accumulate: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    name: str = "default"
    rebalance: float = 0.02
    class_weight: float = 1 / 300
    lightness_weight: float = 0.5
    sync_batch_norm: bool = True
    average: float = 0.999
    seed: int = 0
    precision: str = "auto"
    crop: tuple[int, int] | None = None
    tone: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    photographs: float = 0.0
    palette_drop: float = 0.25
    hint_share: float = 0.5
    hint_weight: float = 20.0
    checkpoint_every: int = 500
    validate_every: int = 500
    patience: int = 0
    keep: int = 2
    device: str = "auto"
    readers: int = 2
    compile: str = "auto"
    deterministic: bool = False

    def __post_init__(self) -> None:
        shares = ("photographs", "palette_drop", "hint_share")
        part = ("rebalance", "average")
        weights = ("weight_decay", "class_weight", "lightness_weight", "hint_weight")
        rest = (*weights, "tone", "blur", "noise", "seed", "patience")
        ones = ("steps", "accumulate", "checkpoint_every", "validate_every", "keep", "readers")
        for good, fault in (
            (self.batch >= 2, f"batch must be at least 2 (batch normalisation), not {self.batch}"),
            (
                self.accumulate <= self.batch // 2,
                f"accumulate must leave parts of at least 2 of a batch of {self.batch}, not {self.accumulate}",
            ),
            (self.learning_rate > 0, f"learning_rate must be above 0, not {self.learning_rate}"),
            (self.name in ("default", "paper"), f"name must be 'default' or 'paper', not {self.name!r}"),
            (self.precision in ("auto", "bf16", "fp32"), f"precision can't be {self.precision!r}"),
            (self.compile in COMPILE, f"compile must be one of {', '.join(COMPILE)}, not {self.compile!r}"),
            *(
                (0 <= getattr(self, name) < 1, f"{name} must lie in 0..1, below 1: {getattr(self, name)}")
                for name in part
            ),
            *((self._is(name, 0, 1), f"{name} must lie in 0..1, not {getattr(self, name)}") for name in shares),
            *((self._is(name, 0), f"{name} must not be negative: {getattr(self, name)}") for name in rest),
            *((self._is(name, 1), f"{name} must be at least 1, not {getattr(self, name)}") for name in ones),
        ):
            if not good:
                raise UsageError(f"bad training recipe: {fault}")

    def _is(self, name: str, low: float, high: float = math.inf) -> bool:
        return bool(low <= getattr(self, name) <= high)


def learning_rate(step: int, recipe: Recipe) -> float:
    """5 % linear warm-up, then a cosine to zero; the paper's recipe stays at 1."""
    if recipe.name == "paper":
        return 1.0
    warm = max(1, round(0.05 * recipe.steps))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    return recipe.learning_rate * (1 + math.cos(math.pi * (step - warm) / max(1, recipe.steps - warm))) / 2
