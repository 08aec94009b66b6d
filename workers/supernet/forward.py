"""The network of a path as a function of its tensors, as `workers.models.fbnetv3.RowsNet` has it as a module.

So the same path can be run with the shared weights and with others, such as those after one more step.
Shapes: n images, c channels, h x w px, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from timm.layers import drop_path
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.spaces.definition import Block
from workers.supernet.paths import Path, Tensors, layers_of
from workers.training.depthwise import convolve

Normalise: TypeAlias = Callable[[Tensor, Tensors, str], Tensor]
"""(maps, tensors, name of the normalisation) -> maps."""


def logits(path: Path, tensors: Tensors, images: Tensor, normalise: Normalise, *, regularised: bool) -> Tensor:
    """Normalised images (n, c, h, w) -> logits (n, K). `regularised`: with dropout and stochastic depth."""
    stem = path.definition.stem
    maps = F.conv2d(images, tensors["stem.0.weight"], None, stem.s, stem.k // 2)
    maps = F.hardswish(normalise(maps, tensors, "stem.1"))
    for number, block in enumerate(path.blocks):
        dropped = path.drop_path * number / len(path.blocks) if regularised else 0.0
        maps = _block(block, f"blocks.{number}.", tensors, maps, normalise, dropped)
    maps = F.conv2d(maps, tensors["head.expand.0.weight"])
    pooled = F.hardswish(normalise(maps, tensors, "head.expand.1")).mean((2, 3), keepdim=True)  # (n, pooled, 1, 1)
    features = F.hardswish(F.conv2d(pooled, tensors["head.project.0.weight"])).flatten(1)  # (n, head.c)
    if path.dropout:
        features = F.dropout(features, path.dropout, regularised)
    return F.linear(features, tensors["classifier.weight"], tensors["classifier.bias"])


def by_batch(maps: Tensor, tensors: Tensors, name: str) -> Tensor:
    """By mean and variance of the batch, which depend on nothing but the path."""
    return F.batch_norm(maps, None, None, tensors[f"{name}.weight"], tensors[f"{name}.bias"], training=True)


def by_statistics(maps: Tensor, tensors: Tensors, name: str) -> Tensor:
    """By the statistics among the tensors."""
    mean, variance = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]
    return F.batch_norm(maps, mean, variance, tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def measuring(batch: int) -> Normalise:
    """As `by_batch`; the statistics among the tensors become the mean over the batches 0 to `batch`, in place."""

    def normalise(maps: Tensor, tensors: Tensors, name: str) -> Tensor:
        mean, variance = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]
        weight, bias, share = tensors[f"{name}.weight"], tensors[f"{name}.bias"], 1.0 / (batch + 1)
        return F.batch_norm(maps, mean, variance, weight, bias, training=True, momentum=share)

    return normalise


def _block(block: Block, name: str, tensors: Tensors, maps: Tensor, normalise: Normalise, dropped: float) -> Tensor:
    """(n, inputs, h, w) -> (n, outputs, h', w')."""
    layers, branch = {role: (name + conv, name + norm) for role, (conv, norm) in layers_of(block).items()}, maps
    if block.expands:
        conv, norm = layers["expand"]
        branch = F.hardswish(normalise(F.conv2d(branch, tensors[f"{conv}.weight"]), tensors, norm))
    conv, norm = layers["depthwise"]
    branch = convolve(branch, tensors[f"{conv}.weight"], (block.stride, block.stride), (block.pad, block.pad))
    branch = F.hardswish(normalise(branch, tensors, norm))
    if block.squeeze:
        branch = branch * _gate(branch, f"{name}se.", tensors)
    conv, norm = layers["project"]
    branch = normalise(F.conv2d(branch, tensors[f"{conv}.weight"]), tensors, norm)
    return drop_path(branch, dropped, training=dropped > 0) + maps if block.residual else branch


def _gate(maps: Tensor, name: str, tensors: Tensors) -> Tensor:
    """(n, c, h, w) -> (n, c, 1, 1) of squeeze-and-excitation."""
    means = maps.mean((2, 3), keepdim=True)
    reduced = F.conv2d(means, tensors[f"{name}conv_reduce.weight"], tensors[f"{name}conv_reduce.bias"])
    expanded = F.conv2d(F.hardswish(reduced), tensors[f"{name}conv_expand.weight"], tensors[f"{name}conv_expand.bias"])
    return F.hardsigmoid(expanded)
