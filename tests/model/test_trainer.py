"""Training: it learns, it stops at any moment, it goes on to the same bytes, and it says what went wrong."""

import gc
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from training import CONFIG, Blocks, narrow, recipe

from gravurekit import storage
from gravurekit.errors import DataError, ModelError, TrainingError, UsageError
from gravurekit.model import learner, losses, network
from gravurekit.model.checkpoint import load_model, load_state, save_state
from gravurekit.model.convolution import Convolution
from gravurekit.model.log import read_log
from gravurekit.model.network import ColorizationNetwork, NetworkConfig, build
from gravurekit.model.order import Order
from gravurekit.model.recipe import Recipe, learning_rate
from gravurekit.model.trainer import train

BF16 = learner.fast_bf16(torch.device("cpu"))


class Lonely(Blocks):
    """Pictures of which one alone is a dress."""

    def made(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        return super().made(indices) | {"label": (indices != 3).astype(np.int64)}


class Failing(Blocks):
    """Pictures of which the last is damaged."""

    def batch(self, indices: np.ndarray, out: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        if self.count - 1 in indices:
            raise DataError("row 7 is damaged")
        return super().batch(indices, out)


def at(step: int, what: Callable[[], None]) -> Callable[[dict[str, Any]], None]:
    """Progress that does something when the report of a step comes."""

    def hear(report: dict[str, Any]) -> None:
        if report["kind"] == "train" and report["step"] == step:
            what()

    return hear


def steps_of(seen: list[dict[str, Any]]) -> list[int]:
    return [report["step"] for report in seen if report["kind"] == "train"]


def model_bytes(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module", autouse=True)
def _narrow() -> Iterator[None]:
    with narrow():
        yield


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    train(Blocks(), Blocks(5), CONFIG, recipe(validate_every=3), folder, about={"shards": "abc"})
    return folder


# ---- learning ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_learns_colours_and_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "nn", torch.nn)  # the whole network
    monkeypatch.setattr(network, "Convolution", Convolution)
    seen: list[dict[str, Any]] = []
    plan = recipe(20, precision="auto", class_weight=0.5)
    summary = train(Blocks(), Blocks(5), CONFIG, plan, tmp_path, seen.append)
    steps = [report for report in seen if report["kind"] == "train"]
    assert steps_of(seen) == list(range(1, 21)) and seen[0]["kind"] == "feed"
    assert steps[-1]["colour_loss"] < 0.5 * steps[0]["colour_loss"]
    assert steps[-1]["class_loss"] < 0.7 * steps[0]["class_loss"]
    assert summary["finished"] and summary["steps"] == 20 and summary["samples_per_second"] > 0


@pytest.mark.parametrize("name", ["default", "paper"])
def test_the_rate_follows_the_recipe(name: str) -> None:
    plan = Recipe(100, learning_rate=2e-3, name=name)
    rates = [learning_rate(step, plan) for step in range(100)]
    if name == "paper":
        assert set(rates) == {1.0}
    else:
        assert max(rates) == rates[4] == rates[5] == 2e-3
        assert rates[:5] == sorted(rates[:5]) and rates[5:] == sorted(rates[5:], reverse=True)
        assert 0 < rates[-1] < 1e-5


# ---- going on ------------------------------------------------------------------------------------------


def test_the_folder_of_a_finished_training(unbroken: Path) -> None:
    names = sorted(path.name for path in unbroken.iterdir())
    assert names == ["best.safetensors", "log.jsonl", "model.safetensors", "state.safetensors"]
    network, about = load_model(unbroken / "model.safetensors", "cpu")
    assert network.config == CONFIG and about["shards"] == "abc" and about["training"]["recipe"]["steps"] == 6
    log = [(line["kind"], line["step"]) for line in read_log(unbroken)]
    trained = [("train", step) for step in range(1, 7)]
    assert log == [*trained[:3], ("validation", 3), *trained[3:], ("validation", 6)]
    assert {"loss", "ab_error", "chroma_ratio", "top1"} <= set(read_log(unbroken)[-1])


def assert_equal_states(one: Path, other: Path) -> None:
    states = [load_state(folder / "state.safetensors") for folder in (one, other)]
    assert states[0].about == states[1].about and states[0].tensors.keys() == states[1].tensors.keys()
    assert all(torch.equal(t, states[1].tensors[name]) for name, t in states[0].tensors.items())


def test_stopped_and_resumed_in_bf16_with_the_papers_recipe_on_a_set_smaller_than_the_batch(
    tmp_path: Path,
) -> None:
    plan = recipe(batch=16, name="paper", precision="bf16" if BF16 else "fp32")
    whole, parts, asked = tmp_path / "whole", tmp_path / "parts", iter([False, False, True])
    train(Blocks(3), None, CONFIG, plan, whole)
    stopped = train(Blocks(3), None, CONFIG, plan, parts, should_stop=lambda: next(asked))
    assert not stopped["finished"] and stopped["steps"] == 3 and not (parts / "model.safetensors").exists()
    assert train(Blocks(3), None, CONFIG, plan, parts)["finished"]
    assert model_bytes(parts) == model_bytes(whole)
    assert_equal_states(parts, whole)


CHILD = """
import os, signal, sys
from pathlib import Path
from test_trainer import at
from training import CONFIG, Blocks, narrow, recipe
from gravurekit.model.trainer import train
killer = at(4, lambda: os.kill(os.getpid(), signal.SIGKILL))
plan = recipe(checkpoint_every=3, validate_every=3)
with narrow():
    train(Blocks(), Blocks(5), CONFIG, plan, Path(sys.argv[1]), killer, about={"shards": "abc"})
"""


@pytest.mark.slow
def test_kill_9_costs_only_the_steps_since_the_last_state(tmp_path: Path, unbroken: Path) -> None:
    paths = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    died = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], env=environment, timeout=120)
    assert died.returncode == -signal.SIGKILL
    assert load_state(tmp_path / "state.safetensors").about["step"] == 3
    assert read_log(tmp_path)[-1]["step"] == 4  # done, logged, and lost
    with open(tmp_path / "log.jsonl", "a") as log:
        log.write('{"kind": "train", "st')  # a kill in the middle of a line
    seen: list[dict[str, Any]] = []
    plan = recipe(checkpoint_every=100, validate_every=3)
    train(Blocks(), Blocks(5), CONFIG, plan, tmp_path, seen.append, about={"shards": "abc"})
    assert steps_of(seen)[0] == 4
    assert model_bytes(tmp_path) == model_bytes(unbroken)
    kinds = [[(line["kind"], line["step"]) for line in read_log(f)] for f in (tmp_path, unbroken)]
    assert kinds[0] == kinds[1]


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("gravurekit-reader")]


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_finishes_the_step_saves_it_and_resumes_exactly(tmp_path: Path, unbroken: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    rest = (CONFIG, recipe(validate_every=3), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(Blocks(), Blocks(5), *rest, at(3, interrupt), about={"shards": "abc"})
    assert not readers()
    assert signal.getsignal(signal.SIGINT) is handler
    assert load_state(tmp_path / "state.safetensors").about["step"] == 3
    train(Blocks(), Blocks(5), *rest, about={"shards": "abc"})
    assert model_bytes(tmp_path) == model_bytes(unbroken)
    assert_equal_states(tmp_path, unbroken)


def test_a_second_ctrl_c_waits_for_nothing_and_saves_nothing(tmp_path: Path) -> None:
    def twice() -> None:
        interrupt()
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        train(Blocks(), None, CONFIG, recipe(), tmp_path, at(2, twice))
    assert not readers() and not (tmp_path / "state.safetensors").exists()


def test_the_log_keeps_each_step_once(tmp_path: Path) -> None:
    lines = [
        '{"kind": "start", "step": 0}', '{"kind": "train", "step": 1, "colour_loss": 1}',
        '{"kind": "train", "step": 2, "colour_loss": 2}', '{"kind": "validation", "step": 2, "loss": 2}',
        '{"kind": "train", "step": 3, "colour_loss": 3}', '{"kind": "start", "step": 1}',
        '{"kind": "train", "step": 2, "colour_loss": 4}', '{"kind": "validation", "step": 2, "loss": 4}',
    ]  # fmt: skip
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    kept = [(line["kind"], line["step"], line.get("colour_loss")) for line in read_log(tmp_path)]
    assert kept == [("train", 1, 1), ("train", 2, 4), ("validation", 2, None)]
    assert read_log(tmp_path / "nowhere") == []


@pytest.mark.parametrize("count", [7, 8])
def test_epochs_that_end_within_a_batch_and_any_number_of_readers(count: int, tmp_path: Path) -> None:
    plans = [recipe(readers=readers) for readers in (1, 3)]
    asked = iter([False, False, False, True])
    train(Blocks(count), None, CONFIG, plans[0], tmp_path / "whole")
    train(Blocks(count), None, CONFIG, plans[1], tmp_path / "parts", should_stop=lambda: next(asked))
    state = load_state(tmp_path / "parts" / "state.safetensors").about
    assert (state["step"], state["seen"]) == (4, 16)
    summary = train(Blocks(count), None, CONFIG, plans[0], tmp_path / "parts")
    assert summary["seen"] == 24 and summary["feed"] == "read ahead" and 0 <= summary["waiting"] <= 1
    assert model_bytes(tmp_path / "parts") == model_bytes(tmp_path / "whole")
    starts = [line for line in storage.read_json_lines(tmp_path / "parts" / "log.jsonl") if line["kind"] == "start"]
    assert [line["feed"] for line in starts] == ["read ahead"] * 2
    assert all(0 <= line["waiting"] <= 1 for line in read_log(tmp_path / "parts"))


# ---- what goes wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "plan", "count", "difference"),
    [
        (CONFIG, recipe(8), 8, "recipe.steps: 6 → 8"),
        (CONFIG, recipe(seed=4), 8, "recipe.seed: 0 → 4"),
        (CONFIG, recipe(), 9, "number of pictures: 8 → 9"),
        (replace(CONFIG, palette=True), recipe(), 8, "network.palette: False → True"),
        (NetworkConfig(("a", "b"), "average", 32, L_mean=0.5), recipe(), 8, "classes: .*dress.* → .*'a'"),
    ],
)
def test_a_state_of_another_training_names_the_difference(
    unbroken: Path, config: NetworkConfig, plan: Recipe, count: int, difference: str
) -> None:
    before = (unbroken / "state.safetensors").read_bytes()
    with pytest.raises(ModelError, match=difference):
        train(Blocks(count), None, config, plan, unbroken, about={"shards": "abc"})
    assert (unbroken / "state.safetensors").read_bytes() == before


@pytest.mark.parametrize(("about", "count"), [({"shards": "abd"}, 8), ({}, 8), ({"shards": "abd"}, 7)])
def test_other_shards_are_never_gone_on_with(unbroken: Path, about: dict[str, Any], count: int) -> None:
    before = (unbroken / "state.safetensors").read_bytes()
    with pytest.raises(ModelError, match="the shards changed since; train in a new folder, or put the old shards back"):
        train(Blocks(count), None, CONFIG, recipe(validate_every=3), unbroken, about=about)
    assert (unbroken / "state.safetensors").read_bytes() == before


def test_pictures_of_another_size_are_never_gone_on_with(unbroken: Path) -> None:
    """The network would take them."""
    with pytest.raises(ModelError, match=r"size of pictures: \[32, 32\] → \[40, 32\]"):
        train(Blocks(size=(40, 32)), Blocks(5), CONFIG, recipe(validate_every=3), unbroken, about={"shards": "abc"})


def test_a_state_that_knows_no_samples_seen_is_refused(tmp_path: Path, unbroken: Path) -> None:
    state = load_state(unbroken / "state.safetensors")
    network, plan = build(CONFIG, 0), recipe()
    about = {name: value for name, value in state.about.items() if name != "seen"}
    save_state(tmp_path / "state.safetensors", network, None, learner.optimizer_of(network, plan), about)
    with pytest.raises(ModelError, match="earlier gravurekit.*another order; remove it"):
        train(Blocks(), None, CONFIG, plan, tmp_path, about={"shards": "abc"})


def test_a_damaged_sample_ends_the_training_at_its_step(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    order = Order(8, 0).take(0, 8).tolist()
    with pytest.raises(DataError, match="row 7"):
        train(Failing(), None, CONFIG, recipe(batch=2), tmp_path, seen.append)
    assert steps_of(seen) == list(range(1, order.index(7) // 2 + 1)) and not readers()


@pytest.mark.parametrize("end", [0, 1000, -1000])
def test_a_damaged_state_is_an_error_not_a_new_beginning(tmp_path: Path, unbroken: Path, end: int) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes((unbroken / "state.safetensors").read_bytes()[:end])
    with pytest.raises(ModelError, match="damaged.*remove"):
        train(Blocks(), None, CONFIG, recipe(), tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_loss_that_is_not_finite_names_step_and_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, honest = [0], losses.sums

    def poisoned(*arguments: Any) -> Tensor:
        calls[0] += 1
        return honest(*arguments) * (float("nan") if calls[0] == 3 else 1)

    monkeypatch.setattr(losses, "sums", poisoned)
    with pytest.raises(TrainingError, match="at step 3 .*isn't finite.*last good state is kept") as caught:
        train(
            Blocks(), None, CONFIG, recipe(checkpoint_every=2), tmp_path,
            called=lambda numbers: [f"picture {n}" for n in numbers],
        )  # fmt: skip
    numbers = sorted(Order(8, 0).take(8, 4).tolist())
    assert f"pictures: {', '.join(f'picture {n}' for n in numbers)}" in str(caught.value)
    state = load_state(tmp_path / "state.safetensors")
    assert state.about["step"] == 2
    assert all(bool(tensor.isfinite().all()) for tensor in state.tensors.values())


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="at step 1 the weights aren't finite.*no state was saved"):
        train(
            Blocks(),
            None,
            CONFIG,
            recipe(learning_rate=3e38, weight_decay=10.0, checkpoint_every=1, steps=40),
            tmp_path,
        )
    assert not (tmp_path / "state.safetensors").exists()


def test_many_pictures_are_named_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "sums", lambda *given, honest=losses.sums: honest(*given) * float("inf"))
    with pytest.raises(TrainingError, match="at step 1 .* and 4 more, which log.jsonl names; no state was saved"):
        train(Blocks(12), None, CONFIG, recipe(batch=12), tmp_path, called=lambda numbers: [f"k{n}" for n in numbers])
    (line,) = [line for line in read_log(tmp_path) if line["kind"] == "spoilt"]
    assert line["step"] == 1 and sorted(line["pictures"]) == sorted(f"k{n}" for n in range(12))


def test_a_validation_that_is_not_finite_ends_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ColorizationNetwork.ab
    monkeypatch.setattr(
        ColorizationNetwork, "ab", lambda self, colour: honest(self, colour) * (1 if self.training else float("nan"))
    )
    with pytest.raises(
        TrainingError, match="at step 2 the averaged network's answers .* aren't finite; .* state is kept"
    ):
        train(Blocks(), Blocks(5), CONFIG, recipe(validate_every=2, checkpoint_every=1), tmp_path)
    assert (
        load_state(tmp_path / "state.safetensors").about["step"] == 1 and not (tmp_path / "best.safetensors").exists()
    )


@pytest.mark.parametrize(
    ("room", "batch", "accumulate", "message"),
    [
        (
            2,
            8,
            1,
            "at step 1 with batch 8; batch 2 would fit. .* or with accumulate 4, which sees batches of 8 in 4 parts",
        ),
        (4, 8, 1, "batch 4 would fit. .* accumulate 2"),
        (2, 8, 2, "batch 2 would fit. .* accumulate 4"),
        (2, 5, 1, "batch 2 would fit. Train with it$"),  # 3 parts of 5 would leave one picture alone
        (1, 8, 1, "not even 2 pictures fit"),
    ],
)
@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA"), RuntimeError("[enforce] can't allocate memory"), MemoryError(),
     RuntimeError("could not create a primitive")],
)  # fmt: skip
def test_out_of_memory_says_which_batch_would_fit(
    room: int,
    batch: int,
    accumulate: int,
    message: str,
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = losses.sums

    def cramped(colour: Tensor, *rest: Any) -> Tensor:
        if len(colour) > room:
            raise error
        return honest(colour, *rest)

    monkeypatch.setattr(losses, "sums", cramped)
    monkeypatch.setattr(gc, "collect", lambda: 0)  # of all that the tests hold
    with pytest.raises(TrainingError, match=message):
        train(Blocks(), None, CONFIG, recipe(batch=batch, accumulate=accumulate), tmp_path)
    if advice := re.search("accumulate ([0-9]+)", message):
        plan = recipe(batch=batch, accumulate=int(advice[1]), steps=1)
        assert train(Blocks(), None, CONFIG, plan, tmp_path)["finished"]


def test_no_room_for_the_network_itself_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA")

    monkeypatch.setattr("gravurekit.model.trainer.Learner", full)
    with pytest.raises(TrainingError, match="cpu has no room for the network and its optimizer; use head 'average'"):
        train(Blocks(), None, CONFIG, recipe(), tmp_path)


def test_other_errors_of_torch_are_not_taken_for_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Tensor:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(losses, "sums", broken)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        train(Blocks(), None, CONFIG, recipe(), tmp_path)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (Blocks(1), "at least 2 pictures, not 1"),
        (Blocks(size=(36, 32)), "36×32.*multiples of 8"),
        (Blocks(label=np.array([0, 1, 2, 0])), "2 classes"),
    ],
)
def test_samples_that_cannot_be_trained_on_are_named(tmp_path: Path, samples: Blocks, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        train(samples, None, CONFIG, recipe(), tmp_path)


@pytest.mark.parametrize("bad", [{"steps": 0}, {"batch": 1}, {"readers": 0}, {"name": "sgd"}, {"precision": "fp8"}])
def test_a_bad_recipe_is_a_usage_error(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="bad training recipe"):
        Recipe(**{"steps": 5} | bad)


# ---- odd sets ------------------------------------------------------------------------------------------

SETS: dict[str, tuple[Blocks, Blocks | None, NetworkConfig]] = {
    "one class": (Blocks(label=np.zeros(4, np.int64)), Blocks(4, label=np.zeros(4, np.int64)),
                  replace(CONFIG, classes=("a",))),
    "a class with one sample": (Lonely(), Blocks(3), CONFIG),
    "no labels": (Blocks(label=np.full(4, -1)), Blocks(4, label=np.full(4, -1)), replace(CONFIG, classes=("picture",))),
    "nothing held back": (Blocks(), Blocks(0), CONFIG),
    "one held back": (Blocks(), Blocks(1), CONFIG),
    "two pictures": (Blocks(2), Blocks(2), CONFIG),
    "all grey": (Blocks(wash=np.full((4, 3, 32, 32), 128, np.uint8)), Blocks(4), CONFIG),
    "no picture within its box": (Blocks(box=np.zeros((4, 4), np.int64)), Blocks(4), CONFIG),
    "8 px": (Blocks(size=(8, 8)), Blocks(5, (8, 8)), replace(CONFIG, global_size=8)),
    "8 px and the paper's head": (Blocks(size=(8, 16)), Blocks(5, (8, 16)),
                                  replace(CONFIG, head="paper", global_size=224)),
    "one part of bins": (Blocks(), Blocks(5), replace(CONFIG, bins=True, palette=True, hints=True, lightness=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", ["default", pytest.param("paper", marks=pytest.mark.slow)])
@pytest.mark.parametrize("odd", SETS)
def test_odd_sets_are_trained_on(odd: str, name: str, tmp_path: Path) -> None:
    samples, val, config = SETS[odd]
    plan = recipe(2, name=name, validate_every=1, accumulate=2)
    summary = train(samples, val, config, plan, tmp_path)
    assert summary["finished"] and load_model(tmp_path / "model.safetensors", "cpu")[0].config == config
    state = load_state(tmp_path / "state.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in state.tensors.values())
    told = [line for line in read_log(tmp_path) if line["kind"] == "validation"]
    if odd == "nothing held back":
        assert not told and summary["best"] is None and not (tmp_path / "best.safetensors").exists()
        average = {name: state.tensors[f"average.{name}"] for name in build(config, 0).state_dict()}
        kept = load_model(tmp_path / "model.safetensors", "cpu")[0].state_dict()
        assert all(torch.equal(tensor, average[name]) for name, tensor in kept.items())
    else:
        assert len(told) == 2 and all(math.isfinite(line["score"]) for line in told)
    if odd == "no labels":
        assert all(line["top1"] is None for line in told)


@pytest.mark.parametrize("crop", [(8, 8), (16, 8), (32, 32)])
@pytest.mark.parametrize("head", ["paper", "average"])
def test_windows_as_small_as_can_be(crop: tuple[int, int], head: str, tmp_path: Path) -> None:
    config = replace(CONFIG, head=head, global_size=224 if head == "paper" else 8)
    assert train(Blocks(), Blocks(3), config, recipe(1, crop=crop), tmp_path)["finished"]


@pytest.mark.parametrize(("count", "batch", "accumulate"), [(2, 64, 32), (3, 64, 2), (5, 8, 4), (8, 8, 4)])
def test_a_batch_is_cut_to_the_set_and_never_into_parts_of_one(
    count: int, batch: int, accumulate: int, tmp_path: Path
) -> None:
    seen: list[dict[str, Any]] = []
    plan = recipe(2, batch=batch, accumulate=accumulate, checkpoint_every=1)
    asked = iter([True])
    train(Blocks(count), None, CONFIG, plan, tmp_path, seen.append, should_stop=lambda: next(asked))
    summary = train(Blocks(count), None, CONFIG, plan, tmp_path)
    assert summary["seen"] == 2 * min(count, batch)
    assert (f"a step sees all {count} pictures: there are no {batch}" in {r.get("said") for r in seen}) == (
        count < batch
    )


def test_patience_without_pictures_held_back_never_ends_a_training(tmp_path: Path) -> None:
    assert train(Blocks(), None, CONFIG, recipe(4, validate_every=1, patience=1), tmp_path)["steps"] == 4


def test_a_training_that_ends_early_saves_its_last_state_and_is_not_gone_on_with(tmp_path: Path) -> None:
    plan = recipe(40, validate_every=1, patience=2, learning_rate=0.1, checkpoint_every=50)
    summary = train(Blocks(), Blocks(4), CONFIG, plan, tmp_path)
    before = model_bytes(tmp_path)
    assert summary["finished"] and summary["steps"] < 40
    assert load_state(tmp_path / "state.safetensors").about["step"] == summary["steps"]
    assert (
        train(Blocks(), Blocks(4), CONFIG, plan, tmp_path)["steps"] == summary["steps"]
        and model_bytes(tmp_path) == before
    )
