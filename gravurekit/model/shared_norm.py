"""Batch normalisation over the samples of all processes: each of them normalises its part of the batch as one process
would that had the whole.

torch's SyncBatchNorm does this on CUDA devices and refuses any other; SharedBatchNorm works on all.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gravurekit.model.collectives import gathered, summed


def share_norms(network: nn.Module, device: torch.device) -> None:
    """Replace, in place, each BatchNorm1d and BatchNorm2d of the network by one that is shared by all processes. The
    parameters and buffers stay the same objects under the same names."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                kind = nn.SyncBatchNorm if device.type == "cuda" else SharedBatchNorm
                setattr(module, name, _like(child, kind))


def _like(norm: nn.BatchNorm1d | nn.BatchNorm2d, kind: type[nn.modules.batchnorm._BatchNorm]) -> nn.Module:
    if norm.momentum is None or not norm.affine or not norm.track_running_stats:
        raise ValueError(f"a BN that can be shared has a momentum, weights and running statistics, not {norm}")
    made = kind(norm.num_features, norm.eps, norm.momentum, device="meta")
    for name, parameter in norm.named_parameters(recurse=False):
        setattr(made, name, parameter)
    for name, buffer in norm.named_buffers(recurse=False):
        setattr(made, name, buffer)
    return made.train(norm.training)


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BN of (B, C) or (B, C, h, w): in training the mean and variance of each channel are those of all processes'
    samples, of which each may have another number; in evaluation a plain BN."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected (B, C, …), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        if not self.training:
            plain: Tensor = super().forward(input)
            return plain
        normed, mean, variance, count = _SharedNorm.apply(  # type: ignore[no-untyped-call]
            input, self.weight, self.bias, self.eps
        )
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            unbiased = variance * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased.float(), self.momentum)
        out: Tensor = normed
        return out


class _SharedNorm(torch.autograd.Function):
    """x (B, C, …) float32 or bfloat16 → the same shape, dtype and memory format, and for the running statistics mean
    (C,), variance (C,) (of all samples, biased) float32 and how many values there were. The sums are float32 at least.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, variance, count = _statistics(x)
        ctx.eps = eps
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, variance, count = ctx.saved_tensors
        dims = [n for n in range(x.ndim) if n != 1]
        deviation = (variance + ctx.eps).rsqrt()
        dy32, centred = dy.float(), x.float() - _channels(mean, x)
        d_bias = dy32.sum(dims)
        d_weight = (dy32 * centred).sum(dims) * deviation
        # Those of the parameters are this process's own, and summed with all other gradients; x needs them of all.
        both = summed(torch.stack([d_bias, d_weight])) / count
        scale = weight * deviation
        dx = centred.mul_(_channels(-scale * deviation * both[1], x))
        dx.addcmul_(dy32, _channels(scale, x)).sub_(_channels(scale * both[0], x))
        return dx.to(x.dtype), d_weight, d_bias, None


def _channels(values: Tensor, like: Tensor) -> Tensor:
    """(C,) as (1, C, 1, …), to go with (B, C, …)."""
    return values.reshape(1, -1, *[1] * (like.ndim - 2))


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,) and biased variance (C,) float32, and the number of values, () float64, of all processes' x (B, C, …).

    Each sends its own mean, variance and number; together they give the variance without the difference of two large
    sums, and in the same order everywhere, so that all get the same bits.
    """
    dims = [n for n in range(x.ndim) if n != 1]
    variance, mean = torch.var_mean(x.float(), dims, correction=0)
    number = torch.full((1,), x.numel() // x.shape[1], dtype=torch.float64, device=x.device)
    all_of_them = gathered(torch.cat([mean.double(), variance.double(), number]))
    means, variances = all_of_them[:, :-1].chunk(2, dim=1)
    numbers = all_of_them[:, -1:]
    count = numbers.sum()
    whole_mean = (numbers * means).sum(0) / count
    whole_variance = (numbers * (variances + (means - whole_mean).square())).sum(0) / count
    return whole_mean.float(), whole_variance.float(), count
