"""Feed: batches of samples on the device, there when they are asked for. One of three ways:

resident    the whole set lies on the device, if that is a CUDA one and the set takes no more than half of what is free
pinned      to a CUDA device: threads fill page-locked buffers, which are copied while the device computes
read ahead  elsewhere: threads read, each a batch of its own, into a ring of buffers that are used again and again

Each thread reads a batch of its own, since it is copying that takes the time, and that several can do at once.
A reader's error is raised in the loop that takes the batches, at the batch that it belongs to.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from gravurekit.model.batches import Samples
from gravurekit.model.readings import sent

SHARE = 0.5  # of the device's free memory that the whole set may take; the rest is the network's
CHUNK = 512  # samples that are brought to the device at a time when all of them go there
READERS = 2

Arrays = dict[str, np.ndarray]
Tensors = dict[str, Tensor]


class Feed:
    """Gives the samples of each of `batches`, arrays of at most `largest` numbers, in order: an iterator, and a context
    that ends its threads. A batch holds the tensors of `Samples` on `device`; it is valid until the next one is asked
    for, when its memory may be filled anew.

    `wanted`: how many samples will be asked for in all; where they are fewer than there are, it isn't worth while to
    bring the whole set to the device. `prove` looks at each batch that was read, and raises what is to be raised.
    `hurried` is asked while the whole set is brought there: True ends that by KeyboardInterrupt.

    `way`: which of the three it is. `handed`: samples given so far. `waited`: seconds that the caller spent waiting.
    """

    def __init__(
        self,
        samples: Samples,
        device: torch.device,
        batches: Iterable[np.ndarray],
        largest: int,
        *,
        wanted: int = 0,
        readers: int = READERS,
        prove: Callable[[Arrays], None] = lambda arrays: None,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        self.handed, self.waited = 0, 0.0
        self._began = time.perf_counter()
        self._device, self._readers = device, readers
        found = None
        if len(samples) <= wanted and set_bytes(samples) <= SHARE * free_memory(device):
            found = _resident(samples, device, batches, readers, prove, hurried)
            self.waited = time.perf_counter() - self._began
        self._source = found or _Ahead(_ring(samples, device, largest, readers + 1, prove), batches, readers)
        self.way = self._source.way

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Tensors:
        began = time.perf_counter()
        try:
            tensors = {name: tensor.to(self._device) for name, tensor in next(self._source).items()}
        finally:
            self.waited += time.perf_counter() - began
        self.handed += len(tensors["label"])
        return tensors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads: batches that nobody has begun are never read, those in hand are waited for."""
        self._source.close()

    @property
    def waiting(self) -> float:
        """The share 0..1 of its life so far that the caller waited for samples."""
        return min(1.0, self.waited / max(time.perf_counter() - self._began, 1e-9))

    def __str__(self) -> str:
        threads = f"{self._readers} thread{'' if self._readers == 1 else 's'}"
        return {
            "resident": f"the samples all lie on {self._device}",
            "pinned": f"{threads} read samples ahead, for {self._device} to fetch",
            "read ahead": f"{threads} read samples ahead",
        }[self.way]


def set_bytes(samples: Samples) -> int:
    """What all samples take in memory, in bytes."""
    return len(samples) * sum(array.nbytes for array in samples.buffers(1).values())


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a CUDA device; 0 for others, whose memory is the processor's own."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


# ---- all on the device ---------------------------------------------------------------------------------


class Resident:
    """All samples as tensors of one device; a batch is picked there."""

    way = "resident"

    def __init__(self, tensors: Tensors, batches: Iterable[np.ndarray]) -> None:
        self._tensors, self._batches = tensors, iter(batches)

    def __next__(self) -> Tensors:
        chosen = sent(next(self._batches), self._tensors["label"].device)
        return {name: tensor.index_select(0, chosen) for name, tensor in self._tensors.items()}

    def close(self) -> None:
        self._tensors = {}


def _resident(
    samples: Samples,
    device: torch.device,
    batches: Iterable[np.ndarray],
    readers: int,
    prove: Callable[[Arrays], None],
    hurried: Callable[[], bool],
) -> Resident | None:
    """Every sample is read, and so proved, before the first batch. None if the memory was taken meanwhile."""
    try:
        return Resident(loaded(samples, device, readers, prove, hurried), batches)
    except torch.OutOfMemoryError:
        return None


def loaded(
    samples: Samples,
    device: torch.device,
    readers: int = READERS,
    prove: Callable[[Arrays], None] = lambda arrays: None,
    hurried: Callable[[], bool] = lambda: False,
) -> Tensors:
    """All samples as tensors on `device`, in their order. Raises KeyboardInterrupt as soon as `hurried` says True."""
    count = len(samples)
    starts = range(0, count, CHUNK)
    chunks = (np.arange(start, min(start + CHUNK, count)) for start in starts)
    whole: Tensors = {}
    with Feed(samples, device, chunks, min(CHUNK, count), readers=readers, prove=prove) as feed:
        for start, part in zip(starts, feed, strict=True):
            if hurried():
                raise KeyboardInterrupt
            for name, tensor in part.items():
                if start == 0:
                    whole[name] = torch.empty((count, *tensor.shape[1:]), dtype=tensor.dtype, device=device)
                whole[name][start : start + len(tensor)] = tensor
    return whole


