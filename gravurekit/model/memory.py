"""Out of memory: which batch would fit, found out by trying."""

import gc

import numpy as np
import torch

from gravurekit.model.learner import Learner

# What torch says in a RuntimeError where it has no class for it: of the processor's own memory, and of libraries that
# ask for memory themselves (oneDNN's primitives do nothing else that could fail here)
WORDS = ("can't allocate memory", "bad_alloc", "bad allocation", "out of memory", "ALLOC_FAILED",
         "could not create a primitive", "could not execute a primitive")  # fmt: skip


def is_short(error: Exception) -> bool:
    """Whether an error of torch or NumPy says that memory was out."""
    found = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return found or any(word in str(error) for word in WORDS)


def fitting(learner: Learner, samples: dict[str, np.ndarray], batch: int) -> int:
    """The largest of 2, 4, 8, … below the batch whose gradients find room, taken from `samples`; 0 if not even 2 do.
    The weights stay as they are. The smallest is tried first: who asks for too much leaves memory in crumbs."""
    fits = 0
    for size in (2**power for power in range(1, batch.bit_length()) if 2**power < batch):
        _tidy(learner)
        try:
            _rehearse(learner, samples, size)
        except (RuntimeError, MemoryError) as error:
            if not is_short(error):
                raise
            break
        finally:
            _tidy(learner)
        fits = size
    return fits


def _rehearse(learner: Learner, samples: dict[str, np.ndarray], size: int) -> None:
    learner.rehearse({name: torch.from_numpy(array[:size]).to(learner.device) for name, array in samples.items()})


def _tidy(learner: Learner) -> None:
    learner.optimizer.zero_grad(set_to_none=True)
    gc.collect()
    if learner.device.type == "cuda":
        torch.cuda.empty_cache()
