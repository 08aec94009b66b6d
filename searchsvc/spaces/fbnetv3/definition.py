"""Networks written as rows of groups of equal blocks, and their counts without building them.

::

    name: FBNetV3-A
    resolution: 224
    rows:
      - {stage: 0, op: conv, k: 3, c: 16, s: 2}
      - {stage: 1, op: mb, k: 3, c: 16, e: 1, n: 2}
      - {stage: 4, op: mb, k: 5, c: 72, e: 5, s: 2, pad: 1}
      - {stage: 8, op: mbpool, c: 1984, e: 6}

| field | meaning |
|---|---|
| op | `conv`: the stem; `mb`: inverted residuals; `mbpool`: the head before the classifier |
| k, c | kernel of the (depthwise) convolution; output channels |
| e | expansion: the depthwise convolution has round8(e times the input channels of the block) channels |
| n, s | number of blocks in the group; stride of the first block |
| se, pad | squeeze-and-excitation; padding of the first depthwise convolution if it is not k // 2 |

Convolutions have no bias, and batch normalisation follows them. The exceptions are the two convolutions of
squeeze-and-excitation (with bias, no normalisation) and the last convolution of the head (neither). A block whose
depthwise convolution has as many channels as its input has no expanding convolution. The notation is that of FBNetV3
(arXiv 2006.02049), and both of its published counts are available (`Counts.published_params`,
`Counts.published_flops`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    field_validator,
)

from searchsvc.domain.faults import faults_of
from searchsvc.errors import InvalidInput

Side: TypeAlias = tuple[int, int]
"""(height, width) of a map, in pixels."""

_Channels = Annotated[StrictInt, Field(ge=1, le=65_536)]
_Count = Annotated[StrictInt, Field(ge=1, le=256)]
_Expansion = Annotated[float, Field(gt=0, le=64, allow_inf_nan=False)]
_Stride = Annotated[StrictInt, Field(ge=1, le=8)]
_MOST_ROWS = 256


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError(f"k must be odd, not {kernel}")
    return kernel


_Kernel = Annotated[StrictInt, Field(ge=1, le=31), AfterValidator(_odd)]


class _DefinitionRow(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Annotated[StrictInt, Field(ge=0, le=_MOST_ROWS)]


class Stem(_DefinitionRow):
    """The first convolution."""

    op: Literal["conv"]
    k: _Kernel
    c: _Channels
    s: _Stride = 1


class BlockGroup(_DefinitionRow):
    """Equal inverted residual blocks."""

    op: Literal["mb"]
    k: _Kernel
    c: _Channels
    e: _Expansion
    n: _Count = 1
    s: _Stride = 1
    se: StrictBool = False
    pad: Annotated[StrictInt, Field(ge=0, le=15)] | None = None


class HeadDefinition(_DefinitionRow):
    """1x1 convolution to round8(e times its input) channels, mean over the map, 1x1 convolution, classifier."""

    op: Literal["mbpool"]
    c: _Channels
    e: _Expansion


class NetworkDefinition(BaseModel):
    """A network: a stem, groups of blocks, a head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=128)]
    resolution: Annotated[StrictInt, Field(ge=1, le=4096)]
    """Side of the images for the network's published counts."""
    rows: Annotated[
        tuple[Annotated[Stem | BlockGroup | HeadDefinition, Field(discriminator="op")], ...],
        Field(min_length=2, max_length=_MOST_ROWS),
    ]

    @field_validator("rows")
    @classmethod
    def _in_order(
        cls, rows: tuple[Stem | BlockGroup | HeadDefinition, ...]
    ) -> tuple[Stem | BlockGroup | HeadDefinition, ...]:
        ops = [row.op for row in rows]
        if ops[0] != "conv" or ops[-1] != "mbpool" or set(ops[1:-1]) - {"mb"}:
            raise ValueError("rows begin with one conv, end with one mbpool, and have only mb in between")
        stages = [row.stage for row in rows]
        if stages != sorted(stages):
            raise ValueError("the stages of the rows must not decrease")
        return rows

    @property
    def stem(self) -> Stem:
        assert isinstance(self.rows[0], Stem)
        return self.rows[0]

    @property
    def groups(self) -> tuple[BlockGroup, ...]:
        return tuple(row for row in self.rows if isinstance(row, BlockGroup))

    @property
    def head(self) -> HeadDefinition:
        assert isinstance(self.rows[-1], HeadDefinition)
        return self.rows[-1]

    def blocks(self) -> Iterator[BlockShape]:
        """Yield every block, from the stem on."""
        inputs = self.stem.c
        for group in self.groups:
            for number in range(group.n):
                yield _block(group, inputs, first=number == 0)
                inputs = group.c

    @property
    def pooled(self) -> int:
        """Channels to which the head expands before its mean."""
        return round8(self.rows[-2].c * self.head.e)

    @property
    def layers(self) -> Layers:
        """The layers from which the network is built."""
        stem = self.stem
        blocks = tuple(self.blocks())
        return Layers(stem.c, stem.k, stem.s, blocks, self.pooled, self.head.c, self._ends)

    @property
    def _ends(self) -> tuple[int, ...]:
        counts: dict[int, int] = {}
        for group in self.groups:
            counts[group.stage] = counts.get(group.stage, 0) + group.n
        return tuple(accumulate(counts.values()))


