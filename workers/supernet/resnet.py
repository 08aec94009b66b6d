"""timm's ResNets (`searchsvc.spaces.resnet`) that share the weights of the deepest and widest network.

| gene | part of the widest network |
|---|---|
| width, also of the narrow stems (t) | leading channels |
| depth | leading blocks of each stage |

Every block has a shortcut in all of these networks, so all residual branches start at zero, as in timm. Shapes: n
images, c channels, h x w px, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from timm.layers import drop_path
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.network_family import NETWORK
from searchsvc.spaces.resnet import LAYERS, stem_stride, stem_widths
from workers.models.networks import build, input_shape
from workers.supernet.layout import Gate, Layout, TensorPart, Tensors, norm
from workers.supernet.network import SharedNetwork
from workers.supernet.normalise import Normalisation

_STEM = (("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1"))
"""Convolutions of the stem and their normalisations."""


class ResNetSupernet(SharedNetwork):
    """All networks and widths of a space of ResNets."""

    def _widest_values(self, options: Mapping[str, tuple[Any, ...]]) -> dict[str, Scalar]:
        deepest = max(options[NETWORK], key=lambda name: LAYERS[name])
        return {name: max(choices) for name, choices in options.items()} | {NETWORK: deepest}

    def _build_widest(self, values: CompleteValues) -> nn.Module:
        return build(values, self._shape, self._classes)

    def _make_path(self, values: CompleteValues) -> ResNetPath:
        name, width = values[NETWORK], values["base_width"]
        layout, stride = dict(_layout(name, width, self._classes)), stem_stride(*input_shape(values, self._shape)[1:])
        return ResNetPath(LAYERS[name], stride, layout, values["dropout"], values["drop_path"])


@dataclass(frozen=True, slots=True)
class ResNetPath:
    """A network and the places of its tensors."""

    layers: tuple[int, ...]
    """Number of blocks of each stage."""
    stem_stride: int
    layout: Layout
    dropout: float
    drop_path: float
    """Rate of the last block; it grows linearly with depth, from 0."""

    def logits(self, images: Tensor, tensors: Tensors, normalise: Normalisation, *, regularised: bool) -> Tensor:
        """Return logits (n, K); see `Path`."""
        maps, stride = images, self.stem_stride
        for convolution, normalisation in _STEM:
            maps = F.conv2d(maps, tensors[f"{convolution}.weight"], None, stride, 1)
            maps, stride = F.relu(normalise(maps, tensors, normalisation)), 1  # only the first convolution strides
        blocks = [(stage, number) for stage, count in enumerate(self.layers) for number in range(count)]
        for index, (stage, number) in enumerate(blocks):
            dropped = self.drop_path * index / (len(blocks) - 1) if regularised else 0.0
            stride = 2 if stage and not number else 1
            maps = _run(f"layer{stage + 1}.{number}.", stride, tensors, maps, normalise, dropped)
        features = maps.mean((2, 3))  # (n, 8 base widths)
        if self.dropout:
            features = F.dropout(features, self.dropout, regularised)
        return F.linear(features, tensors["fc.weight"], tensors["fc.bias"])


def _run(name: str, stride: int, tensors: Tensors, maps: Tensor, normalise: Normalisation, dropped: float) -> Tensor:
    """Run a block: (n, inputs, h, w) -> (n, outputs, ceil(h / stride), ceil(w / stride))."""
    branch = F.conv2d(maps, tensors[f"{name}conv1.weight"], None, stride, 1)
    branch = F.relu(normalise(branch, tensors, f"{name}bn1"))  # (n, outputs, h', w')
    branch = normalise(F.conv2d(branch, tensors[f"{name}conv2.weight"], None, 1, 1), tensors, f"{name}bn2")
    if stride > 1:
        maps = F.avg_pool2d(maps, 2, stride, ceil_mode=True, count_include_pad=False)
        # A pooled shortcut keeps all pixels (the d of resnet18d).
        maps = normalise(F.conv2d(maps, tensors[f"{name}downsample.1.weight"]), tensors, f"{name}downsample.2")
    return F.relu(drop_path(branch, dropped, training=dropped > 0) + maps)


def _layout(network: str, width: int, classes: int) -> Iterator[tuple[str, TensorPart]]:
    """Yield the parts of all tensors. Names equal those of the widest network, since blocks are numbered by stage."""
    inputs: tuple[int, ...] = ()
    for outputs, (convolution, normalisation) in zip(stem_widths(network, width), _STEM, strict=True):
        yield _convolution(convolution, outputs, *inputs)
        yield from norm(normalisation, normalisation, outputs, Gate.CHANNELS)
        inputs = (outputs,)
    for stage, count in enumerate(LAYERS[network]):
        for number in range(count):
            outputs = width * 2**stage
            yield from _block_parts(f"layer{stage + 1}.{number}.", inputs[0], outputs)
            inputs = (outputs,)
    yield "fc.weight", TensorPart("fc.weight", (classes, inputs[0]))
    yield "fc.bias", TensorPart("fc.bias", ())


def _block_parts(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, TensorPart]]:
    for number, (before, gate) in enumerate(((inputs, Gate.CHANNELS), (outputs, Gate.BRANCH)), start=1):
        yield _convolution(f"{name}conv{number}", outputs, before)
        yield from norm(f"{name}bn{number}", f"{name}bn{number}", outputs, gate)
    if inputs != outputs:
        yield _convolution(f"{name}downsample.1", outputs, inputs)
        yield from norm(f"{name}downsample.2", f"{name}downsample.2", outputs, Gate.CHANNELS)


def _convolution(name: str, *channels: int) -> tuple[str, TensorPart]:
    """Return the part of a convolution. `channels`: outputs and inputs; outputs alone leave all inputs."""
    return f"{name}.weight", TensorPart(f"{name}.weight", channels)
