"""A 3×3 convolution whose weights' gradient, on a CPU in bf16, is a matrix product where there are few places.

oneDNN finds the gradient of 512×512 kernels picture by picture, and goes over all 2.4 million sums for each, even if
a picture has few places. Laid out as a matrix, all places of all pictures are added up in one go.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

FEW = 64  # places of the result, in a picture: below that the matrix wins, however many pictures there are


class Convolution(nn.Conv2d):
    """3×3, padded by 1, without bias: (B, inputs, h, w) → (B, outputs, ceil(h/stride), ceil(w/stride))."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        if not self._few_places(input):
            return super().forward(input)
        found: Tensor = _FewPlaces.apply(input, self.weight.to(input.dtype), self.stride[0])  # type: ignore[no-untyped-call]
        return found

    def _few_places(self, input: Tensor) -> bool:
        places = input.shape[2] * input.shape[3] / self.stride[0] ** 2
        return input.device.type == "cpu" and input.dtype == torch.bfloat16 and places <= FEW


class _FewPlaces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride = stride
        return F.conv2d(input, weight, stride=stride, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        input, weight = ctx.saved_tensors
        steps, ones = [ctx.stride] * 2, [1, 1]
        for_input = torch.ops.aten.convolution_backward(
            error, input, weight, None, steps, ones, ones, False, [0, 0], 1, [ctx.needs_input_grad[0], False, False]
        )[0]
        return for_input, _of_weights(input, error, ctx.stride) if ctx.needs_input_grad[1] else None, None


def _of_weights(input: Tensor, error: Tensor, stride: int) -> Tensor:
    """The gradient of the weights (outputs, inputs, 3, 3), from that of the result, `error` (B, outputs, h, w)."""
    count, outputs, height, width = error.shape
    wide = F.pad(input.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()  # (B, H + 2, W + 2, inputs)
    picture, row, column, channel = wide.stride()
    inputs = wide.shape[3]
    strides = (picture, row * stride, column * stride, row, column, channel)
    seen = wide.as_strided((count, height, width, 3, 3, inputs), strides).reshape(-1, 9 * inputs)
    found = error.permute(0, 2, 3, 1).reshape(-1, outputs).T @ seen
    return found.reshape(outputs, 3, 3, inputs).permute(0, 3, 1, 2)
