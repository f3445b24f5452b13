"""Recorded steps: the same bits as steps done as they are, and what can't be recorded is done as it is."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from training import narrow

from gravurekit.model import capture
from gravurekit.model.augment import drawn
from gravurekit.model.capture import PAYS, REPLAYS, WARM, Replayed, hindrance, recordable
from gravurekit.model.learner import Learner
from gravurekit.model.network import NetworkConfig, build
from gravurekit.model.recipe import Recipe

STEPS, BATCH, SIDE = WARM + 3, 4, 16
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module", autouse=True)
def _narrow() -> Iterator[None]:
    with narrow():
        yield


class Tape:
    """A recorder that a CPU has: what was recorded is called again. Recording does nothing."""

    def __init__(self, failure: str = "") -> None:
        self.failure, self.recorded, self.replayed, self.warm = failure, 0, 0, 0

    @contextmanager
    def beside(self) -> Iterator[None]:
        self.warm += 1
        yield

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        self.recorded += 1
        if self.failure:
            raise RuntimeError(self.failure)
        output = torch.full((3,), torch.nan)

        def replay() -> None:
            self.replayed += 1
            output.copy_(work())

        return replay, output


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "paper": ({}, {"name": "paper", "average": 0.0, "palette_drop": 0.0, "hint_share": 0.0}),
    "prints": (
        {"palette": True, "hints": True, "lightness": True},
        {"tone": 0.2, "blur": 0.5, "noise": 2.0, "crop": (16, 8), "photographs": 0.5},
    ),
    "bins, in parts": ({"bins": True, "palette": True}, {"accumulate": 2}),
}


def learner(options: str, fp32: bool = True) -> Learner:
    config, knobs = OPTIONS[options]
    network = build(NetworkConfig(("dress", "hat"), "average", 16, L_mean=0.5, **config), seed=1)
    histogram = np.ones((27, 27)) if options != "paper" else None
    return Learner(network, Recipe(STEPS, BATCH, learning_rate=0.01, **knobs), not fp32, histogram)


def samples(number: int) -> dict[str, Tensor]:
    chance = np.random.default_rng(number)
    arrays = {
        "L": chance.integers(0, 256, (BATCH, 1, SIDE, SIDE), np.uint8),
        "L_photo": chance.integers(0, 256, (BATCH, 1, SIDE, SIDE), np.uint8),
        "wash": chance.integers(0, 256, (BATCH, 3, SIDE, SIDE), np.uint8),
        "label": chance.integers(-1, 2, BATCH),
        "box": np.tile([0, 0, SIDE, SIDE - number % 3], (BATCH, 1)),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def recorded_by(tape: Tape, learns: Learner, told: list[str] | None = None) -> Learner:
    learns._replayed = Replayed(
        tape, lambda: recordable(learns.optimizer), learns._drop_gradients, (told if told is not None else []).append
    )
    return learns


def taught(learns: Learner, steps: int = STEPS) -> tuple[list[list[float]], dict[str, Tensor]]:
    """The losses of each step, and all that a state holds after them."""
    sizes = [BATCH // learns.recipe.accumulate] * learns.recipe.accumulate
    losses = []
    for step in range(steps):
        batch = samples(step)
        losses.append(learns.step(batch, np.arange(BATCH) + BATCH * step, sizes, step))
        for tensor in batch.values():
            tensor.fill_(0)  # whoever still reads the caller's tensors is found out
    tensors = {f"network {name}": tensor for name, tensor in learns.network.state_dict().items()}
    tensors |= {f"average {name}": tensor for name, tensor in learns.average.state_dict().items()}
    for number, state in learns.optimizer.state_dict()["state"].items():
        tensors |= {f"{number} {name}": value for name, value in state.items()}
    return [reading.numbers() for reading in losses], tensors


@cache
def plainly_taught(options: str) -> tuple[list[list[float]], dict[str, Tensor]]:
    return taught(learner(options))


def assert_same(found: tuple[list[list[float]], dict[str, Tensor]], wanted: Any) -> None:
    assert found[0] == wanted[0] and np.isfinite(found[0]).all()
    assert found[1].keys() == wanted[1].keys()
    assert [name for name, tensor in found[1].items() if not torch.equal(tensor, wanted[1][name])] == []


# ---- the same result -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS)
def test_replayed_steps_give_the_same_bits(options: str) -> None:
    tape, told = Tape(), []
    found = taught(recorded_by(tape, learner(options), told))
    assert_same(found, plainly_taught(options))
    assert (tape.warm, tape.recorded, tape.replayed) == (WARM, 1, STEPS - WARM)
    assert told == [REPLAYS]
    assert len({tuple(terms) for terms in found[0]}) == STEPS  # readings aren't written over by the next replay


@pytest.mark.parametrize("options", OPTIONS)
def test_what_cannot_be_recorded_is_done_as_it_is(options: str) -> None:
    tape, told = Tape("operation not permitted when stream is capturing\nCUDA kernel errors might …"), []
    assert_same(taught(recorded_by(tape, learner(options), told)), plainly_taught(options))
    assert (tape.warm, tape.recorded, tape.replayed) == (WARM, 1, 0)
    assert len(told) == 1 and told[0].endswith("can't be recorded: operation not permitted when stream is capturing")


def test_a_failed_recording_holds_nothing() -> None:
    learns = recorded_by(Tape("no"), learner("paper"))
    taught(learns, WARM)
    kept: list[weakref.ref[Tensor]] = []

    def work(tensors: dict[str, Tensor]) -> Tensor:
        kept.extend(map(weakref.ref, tensors.values()))
        return torch.zeros(3)

    replayed = learns._replayed
    assert replayed is not None
    assert any(p.grad is not None for p in learns.network.parameters())
    replayed(work, {"L": torch.ones(2)})
    gc.collect()
    assert [ref() for ref in kept] == [None] and replayed._inputs == {}
    assert all(p.grad is None for p in learns.network.parameters())


def test_an_error_that_is_not_of_recording_is_not_hidden() -> None:
    def work(tensors: dict[str, Tensor]) -> Tensor:
        raise KeyError("a fault of ours")

    class Calls(Tape):
        def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
            return lambda: None, work()

    replayed = Replayed(Calls(), nullcontext, lambda: None, lambda said: None)
    for _ in range(WARM):
        replayed(lambda tensors: torch.zeros(3), {})
    with pytest.raises(KeyError):
        replayed(work, {})


# ---- the buffers ---------------------------------------------------------------------------------------


def replaying(tape: Tape, work: Callable[[dict[str, Tensor]], Tensor], first: dict[str, Tensor]) -> Replayed:
    replayed = Replayed(tape, nullcontext, lambda: None, lambda said: None)
    for _ in range(WARM + 1):
        replayed(work, first)
    return replayed


def test_values_are_copied_to_where_the_recorded_ones_lay() -> None:
    seen: list[int] = []

    def work(tensors: dict[str, Tensor]) -> Tensor:
        seen.append(tensors["a"].data_ptr())
        return tensors["a"].sum() * torch.ones(3)

    first = torch.ones(4)
    replayed = replaying(Tape(), work, {"a": first})
    assert replayed(work, {"a": torch.full((4,), 2.0)}).tolist() == [8.0] * 3
    assert replayed(work, {"a": torch.full((4,), 5.0)}).tolist() == [20.0] * 3
    assert seen[-1] == seen[-2] != first.data_ptr() and first.tolist() == [1.0] * 4


@pytest.mark.parametrize(
    "other", [{"a": torch.ones(3)}, {"a": torch.ones(4, dtype=torch.float64)}, {"a": torch.ones(4), "b": torch.ones(1)}]
)
def test_other_shapes_are_done_as_they_are(other: dict[str, Tensor]) -> None:
    def work(tensors: dict[str, Tensor]) -> Tensor:
        return tensors["a"].sum().float() * torch.ones(3)

    tape = Tape()
    replayed = replaying(tape, work, {"a": torch.ones(4)})
    done = tape.replayed
    assert replayed(work, other).tolist() == [float(other["a"].sum())] * 3 and tape.replayed == done
    assert replayed(work, {"a": torch.full((4,), 2.0)}).tolist() == [8.0] * 3 and tape.replayed == done + 1


def test_what_was_released_is_not_recorded_again() -> None:
    tape = Tape()
    replayed = replaying(tape, lambda tensors: tensors["a"] + 1, {"a": torch.ones(3)})
    replayed.release()
    assert replayed(lambda tensors: tensors["a"] + 1, {"a": torch.ones(3)}).tolist() == [2.0] * 3
    assert tape.recorded == 1 and replayed._inputs == {} and replayed._output is None


# ---- what can be recorded ------------------------------------------------------------------------------


class Recordable(TorchDispatchMode):
    """What a CUDA graph couldn't hold is an error: numbers that are asked back from the device or sent to it, shapes
    that depend on them, and chance."""

    FORBIDDEN = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "_unique2",
        "equal",
        "repeat_interleave",
        "lift_fresh",
    )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if (
            name in self.FORBIDDEN
            or name.startswith("rand")
            or name in ("bernoulli_", "normal_", "uniform_", "random_")
        ):
            raise AssertionError(f"{name} can't be recorded")
        if name in ("index", "index_put_"):
            assert all(index is None or index.dtype != torch.bool for index in args[1]), "a mask has no fixed shape"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("fp32", [True, False])
def test_a_step_asks_nothing_back_from_the_device(options: str, fp32: bool) -> None:
    learns = learner(options, fp32)
    taught(learns, 1)  # what is made once and kept, as in the steps before one is recorded
    tensors = samples(0) | {"draws": torch.from_numpy(drawn(learns.augmentation, (SIDE, SIDE), np.arange(BATCH), 0))}
    with Recordable():
        learns._update(tensors, [2, 2])


def test_the_guard_of_recordable_steps_finds_what_it_should() -> None:
    numbers = torch.arange(3.0)
    for fault in (
        lambda: numbers.sum().item(),
        lambda: bool(numbers.any()),
        lambda: numbers[numbers > 1],
        lambda: numbers.nonzero(),
        lambda: torch.tensor([1.0]),
        lambda: numbers.clone().normal_(),
        lambda: torch.randint(3, (2,)),
    ):
        with pytest.raises(AssertionError, match="can't be recorded|no fixed shape"), Recordable():
            fault()


@pytest.mark.parametrize("options", ["paper", "prints"])
def test_an_optimizer_is_recordable_only_meanwhile(options: str) -> None:
    learns = learner(options)
    taught(learns, 1)
    with recordable(learns.optimizer):
        assert all(group["capturable"] for group in learns.optimizer.param_groups)
        steps = [state["step"] for state in learns.optimizer.state.values()]
        assert steps and all(isinstance(step, Tensor) and step.device == learns.device for step in steps)
    with pytest.raises(RuntimeError), recordable(learns.optimizer):
        raise RuntimeError
    assert not any(group["capturable"] for group in learns.optimizer.param_groups)


# ---- whether it is tried -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "device", "steps", "processes", "expected"),
    [
        ("auto", CUDA, PAYS, 1, None),
        ("auto", CUDA, PAYS - 1, 1, ""),
        ("auto", CUDA, PAYS, 2, ""),
        ("auto", CPU, PAYS, 1, ""),
        ("off", CUDA, PAYS, 1, ""),
        ("graph", CUDA, 1, 1, None),
        ("graph", CPU, PAYS, 1, "steps aren't recorded: cpu can't replay any, only CUDA can"),
        ("graph", CUDA, PAYS, 2, "steps aren't recorded: 2 processes talk to one another in each"),
        ("inductor", CUDA, PAYS, 1, None),
        ("inductor", CPU, PAYS, 1, ""),
    ],
)
def test_steps_are_recorded_where_it_pays(
    choice: str, device: torch.device, steps: int, processes: int, expected: str | None
) -> None:
    assert hindrance(choice, device, steps, processes) == expected


def test_steps_are_not_recorded_while_somebody_looks_for_anomalies() -> None:
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly():
        assert "anomalies" in (hindrance("auto", CUDA, PAYS, 1) or "")


# ---- CUDA graphs ---------------------------------------------------------------------------------------


class Stub:
    """What of torch.cuda is used, as far as it can be followed without a device."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ends_badly: bool = False) -> None:
        self.events: list[str] = []
        self.current = "main"
        stub = self

        class Stream:
            def __init__(self, device: object) -> None:
                pass

            def wait_stream(self, other: object) -> None:
                stub.events.append(f"side waits for {other}")

        class Main(str):
            def wait_stream(self, other: object) -> None:
                stub.events.append("main waits for side")

        @contextmanager
        def graph(graph: object, stream: Stream, capture_error_mode: str) -> Iterator[None]:
            assert capture_error_mode == "thread_local"
            stub.current = "side"
            stub.events.append("begin")
            yield
            stub.events.append("end")
            if ends_badly:  # as torch does it: the stream isn't put back
                raise RuntimeError("capture was invalidated")
            stub.current = "main"

        @contextmanager
        def stream(stream: Stream) -> Iterator[None]:
            stub.current = "side"
            yield
            stub.current = "main"

        class Graph:
            def replay(self) -> None:
                stub.events.append("replay")

        def set_stream(stream: str) -> None:
            stub.current = str(stream)

        for name, thing in {
            "Stream": Stream, "graph": graph, "stream": stream, "CUDAGraph": Graph, "set_stream": set_stream,
            "current_stream": lambda device: Main("main"),
        }.items():  # fmt: skip
            monkeypatch.setattr(torch.cuda, name, thing)


def test_a_graph_is_recorded_on_a_stream_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Stub(monkeypatch)
    graphs = capture.CudaGraphs(CUDA)
    with graphs.beside():
        assert stub.current == "side"
    assert stub.events == ["side waits for main", "main waits for side"] and stub.current == "main"
    stub.events.clear()
    replay, output = graphs.record(lambda: torch.tensor([float(stub.current == "side")]))
    replay()
    assert stub.events == ["begin", "end", "replay"] and output.item() == 1 and stub.current == "main"


def test_a_graph_that_ends_badly_leaves_the_stream_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Stub(monkeypatch, ends_badly=True)
    monkeypatch.setattr(capture.CudaGraphs, "_broken", [])
    graphs = capture.CudaGraphs(CUDA)
    with pytest.raises(RuntimeError, match="invalidated"):
        graphs.record(lambda: torch.zeros(3))
    assert stub.current == "main"
    assert len(capture.CudaGraphs._broken) == 1  # the allocator may ask it, so it must live on
