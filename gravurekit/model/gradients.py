"""The sum of all processes' gradients, taken while backward still computes the next ones.

Gradients travel in buckets: flat tensors of many parameters, in the order in which backward comes to them. Which
parameter lies where never changes, unlike in torch's DistributedDataParallel, which sorts its buckets anew after the
first step: the order in which three or more processes' numbers are added depends on where they lie, and a training that
was resumed would end in other bytes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gravurekit.model.collectives import answered

BUCKET = 6_000_000  # numbers, 24 MB: enough for the wires, and the first is full long before backward is over


class Gradients:
    """Sums the gradients of a network's parameters over all processes, in the backward that is told to.

    A parameter that has no gradient keeps none; it must be the same on all processes.
    """

    def __init__(self, network: nn.Module, bucket: int = BUCKET) -> None:
        # A group of its own: what BN exchanges meanwhile must not wait behind whole buckets
        with answered():
            self._group = dist.new_group()
        self._buckets = list(_buckets([p for p in network.parameters() if p.requires_grad], bucket))
        self._summing = False
        self._next = 0  # buckets leave in their order, the same on all processes
        for mine in self._buckets:
            for number, parameter in enumerate(mine.parameters):
                came = partial(self._came, mine, number)
                parameter.register_post_accumulate_grad_hook(came)  # type: ignore[no-untyped-call]

    @contextmanager
    def summing(self, last: bool = True) -> Iterator[None]:
        """Around a backward. If it is the last of a step, each `grad` is the sum over all processes (and over the
        backwards before it) when this ends; else nothing is exchanged."""
        self._summing, self._next = last, 0
        yield
        if last:
            for mine in self._buckets[self._next :]:
                mine.send(self._group)
            for mine in self._buckets:
                mine.arrive()
        self._summing = False

    def _came(self, mine: "_Bucket", number: int, parameter: Tensor) -> None:
        if not self._summing:
            return
        mine.put(number)
        while self._next < len(self._buckets) and self._buckets[self._next].full:
            self._buckets[self._next].send(self._group)
            self._next += 1


@dataclass
class _Bucket:
    """`flat` holds a place for the gradient of each parameter; `views` are these places, laid out as the parameters,
    because fused optimizers walk weights and gradients side by side in memory."""

    parameters: list[nn.Parameter]
    flat: Tensor
    views: list[Tensor]
    there: set[int] = field(default_factory=set)
    wait: Callable[[], Any] | None = None

    @property
    def full(self) -> bool:
        return len(self.there) == len(self.parameters)

    def put(self, number: int) -> None:
        gradient = self.parameters[number].grad
        assert gradient is not None
        self.views[number].copy_(gradient)
        self.there.add(number)

    def send(self, group: dist.ProcessGroup | None) -> None:
        for number, view in enumerate(self.views):
            if number not in self.there:
                view.zero_()  # what is left there is of another step
        with answered():
            work = dist.all_reduce(self.flat, group=group, async_op=True)
        assert work is not None
        self.wait = work.wait

    def arrive(self) -> None:
        assert self.wait is not None
        with answered():
            self.wait()
        for number in self.there:
            self.parameters[number].grad = self.views[number]
        self.there, self.wait = set(), None


def _buckets(parameters: list[nn.Parameter], size: int) -> Iterator[_Bucket]:
    """The parameters from the last to the first, in buckets of no more than `size` numbers, or of a single one."""
    chosen: list[nn.Parameter] = []
    for parameter in reversed(parameters):
        if chosen and sum(p.numel() for p in chosen) + parameter.numel() > size:
            yield _bucket(chosen)
            chosen = []
        chosen.append(parameter)
    if chosen:
        yield _bucket(chosen)


def _bucket(parameters: list[nn.Parameter]) -> _Bucket:
    first = parameters[0]
    flat = torch.zeros(sum(p.numel() for p in parameters), dtype=first.dtype, device=first.device)
    places = torch.split(flat, [p.numel() for p in parameters])
    views = [
        place.as_strided(p.shape, p.stride(), place.storage_offset())
        for place, p in zip(places, parameters, strict=True)
    ]
    return _Bucket(parameters, flat, views)
