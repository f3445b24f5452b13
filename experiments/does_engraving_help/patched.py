"""gravurekit with one thing of its network or its loss otherwise, which no flag does: only this experiment wants it.

    python experiments/does_engraving_help/patched.py no-global|mse WORDS OF gravurekit …

no-global  nothing of the whole picture reaches the colours: the global vector is zeros. Classes are learnt as before.
mse        the squared error of a and b in place of smooth-L1, of the same curvature at 0
"""

import sys
from collections.abc import Callable

from torch import Tensor

from gravurekit.model import losses
from gravurekit.model.batches import Batch
from gravurekit.model.network import ColorizationNetwork


def no_global() -> None:
    scene = ColorizationNetwork.scene

    def without(self: ColorizationNetwork, low: Tensor) -> tuple[Tensor, Tensor]:
        vector, logits = scene(self, low)
        return vector * 0, logits

    ColorizationNetwork.scene = without  # type: ignore[method-assign]


def mse() -> None:
    def colour_error(colour: Tensor, batch: Batch, network: ColorizationNetwork, name: str) -> Tensor:
        error = (network.ab(colour) - batch.ab).square() / (2 * losses.SOFT) / (2 * network.config.ab_limit)
        return error.mean(1, keepdim=True)

    losses.colour_error = colour_error


PATCHES: dict[str, Callable[[], None]] = {"no-global": no_global, "mse": mse}


if __name__ == "__main__":
    PATCHES[sys.argv.pop(1)]()
    from gravurekit.cli import main

    main()