# ---- read ahead ----------------------------------------------------------------------------------------


class Ring(Protocol):
    """Buffers for batches, by number. `read` fills one, in a reader's thread; `take` makes of what it gave the tensors
    of the batch, in the thread that asks for them."""

    way: str
    slots: int

    def read(self, slot: int, indices: np.ndarray) -> Any: ...

    def take(self, given: Any) -> Tensors: ...


class _Ahead:
    """Reader threads that fill a ring, in the order of `batches`. They are no further ahead than there are buffers, and
    a buffer is free again when the batch after it is asked for."""

    def __init__(self, ring: Ring, batches: Iterable[np.ndarray], readers: int) -> None:
        self.way = ring.way
        self._ring, self._batches = ring, iter(batches)
        self._free = deque(range(ring.slots))
        self._reading: deque[tuple[int, Future[Any]]] = deque()
        # They are joined at the end: torch and NumPy abort a process that ends while a thread is inside them
        self._pool = ThreadPoolExecutor(readers, "gravurekit-reader")
        self._read_on()

    def __next__(self) -> Tensors:
        self._read_on()
        if not self._reading:
            raise StopIteration
        slot, future = self._reading[0]
        try:
            given = future.result()
        finally:
            if future.done():  # after Ctrl-C its reader may still be at work
                self._reading.popleft()
                self._free.append(slot)  # nobody fills it before this is called again
        return self._ring.take(given)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _read_on(self) -> None:
        while self._free and (indices := next(self._batches, None)) is not None:
            slot = self._free.popleft()
            self._reading.append((slot, self._pool.submit(self._ring.read, slot, indices)))


def _ring(samples: Samples, device: torch.device, largest: int, slots: int, prove: Callable[[Arrays], None]) -> Ring:
    if device.type == "cuda":
        return PinnedRing(samples, largest, slots, prove, Cuda(device))
    return HostRing(samples, largest, slots, prove)


class HostRing:
    """Buffers in the processor's memory; a batch is a view of one."""

    way = "read ahead"

    def __init__(self, samples: Samples, largest: int, slots: int, prove: Callable[[Arrays], None]) -> None:
        self.slots = slots
        self._samples, self._prove = samples, prove
        self._buffers = [samples.buffers(largest) for _ in range(slots)]

    def read(self, slot: int, indices: np.ndarray) -> Arrays:
        arrays = self._samples.batch(indices, self._buffers[slot])
        self._prove(arrays)
        return arrays

    def take(self, given: Arrays) -> Tensors:
        return {name: torch.from_numpy(array) for name, array in given.items()}


class PinnedRing:
    """Buffers in page-locked memory, from which a device fetches a batch while it computes."""

    way = "pinned"

    def __init__(
        self, samples: Samples, largest: int, slots: int, prove: Callable[[Arrays], None], copier: "Copier"
    ) -> None:
        self.slots = slots
        self._samples, self._prove, self._copier = samples, prove, copier
        shapes = samples.buffers(1)
        self._pinned = [
            {name: copier.pinned((largest, *array.shape[1:]), array.dtype) for name, array in shapes.items()}
            for _ in range(slots)
        ]
        self._copied: list[Any] = [None] * slots

    def read(self, slot: int, indices: np.ndarray) -> tuple[Tensors, Any]:
        if self._copied[slot] is not None:  # the copy that was begun from here must be over
            self._copier.wait(self._copied[slot])
        pinned = self._pinned[slot]
        self._prove(self._samples.batch(indices, {name: tensor.numpy() for name, tensor in pinned.items()}))
        tensors, copied = self._copier.begin({name: tensor[: len(indices)] for name, tensor in pinned.items()})
        self._copied[slot] = copied
        return tensors, copied

    def take(self, given: tuple[Tensors, Any]) -> Tensors:
        self._copier.use(*given)
        return given[0]


class Copier(Protocol):
    """Copies to a device that go on by themselves."""

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        """Memory that the device can fetch from."""

    def begin(self, host: Tensors) -> tuple[Tensors, Any]:
        """Begin to copy: the device's tensors, and a mark that tells when they are there."""

    def wait(self, mark: Any) -> None:
        """Wait until the copy is over."""

    def use(self, tensors: Tensors, mark: Any) -> None:
        """What the device is told to do from now on happens after the copy; nobody waits here."""


class Cuda:
    """Copies on a stream of their own, beside the one that computes."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        return torch.empty(shape, dtype=torch.from_numpy(np.empty(0, dtype)).dtype, pin_memory=True)

    def begin(self, host: Tensors) -> tuple[Tensors, torch.cuda.Event]:
        with torch.cuda.stream(self._stream):
            tensors = {name: tensor.to(self._device, non_blocking=True) for name, tensor in host.items()}
            mark = torch.cuda.Event()  # type: ignore[no-untyped-call]
            mark.record(self._stream)
        return tensors, mark

    def wait(self, mark: torch.cuda.Event) -> None:
        mark.synchronize()

    def use(self, tensors: Tensors, mark: torch.cuda.Event) -> None:
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(mark)
        for tensor in tensors.values():
            tensor.record_stream(stream)  # else its memory could be given away while it is still read
