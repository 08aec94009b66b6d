"""Wide depthwise convolutions on a CPU: the results and gradients of plain convolutions, from strips."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from searchsvc.spaces.networks import complete
from workers.models import build
from workers.training.depthwise import StripConv2d, with_strips
from workers.training.ema import WeightAverage


def gradients(conv: nn.Conv2d, images: Tensor) -> tuple[Tensor, ...]:
    """Return the result, and the gradients of images and weight for a fixed gradient of the result."""
    images = images.clone().requires_grad_()
    result = conv(images)
    gradient = torch.randn(result.shape, generator=torch.Generator().manual_seed(1), dtype=result.dtype)
    return result, *torch.autograd.grad(result, (images, conv.weight), gradient)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "side"),
    [(5, 1, 2, 8), (5, 1, 2, 4), (5, 2, 2, 9), (5, 2, 1, 8), (7, 1, 3, 9), (4, 1, 0, 6), (5, 3, 2, 10), (5, 1, 2, 1)],
)
def test_gradients_are_those_of_the_plain_convolution(kernel: int, stride: int, padding: int, side: int) -> None:
    conv = nn.Conv2d(6, 6, kernel, stride, padding, groups=6, bias=False, dtype=torch.float64)
    images = torch.randn(3, 6, side, side + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for got, expected in zip(gradients(StripConv2d.of(conv), images), gradients(conv, images), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_a_frozen_input_needs_no_gradient() -> None:
    conv = StripConv2d.of(nn.Conv2d(4, 4, 5, padding=2, groups=4, bias=False))
    conv(torch.ones(1, 4, 6, 6)).sum().backward()
    assert conv.weight.grad is not None


def test_only_wide_depthwise_convolutions_are_replaced() -> None:
    unchanged = (
        nn.Conv2d(4, 4, 3, groups=4, bias=False),
        nn.Conv2d(4, 8, 5, groups=4, bias=False),
        nn.Conv2d(4, 4, 5, groups=4),
        nn.Conv2d(4, 4, 5, groups=4, bias=False, dilation=2),
        nn.Conv2d(4, 4, 5, bias=False),
    )
    replaced = with_strips(nn.Sequential(*unchanged, nn.Sequential(nn.Conv2d(4, 4, 5, groups=4, bias=False))))
    assert [isinstance(one, StripConv2d) for one in replaced.modules() if isinstance(one, nn.Conv2d)] == [
        *[False] * len(unchanged),
        True,
    ]


def test_a_network_keeps_its_weights_and_their_names() -> None:
    values = {"kernel": 5}
    network = build(complete(values), (1, 8, 8), 10).eval()
    images = torch.randn(2, 1, 8, 8)
    before, expected = dict(network.named_parameters()), network(images)
    assert dict(with_strips(network).named_parameters()) == before
    assert any(isinstance(one, StripConv2d) for one in network.modules())
    assert torch.equal(network(images), expected)
    assert build(complete(values), (1, 8, 8), 10).load_state_dict(network.state_dict())
    assert torch.equal(WeightAverage(network, 0.9).module(images), expected)
