"""Out of memory: which batch would fit, found out by trying."""

import gc

import torch
from torch import Tensor

from gravurekit.model.learner import Learner


def is_short(error: RuntimeError) -> bool:
    """Whether an error of torch says that memory was out; of the processor's own it has no class."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def fitting(learner: Learner, samples: dict[str, Tensor], batch: int) -> int:
    """The largest of batch/2, batch/4, … whose gradients find room, taken from `samples`; 0 if not even 2 do. The
    weights stay as they are."""
    size = batch // 2
    while size >= 2:
        _tidy(learner)
        try:
            learner.rehearse({name: tensor[:size] for name, tensor in samples.items()})
        except RuntimeError as error:
            if not is_short(error):
                raise
        else:
            return size
        finally:
            _tidy(learner)
        size //= 2
    return 0


def _tidy(learner: Learner) -> None:
    learner.optimizer.zero_grad(set_to_none=True)
    gc.collect()
    if learner.device.type == "cuda":
        torch.cuda.empty_cache()
