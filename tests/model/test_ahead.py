"""A training that is ahead of what it has looked at, and replays its steps, as on CUDA: nothing else is different."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training import CONFIG, Blocks, narrow, recipe

from gravurekit.errors import TrainingError, UsageError
from gravurekit.model import capture, losses, readings
from gravurekit.model.checkpoint import load_state
from gravurekit.model.log import read_log
from gravurekit.model.order import Order
from gravurekit.model.readings import Reading, Unread
from gravurekit.model.trainer import train

PLAN = recipe(validate_every=3, checkpoint_every=4)
TIMES = ("samples_per_second", "waiting")


class Tape:
    """A recorder that a CPU has: what was recorded is called again."""

    def __init__(self, device: object) -> None:
        pass

    def beside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        output = torch.empty(3)

        def replay() -> None:
            output.copy_(work())

        return replay, output


@pytest.fixture(scope="module", autouse=True)
def _narrow() -> Iterator[None]:
    with narrow():
        yield


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "behind", lambda device: readings.AHEAD)
    monkeypatch.setattr(capture, "hindrance", lambda *arguments: None)
    monkeypatch.setattr(capture, "CudaGraphs", Tape)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    train(Blocks(), Blocks(5), CONFIG, PLAN, folder)
    return folder


def logged(folder: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name not in TIMES} for line in read_log(folder)]


def assert_same_run(one: Path, other: Path) -> None:
    for name in ("model.safetensors", "best.safetensors", "state.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert logged(one) == logged(other)


def test_the_run_is_the_same(tmp_path: Path, plain: Path, ahead: None) -> None:
    seen: list[dict[str, Any]] = []
    summary = train(Blocks(), Blocks(5), CONFIG, PLAN, tmp_path, seen.append)
    assert_same_run(tmp_path, plain)
    told = [(report["kind"], report["step"]) for report in seen if "said" not in report]
    kinds = [("train", 1), ("train", 2), ("train", 3), ("validation", 3), ("train", 4), ("train", 5), ("train", 6)]
    assert told == [*kinds, ("validation", 6)]
    assert [report["said"] for report in seen if report.get("said") == capture.REPLAYS] == [capture.REPLAYS]
    assert summary["colour_loss"] == logged(plain)[-2]["colour_loss"]


def test_interrupted_it_saves_what_was_done_and_ends_in_the_same_bytes(
    tmp_path: Path, plain: Path, ahead: None
) -> None:
    def interrupt(report: dict[str, Any]) -> None:
        if report["kind"] == "train" and report["step"] == 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(Blocks(), Blocks(5), CONFIG, PLAN, tmp_path, interrupt)
    assert load_state(tmp_path / "state.safetensors").about["step"] == 3  # two more were under way
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3]
    train(Blocks(), Blocks(5), CONFIG, PLAN, tmp_path)
    assert_same_run(tmp_path, plain)


@pytest.mark.parametrize("spoilt", [2, 5])
def test_a_loss_that_is_not_finite_names_its_own_step(
    spoilt: int, tmp_path: Path, ahead: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, honest = [0], losses.sums

    def poisoned(*arguments: Any) -> Tensor:
        calls[0] += 1
        return honest(*arguments) * (float("nan") if calls[0] >= spoilt else 1)

    monkeypatch.setattr(losses, "sums", poisoned)
    with pytest.raises(TrainingError, match=f"at step {spoilt} .*isn't finite") as caught:
        train(Blocks(), None, CONFIG, PLAN, tmp_path)
    wanted = ", ".join(map(str, sorted(Order(8, 0).take(4 * (spoilt - 1), 4).tolist())))
    assert f"pictures: {wanted}; " in str(caught.value)
    assert (tmp_path / "state.safetensors").exists() is (spoilt > 4)
    if spoilt > 4:
        assert load_state(tmp_path / "state.safetensors").about["step"] == 4
    assert [line["step"] for line in read_log(tmp_path) if line["kind"] == "train"] == list(range(1, spoilt))


# ---- readings ------------------------------------------------------------------------------------------


def test_a_reading_is_of_the_moment_it_was_made() -> None:
    tensor = torch.tensor([1.0, 2.0, 3.0])
    reading = Reading(tensor)
    tensor.zero_()
    assert reading.numbers() == [1.0, 2.0, 3.0]


def steps(unread: Unread, all_of_them: bool) -> Iterator[int]:
    return (step for step, _ in unread.read(all_of_them))


def test_nobody_waits_on_a_cpu_and_two_steps_may_wait_on_cuda() -> None:
    cpu, cuda = Unread(torch.device("cpu")), Unread(torch.device("cuda"))
    for step in (1, 2, 3, 4):
        for unread in (cpu, cuda):
            unread.add(step, Reading(torch.zeros(3)))
        assert list(steps(cpu, all_of_them=False)) == [step]
    assert list(steps(cuda, all_of_them=False)) == [1, 2]
    assert list(steps(cuda, all_of_them=False)) == []
    assert list(steps(cuda, all_of_them=True)) == [3, 4]


# ---- compiled by torch ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own, of its compiler
def test_what_torch_makes_of_the_network_learns_the_same(
    tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile = torch.nn.Module.compile
    # As far as torch rewrites the network; to compile what comes of it would take minutes
    monkeypatch.setattr(torch.nn.Module, "compile", lambda net: compile(net, backend="eager", fullgraph=True))
    monkeypatch.setattr(capture, "prove_compiler", lambda device: None)
    train(Blocks(), None, CONFIG, replace(PLAN, steps=6, compile="inductor"), tmp_path)
    assert [line["colour_loss"] for line in logged(tmp_path)] == [
        line["colour_loss"] for line in logged(plain) if line["kind"] == "train"
    ]
    names = [list(load_state(folder / "state.safetensors").tensors) for folder in (tmp_path, plain)]
    assert names[0] == names[1]


@pytest.mark.filterwarnings("ignore")
def test_a_compilation_that_fails_says_what_to_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, inputs: Any) -> Any:  # as when a killed process left half a library behind
        raise OSError("kernel.so: file too short")

    compile = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda net: compile(net, backend=broken))
    monkeypatch.setattr(capture, "prove_compiler", lambda device: None)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    told = rf"can't compile the network \(.*file too short\).*remove {tmp_path}/cache and train again; or choose"
    with pytest.raises(TrainingError, match=told):
        train(Blocks(), None, CONFIG, replace(PLAN, compile="inductor"), tmp_path / "run")


def test_without_a_compiler_nothing_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile(work: Any) -> Any:
        def fails(tensor: Tensor) -> Tensor:
            raise RuntimeError("InvalidCxxCompiler: no C++ compiler found\nSet TORCHDYNAMO_VERBOSE …")

        return fails

    monkeypatch.setattr(torch, "compile", compile)
    with pytest.raises(UsageError, match=r"can't compile for cpu here \(InvalidCxx.* found\); choose --compile auto"):
        train(Blocks(), None, CONFIG, replace(PLAN, compile="inductor"), tmp_path)
