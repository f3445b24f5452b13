"""Several processes do what one does: shared BN, summed gradients, what they agree on, and how they end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import teams
import torch
from hypothesis import given
from hypothesis import strategies as st
from teams import NormCase, together
from torch import nn

from gravurekit.errors import DataError, FailedElsewhere, TrainingError, UsageError
from gravurekit.model import losses
from gravurekit.model.checkpoint import load_state
from gravurekit.model.collectives import Lost
from gravurekit.model.distributed import ALONE, team
from gravurekit.model.gradients import _buckets
from gravurekit.model.network import NetworkConfig, build
from gravurekit.model.ranks import Place, place
from gravurekit.model.shared_norm import share_norms
from gravurekit.model.trainer import read_log


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ---- BN ------------------------------------------------------------------------------------------------

NORMS = {
    "equal parts": NormCase((6, 5, 8, 7), (3, 3)),
    "unequal parts": NormCase((7, 5, 8, 7), (6, 1)),
    "channels last": NormCase((4, 16, 8, 8), (1, 3), last=True),
    "vectors": NormCase((5, 9), (2, 3)),
    "one vector each": NormCase((2, 9), (1, 1)),
    "far from zero": NormCase((6, 5, 8, 8), (2, 4), mean=3000.0),
    "bfloat16": NormCase((8, 16, 8, 8), (5, 3), torch.bfloat16, last=True),
    "evaluation": NormCase((6, 5, 8, 7), (3, 3), training=False),
    "evaluation in bfloat16": NormCase((6, 5, 8, 7), (3, 3), torch.bfloat16, training=False),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, np.ndarray]]]:
    """By rank what comes out of the shared BN."""
    ends = together(tmp_path_factory.mktemp("norms"), 2, teams.share_norms, list(NORMS.values()))
    assert [end.error for end in ends] == [None, None]
    return [dict(zip(NORMS, end.value, strict=True)) for end in ends]


@pytest.mark.parametrize("name", NORMS)
def test_bn_shared_by_processes_is_bn_of_the_whole_batch(name: str, shared: Any) -> None:
    case = NORMS[name]
    whole, x, dy = case.made()
    plain = teams.normed(nn.Sequential(whole), x, dy)
    exact, x, dy = case.made()
    truth = teams.normed(nn.Sequential(exact.double()), x.detach().double().requires_grad_(), dy.double())
    first, second = (rank[name] for rank in shared)
    found = {name: np.concatenate([first[name], second[name]]) for name in ("y", "dx")}
    found |= {name: first[name] + second[name] for name in ("d 0.weight", "d 0.bias")}
    for name in ("0.running_mean", "0.running_var", "0.num_batches_tracked"):
        assert np.array_equal(first[name], second[name])  # to the last bit
        found[name] = first[name]
    assert found.keys() == truth.keys()
    for name, value in found.items():
        # as near to the truth as torch's own BN of the whole batch, in the same precision
        near = 3 * np.abs(plain[name] - truth[name]).max() + 1e-6 * max(1.0, np.abs(truth[name]).max())
        assert np.abs(value - truth[name]).max() <= near, name


def test_names_and_values_stay_when_norms_are_shared() -> None:
    for device in ("cpu", "cuda"):
        net = build(NetworkConfig(("a", "b"), "average", 32, L_mean=0.5), 0)
        before, parameters = net.state_dict(), list(net.parameters())
        share_norms(net, torch.device(device))
        kinds = {type(m).__name__ for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
        assert kinds == {"SharedBatchNorm" if device == "cpu" else "SyncBatchNorm"}
        assert list(net.state_dict()) == list(before)
        assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
        assert all(old is new for old, new in zip(parameters, net.parameters(), strict=True))


# ---- gradients -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bucket", [1, 600, 10**6])
def test_gradients_are_the_sums_of_all_processes_and_backwards(bucket: int, tmp_path: Path) -> None:
    ends = together(tmp_path, 3, teams.sum_gradients, bucket)
    net = teams.tower().double()
    for step in range(2):
        net.zero_grad()
        for seed in (100 * step + 10 * number + rank for number in range(2) for rank in range(3)):
            x = torch.randn((3, 1, 6, 6), generator=torch.Generator().manual_seed(seed))
            teams.climb(net, x.double()).backward()
        for end in ends:
            assert end.error is None
            for name, parameter in net.named_parameters():
                mine, first = end.value[step][name], ends[0].value[step][name]
                if parameter.grad is None:
                    assert mine is None
                else:
                    assert np.array_equal(mine, first)
                    assert np.allclose(mine, parameter.grad.numpy(), rtol=1e-4, atol=1e-4)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(1, 60))
def test_buckets_hold_every_parameter_once_from_the_last_to_the_first(sizes: list[int], limit: int) -> None:
    parameters = [nn.Parameter(torch.zeros(size)) for size in sizes]
    buckets = list(_buckets(parameters, limit))
    assert [id(p) for b in buckets for p in b.parameters] == [id(p) for p in reversed(parameters)]
    for bucket in buckets:
        assert len(bucket.parameters) == 1 or bucket.flat.numel() <= limit
        assert [view.shape for view in bucket.views] == [p.shape for p in bucket.parameters]


# ---- what is said and agreed ---------------------------------------------------------------------------


def test_what_is_said_and_agreed_is_the_same_in_all(tmp_path: Path) -> None:
    ends = together(tmp_path, 3, teams.talk)
    for end in ends:
        assert end.error is None
        assert end.value == {
            "any": [False, True, True],
            "total": [3.0, 3.0],
            "told": ["ééé", ""],
            "handed": {"a": (torch.int64, [[0, 3], [1, 4], [2, 5]]), "b": (torch.bfloat16, 1.5)},
        }


@pytest.mark.parametrize(("how", "said"), [("text", "differ in shards (rank 0 and rank 1)"), ("tensors", "y isn't")])
def test_processes_that_differ_end_and_one_of_them_says_so(how: str, said: str, tmp_path: Path) -> None:
    errors = [end.error for end in together(tmp_path, 3, teams.differ, how)]
    (first,) = [error for error in errors if not isinstance(error, FailedElsewhere)]
    assert isinstance(first, TrainingError) and said in str(first)


def test_alone_nothing_is_done() -> None:
    with team("cpu", Place()) as alone:
        assert (alone.rank, alone.world, alone.leads) == (0, 1, True) and not torch.distributed.is_initialized()
        net = nn.Sequential(nn.BatchNorm2d(3))
        alone.share_norms(net)
        assert type(net[0]) is nn.BatchNorm2d
        summing = alone.gradients(net)
        with summing(True):
            net(torch.randn(2, 3, 4, 4)).sum().backward()
        tensor = torch.ones(2)
        assert alone.any(True, False) == [True, False] and torch.equal(alone.total(tensor), tensor)
        assert alone.told("x") == "x" and alone.handed_out({"t": tensor})["t"] is tensor
        alone.same("x", "y")
        alone.same_tensors({"t": tensor})
        alone.barrier()


# ---- endings -------------------------------------------------------------------------------------------


def test_one_that_fails_ends_all_and_alone_says_why(tmp_path: Path) -> None:
    ends = together(tmp_path, 3, teams.end_by, "error")
    assert isinstance(ends[1].error, DataError) and str(ends[1].error) == "row 7 is damaged"
    for end in (ends[0], ends[2]):
        assert isinstance(end.error, FailedElsewhere) and end.error.exit_code == DataError.exit_code


def test_one_that_is_killed_ends_all_and_one_says_so(tmp_path: Path) -> None:
    ends = together(tmp_path, 3, teams.end_by, "kill")
    assert ends[1].code == -9
    left = [ends[0].error, ends[2].error]
    assert sorted(type(error).__name__ for error in left) == ["FailedElsewhere", "TrainingError"]
    assert any("run the same command again" in str(error) for error in left)
    assert all(isinstance(error, TrainingError) and error.exit_code == Lost.exit_code for error in left)


def test_ctrl_c_is_told_by_rank_0(tmp_path: Path) -> None:
    ends = together(tmp_path, 3, teams.end_by, "ctrl-c")
    assert isinstance(ends[0].error, KeyboardInterrupt)
    assert all(isinstance(end.error, FailedElsewhere) and end.error.exit_code == 130 for end in ends[1:])


# ---- trainings -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training by one process."""
    folder = tmp_path_factory.mktemp("alone")
    with one_thread():
        teams.learn(ALONE, folder, teams.recipe())
    return folder


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training by two processes."""
    place = tmp_path_factory.mktemp("two")
    assert [end.error for end in together(place, 2, teams.learn, place / "run", teams.recipe())] == [None, None]
    return place / "run"


def lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [line for line in read_log(folder) if line["kind"] == kind]


def apart(one: Path, other: Path) -> float:
    """How far two trainings' weights are from each other, as a share of the way that they went."""
    begin = build(teams.CONFIG, 0).state_dict()
    a, b = (load_state(folder / "state.safetensors").tensors for folder in (one, other))
    assert a.keys() == b.keys()
    names = [name for name in begin if begin[name].is_floating_point()]
    way = sum(float((a[f"network.{name}"] - begin[name]).square().sum()) for name in names)
    between = sum(float((a[f"network.{name}"] - b[f"network.{name}"]).square().sum()) for name in names)
    return (between / way) ** 0.5


