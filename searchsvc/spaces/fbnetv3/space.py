"""Spaces of FBNetV3 (arXiv 2006.02049), and a small space of the same structure for small images and CPUs.

A network is a stem, seven stages of inverted residual blocks, and a head. Its definition
(`searchsvc.spaces.fbnetv3.definition`) follows from 28 genes and the size of the images:

| gene | meaning |
|---|---|
| k1 ... k7 | kernel of the depthwise convolutions of a stage |
| e2a ... e6 | expansion of the first block (a) and of the others (b); stages 4 and 5 share both, stage 6 has only e6 |
| c0 ... c7 | output channels of the stem and the stages, rounded to a multiple of 8 in the network |
| n1 ... n6 | number of blocks of a stage; stage 7 has a single block |

The released networks need more genes, which `fbnetv3-released` adds: k2b ... k6b and e6b are kernels and expansion of
the other blocks if they differ from the first block (0: they do not), and trim4 and trim6 reduce the padding of the
first block of a stage by a pixel. Ranges are those of the code of DGL (IEEE TMC 2023), which searches the space of
FBNetV3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from searchsvc.domain.parameters import Categorical, Integer, Parameter, Scalar
from searchsvc.spaces import recipe
from searchsvc.spaces.fbnetv3.definition import BlockGroup, HeadDefinition, NetworkDefinition, Stem, round8
from searchsvc.spaces.limits import Limits
from searchsvc.spaces.space import Space

STAGES = (1, 2, 3, 4, 5, 6, 7)
SQUEEZED = (3, 5, 6, 7)
"""Stages with squeeze-and-excitation."""
TRIMMED = (4, 6)
"""Stages whose first block may have a padding smaller by a pixel."""
EXPANSIONS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {2: ("e2a", "e2b"), 3: ("e3a", "e3b"), 4: ("e45a", "e45b"), 5: ("e45a", "e45b"), 6: ("e6", "e6b")}
)
"""Stage -> genes of the expansion of its first and its other blocks. Stage 1 has expansion 1, stage 7 its family's."""


@dataclass(frozen=True, slots=True)
class FbnetV3Family:
    """Properties that all networks of a family share."""

    name: str
    halved_from: Mapping[int, int]
    """Stage (0: the stem) -> the smallest side of an image for which its stride is 2; below it, the stride is 1."""
    last_expansion: int
    """Expansion of stage 7."""
    pool_expansion: int
    pool_width: int
    defaults: Mapping[str, Scalar]
    """Default value of every gene."""


def _genes(
    kernel: int, expansions: tuple[int, ...], widths: tuple[int, ...], blocks: tuple[int, ...]
) -> dict[str, Scalar]:
    """Return a value for every gene: k, e, c, n as in the space, then the genes of only the released networks."""
    names = ("e2a", "e2b", "e3a", "e3b", "e45a", "e45b", "e6")
    return {
        **{f"k{stage}": kernel for stage in STAGES},
        **dict(zip(names, expansions, strict=True)),
        **{f"c{stage}": width for stage, width in enumerate(widths)},
        **{f"n{stage}": count for stage, count in enumerate(blocks, start=1)},
        **{f"k{stage}b": 0 for stage in EXPANSIONS},
        "e6b": 0,
        **{f"trim{stage}": False for stage in TRIMMED},
    }


FULL = FbnetV3Family(
    "fbnetv3",
    halved_from=MappingProxyType({0: 1, 2: 1, 3: 1, 4: 1, 6: 1}),
    last_expansion=6,
    pool_expansion=6,
    pool_width=1984,
    defaults=MappingProxyType(
        _genes(5, (4, 2, 5, 3, 5, 3, 6), (16, 16, 24, 40, 72, 120, 184, 224), (2, 4, 5, 5, 6, 6))
    ),
)
"""Defaults are close to FBNetV3-A."""

SMALL = FbnetV3Family(
    "fbnetv3-small",
    halved_from=MappingProxyType({0: 96, 2: 8, 3: 48, 4: 4, 6: 24}),
    last_expansion=3,
    pool_expansion=3,
    pool_width=256,
    defaults=MappingProxyType(_genes(3, (3, 2, 3, 2, 3, 2, 3), (8, 8, 16, 24, 32, 48, 64, 80), (1, 2, 2, 2, 2, 2))),
)
"""Maps of images of 8 to 95 px end as 2 to 6 px."""

FAMILIES: Mapping[str, FbnetV3Family] = MappingProxyType({family.name: family for family in (FULL, SMALL)})

