"""Multiply-adds and parameters of built modules, counted in two independent ways, on the meta device: no numbers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from searchsvc.spaces.fbnetv3.definition import BlockShape, NetworkDefinition, Stem
from workers.models.fbnetv3 import PooledHead, block_of, stem_of

Shape = tuple[int, int, int]
_WITHOUT_FLOPS = (nn.BatchNorm2d, nn.Hardswish, nn.Hardsigmoid, nn.ReLU)


@dataclass(frozen=True)
class Counted:
    """The counts for an image, and the shape of the output."""

    flops: int
    params: int
    shape: torch.Size

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.flops + other.flops, self.params + other.params, other.shape)


class Countable:
    """A module that is built once and counted for inputs of any shape."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        with torch.device("meta"):
            self._module = make().eval()
        self._params = sum(parameter.numel() for parameter in self._module.parameters())
        self._hooked, self._agreed = 0, False
        _strip(self._module)
        for layer in self._module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(self._count)

    def counted(self, shape: tuple[int, ...]) -> Counted:
        """Run the module once. Hooks on convolutions and linear layers count; the first time, torch's count must agree.
        """
        self._hooked = 0
        with nullcontext() if self._agreed else FlopCounterMode(display=False) as counter, torch.inference_mode():
            output = self._module(torch.empty(1, *shape, device="meta"))
        assert counter is None or counter.get_total_flops() == 2 * self._hooked
        self._agreed = True
        return Counted(self._hooked, self._params, output.shape[1:])

    def _count(self, layer: nn.Module, _: tuple[Tensor], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        self._hooked += output.numel() * layer.weight[0].numel()


def counted_by_parts(definition: NetworkDefinition, shape: Shape, classes: int) -> Counted:
    """Count a network as the sum of its parts; each part is built and counted once, however many networks share it."""
    result = _stem(definition.stem, shape)
    for block in definition.blocks():
        result += _block(block, tuple(result.shape))
    head = definition.head
    result += _pool(definition.rows[-2].c, definition.pooled, head.c, tuple(result.shape))
    return result + _classifier(head.c, classes)


@cache
def _stem(stem: Stem, shape: Shape) -> Counted:
    return Countable(lambda: stem_of(shape[0], stem.c, stem.k, stem.s)).counted(shape)


@cache
def _built(block: BlockShape) -> Countable:
    return Countable(lambda: block_of(block))


@cache
def _block(block: BlockShape, shape: Shape) -> Counted:
    return _built(block).counted(shape)


@cache
def _pool(inputs: int, pooled: int, outputs: int, shape: Shape) -> Counted:
    return Countable(lambda: PooledHead(inputs, pooled, outputs)).counted(shape)


@cache
def _classifier(inputs: int, classes: int) -> Counted:
    return Countable(lambda: nn.Linear(inputs, classes)).counted((inputs,))


def _strip(module: nn.Module) -> None:
    """Remove layers that have no multiply-adds: on the meta device they take most of the time."""
    for name, child in module.named_children():
        if isinstance(child, _WITHOUT_FLOPS):
            setattr(module, name, nn.Identity())
        else:
            _strip(child)