def test_two_processes_do_what_one_does_with_the_whole_batch(alone: Path, unbroken: Path) -> None:
    for kind, names in (("train", losses.TERMS), ("validation", ("loss", "delta_e_palette", "train_top1", "score"))):
        ours, theirs = lines(unbroken, kind), lines(alone, kind)
        assert [line["step"] for line in ours] == [line["step"] for line in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.keys() == other.keys()
            assert [one[name] for name in names] == pytest.approx([other[name] for name in names], rel=1e-4)
    assert apart(alone, unbroken) < 1e-3


def test_the_parts_of_a_step_are_those_of_one_process(tmp_path: Path) -> None:
    plan = teams.recipe(accumulate=2, batch=7, name="paper")
    with one_thread():
        teams.learn(ALONE, tmp_path / "one", plan)
    assert [end.error for end in together(tmp_path, 3, teams.learn, tmp_path / "three", plan)] == [None] * 3
    assert apart(tmp_path / "one", tmp_path / "three") < 1e-3


# ---- the place among the others ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, Place()),
        ({"RANK": "", "WORLD_SIZE": "2"}, Place()),
        ({"LOCAL_RANK": "3"}, Place()),
        ({"RANK": "0", "WORLD_SIZE": "1"}, Place()),
        ({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}, Place(5, 8, 1, 4)),
    ],
)
def test_the_environment_tells_the_place(environment: dict[str, str], found: Place) -> None:
    assert place(environment) == found


@pytest.mark.parametrize(
    "environment",
    [
        {"RANK": "2", "WORLD_SIZE": "2"},
        {"RANK": "one", "WORLD_SIZE": "2"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
        {"RANK": "0", "WORLD_SIZE": "4", "LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "2"},
    ],
)
def test_a_place_that_cannot_be_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="torchrun"):
        place(environment)


def test_a_device_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Place(3, 8, 1, 4)
    with pytest.raises(UsageError, match="not on 'mps'"):
        team("mps", here)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert team("auto", here).device("auto") == torch.device("cuda", 1)
    assert team("cpu", here).device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match="4 processes need a GPU each, and this machine has 2"):
        team("cuda", here)