_RELEASED: tuple[Parameter, ...] = (
    *(Categorical(f"k{stage}b", (3, 5)) for stage in EXPANSIONS),
    Integer("e6b", 2, 5),
    *(Categorical(f"trim{stage}", (False, True)) for stage in TRIMMED),
)
FULL_GENES: tuple[Parameter, ...] = (
    *(Categorical(f"k{stage}", (3, 5)) for stage in STAGES),
    Integer("e2a", 4, 7),
    Integer("e2b", 2, 5),
    Integer("e3a", 4, 7),
    Integer("e3b", 2, 5),
    Integer("e45a", 4, 7),
    Integer("e45b", 2, 5),
    Integer("e6", 4, 7),
    Integer("c0", 16, 24, 2),
    Integer("c1", 16, 24, 2),
    Integer("c2", 20, 32, 4),
    Integer("c3", 24, 48, 4),
    Integer("c4", 56, 84, 4),
    Integer("c5", 96, 144, 4),
    Integer("c6", 180, 224, 4),
    Integer("c7", 180, 224, 4),
    Integer("n1", 1, 4),
    Integer("n2", 4, 7),
    Integer("n3", 4, 7),
    Integer("n4", 4, 8),
    Integer("n5", 6, 10),
    Integer("n6", 5, 9),
)
_RESOLUTION: tuple[Parameter, ...] = (Integer("resolution", 224, 272, 8),)
SMALL_GENES: tuple[Parameter, ...] = (
    *(Categorical(f"k{stage}", (3, 5)) for stage in STAGES),
    Integer("e2a", 2, 5),
    Integer("e2b", 1, 4),
    Integer("e3a", 2, 5),
    Integer("e3b", 1, 4),
    Integer("e45a", 2, 5),
    Integer("e45b", 1, 4),
    Integer("e6", 2, 5),
    Integer("c0", 8, 16, 8),
    Integer("c1", 8, 16, 8),
    Integer("c2", 8, 24, 8),
    Integer("c3", 16, 32, 8),
    Integer("c4", 24, 48, 8),
    Integer("c5", 32, 64, 8),
    Integer("c6", 48, 96, 8),
    Integer("c7", 64, 112, 16),
    Integer("n1", 1, 2),
    *(Integer(f"n{stage}", 1, 3) for stage in (2, 3, 4, 5, 6)),
)

_WIDEST: tuple[Parameter, ...] = (
    *(Integer(f"k{stage}", 3, 11, 2) for stage in STAGES),
    *(Integer(name, 1, 16) for name in ("e2a", "e2b", "e3a", "e3b", "e45a", "e45b", "e6")),
    *(Integer(f"c{stage}", 4, 1024) for stage in (0, *STAGES)),
    *(Integer(f"n{stage}", 1, 16) for stage in STAGES[:-1]),
    *(Categorical(f"k{stage}b", (0, 3, 5, 7, 9, 11)) for stage in EXPANSIONS),
    Integer("e6b", 0, 16),
    *(Categorical(f"trim{stage}", (False, True)) for stage in TRIMMED),
)

LIMITS: Limits = MappingProxyType({parameter.name: parameter for parameter in _WIDEST})
"""The widest ranges that can be built, for both families."""


def full_space() -> Space:
    """Return `fbnetv3`: 175,878,910,771,200,000 architectures at 7 resolutions, 18,905,040 recipes."""
    return Space([*FULL_GENES, *_RESOLUTION, *recipe.FBNETV3])


def released_space() -> Space:
    """Return `fbnetv3-released`: `fbnetv3` with the additional genes of FBNetV3-A and -B."""
    return Space([*FULL_GENES, *_RELEASED, *_RESOLUTION, *recipe.FBNETV3])


def small_space() -> Space:
    """Return `fbnetv3-small`: the 28 genes over smaller ranges, and the seven recipe genes for short trainings."""
    return Space([*SMALL_GENES, *recipe.FBNETV3_SHORT])


def definition_of(family: FbnetV3Family, values: Mapping[str, Any], side: int) -> NetworkDefinition:
    """Return the network that complete values describe, for images whose smaller side is `side`."""
    rows: list[Stem | BlockGroup | HeadDefinition] = [
        Stem(stage=0, op="conv", k=3, c=round8(values["c0"]), s=_stride(family, 0, side))
    ]
    for stage in STAGES:
        rows += _groups(family, values, stage, side)
    rows.append(HeadDefinition(stage=8, op="mbpool", c=family.pool_width, e=family.pool_expansion))
    return NetworkDefinition(name=family.name, resolution=side, rows=tuple(rows))


def _groups(family: FbnetV3Family, values: Mapping[str, Any], stage: int, side: int) -> Iterator[BlockGroup]:
    """Yield a row for the first block and a row for the others; a single row if all are equal."""
    first, other = (_expansion(family, values, stage, which) for which in (0, 1))
    kernel, blocks = values[f"k{stage}"], values.get(f"n{stage}", 1)
    other_kernel = values.get(f"k{stage}b", 0) or kernel
    stride = _stride(family, stage, side)
    pad = kernel // 2 - 1 if values.get(f"trim{stage}", False) else None
    shared: dict[str, Any] = {"stage": stage, "op": "mb", "c": round8(values[f"c{stage}"]), "se": stage in SQUEEZED}
    if (first, kernel, stride, pad) == (other, other_kernel, 1, None):
        yield BlockGroup(k=kernel, e=first, n=blocks, **shared)
        return
    yield BlockGroup(k=kernel, e=first, s=stride, pad=pad, **shared)
    if blocks > 1:
        yield BlockGroup(k=other_kernel, e=other, n=blocks - 1, **shared)


def _expansion(family: FbnetV3Family, values: Mapping[str, Any], stage: int, which: int) -> int:
    """Return the expansion of the first (0) or the other (1) blocks of a stage."""
    if stage not in EXPANSIONS:
        return 1 if stage == 1 else family.last_expansion
    first, other = EXPANSIONS[stage]
    return int(values[other] or values[first]) if which else int(values[first])


def _stride(family: FbnetV3Family, stage: int, side: int) -> int:
    return 2 if side >= family.halved_from.get(stage, side + 1) else 1
