"""Several processes on this machine, as `torchrun` would start them, without waiting for torchrun."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from training import narrow

from gravurekit.errors import DataError, GravurekitError
from gravurekit.model import distributed
from gravurekit.model.distributed import Team, team
from gravurekit.model.gradients import Gradients
from gravurekit.model.learner import Learner
from gravurekit.model.network import NetworkConfig, build
from gravurekit.model.order import share_of
from gravurekit.model.ranks import Place
from gravurekit.model.recipe import Recipe
from gravurekit.model.trainer import train
from gravurekit.model.validation import Examiner
from gravurekit.progress import Silent
from gravurekit.stages import train as stage

# The server imports torch once, and computes nothing, so that forking it is safe and takes no time.
CONTEXT = multiprocessing.get_context("forkserver")
# an optimizer imports torch._dynamo
CONTEXT.set_forkserver_preload(["gravurekit.model.trainer", "gravurekit.stages.train", "torch._dynamo"])
LONG = 300  # seconds after which a process hangs


@dataclass
class End:
    """What became of a process: what its task returned, or its error."""

    value: Any = None
    error: BaseException | None = None
    code: int | None = None


def together(
    tmp_path: Path, world: int, task: Callable[..., Any], *arguments: Any, meet: bool = True, where: str = ""
) -> list[End]:
    """Run `task(team, *arguments)` in so many processes; what became of each, by rank. If they are not to `meet`, the
    task is given how they can, the arguments of `team` after the first one. `where`: a file that they share."""
    meeting = f"file://{tmp_path}/{where or f'meeting-{len(list(tmp_path.iterdir()))}'}"
    pipes = [CONTEXT.Pipe(duplex=False) for _ in range(world)]
    workers = [
        CONTEXT.Process(target=_work, args=(pipe, Place(rank, world, rank, world), meeting, task, arguments, meet))
        for rank, (_, pipe) in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    for _, mine in pipes:
        mine.close()
    try:
        return [_end(worker, pipe) for worker, (pipe, _) in zip(workers, pipes, strict=True)]
    finally:
        for worker in workers:
            worker.kill()


def _end(worker: Any, pipe: Connection) -> End:
    try:
        found = pipe.recv() if pipe.poll(LONG) else End()
    except EOFError:  # killed
        found = End()
    worker.join(LONG)
    assert worker.exitcode is not None, "a process hangs"
    found.code = worker.exitcode
    return found


def _work(
    pipe: Connection, here: Place, meeting: str, task: Callable[..., Any], arguments: tuple[Any, ...], meet: bool
) -> None:
    torch.set_num_threads(1)
    try:
        with narrow(), team("cpu", here, meeting) if meet else nullcontext((here, meeting)) as found:
            value = task(found, *arguments)
        pipe.send(End(value))
    except (GravurekitError, KeyboardInterrupt, ValueError) as error:
        pipe.send(End(error=error))


# ---- BN ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NormCase:
    """A batch of `shape`, cut into `parts`, each of them a process's."""

    shape: tuple[int, ...]
    parts: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    last: bool = False  # channels_last
    mean: float = 1.0
    training: bool = True

    def made(self, part: slice = slice(None)) -> tuple[nn.Module, Tensor, Tensor]:
        """A BN, its input, and the gradient of its output."""
        chance = torch.Generator().manual_seed(7)
        channels = self.shape[1]
        norm = (nn.BatchNorm1d if len(self.shape) == 2 else nn.BatchNorm2d)(channels)
        with torch.no_grad():
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                assert tensor is not None
                tensor.uniform_(0.5, 1.5, generator=chance)
        spread = torch.linspace(0.2, 3, channels).reshape(1, -1, *[1] * (len(self.shape) - 2))
        x = torch.randn(self.shape, generator=chance) * spread + self.mean
        x, dy = (t.to(self.dtype)[part] for t in (x, torch.randn(self.shape, generator=chance)))
        if self.last:
            x, dy = (t.contiguous(memory_format=torch.channels_last) for t in (x, dy))
        return norm.train(self.training), x.requires_grad_(), dy


def normed(net: nn.Module, x: Tensor, dy: Tensor) -> dict[str, np.ndarray]:
    """Forward and backward of `net`: all that comes out."""
    y = net(x)
    y.backward(dy)
    assert y.dtype == x.dtype and x.grad is not None
    assert y.stride() == x.stride() == x.grad.stride()
    found = (
        {"y": y, "dx": x.grad} | {f"d {name}": p.grad for name, p in net.named_parameters()} | dict(net.named_buffers())
    )
    return {name: tensor.detach().double().numpy() for name, tensor in found.items() if tensor is not None}


