"""FBNetV3 networks that share the weights of the widest network.

| gene | part of the widest network |
|---|---|
| width, expansion, squeeze | leading channels |
| kernel | centre |
| depth | leading blocks of each stage |

A path computes the same function as the module `workers.models.fbnetv3.FBNetV3Net`, but as a function of its tensors.
So it also runs with tensors other than the shared ones, such as the weights after another step.

Shapes: n images, c channels, h x w px, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from timm.layers import drop_path
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.fbnetv3.definition import BlockShape, NetworkDefinition
from searchsvc.spaces.fbnetv3.space import EXPANSIONS, FAMILIES, definition_of
from searchsvc.spaces.network_family import NETWORK
from workers.models.fbnetv3 import FBNetV3Net
from workers.models.networks import fbnetv3_net, input_shape
from workers.supernet.layout import Gate, Layout, TensorPart, Tensors, norm, outside
from workers.supernet.network import SharedNetwork
from workers.supernet.normalise import Normalisation
from workers.training.depthwise import convolve

_EXPANDING: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2"), "project": ("conv_pwl", "bn3")}
)
_PLAIN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}
)
_GATES: Mapping[str, Gate | None] = MappingProxyType(
    {"expand": None, "depthwise": Gate.CHANNELS, "project": Gate.BRANCH}
)
"""Gates of the normalisations.

Channels of the expansion are gated after the depthwise normalisation, which would cancel any earlier scale.
"""


class FBNetV3Supernet(SharedNetwork):
    """All architectures of a space of FBNetV3 networks."""

    def _widest_values(self, options: Mapping[str, tuple[Any, ...]]) -> dict[str, Scalar]:
        widest: dict[str, Any] = {name: max(choices) for name, choices in options.items()}
        for stage, (first, other) in EXPANSIONS.items():
            for own, default in ((f"k{stage}b", f"k{stage}"), (other, first)):
                if 0 in options[own]:  # code 0 of the other blocks: as in the first block
                    widest[own] = max(widest[own], widest[default])
        # Trimming changes no sizes: a trimmed block has the weights of an untrimmed block.
        return {**widest, **{name: False for name in widest if name.startswith("trim")}}

    def _build_widest(self, values: CompleteValues) -> nn.Module:
        self._widest = self._definition(values)
        network = fbnetv3_net(self._widest, input_shape(values, self._shape), self._classes)
        _restore_first_scales(network, self._widest)
        return network

    def _make_path(self, values: CompleteValues) -> FBNetV3Path:
        return FBNetV3Path.of(self._definition(values), self._widest, values)

    def _definition(self, values: CompleteValues) -> NetworkDefinition:
        family = FAMILIES[values[NETWORK]]
        return definition_of(family, values, min(input_shape(values, self._shape)[1:]))


@dataclass(frozen=True, slots=True)
class FBNetV3Path:
    """An architecture and the places of its tensors."""

    definition: NetworkDefinition
    blocks: tuple[BlockShape, ...]
    layout: Layout
    dropout: float
    drop_path: float
    """Rate of the deepest block; it grows linearly with depth, from 0."""

    @classmethod
    def of(cls, definition: NetworkDefinition, widest: NetworkDefinition, values: CompleteValues) -> Self:
        """Return the path of a definition. Raises InvalidInput if a stage of the widest network has fewer blocks."""
        blocks = tuple(definition.blocks())
        layout = dict(_layout(definition, blocks, widest))
        return cls(definition, blocks, layout, values["dropout"], values["drop_path"])

    def logits(self, images: Tensor, tensors: Tensors, normalise: Normalisation, *, regularised: bool) -> Tensor:
        """Return logits (n, K); see `Path`."""
        stem = self.definition.stem
        maps = F.conv2d(images, tensors["stem.0.weight"], None, stem.s, stem.k // 2)
        maps = F.hardswish(normalise(maps, tensors, "stem.1"))  # (n, stem.c, h', w')
        for number, block in enumerate(self.blocks):
            dropped = self.drop_path * number / len(self.blocks) if regularised else 0.0
            maps = _run(block, f"blocks.{number}.", tensors, maps, normalise, dropped)
        maps = F.conv2d(maps, tensors["head.expand.0.weight"])  # (n, pooled, h', w')
        pooled = F.hardswish(normalise(maps, tensors, "head.expand.1")).mean((2, 3), keepdim=True)  # (n, pooled, 1, 1)
        features = F.hardswish(F.conv2d(pooled, tensors["head.project.0.weight"])).flatten(1)  # (n, head.c)
        if self.dropout:
            features = F.dropout(features, self.dropout, regularised)
        return F.linear(features, tensors["classifier.weight"], tensors["classifier.bias"])


def _run(
    block: BlockShape, name: str, tensors: Tensors, maps: Tensor, normalise: Normalisation, dropped: float
) -> Tensor:
    """Run a block: (n, inputs, h, w) -> (n, outputs, h', w')."""
    layers, branch = {role: (name + conv, name + norm) for role, (conv, norm) in _layers_of(block).items()}, maps
    if block.expands:
        conv, norm = layers["expand"]
        branch = F.hardswish(normalise(F.conv2d(branch, tensors[f"{conv}.weight"]), tensors, norm))  # (n, mid, h, w)
    conv, norm = layers["depthwise"]
    branch = convolve(branch, tensors[f"{conv}.weight"], (block.stride, block.stride), (block.pad, block.pad))
    branch = F.hardswish(normalise(branch, tensors, norm))  # (n, mid, h', w')
    if block.squeeze:
        branch = branch * _excited(branch, f"{name}se.", tensors)
    conv, norm = layers["project"]
    branch = normalise(F.conv2d(branch, tensors[f"{conv}.weight"]), tensors, norm)  # (n, outputs, h', w')
    return drop_path(branch, dropped, training=dropped > 0) + maps if block.residual else branch


def _excited(maps: Tensor, name: str, tensors: Tensors) -> Tensor:
    """Return the factors of squeeze-and-excitation: (n, c, h, w) -> (n, c, 1, 1)."""
    means = maps.mean((2, 3), keepdim=True)  # (n, c, 1, 1)
    reduced = F.conv2d(means, tensors[f"{name}conv_reduce.weight"], tensors[f"{name}conv_reduce.bias"])
    expanded = F.conv2d(F.hardswish(reduced), tensors[f"{name}conv_expand.weight"], tensors[f"{name}conv_expand.bias"])
    return F.hardsigmoid(expanded)


def _layers_of(block: BlockShape) -> Mapping[str, tuple[str, str]]:
    """Return the names of convolution and normalisation in timm's block, by role; they depend on whether it expands."""
    return _EXPANDING if block.expands else _PLAIN


