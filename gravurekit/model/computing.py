"""How torch computes while a network learns: quick, or the same bits every time; and what it does with freed memory."""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import torch

TUNING_PAYS = 1000  # steps; an estimate, not measured: cuDNN tries up to ten ways of each convolution
# glibc's numbers of what mallopt sets
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_ENVIRONMENT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES")
_BYTES = 1 << 20

_lock, _computing_alone, _threads = threading.Lock(), 0, 1
_before: AbstractContextManager[None] = nullcontext()


@contextmanager
def computing(device: torch.device, *, bf16: bool, deterministic: bool, steps: int) -> Iterator[None]:
    """While this is open, torch computes as suits `steps` steps of a training on `device`; then as before.

    On CUDA `deterministic` has every sum done in the same order, by slower ways where it must be, and an operation that
    has none raises RuntimeError; without it cuDNN chooses the quickest way, which may differ from run to run. With
    `bf16` fp32 convolutions may be rounded to TF32; without it fp32 is fp32. A CPU always gives the same bits.
    """
    with ExitStack() as stack:
        if device.type == "cuda":
            stack.enter_context(_cudnn(bf16, deterministic, steps))
            if deterministic:
                stack.enter_context(_same_bits())
        elif device.type == "cpu":
            stack.enter_context(freed_memory_kept())
        yield


@contextmanager
def _cudnn(bf16: bool, deterministic: bool, steps: int) -> Iterator[None]:
    tuned = not deterministic and steps >= TUNING_PAYS
    with torch.backends.cudnn.flags(enabled=True, benchmark=tuned, deterministic=deterministic, allow_tf32=bf16):
        yield


@contextmanager
def _same_bits() -> Iterator[None]:
    # cuBLAS reads it once, when it is first used; there is no going back
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    warning = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warning)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """What the process frees it keeps for itself, until this is closed; on glibc, and unless the environment says how
    memory is to be had.

    glibc gives large blocks back to the system as soon as they are freed, and a step asks for the same ones again, a
    gigabyte of them, whose every page the system must find and wipe; experiments/step_cost.py says what that costs.
    """
    libc = ctypes.CDLL(None)
    here = sys.platform == "linux" and hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim")
    if not here or any(map(os.environ.get, _ENVIRONMENT)):
        yield
        return
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        # glibc raises its thresholds as it learns what is asked for, but not any more after they were set: up to these
        libc.mallopt(_MMAP_MAX, 65536)
        libc.mallopt(_MMAP_THRESHOLD, 32 * _BYTES)
        libc.mallopt(_TRIM_THRESHOLD, 64 * _BYTES)
        libc.malloc_trim(0)


@contextmanager
def exactly() -> Iterator[None]:
    """While this is open, in any of the program's threads, torch computes in float32 to the last bit as ever.

    On the CPU with one thread: sums are cut into as many parts as there are threads, so their last bits would say how
    many there were; several pictures at once, in threads of the program, use the cores better anyway. On CUDA cuDNN's
    convolutions aren't rounded to TF32, as they are unless they are told not to: ab would be wrong in the second
    decimal. That is a setting of the whole program, so the first to come makes it and the last to go undoes it.
    """
    global _computing_alone, _threads, _before
    with _lock:
        own = torch.get_num_threads()  # each thread of a program has its own; a new one the last that was set
        if _computing_alone == 0:
            _threads = own
            _before = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
            _before.__enter__()
        _computing_alone += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _computing_alone -= 1
            torch.set_num_threads(own if _computing_alone else _threads)
            if _computing_alone == 0:
                _before.__exit__(None, None, None)
