"""Numbers that go to a device and come from it, without anybody waiting for it."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

AHEAD = 2  # steps that a CUDA device is told of before the losses of the first are looked at


def behind(device: torch.device) -> int:
    """Of how many steps the losses may stay unread: a CUDA device would be idle while somebody looks."""
    return AHEAD if device.type == "cuda" else 0


def sent(numbers: np.ndarray, device: torch.device) -> Tensor:
    """The same numbers on a device. A copy from other memory than page-locked would wait until a CUDA device has done
    all that it was told before."""
    tensor = torch.from_numpy(numbers)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class Reading:
    """The numbers of a tensor as they are when what was asked of the device so far is done. The tensor may be written
    to again at once."""

    def __init__(self, tensor: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if tensor.device.type == "cuda":
            self._numbers = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._numbers.copy_(tensor, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._numbers = tensor.detach().cpu().clone()

    def numbers(self) -> list[float]:
        """Waits for them, if they aren't there yet."""
        if self._event is not None:
            self._event.synchronize()
        found: list[float] = self._numbers.tolist()
        return found


class Unread:
    """Steps whose losses nobody has looked at yet, the oldest first."""

    def __init__(self, device: torch.device) -> None:
        self._most = behind(device)
        self._steps: deque[tuple[int, Reading]] = deque()

    def add(self, step: int, terms: Reading) -> None:
        """Step number `step` is being done."""
        self._steps.append((step, terms))

    def read(self, all_of_them: bool) -> Iterator[tuple[int, list[float]]]:
        """Steps and the terms of their losses: of all, or of those that so many came after that nobody waits."""
        while len(self._steps) > (0 if all_of_them else self._most):
            step, terms = self._steps.popleft()
            yield step, terms.numbers()
