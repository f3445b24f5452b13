"""Several processes do what one does: shared BN, summed gradients, what they agree on, and how they end."""

from collections.abc import Iterator
from contextlib import nullcontext
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

from gravurekit.errors import DataError, FailedElsewhere, ModelError, TrainingError, UsageError
from gravurekit.model import trainer
from gravurekit.model.checkpoint import load_state
from gravurekit.model.collectives import Lost
from gravurekit.model.distributed import ALONE, team
from gravurekit.model.gradients import _buckets
from gravurekit.model.network import NetworkConfig, build
from gravurekit.model.ranks import Place, place
from gravurekit.model.shared_norm import share_norms


@pytest.fixture(autouse=True, scope="module")
def _small_and_alike() -> Iterator[None]:
    """As in the other processes: a narrow network, and one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with teams.narrow():
        yield
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


@pytest.mark.parametrize("rank", [-1, 0, 2])
def test_who_leaves_at_once_is_not_missed_by_those_that_still_come(rank: int, tmp_path: Path) -> None:
    for _ in range(3):
        ends = together(tmp_path, 3, teams.leave, rank)
        assert [type(end.error) for end in ends] == [DataError if number == rank else type(None) for number in range(3)]


def test_one_that_is_killed_ends_all_and_one_says_so(tmp_path: Path) -> None:
    ends = together(tmp_path, 3, teams.end_by, "kill")
    assert ends[1].code == -9
    left = [ends[0].error, ends[2].error]
    assert sorted(type(error).__name__ for error in left) == ["FailedElsewhere", "TrainingError"]
    assert any("run the same command again" in str(error) for error in left)
    assert all(isinstance(error, TrainingError) and error.exit_code == Lost.exit_code for error in left)


def test_those_that_are_started_again_arent_led_astray_by_what_the_dead_left_in_the_store(tmp_path: Path) -> None:
    """torchrun's store is the same for all restarts."""
    for how in ("kill", "kill", "ctrl-c"):
        ends = together(tmp_path, 3, teams.end_by, how, where="store")
        assert [end.code for end in ends] == [0, -9 if how == "kill" else 0, 0]
    ends = together(tmp_path, 3, teams.talk, where="store")
    assert [end.error for end in ends] == [None] * 3 and ends[2].value["any"] == [False, True, True]


def test_ctrl_c_is_told_by_rank_0(tmp_path: Path) -> None:
    ends = together(tmp_path, 3, teams.end_by, "ctrl-c")
    assert isinstance(ends[0].error, KeyboardInterrupt)
    assert all(isinstance(end.error, FailedElsewhere) and end.error.exit_code == 130 for end in ends[1:])


# ---- trainings -----------------------------------------------------------------------------------------


STEPS = {
    "by halves": (2, {}, {}),
    "by unequal shares": (2, {"batch": 7}, {}),
    "three, in parts": (3, {"batch": 14, "accumulate": 2}, {}),
    "as in the paper": (2, {"name": "paper", "average": 0.0}, {}),
    "BN of each its own": (2, {"sync_batch_norm": False}, {"accumulate": 2}),  # as if each share were a part
}


@pytest.mark.parametrize("name", STEPS)
def test_several_processes_learn_what_one_does_with_the_whole_batch(name: str, tmp_path: Path) -> None:
    world, plan, alike = STEPS[name]
    wanted = teams.step_exactly(ALONE, teams.recipe(**{"steps": 2} | plan | alike))
    for end in together(tmp_path, world, teams.step_exactly, teams.recipe(**{"steps": 2} | plan)):
        assert end.error is None and end.value.keys() == wanted.keys()
        for part, values in end.value.items():
            if "running" in part or "tracked" in part or part == "figures":
                if alike:
                    continue  # they are the mean of the processes', not of one after another
            assert values == pytest.approx(wanted[part], rel=1e-6, abs=1e-9), part


