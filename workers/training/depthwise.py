"""Training with wide depthwise kernels on a CPU: the gradient of the weight in strips of at most three columns.

oneDNN's fast kernel for this gradient supports kernels of up to three columns. For wider kernels its general
implementation takes about ten times as long, more than the rest of a network of 5x5 kernels. The gradient of a column
of the kernel depends on no other column. So the gradient of a 5x5 kernel is composed of those of a 5x3 and a 5x2
kernel, on shifted images: the sums are the same.

| symbol | meaning | shape |
|---|---|---|
| x | images | (n, c, h, w) |
| weight | one kernel per channel | (c, 1, k, k) |
| y | x convolved | (n, c, h', w') |
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

_FAST_COLUMNS = 3
Pair: TypeAlias = tuple[int, int]
"""The size in rows and columns."""


def convolve(images: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """Return the depthwise convolution; its gradient is computed in strips if that is faster."""
    if images.is_cpu and torch.is_grad_enabled() and weight.shape[3] > _FAST_COLUMNS:
        return _Strips.apply(images, weight, stride, padding)  # type: ignore[no-any-return]
    return F.conv2d(images, weight, None, stride, padding, groups=len(weight))


class StripConv2d(nn.Conv2d):
    """A depthwise convolution with the parameters, results and gradients of the convolution that it replaces."""

    @classmethod
    def of(cls, conv: nn.Conv2d) -> StripConv2d:
        channels, size, stride, padding = conv.in_channels, conv.kernel_size, conv.stride, conv.padding
        replacement = cls(channels, channels, size, stride, padding, groups=channels, bias=False, device="meta")  # type: ignore[arg-type]
        replacement.weight = conv.weight
        return replacement.train(conv.training)

    def forward(self, images: Tensor) -> Tensor:
        return convolve(images, self.weight, self.stride, self.padding)  # type: ignore[arg-type] # a pair, by construction


def with_strips(model: nn.Module) -> nn.Module:
    """Replace the wide depthwise convolutions of a model and return it; its weights keep their tensors and names."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Conv2d and _is_wide_depthwise(child):
                setattr(parent, name, StripConv2d.of(child))
    return model


def _is_wide_depthwise(conv: nn.Conv2d) -> bool:
    return (
        conv.groups == conv.in_channels == conv.out_channels
        and conv.kernel_size[1] > _FAST_COLUMNS
        and conv.dilation == (1, 1)
        and conv.bias is None
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )


class _Strips(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(images, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        images, weight = ctx.saved_tensors
        of_images, _ = _gradients(gradient, images, weight, ctx.stride, ctx.padding, (ctx.needs_input_grad[0], False))
        return of_images, _of_weight(gradient, images, weight, ctx.stride, ctx.padding), None, None


def _of_weight(gradient: Tensor, images: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """Return the gradient of the weight (c, 1, k, k), computed in strips.

    Images are padded here, since the fast kernel is slow with some paddings.
    """
    rows = (gradient.shape[2] - 1) * stride[0] + weight.shape[2]  # that the kernel passes over
    columns = (gradient.shape[3] - 1) * stride[1]  # from the kernel's first place to its last
    top, below = padding[0], rows - padding[0] - images.shape[2]
    strips, first = [], 0
    for strip in torch.split(weight, _FAST_COLUMNS, dim=3):
        left, width = padding[1] - first, strip.shape[3]
        right = columns + width - left - images.shape[3]
        padded = F.pad(images, (left, right, top, below))  # (n, c, rows, columns + width)
        strips.append(_gradients(gradient, padded, strip, stride, (0, 0), (False, True))[1])
        first += width
    return torch.cat(strips, 3)  # (c, 1, k, k) from strips (c, 1, k, <= 3)


def _gradients(
    gradient: Tensor, images: Tensor, weight: Tensor, stride: Pair, padding: Pair, needed: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """Return the gradients of images and weight, as far as `needed`."""
    of_images, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient, images, weight, None, stride, padding, (1, 1), False, (0, 0), len(weight), (*needed, False)
    )
    return of_images, of_weight
