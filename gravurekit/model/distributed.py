"""Training by several processes: `torchrun --nproc-per-node N -m gravurekit train`.

Each process takes its part of every batch; gradients, and the statistics of BN, are summed over all of them, so that N
processes do what one does, but for the rounding of sums. Rank 0 leads: it alone writes and talks. A process that fails
says why and ends; the others notice at the next thing that is done together, and end in silence.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from gravurekit.errors import FailedElsewhere, GravurekitError, Interrupted, TrainingError, UsageError
from gravurekit.model.checkpoint import pick_device
from gravurekit.model.collectives import Lost, answered, gathered, handed_out, summed
from gravurekit.model.gradients import Gradients
from gravurekit.model.ranks import Place, place
from gravurekit.model.shared_norm import share_norms

PATIENCE = timedelta(minutes=30)  # for a process that doesn't answer; one that has died is noticed at once
FAULT = 1  # the exit code of an error that isn't ours

Summing = Callable[[bool], AbstractContextManager[None]]


def team(device: str = "auto", here: Place | None = None, meeting: str = "env://") -> "Team":
    """A context: the processes that the environment tells of (or `here`), met at `meeting`, a URL of torch's
    rendezvous, each to compute on its own `device`: "cpu", "cuda", or "auto" for cuda where there is one.

    Raises UsageError if the device can't be had, or the environment tells nonsense, Lost if the others don't come.
    """
    here = here or place()
    return Several(here, _device_of(device, here), meeting) if here.world > 1 else Team()


def _device_of(name: str, here: Place) -> torch.device:
    """A GPU for each process of a machine, or the CPU for all."""
    kind = "cpu" if name == "auto" and not torch.cuda.is_available() else "cuda" if name == "auto" else name
    if kind not in ("cpu", "cuda"):
        raise UsageError(
            f"several processes train on cpu or cuda, not on {kind!r}: give --device, or start one process"
        )
    pick_device(kind)
    if kind == "cuda" and here.local_world > torch.cuda.device_count():
        raise UsageError(
            f"{here.local_world} processes need a GPU each, and this machine has {torch.cuda.device_count()}: "
            "start fewer (--nproc-per-node), or give --device cpu"
        )
    return torch.device(kind, here.local_rank) if kind == "cuda" else torch.device(kind)


class Team:
    """The processes of a training as one of them sees it; this one is alone, and nothing here does anything.

    rank, world   this process's number among all, and how many they are
    leads         whether it is the one that writes and talks, rank 0
    """

    rank, world, leads = 0, 1, True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def device(self, name: str) -> torch.device:
        """Where this process computes; of several on a machine each has a GPU of its own."""
        return pick_device(name)

    def share_norms(self, network: nn.Module) -> None:
        """From now on the network's BN, in training, takes its statistics from all processes' samples."""

    def gradients(self, network: nn.Module) -> Summing:
        """`summing(last)`, a context around each backward: after a step's last one the gradients are sums over all
        processes, and over the backwards before it."""
        return lambda last: nullcontext()

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, the same bits in each; no gradient."""
        return tensor.detach()

    def any(self, *flags: bool) -> list[bool]:
        """Of each flag whether any process says so."""
        return list(flags)

    def level(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes, the same bits in each, in the place of these float32 tensors."""

    def told(self, text: str) -> str:
        """What rank 0 says."""
        return text

    def handed_out(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rank 0's tensors, in all processes, on the CPU."""
        return dict(tensors)

    def same(self, what: str, text: str) -> None:
        """Raises TrainingError, in all processes, if they don't all say the same text; `what` is its name."""

    def same_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Raises TrainingError, in all processes, if these tensors, of the same names and shapes, hold other bits in
        some of them: then they have gone apart, and what they learn together is worth nothing."""

    def barrier(self) -> None:
        """Wait until all processes are here."""


ALONE = Team()


class Several(Team):
    """A process of several, while the process group lives."""

    def __init__(self, here: Place, device: torch.device, meeting: str) -> None:
        self.rank, self.world, self.leads = here.rank, here.world, here.leads
        self._device, self._meeting = device, meeting

    def __enter__(self) -> Self:
        with answered():
            shared, *_ = next(iter(rendezvous(self._meeting, self.rank, self.world, timeout=PATIENCE)))
            shared.set_timeout(PATIENCE)
            name = _roll_call(shared, self.rank, self.world)
            self._store = dist.PrefixStore(name, shared)  # type: ignore[attr-defined]
        try:
            self._connect()
        except Lost as error:
            if (told := self._told_before(error)) is not None:
                raise FailedElsewhere(told) from error
            raise
        return self

    def _connect(self) -> None:
        backend = "gloo"
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)
            backend = "cpu:gloo,cuda:nccl"  # flags and other small things needn't wait for the GPU
        with answered():
            dist.init_process_group(
                backend, store=self._store, rank=self.rank, world_size=self.world, timeout=PATIENCE,
                device_id=self._device if self._device.type == "cuda" else None,
            )  # fmt: skip
        self.barrier()  # who has nothing to do and leaves at once would be missed by those that still connect

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        told = self._told_before(error) if error else None
        if not error or self._device.type == "cpu":  # NCCL would wait for what the others never send
            dist.destroy_process_group()
        if told == Interrupted.exit_code and self.leads:
            raise KeyboardInterrupt from error
        if told is not None:
            raise FailedElsewhere(told) from error
        if isinstance(error, KeyboardInterrupt) and not self.leads:
            raise FailedElsewhere(Interrupted.exit_code) from error

    def _told_before(self, error: BaseException) -> int | None:
        """The exit code of another process that failed before this one and has told why; None if this is the first."""
        if isinstance(error, KeyboardInterrupt):
            code = Interrupted.exit_code
        else:
            code = error.exit_code if isinstance(error, GravurekitError) else FAULT
        try:
            if self._store.add("gravurekit/failures", 1) == 1:
                self._store.set("gravurekit/failure", str(code))
                return None
            return int(self._store.get("gravurekit/failure"))
        except (RuntimeError, ValueError):  # the store was in the process that died
            return None

    def device(self, name: str) -> torch.device:
        return self._device

    def share_norms(self, network: nn.Module) -> None:
        share_norms(network, self._device)

    def gradients(self, network: nn.Module) -> Summing:
        return Gradients(network).summing

    def total(self, tensor: Tensor) -> Tensor:
        return summed(tensor)

    def any(self, *flags: bool) -> list[bool]:
        return [count > 0 for count in summed(torch.tensor(flags, dtype=torch.int32)).tolist()]

    def level(self, tensors: Sequence[Tensor]) -> None:
        means = summed(torch.cat([tensor.reshape(-1) for tensor in tensors])) / self.world
        for tensor, mean in zip(tensors, torch.split(means, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.reshape(tensor.shape))

    def told(self, text: str) -> str:
        data = _bytes(text.encode())
        length = int(handed_out(torch.tensor([len(data)])))
        return bytes(handed_out(data if self.leads else torch.empty(length, dtype=torch.uint8)).tolist()).decode()

    def handed_out(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        kinds = {name: (list(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in tensors.items()}
        found = {}
        for name, (shape, kind) in json.loads(self.told(json.dumps(kinds))).items():
            mine = tensors[name].cpu().contiguous() if self.leads else torch.empty(shape, dtype=getattr(torch, kind))
            handed_out(mine.reshape(-1).view(torch.uint8))
            found[name] = mine
        return found

    def same(self, what: str, text: str) -> None:
        all_of_them = gathered(_bytes(hashlib.sha256(text.encode()).digest()))
        if others := [rank for rank in range(self.world) if not torch.equal(all_of_them[rank], all_of_them[0])]:
            raise TrainingError(
                f"the processes of the training differ in {what} (rank 0 and {_ranks(others)}); "
                "start all with the same shards, settings and gravurekit"
            )

    def same_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        all_of_them = gathered(torch.stack([_fingerprint(tensor) for tensor in tensors.values()]).cpu())
        for number, name in enumerate(tensors):
            if bool((all_of_them[:, number] != all_of_them[0, number]).any()):
                raise TrainingError(
                    f"the processes of the training have gone apart: {name} isn't the same in all; "
                    "run the same command again to go on from the last saved state"
                )

    def barrier(self) -> None:
        summed(torch.zeros(1))


def _roll_call(store: Any, rank: int, world: int) -> str:
    """A name for these processes together that no others have had.

    torchrun's store outlives the processes: those that are started again find what those before them left there, among
    it the addresses of the dead (pytorch issue 135712; TORCHELASTIC_RESTART_COUNT isn't the same on all machines). So
    each says who it is, rank 0 reads the list out until all have answered to the same one, and that is the name.
    """
    me, deadline = uuid.uuid4().hex, time.monotonic() + PATIENCE.total_seconds()
    store.set(f"gravurekit/rank {rank}", me)
    while time.monotonic() < deadline:
        if rank == 0 and all(_said(store, f"gravurekit/rank {number}") for number in range(world)):
            names = " ".join(_said(store, f"gravurekit/rank {number}") for number in range(world))
            store.set("gravurekit/list", names)
        names = _said(store, "gravurekit/list")
        if me in names:
            store.set(f"gravurekit/{me}", names)
            if rank == 0 and all(_said(store, f"gravurekit/{name}") == names for name in names.split()):
                store.set(f"gravurekit/all of {names}", "here")
            if _said(store, f"gravurekit/all of {names}"):
                return hashlib.sha256(names.encode()).hexdigest()[:16]
        time.sleep(0.01)
    raise Lost("not all of them came")


def _said(store: Any, key: str) -> str:
    """What is in the store under that key, or nothing."""
    return store.get(key).decode() if store.check([key]) else ""


def _bytes(data: bytes) -> Tensor:
    return torch.tensor(list(data), dtype=torch.uint8)


def _ranks(ranks: list[int]) -> str:
    shown = ", ".join(map(str, ranks[:5]))
    return f"{'rank' if len(ranks) == 1 else 'ranks'} {shown}{', …' if len(ranks) > 5 else ''}"


def _fingerprint(tensor: Tensor) -> Tensor:
    """() int64 on the tensor's device, a sum over its bits: one that changed anywhere has, nearly always, another."""
    flat = tensor.detach().contiguous().reshape(-1)
    kind = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[flat.element_size()]
    return flat.view(kind).sum(dtype=torch.int64)