def _layout(
    definition: NetworkDefinition, blocks: tuple[BlockShape, ...], widest: NetworkDefinition
) -> Iterator[tuple[str, TensorPart]]:
    stem, head, inputs = definition.stem, definition.head, blocks[-1].outputs
    yield "stem.0.weight", TensorPart("stem.0.weight", (stem.c,))
    yield from norm("stem.1", "stem.1", stem.c, Gate.CHANNELS)
    widest_blocks = tuple(widest.blocks())
    for number, slot in enumerate(_slots(definition, widest)):
        yield from _block_parts(blocks[number], f"blocks.{number}.", widest_blocks[slot], f"blocks.{slot}.")
    yield "head.expand.0.weight", TensorPart("head.expand.0.weight", (definition.pooled, inputs))
    yield from norm("head.expand.1", "head.expand.1", definition.pooled, Gate.CHANNELS)
    yield "head.project.0.weight", TensorPart("head.project.0.weight", (head.c, definition.pooled))
    yield "classifier.weight", TensorPart("classifier.weight", ())
    yield "classifier.bias", TensorPart("classifier.bias", ())


def _slots(definition: NetworkDefinition, widest: NetworkDefinition) -> Iterator[int]:
    """Yield, for each block, the block of the widest network whose weights it uses: the first blocks of its stage."""
    available, starts = _depths(widest), _starts(widest)
    for stage, count in _depths(definition).items():
        if count > available[stage]:
            raise outside()
        yield from range(starts[stage], starts[stage] + count)


def _starts(definition: NetworkDefinition) -> dict[int, int]:
    """Return the number of the first block of each stage."""
    depths = _depths(definition)
    return {stage: sum(count for earlier, count in depths.items() if earlier < stage) for stage in depths}


def _depths(definition: NetworkDefinition) -> dict[int, int]:
    depths: dict[int, int] = {}
    for group in definition.groups:
        depths[group.stage] = depths.get(group.stage, 0) + group.n
    return depths


def _block_parts(block: BlockShape, own: str, widest_block: BlockShape, slot: str) -> Iterator[tuple[str, TensorPart]]:
    if block.expands and not widest_block.expands:
        raise outside()
    shapes = {
        "expand": (block.mid, block.inputs),
        "depthwise": (block.mid, 1, block.kernel, block.kernel),
        "project": (block.outputs, block.mid),
    }
    for role, (convolution, normalisation) in _layers_of(block).items():
        shape, (slot_convolution, slot_normalisation) = shapes[role], _layers_of(widest_block)[role]
        rings = Gate.RINGS if role == "depthwise" else None
        yield f"{own}{convolution}.weight", TensorPart(f"{slot}{slot_convolution}.weight", shape, rings)
        yield from norm(own + normalisation, slot + slot_normalisation, shape[0], _GATES[role])
    if block.squeeze:
        for layer, shape, gate in (
            ("reduce", (block.squeeze, block.mid), Gate.CHANNELS),
            ("expand", (block.mid, block.squeeze), None),
        ):
            name = f"se.conv_{layer}"
            yield f"{own}{name}.weight", TensorPart(f"{slot}{name}.weight", shape, gate)
            yield f"{own}{name}.bias", TensorPart(f"{slot}{name}.bias", shape[:1], gate)


def _restore_first_scales(widest: FBNetV3Net, definition: NetworkDefinition) -> None:
    """Reset the last scale of each stage's first block from 0 to 1.

    Residual branches start at zero. In paths without a shortcut around these blocks, a zero branch would block all
    signal.
    """
    for start in _starts(definition).values():
        block: Any = widest.blocks[start]
        nn.init.ones_((block.bn3 if hasattr(block, "bn3") else block.bn2).weight)
