"""The convolution gives what torch's gives, whichever way its weights' gradient is found."""

import pytest
import torch
import torch.nn.functional as F

from gravurekit.model import convolution
from gravurekit.model.convolution import Convolution


def gradients(layer: Convolution, picture: torch.Tensor, error: torch.Tensor) -> list[torch.Tensor]:
    """Of the picture and of the weights, under autocast as in training; the result first."""
    seen, weight = picture.clone().requires_grad_(), layer.weight
    weight.grad = None
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(seen)
    result.backward(error)
    assert seen.grad is not None and weight.grad is not None
    return [result.detach(), seen.grad, weight.grad]


def exact(layer: Convolution, picture: torch.Tensor, error: torch.Tensor) -> list[torch.Tensor]:
    """The same in float64, of the same rounded numbers."""
    seen = picture.double().requires_grad_()
    weight = layer.weight.detach().bfloat16().double().requires_grad_()
    result = F.conv2d(seen, weight, stride=layer.stride, padding=1)
    return [result.detach(), *torch.autograd.grad(result, (seen, weight), error.double())]


@pytest.mark.parametrize("few", [0, 10_000])
@pytest.mark.parametrize(
    ("count", "inputs", "outputs", "size", "stride"),
    [(3, 8, 16, (7, 7), 1), (2, 16, 8, (6, 9), 2), (1, 4, 4, (1, 1), 1), (5, 3, 7, (5, 4), 1), (2, 16, 16, (7, 5), 2)],
)
@pytest.mark.parametrize("last", [True, False])
def test_it_finds_the_gradients_of_a_convolution(
    few: int, count: int, inputs: int, outputs: int, size: tuple[int, int], stride: int, last: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(convolution, "FEW", few)
    chance = torch.Generator().manual_seed(0)
    order = torch.channels_last if last else torch.contiguous_format
    layer = Convolution(inputs, outputs, stride).to(memory_format=order)
    picture = torch.randn(count, inputs, *size, generator=chance).bfloat16().contiguous(memory_format=order)
    result_size = tuple(-(-side // stride) for side in size)
    error = torch.randn(count, outputs, *result_size, generator=chance).bfloat16().contiguous(memory_format=order)
    found, wanted = gradients(layer, picture, error), exact(layer, picture, error)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one.double(), other, rtol=0.02, atol=0.02 * float(other.abs().max()))


@pytest.mark.parametrize(
    ("side", "dtype", "expected"),
    [(8, torch.bfloat16, True), (9, torch.bfloat16, False), (8, torch.float32, False)],
)
def test_the_matrix_is_for_few_places_in_bf16(side: int, dtype: torch.dtype, expected: bool) -> None:
    layer = Convolution(4, 4)
    result = layer.to(dtype)(torch.zeros(2, 4, side, side, dtype=dtype))
    assert (type(result.grad_fn).__name__ == "_FewPlacesBackward") is expected


def test_what_needs_no_gradient_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Convolution(4, 4).bfloat16()
    picture = torch.ones(2, 4, 4, 4, dtype=torch.bfloat16)
    layer(picture).sum().backward()
    assert picture.grad is None and layer.weight.grad is not None
    layer.weight.requires_grad_(False)
    seen = picture.clone().requires_grad_()
    layer(seen).sum().backward()
    assert seen.grad is not None
