"""Out of memory: which batch would fit, found out by trying."""

import gc

import numpy as np
import torch

from gravurekit.model.learner import Learner


def is_short(error: Exception) -> bool:
    """Whether an error of torch or NumPy says that memory was out; for the processor's own torch has no class."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def fitting(learner: Learner, samples: dict[str, np.ndarray], batch: int) -> int:
    """The largest of batch/2, batch/4, … whose gradients find room, taken from `samples`; 0 if not even 2 do. The
    weights stay as they are."""
    size = batch // 2
    while size >= 2:
        _tidy(learner)
        try:
            _rehearse(learner, samples, size)
        except (RuntimeError, MemoryError) as error:
            if not is_short(error):
                raise
        else:
            return size
        finally:
            _tidy(learner)
        size //= 2
    return 0


def _rehearse(learner: Learner, samples: dict[str, np.ndarray], size: int) -> None:
    learner.rehearse({name: torch.from_numpy(array[:size]).to(learner.device) for name, array in samples.items()})


def _tidy(learner: Learner) -> None:
    learner.optimizer.zero_grad(set_to_none=True)
    gc.collect()
    if learner.device.type == "cuda":
        torch.cuda.empty_cache()