def share_norms(mine: Team, cases: list[NormCase]) -> list[dict[str, np.ndarray]]:
    """Each case's part of this process through the shared BN."""
    found = []
    for case in cases:
        starts = np.cumsum([0, *case.parts])
        norm, x, dy = case.made(slice(starts[mine.rank], starts[mine.rank + 1]))
        net = nn.Sequential(norm)
        mine.share_norms(net)
        assert not isinstance(net[0], nn.BatchNorm1d | nn.BatchNorm2d)
        found.append(normed(net, x, dy))
    return found


# ---- gradients -----------------------------------------------------------------------------------------


def tower() -> nn.Sequential:
    """Five layers, of which the fourth isn't used."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3), nn.Flatten(), nn.Linear(64, 5), nn.Linear(64, 7))


def climb(net: nn.Sequential, x: Tensor) -> Tensor:
    """Its loss, a sum over samples."""
    return torch.tanh(net[4](net[2](net[1](net[0](x))))).square().sum()


def sum_gradients(mine: Team, bucket: int) -> list[dict[str, np.ndarray | None]]:
    """The gradients of two steps of two backwards each; one is of nothing in the second step."""
    net = tower().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    summing, found = Gradients(net, bucket).summing, []
    for step in range(2):
        for number in range(2):
            chance = torch.Generator().manual_seed(100 * step + 10 * number + mine.rank)
            with summing(number == 1):
                climb(net, torch.randn((3, 1, 6, 6), generator=chance)).backward()
        found.append({name: None if p.grad is None else p.grad.numpy().copy() for name, p in net.named_parameters()})
        assert all(p.grad is None or p.grad.stride() == p.stride() for p in net.parameters())
        net.zero_grad(set_to_none=step == 0)
    return found


# ---- what is said and agreed ---------------------------------------------------------------------------


def talk(mine: Team) -> dict[str, Any]:
    """A bit of everything."""
    rank = mine.rank
    here = {"a": torch.arange(6).reshape(2, 3).t(), "b": torch.tensor(1.5, dtype=torch.bfloat16)} if mine.leads else {}
    found = {
        "any": mine.any(False, rank == 1, True),
        "total": mine.total(torch.tensor([1.0, rank])).tolist(),
        "told": [mine.told("é" * 3 if mine.leads else ""), mine.told("")],
        "handed": {name: (t.dtype, t.float().tolist()) for name, t in mine.handed_out(here).items()},
    }
    mine.barrier()
    mine.same("shards", "abc")
    mine.same_tensors({"x": torch.ones(3), "y": torch.tensor(float("nan"))})
    return found


def differ(mine: Team, how: str) -> None:
    if how == "text":
        mine.same("shards", "abc" if mine.rank != 1 else "abd")
    else:
        mine.same_tensors({"x": torch.ones(3), "y": torch.ones(3) * (1 + 1e-7 * (mine.rank == 1))})


def leave(mine: Team, rank: int) -> None:
    """Nothing is done; one has nothing to do but to fail."""
    if mine.rank == rank:
        raise DataError("row 7 is damaged")


def end_by(mine: Team, how: str) -> None:
    """Rank 1 ends; the others wait for it."""
    if how == "ctrl-c" or mine.rank == 1:
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise {"error": DataError("row 7 is damaged"), "ctrl-c": KeyboardInterrupt()}[how]
    mine.any(False)
    mine.any(False)


# ---- trainings -----------------------------------------------------------------------------------------


SIDE = 16  # px


class Pictures:
    """Pictures of some patches each, drawn by chance; the last of them can be damaged."""

    def __init__(self, count: int, damaged: bool = False) -> None:
        self.count, self.damaged = count, damaged

    def __len__(self) -> int:
        return self.count

    def buffers(self, count: int) -> dict[str, np.ndarray]:
        made = self._made(0)
        return {name: np.zeros((count, *array.shape), array.dtype) for name, array in made.items()}

    def batch(self, indices: np.ndarray, out: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        if self.damaged and self.count - 1 in indices:
            raise DataError(f"row {self.count - 1} is damaged")
        out = self.buffers(len(indices)) if out is None else out
        for row, number in enumerate(indices):
            for name, array in self._made(int(number)).items():
                out[name][row] = array
        return {name: array[: len(indices)] for name, array in out.items()}

    def _made(self, number: int) -> dict[str, np.ndarray]:
        chance = np.random.default_rng(number)
        patches = np.kron(chance.integers(60, 200, (4, 4, 4), np.uint8), np.ones((SIDE // 4, SIDE // 4), np.uint8))
        box = np.array([0, 0, SIDE, SIDE - number % 5])
        return {"L": patches[:1], "wash": patches[1:], "label": np.array(number % 3 - 1), "box": box}


CONFIG = NetworkConfig(("dress", "hat"), "average", SIDE, palette=True, hints=True, lightness=True, L_mean=0.5)


def recipe(**values: Any) -> Recipe:
    wanted: dict[str, Any] = {"steps": 3, "batch": 6, "precision": "fp32", "device": "cpu", "tone": 0.2}
    return Recipe(**wanted | values)


@contextmanager
def exactly() -> Iterator[None]:
    """In float64, whatever asks for float32. BN and Adam make much of the last digits of a number: after a step or two
    in float32, what is wrong couldn't be told from what is rounded."""
    narrow, shared = torch.Tensor.float, torch.from_numpy

    def wide(array: np.ndarray) -> Tensor:
        return shared(array.astype(np.float64) if array.dtype == np.float32 else array)

    torch.set_default_dtype(torch.float64)
    torch.Tensor.float, torch.from_numpy = torch.Tensor.double, wide  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        torch.Tensor.float, torch.from_numpy = narrow, shared  # type: ignore[method-assign]


