"""One architecture as a path through the widest network of its space: which blocks, and which part of their weights.

| what | of the widest network's |
|---|---|
| width, expansion, squeeze | leading channels |
| kernel | centre |
| depth | leading blocks of each stage |

What a path has is named as in the network that `workers.models.build` makes of the same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self, TypeAlias

from torch import Tensor

from searchsvc.errors import InvalidInput
from searchsvc.spaces.definition import Block, Definition

Tensors: TypeAlias = Mapping[str, Tensor]
"""Weights and running statistics by name."""

_NORM = ("weight", "bias", "running_mean", "running_var")
_EXPANDING: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2"), "project": ("conv_pwl", "bn3")}
)
_PLAIN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}
)


def layers_of(block: Block) -> Mapping[str, tuple[str, str]]:
    """Role -> names of convolution and normalisation in timm's block, which depend on whether it expands."""
    return _EXPANDING if block.expands else _PLAIN


@dataclass(frozen=True, slots=True)
class Path:
    """An architecture and where its blocks lie."""

    definition: Definition
    blocks: tuple[Block, ...]
    slots: tuple[int, ...]
    """Of each block: the block of the widest network whose weights it uses."""
    dropout: float
    drop_path: float
    """Of the deepest block; from 0 on, linear in depth."""

    @classmethod
    def of(cls, definition: Definition, widest: Definition, values: Mapping[str, Any]) -> Self:
        """The path of a definition. Raises InvalidInput where it does not lie within the widest."""
        blocks, room = tuple(definition.blocks()), tuple(widest.blocks())
        slots = tuple(_slots(definition, widest))
        inside = all(_fits(block, room[slot]) for block, slot in zip(blocks, slots, strict=True))
        if definition.stem.c > widest.stem.c or not inside:
            raise InvalidInput.at("", "the supernet was made of a space that does not hold this architecture")
        return cls(definition, blocks, slots, values["dropout"], values["drop_path"])

    def views(self, widest: Path, shared: Tensors) -> dict[str, Tensor]:
        """The path's own part of the tensors of the widest network: views of them, no copies.

        `shared` may be without running statistics.
        """
        stem, head = self.definition.stem.c, self.blocks[-1].outputs
        pooled = self.definition.pooled
        found = {
            "stem.0.weight": shared["stem.0.weight"][:stem],
            **_norm("stem.1", "stem.1", stem, shared),
            "head.expand.0.weight": shared["head.expand.0.weight"][:pooled, :head],
            **_norm("head.expand.1", "head.expand.1", pooled, shared),
            "head.project.0.weight": shared["head.project.0.weight"][:, :pooled],
            "classifier.weight": shared["classifier.weight"],
            "classifier.bias": shared["classifier.bias"],
        }
        for number, (block, slot) in enumerate(zip(self.blocks, self.slots, strict=True)):
            found |= _block_views(block, f"blocks.{number}.", widest.blocks[slot], f"blocks.{slot}.", shared)
        return found


def _slots(definition: Definition, widest: Definition) -> Iterator[int]:
    """Blocks of a stage lie in the first places of the same stage."""
    places = _depths(widest)
    starts = {stage: sum(count for one, count in places.items() if one < stage) for stage in places}
    for stage, count in _depths(definition).items():
        if count > places[stage]:
            raise InvalidInput.at("", f"stage {stage} has {count} blocks; the supernet has {places[stage]}")
        yield from range(starts[stage], starts[stage] + count)


def _depths(definition: Definition) -> dict[int, int]:
    depths: dict[int, int] = {}
    for group in definition.groups:
        depths[group.stage] = depths.get(group.stage, 0) + group.n
    return depths


def _fits(block: Block, room: Block) -> bool:
    return (
        block.inputs <= room.inputs
        and block.mid <= room.mid
        and block.outputs <= room.outputs
        and block.kernel <= room.kernel
        and block.squeeze <= room.squeeze
        and block.expands <= room.expands
    )


def _block_views(block: Block, own: str, room: Block, slot: str, shared: Tensors) -> dict[str, Tensor]:
    sizes = {
        "expand": (block.mid, block.inputs),
        "depthwise": (block.mid, 1),
        "project": (block.outputs, block.mid),
    }
    found: dict[str, Tensor] = {}
    for role, (convolution, norm) in layers_of(block).items():
        (outputs, inputs), (slot_convolution, slot_norm) = sizes[role], layers_of(room)[role]
        weight = shared[f"{slot}{slot_convolution}.weight"][:outputs, :inputs]
        found[f"{own}{convolution}.weight"] = _centre(weight, block.kernel) if role == "depthwise" else weight
        found |= _norm(own + norm, slot + slot_norm, outputs, shared)
    if block.squeeze:
        for layer, outputs, inputs in (("reduce", block.squeeze, block.mid), ("expand", block.mid, block.squeeze)):
            name = f"se.conv_{layer}"
            found[f"{own}{name}.weight"] = shared[f"{slot}{name}.weight"][:outputs, :inputs]
            found[f"{own}{name}.bias"] = shared[f"{slot}{name}.bias"][:outputs]
    return found


def _centre(weight: Tensor, kernel: int) -> Tensor:
    """(c, 1, K, K) -> (c, 1, k, k)."""
    start = (weight.shape[2] - kernel) // 2
    return weight[:, :, start : start + kernel, start : start + kernel]


def _norm(own: str, slot: str, channels: int, shared: Tensors) -> dict[str, Tensor]:
    return {f"{own}.{part}": shared[name][:channels] for part in _NORM if (name := f"{slot}.{part}") in shared}
