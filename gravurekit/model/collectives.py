"""What all processes of a training do together. Each must call the same of these in the same order.

A process that waits here for one that has died gets the error Lost.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from gravurekit.errors import TrainingError


class Lost(TrainingError):
    """Another process of the training has died, or didn't answer in time."""

    def __init__(self, cause: str) -> None:
        said = re.sub(r"^\[\S+\] ", "", cause.strip()).partition("\n")[0].partition(". ")[0]  # not where in gloo it was
        super().__init__(
            f"another process of the training died, or didn't answer in time ({said}); "
            "run the same command again to go on from the last saved state"
        )

    def __reduce__(self) -> tuple[type[TrainingError], tuple[str]]:
        return TrainingError, (str(self),)


@contextmanager
def answered() -> Iterator[None]:
    """Whatever goes wrong between the processes becomes Lost."""
    try:
        yield
    except RuntimeError as error:  # gloo knows no other
        raise Lost(str(error) or type(error).__name__) from error


def summed(tensor: Tensor) -> Tensor:
    """The sum of all processes' tensors, the same bits in each; no gradient."""
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    with answered():
        dist.all_reduce(total)
    return total


def gathered(tensor: Tensor) -> Tensor:
    """All processes' tensors (…) of one shape, by rank: (world, …); no gradient."""
    mine = tensor.detach().contiguous()
    found = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    with answered():
        dist.all_gather(found, mine)
    return torch.stack(found)


def handed_out(tensor: Tensor) -> Tensor:
    """The tensor of rank 0; the others give one of its shape and dtype, which is filled."""
    with answered():
        dist.broadcast(tensor, 0)
    return tensor
