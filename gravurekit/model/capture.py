"""A step of training as a CUDA graph: recorded once, then replayed, which spares the host a thousand commands a step.

With small batches the device is quicker than whoever tells it what to do. A replay is one command. It reads from and
writes to the memory that was there when it was recorded, so the samples of each step are copied to where those of the
recorded one lay; and it can't know a number that changes from step to step, unless that lies on the device.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from gravurekit.errors import UsageError

PAYS = 500  # steps; an estimate, not measured: recording takes a second or so, and spares a step some ms at most
WARM = 3  # steps that are done as they are before one is recorded
REPLAYS = "steps are replayed from a CUDA graph"

Tensors = dict[str, Tensor]
Work = Callable[[Tensors], Tensor]  # changes weights and the like in place; what it returns is new


class Recorder(Protocol):
    """Who can record what a device is told to do."""

    def beside(self) -> AbstractContextManager[None]:
        """What the device is told meanwhile, it is told where it would be recorded: libraries that set themselves up at
        their first use do so there."""

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Call `work`, which tells the device what to do but nothing of it is done; what does it, as often as it is
        called; and where the result lies after that. RuntimeError if it can't be recorded."""


def hindrance(choice: str, device: torch.device, steps: int, processes: int) -> str | None:
    """Why the next `steps` steps aren't to be recorded; "" if that needs no word; None if they are. `choice` is a
    recipe's `compile`."""
    silent = choice != "graph"
    if choice == "off":
        return ""
    if device.type != "cuda":
        return "" if silent else f"steps aren't recorded: {device} can't replay any, only CUDA can"
    if processes > 1:
        return "" if silent else f"steps aren't recorded: {processes} processes talk to one another in each"
    if torch.is_anomaly_enabled():
        return "steps aren't recorded: torch looks for anomalies, and asks the device at each operation"
    return "" if silent and steps < PAYS else None


def prove_compiler(device: torch.device) -> None:
    """Raises UsageError if torch can't compile for a device: it needs a C++ compiler, or Triton for CUDA."""
    try:
        torch.compile(lambda tensor: 2 * tensor + 1)(torch.zeros(2, device=device))
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"torch can't compile for {device} here ({reason}); choose --compile auto") from error


def compiler_fault(error: BaseException) -> str:
    """What to say of an error if it is torch's compiler's, "" of others. A compilation that was killed leaves files
    behind which spoil the next."""
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    if not isinstance(error, TorchDynamoException):
        return ""
    reason = " ".join(str(error).split("\n")[:2])
    return (
        f"torch can't compile the network ({reason}). If an earlier compilation was broken off, remove {cache_dir()} "
        "and train again; or choose --compile auto"
    )


class Replayed:
    """Does the work of steps: the first times as it is, then by replaying it.

    No step is done twice and none is left out, so the result is that of doing all as they are: recording does nothing,
    and the step that was recorded is then replayed. What can't be recorded is done as it is, and `said` why.

    recording   is open while it is recorded
    gave_up     is called when that failed, to drop what was made for the recording
    """

    def __init__(
        self,
        recorder: Recorder,
        recording: Callable[[], AbstractContextManager[None]],
        gave_up: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self._recorder, self._recording, self._gave_up, self._tell = recorder, recording, gave_up, tell
        self._calls, self._given_up = 0, False
        self._inputs: Tensors = {}
        self._replay: Callable[[], None] | None = None
        self._output: Tensor | None = None

    def __call__(self, work: Work, tensors: Tensors) -> Tensor:
        """The result of `work` on `tensors`; it is written over by the next call. `work` is recorded once, so it must
        be the same each time but for the tensors' values."""
        if self._calls < WARM and not self._given_up:
            self._calls += 1
            with self._recorder.beside():
                return work(tensors)
        if self._replay is None and not self._given_up:
            self._record(work, tensors)
        if self._replay is None or self._output is None or _form(tensors) != _form(self._inputs):
            return work(tensors)
        for name, place in self._inputs.items():
            place.copy_(tensors[name], non_blocking=True)
        self._replay()
        return self._output

    def release(self) -> None:
        """Give back the memory of the recording; steps are done as they are from now on."""
        self._inputs, self._replay, self._output = {}, None, None
        self._given_up = True
        self._gave_up()

    def _record(self, work: Work, tensors: Tensors) -> None:
        failure = ""
        try:
            self._inputs = {name: tensor.clone() for name, tensor in tensors.items()}
            with self._recording():
                self._replay, self._output = self._recorder.record(partial(work, self._inputs))
        except RuntimeError as error:
            failure = str(error).strip().partition("\n")[0] or type(error).__name__
        if failure:  # only now: as long as the error is known, what its frames hold is held
            self.release()
        self._tell(f"steps are done as they are, because they can't be recorded: {failure}" if failure else REPLAYS)


def _form(tensors: Tensors) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


@contextmanager
def recordable(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """While this is open, steps of an optimizer, which has done one already, may be recorded: the number of its steps
    lies on the device. The rates of learning must too, or else never change."""
    for state in optimizer.state.values():
        for name, value in state.items():
            if name == "step" and isinstance(value, Tensor):
                state[name] = value.to(_device(optimizer))
    before = [group.get("capturable", False) for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group, value in zip(optimizer.param_groups, before, strict=True):
            group["capturable"] = value


def _device(optimizer: torch.optim.Optimizer) -> torch.device:
    device: torch.device = optimizer.param_groups[0]["params"][0].device
    return device


class CudaGraphs:
    """Records as CUDA graphs, on a stream of its own."""

    _broken: list[torch.cuda.CUDAGraph] = []  # the allocator may still know of them

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def beside(self) -> Iterator[None]:
        here = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            yield
        here.wait_stream(self._stream)

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        graph, here = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        try:
            # thread_local: readers may ask for memory and copy meanwhile, on streams of theirs
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                result = work()
        except RuntimeError:
            self._broken.append(graph)
            raise
        finally:
            torch.cuda.set_stream(here)  # a recording that fails at its end doesn't do it
        return graph.replay, result