PLAN = {"steps": 4, "average": 0.0, "checkpoint_every": 2, "validate_every": 3}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training by two processes."""
    place = tmp_path_factory.mktemp("unbroken")
    ends = together(place, 2, teams.learn, place / "run", teams.recipe(**PLAN))
    assert [end.error for end in ends] == [None, None]
    assert ends[0].value == ["feed"] * 2 + [*["train"] * 3, "validation", "train", "validation"] and ends[1].value == []
    return place / "run"


def same_bytes(one: Path, other: Path) -> None:
    for name in (trainer.STATE, trainer.MODEL):
        assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize(
    ("how", "who"),
    [
        pytest.param("stop", 1, marks=pytest.mark.slow),
        pytest.param("ctrl-c", 1, marks=pytest.mark.slow),
        pytest.param("ctrl-c", 0, marks=pytest.mark.slow),
        ("kill", 0),
        pytest.param("kill", 1, marks=pytest.mark.slow),
    ],
)
def test_what_ends_one_ends_all_and_they_go_on_to_the_same_bytes(
    how: str, who: int, unbroken: Path, tmp_path: Path
) -> None:
    plan = teams.recipe(**PLAN)
    ends = together(tmp_path, 2, teams.learn, tmp_path / "run", plan, {who: how})
    if how == "stop":
        assert [end.error for end in ends] == [None, None]
    elif how == "ctrl-c":
        assert isinstance(ends[0].error, KeyboardInterrupt) and isinstance(ends[1].error, FailedElsewhere)
    else:
        assert ends[who].code == -9 and "run the same command again" in str(ends[1 - who].error)
    state = tmp_path / "run" / trainer.STATE
    assert load_state(state).about["step"] == 2
    assert [end.error for end in together(tmp_path, 2, teams.learn, tmp_path / "run", plan)] == [None, None]
    same_bytes(tmp_path / "run", unbroken)
    assert not (tmp_path / "run/nowhere").exists()


def test_a_sample_that_one_cannot_read_ends_all(tmp_path: Path) -> None:
    plan = teams.recipe(steps=20, batch=8, average=0.0)
    ends = together(tmp_path, 2, teams.learn, tmp_path / "run", plan, {1: "damaged"})
    assert isinstance(ends[1].error, DataError) and "row 19 is damaged" in str(ends[1].error)
    assert isinstance(ends[0].error, FailedElsewhere) and ends[0].error.exit_code == DataError.exit_code


def test_processes_that_learn_from_other_shards_are_told(tmp_path: Path) -> None:
    errors = [end.error for end in together(tmp_path, 2, teams.learn, tmp_path / "run", teams.recipe(), {1: "others"})]
    assert any("differ in shards, settings or precision" in str(error) for error in errors)
    assert all(isinstance(error, TrainingError) for error in errors) and not (tmp_path / "run").exists()


@pytest.mark.parametrize(("shared", "said"), [(True, ""), (False, "processes: 2 → 1")])
def test_the_number_of_processes_may_change_where_it_changes_nothing(shared: bool, said: str, tmp_path: Path) -> None:
    plan = teams.recipe(**PLAN | {"sync_batch_norm": shared})
    ends = together(tmp_path, 2, teams.learn, tmp_path / "run", plan, {0: "stop"})
    assert [end.error for end in ends] == [None, None]
    with nullcontext() if shared else pytest.raises(ModelError, match=said):
        teams.learn(ALONE, tmp_path / "run", plan)


@pytest.mark.parametrize(("values", "least"), [({"batch": 2}, 3), ({"batch": 5, "sync_batch_norm": False}, 6)])
def test_a_batch_that_is_too_small_for_so_many_is_refused(values: dict[str, Any], least: int, tmp_path: Path) -> None:
    for end in together(tmp_path, 3, teams.learn, tmp_path / "run", teams.recipe(**values)):
        if not isinstance(end.error, FailedElsewhere):
            assert isinstance(end.error, UsageError) and f"--batch {least}" in str(end.error)


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
