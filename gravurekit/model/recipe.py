"""Recipe: how to train, and the learning rate of each step."""

import math
from dataclasses import dataclass

from gravurekit.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """How to train.

    name           "default": AdamW, warm-up and cosine, smooth-L1 with weight on vivid pixels;
                   "paper": Adadelta at rate 1, mean squared error (learning_rate, weight_decay don't apply)
    class_weight   of the cross-entropy beside the colour loss
    precision      "bf16", "fp32", or "auto": bf16 where the device is fast at it
    readers        threads that read samples ahead
    """

    steps: int
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    name: str = "default"
    class_weight: float = 1 / 300
    seed: int = 0
    precision: str = "auto"
    checkpoint_every: int = 500
    validate_every: int = 500
    device: str = "auto"
    readers: int = 2

    def __post_init__(self) -> None:
        for good, fault in (
            (self.steps >= 1, f"steps must be at least 1, not {self.steps}"),
            (self.batch >= 2, f"batch must be at least 2 (batch normalisation), not {self.batch}"),
            (self.learning_rate > 0, f"learning_rate must be above 0, not {self.learning_rate}"),
            (self.weight_decay >= 0, f"weight_decay must not be negative: {self.weight_decay}"),
            (self.class_weight >= 0, f"class_weight must not be negative: {self.class_weight}"),
            (self.seed >= 0, f"seed must not be negative: {self.seed}"),
            (self.name in ("default", "paper"), f"name must be 'default' or 'paper', not {self.name!r}"),
            (self.precision in ("auto", "bf16", "fp32"), f"precision can't be {self.precision!r}"),
            (self.checkpoint_every >= 1, f"checkpoint_every must be at least 1, not {self.checkpoint_every}"),
            (self.validate_every >= 1, f"validate_every must be at least 1, not {self.validate_every}"),
            (self.readers >= 1, f"readers must be at least 1, not {self.readers}"),
        ):
            if not good:
                raise UsageError(f"bad training recipe: {fault}")


def learning_rate(step: int, recipe: Recipe) -> float:
    """5 % linear warm-up, then a cosine to zero; the paper's recipe stays at 1."""
    if recipe.name == "paper":
        return 1.0
    warm = max(1, round(0.05 * recipe.steps))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    return recipe.learning_rate * (1 + math.cos(math.pi * (step - warm) / max(1, recipe.steps - warm))) / 2