@dataclass(frozen=True, slots=True)
class BlockShape:
    """An inverted residual block."""

    inputs: int
    mid: int
    outputs: int
    kernel: int
    stride: int
    pad: int
    squeeze: int
    """Channels inside squeeze-and-excitation; 0 without it."""

    @property
    def expands(self) -> bool:
        return self.mid != self.inputs

    @property
    def residual(self) -> bool:
        """True if the input is added to the output. This needs equal maps, so any other padding rules it out."""
        return self.stride == 1 and self.inputs == self.outputs and self.pad == self.kernel // 2


@dataclass(frozen=True, slots=True)
class Layers:
    """A network layer by layer."""

    stem_width: int
    stem_kernel: int
    stem_stride: int
    blocks: tuple[BlockShape, ...]
    pooled: int
    """Channels to which the head expands before its mean."""
    features: int
    """Inputs of the classifier."""
    ends: tuple[int, ...]
    """Number of blocks up to the end of each stage."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters of a network, and its operations per image."""

    conv_weights: int
    """Weights of convolutions and of the classifier."""
    norm_params: int
    """Scales and shifts of batch normalisation."""
    biases: int
    macs: int
    """Multiply-adds of convolutions and classifier."""
    pool_elements: int
    """Inputs of all means over maps, including the classifier's mean over 1x1, as FBNetV3 counts them."""
    sides: tuple[Side, ...]
    """Sides of the map after the stem and after each group."""

    @property
    def params(self) -> int:
        """All trained parameters: the cost `params` of a space."""
        return self.conv_weights + self.norm_params + self.biases

    @property
    def flops(self) -> int:
        """Multiply-adds: the cost `flops` of a space."""
        return self.macs

    @property
    def published_params(self) -> int:
        """Parameters as published for FBNetV3: weights of convolutions and classifier."""
        return self.conv_weights

    @property
    def published_flops(self) -> int:
        """FLOPs as published for FBNetV3: multiply-adds, plus the number of inputs of all means."""
        return self.macs + self.pool_elements


def parse(document: Mapping[str, Any]) -> NetworkDefinition:
    """Return a definition from plain data. Raises InvalidInput with a pointer (`/rows/3/k`) to every invalid place."""
    try:
        return NetworkDefinition.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(faults_of(error, document, NetworkDefinition)) from None


def round8(channels: float) -> int:
    """Return the nearest multiple of 8, halves up, at least 8; add 8 if it is below 0.95 of the channels."""
    rounded = max(8, math.floor(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.95 * channels else rounded


def count(definition: NetworkDefinition, shape: tuple[int, int, int], classes: int) -> Counts:
    """Return the counts for images of `shape` (channels, height, width). Raises InvalidInput if a map vanishes."""
    stem, head = definition.stem, definition.head
    side = _after(shape[1:], stem.k, stem.s, stem.k // 2)
    weights = stem.k**2 * shape[0] * stem.c
    macs, norms, biases, pools = weights * math.prod(side), 2 * stem.c, 0, 0
    sides = [side]
    remaining = [group.n for group in definition.groups]
    for block in definition.blocks():
        before, side = side, _after(side, block.kernel, block.stride, block.pad)
        if min(side) < 1:
            raise InvalidInput.at(f"/rows/{len(sides)}", f"no pixel is left of maps of {before[0]} x {before[1]}")
        expanding = block.inputs * block.mid * block.expands
        others = block.mid * (block.kernel**2 + block.outputs)
        squeezing = 2 * block.mid * block.squeeze
        weights += expanding + others + squeezing
        macs += expanding * math.prod(before) + others * math.prod(side) + squeezing
        norms += 2 * (block.mid * (1 + block.expands) + block.outputs)
        biases += (block.mid + block.squeeze) if block.squeeze else 0
        pools += block.mid * math.prod(side) if block.squeeze else 0
        remaining[len(sides) - 1] -= 1
        if not remaining[len(sides) - 1]:
            sides.append(side)
    expanding = definition.rows[-2].c * definition.pooled
    last = definition.pooled * head.c + head.c * classes
    return Counts(
        conv_weights=weights + expanding + last,
        norm_params=norms + 2 * definition.pooled,
        biases=biases + classes,
        macs=macs + expanding * math.prod(side) + last,
        pool_elements=pools + definition.pooled * math.prod(side) + head.c,
        sides=tuple(sides),
    )


def _block(group: BlockGroup, inputs: int, *, first: bool) -> BlockShape:
    mid = round8(inputs * group.e)
    return BlockShape(
        inputs,
        mid,
        group.c,
        group.k,
        stride=group.s if first else 1,
        pad=group.pad if first and group.pad is not None else group.k // 2,
        squeeze=round8(math.floor(mid * 0.25 / group.e)) if group.se else 0,
    )


def _after(side: Side, kernel: int, stride: int, pad: int) -> Side:
    height, width = ((length + 2 * pad - kernel) // stride + 1 for length in side)
    return height, width
