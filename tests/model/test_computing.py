"""How torch computes in a training, and that it computes as before when that is over."""

import os
import subprocess
import sys

import pytest
import torch

from gravurekit.model import computing as computing_module
from gravurekit.model.computing import TUNING_PAYS, computing, freed_memory_kept

CUDA = torch.device("cuda")  # that there is none changes nothing: these are switches


def switches() -> tuple[object, ...]:
    cudnn = torch.backends.cudnn
    strict = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    return cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, *strict


@pytest.mark.parametrize(
    ("bf16", "deterministic", "steps", "expected"),
    [
        (True, False, TUNING_PAYS, (True, True, False, True, False, False)),
        (True, False, TUNING_PAYS - 1, (True, False, False, True, False, False)),
        (False, False, TUNING_PAYS, (True, True, False, False, False, False)),
        (True, True, TUNING_PAYS, (True, False, True, True, True, False)),
        (False, True, 1, (True, False, True, False, True, False)),
    ],
)
def test_on_cuda_it_is_quick_or_deterministic(
    bf16: bool, deterministic: bool, steps: int, expected: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = switches()
    with pytest.raises(KeyError), computing(CUDA, bf16=bf16, deterministic=deterministic, steps=steps):
        assert switches() == expected
        assert ("CUBLAS_WORKSPACE_CONFIG" in os.environ) is deterministic
        raise KeyError
    assert switches() == before


def test_what_the_user_set_up_for_cublas_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with computing(CUDA, bf16=True, deterministic=True, steps=1):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


@pytest.mark.parametrize("kind", ["cpu", "mps"])
def test_other_devices_have_no_such_switches(kind: str) -> None:
    before = switches()
    with computing(torch.device(kind), bf16=True, deterministic=True, steps=1):
        assert switches() == before


# ---- memory --------------------------------------------------------------------------------------------

FAULTS = """
import resource, sys
from contextlib import nullcontext
import torch
from gravurekit.model.computing import freed_memory_kept

def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(64 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with freed_memory_kept() if sys.argv[1] == "kept" else nullcontext():
    print([faults() for _ in range(12)][-1])
"""


def faults(how: str, **environment: str) -> int:
    """Pages that the system had to find for 64 MB that had been freed a moment before."""
    command = [sys.executable, "-c", FAULTS, how]
    told = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", **environment}
    ended = subprocess.run(command, env=told, capture_output=True, text=True, timeout=120, check=True)
    return int(ended.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc's")
def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    assert faults("kept") < 50 < faults("not")
    assert faults("kept", MALLOC_MMAP_MAX_="65536") > 50  # the user has said how it is to be had


class Libc:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, ...]] = []

    def mallopt(self, what: int, value: int) -> int:
        self.told.append((what, value))
        return 1

    def malloc_trim(self, spare: int) -> int:
        self.told.append((spare,))
        return 1


def test_memory_is_given_back_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = Libc()
    monkeypatch.setattr(computing_module.ctypes, "CDLL", lambda name: libc)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in computing_module._ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(KeyError), freed_memory_kept():
        assert libc.told == [(-4, 0), (-1, 2**31 - 1)]
        raise KeyError
    assert libc.told[2:] == [(-4, 65536), (-3, 32 << 20), (-1, 64 << 20), (0,)]


@pytest.mark.parametrize("why", ["no glibc", "another system", "the user's own"])
def test_elsewhere_memory_is_left_alone(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    libc = Libc()
    monkeypatch.setattr(computing_module.ctypes, "CDLL", lambda name: object() if why == "no glibc" else libc)
    monkeypatch.setattr(sys, "platform", "darwin" if why == "another system" else "linux")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072" if why == "the user's own" else "")
    with freed_memory_kept():
        pass
    assert libc.told == []
