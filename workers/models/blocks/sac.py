"""Switchable Atrous Convolution (SAC; DetectoRS, arXiv 2006.02334, section 4).

::

    x  <- x + pre(GAP(x))                                   global context before
    S  =  switch(pool5(x))                                  (n, 1, h', w'), linear: neither sigmoid nor clamp
    y  =  S conv(x, Ws, d) + (1 - S) conv(x, Ws + dW, 3d)   Ws = AWS(W), see `conv_aws`
    y  <- y + post(GAP(y))                                  global context after

pool5 is the mean over 5 x 5 of a map padded by reflection; switch, pre and post are 1 x 1 convolutions with bias. dW
(`weight_diff`) is added after the standardisation: the two branches are locked, they share W. The deformable form
replaces both convolutions with deformable convolutions, without modulation and with a single offset group, whose
offsets are 3 x 3 convolutions of pool5(x). At the start S = 1, and dW, pre, post and offsets are 0, so that y is the
plain convolution whose weights were loaded; dW has no gradient then, but the switch has.

Shapes: n images, c inputs, o outputs, k x k kernel, h x w px in, h' x w' px out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torchvision.ops import deform_conv2d

from searchsvc.errors import InvalidInput
from workers.models.blocks import initial
from workers.models.blocks.conv_aws import ConvAWS

_ATROUS = 3
"""Rate of the second branch relative to the first."""
_SMALLEST = 3
"""The fewest px per side that padding by reflection allows."""


class SwitchableAtrousConv(ConvAWS):
    """A replacement for nn.Conv2d, with its arguments except `bias`, since it has no bias. `deform`: deformable form.

    Raises InvalidInput (pointer `/resolution`) for maps of less than 3 px on a side.
    """

    def __init__(self, in_channels: int, out_channels: int, *arguments: Any, deform: bool = False, **options: Any):
        super().__init__(in_channels, out_channels, *arguments, bias=False, **options)
        self.weight_diff = nn.Parameter(torch.zeros_like(self.weight))
        self.switch = nn.Conv2d(in_channels, 1, 1)
        self.pre_context = nn.Conv2d(in_channels, in_channels, 1)
        self.post_context = nn.Conv2d(out_channels, out_channels, 1)
        self.offset_s = self._offsets() if deform else None
        self.offset_l = self._offsets() if deform else None
        for conv in self.children():
            initial.at_zero(conv)
        self.switch.bias = nn.Parameter(torch.ones(1))  # S = 1

    @classmethod
    def of(cls, conv: nn.Conv2d, *, deform: bool = False) -> SwitchableAtrousConv:
        """Return a switchable convolution with the weights and the outputs of a plain convolution.

        Raises InvalidInput (pointer `/bias`) if it has a bias.
        """
        if conv.bias is not None:
            raise InvalidInput.at("/bias", "SAC has no bias, and would lose it: give a convolution without bias")
        made = cls(
            *(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation),
            groups=conv.groups,
            deform=deform,
        )
        made.to(conv.weight.device, conv.weight.dtype).load_state_dict(conv.state_dict(), strict=False)
        return made

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, o, h', w')."""
        if min(maps.shape[-2:]) < _SMALLEST:
            raise InvalidInput.at("/resolution", f"SAC needs maps of 3 px or more, not {tuple(maps.shape[-2:])}")
        maps = maps + self.pre_context(_mean(maps))  # (n, c, h, w)
        # The mean of a 1 x 1 convolution is the convolution of the mean, and cheaper: it has one channel.
        switch = _pool5(self.switch(maps), self.stride)  # (n, 1, h', w')
        pooled = maps if self.offset_s is None else _pool5(maps)  # (n, c, h, w)
        weight = self.effective_weight()  # (o, c / g, k, k)
        small = self._branch(maps, weight, 1, self.offset_s, pooled)  # (n, o, h', w')
        large = self._branch(maps, weight + self.weight_diff, _ATROUS, self.offset_l, pooled)  # (n, o, h', w')
        mixed = torch.lerp(large, small, switch.to(small.dtype))  # S small + (1 - S) large
        context: Tensor = self.post_context(_mean(mixed))  # (n, o, 1, 1)
        return mixed + context

    def _offsets(self) -> nn.Conv2d:
        """Return the convolution from (n, c, h, w) to (y, x) of each point of the kernel, (n, 2 k k, h', w')."""
        rows, columns = self.stride
        return nn.Conv2d(self.in_channels, 2 * self.weight[0, 0].numel(), 3, (rows, columns), padding=1)

    def _branch(self, maps: Tensor, weight: Tensor, rate: int, offset: nn.Module | None, pooled: Tensor) -> Tensor:
        """Convolve with `rate` times the dilation and the padding."""
        padding, dilation = (tuple(rate * one for one in pair) for pair in (_numbers(self.padding), self.dilation))
        if offset is None:
            return F.conv2d(maps, weight, None, self.stride, padding, dilation, self.groups)
        # The deformable kernel needs a single type for all its inputs, and no half precision on a CPU.
        maps, moved = maps.to(weight.dtype), offset(pooled).to(weight.dtype)  # (n, c, h, w), (n, 2 k k, h', w')
        out: Tensor = deform_conv2d(maps, moved, weight, stride=self.stride, padding=padding, dilation=dilation)
        return out


def _mean(maps: Tensor) -> Tensor:
    """Global average pooling: (n, c, h, w) -> (n, c, 1, 1)."""
    return maps.mean((2, 3), keepdim=True)


def _pool5(maps: Tensor, stride: tuple[int, ...] = (1, 1)) -> Tensor:
    """Return the mean over 5 x 5 px, with reflected border: (n, c, h, w) -> (n, c, ceil(h / stride), ceil(w / stride)).
    """
    return F.avg_pool2d(F.pad(maps, (2, 2, 2, 2), mode="reflect"), 5, stride)


def _numbers(padding: str | tuple[int, ...]) -> tuple[int, ...]:
    assert not isinstance(padding, str)
    return padding