def step_exactly(mine: Team, plan: Recipe) -> dict[str, list[float]]:
    """The steps of a training without the trainer, in float64: their losses, some weights out of each tensor, some of
    the averaged ones, and the figures of a validation."""
    with exactly():
        learner = Learner(build(CONFIG, plan.seed), plan, False, team=mine)
        share, pictures, found = share_of(plan.batch, plan.accumulate, mine.rank, mine.world), Pictures(20), {}
        for step in range(plan.steps):
            places = plan.batch * step + share.places
            samples = {name: torch.from_numpy(array) for name, array in pictures.batch(places % 20).items()}
            found[f"loss {step}"] = learner.step(samples, places, share.sizes, step).numbers()
        for name, tensor in learner.network.state_dict().items():
            found[name] = tensor.flatten()[:: 1 + tensor.numel() // 50].tolist()
        found["average"] = learner.average.colorization.C5.weight.flatten()[:50].tolist()
        figures = Examiner(Pictures(4), plan, False, 2, team=mine).figures(learner.average.eval(), None)
        return found | {"figures": [value or 0.0 for value in figures.values()]}


def learn(mine: Team, folder: Path, plan: Recipe, ends: Mapping[int, str] = MappingProxyType({})) -> list[str]:
    """A training in `folder`, which only rank 0 is told of; the kinds of reports that were heard. `ends`: by rank, what
    happens to it after its second step, or to one that is killed after its third."""
    heard: list[str] = []
    how, steps = ends.get(mine.rank, ""), 0

    def should_stop() -> bool:
        nonlocal steps
        steps += 1
        if steps == 3 and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if steps == 2 and how == "ctrl-c":
            signal.raise_signal(signal.SIGINT)
        return steps == 2 and how == "stop"

    train(
        Pictures(20, how == "damaged"), Pictures(5), CONFIG, plan, folder if mine.leads else folder / "nowhere",
        lambda report: heard.append(report["kind"]), should_stop, about={"shards": f"abc{how == 'others'}"}, team=mine,
    )  # fmt: skip
    return heard


class Notes(Silent):
    """A Watch that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


def train_shards(way: tuple[Place, str], source: Path, runs: Path, values: dict[str, Any]) -> tuple[Any, list[str]]:
    """The stage, as `torchrun` starts it: its Summary, and what was told."""
    here, meeting = way
    distributed.team = partial(team, here=here, meeting=meeting)  # type: ignore[assignment]
    stage.place = lambda: here
    notes = Notes()
    knobs = stage.Settings(**{"batch": 4, "steps": 2, "device": "cpu", "average": 0.0} | values)
    return stage.run(stage.Job(source, runs, knobs), notes), notes.told
