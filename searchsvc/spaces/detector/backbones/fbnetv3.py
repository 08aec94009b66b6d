"""The backbones `fbnetv3` and `fbnetv3-small`: FBNetV3 networks without their head.

C2 to C5 are the outputs of stages 2, 3, 5 and 7. All strides are 2, whatever the size of images, and no stage is
trimmed: a trimmed map would not have the size that its stride implies. The genes are those of
`searchsvc.spaces.fbnetv3.space`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from searchsvc.domain.parameters import Integer, Parameter, Scalar
from searchsvc.spaces.costs.gathers import Array, CostPart, Values
from searchsvc.spaces.costs.operators import Layer
from searchsvc.spaces.costs.stages import INVERTED_RESIDUAL, Stage
from searchsvc.spaces.detector import blocks
from searchsvc.spaces.detector.backbones.base import BackboneKind
from searchsvc.spaces.detector.blocks import Cost
from searchsvc.spaces.detector.genes import FULL, SAC, SMALL, Gene
from searchsvc.spaces.detector.maps import SMALLEST, Shape
from searchsvc.spaces.detector.stage_factory import StageFactory
from searchsvc.spaces.fbnetv3 import costs as fbnetv3_costs
from searchsvc.spaces.fbnetv3 import parts as fbnetv3_parts
from searchsvc.spaces.fbnetv3 import space as fbnetv3
from searchsvc.spaces.fbnetv3.definition import NetworkDefinition

UNTRIMMED: Mapping[str, Scalar] = MappingProxyType({f"trim{stage}": False for stage in fbnetv3.TRIMMED})
_LAST_STAGES = (2, 3, 5, 7)
"""The stages of FBNetV3 that end with C2 to C5."""
_SAC_OF_PARTS = (None, None, "sac_c3", "sac_c4", "sac_c4", "sac_c5", "sac_c5")
"""The SAC gene of each part: stem with stage 1, stages 2 to 6, stage 7."""
_PLAIN, _SWITCHED, _DEFORMED = range(len(SAC))


def _light(gene: Parameter) -> Parameter:
    """Restrict stages to at most two blocks, which expand by three at most."""
    most = {"n": 2, "e": 3}.get(gene.name[0])
    return replace(gene, high=most) if isinstance(gene, Integer) and most else gene


def _genes() -> Iterator[Gene]:
    searched = {FULL: _by_name(fbnetv3.FULL_GENES), SMALL: _by_name(map(_light, fbnetv3.SMALL_GENES))}
    defaults = {FULL: fbnetv3.FULL.defaults, SMALL: fbnetv3.SMALL.defaults}
    for name, limit in fbnetv3.LIMITS.items():
        if name not in UNTRIMMED:
            ranges = {family: genes[name] for family, genes in searched.items() if name in genes}
            yield Gene(limit, {family: genes[name] for family, genes in defaults.items()}, ranges)


def _by_name(genes: Iterable[Parameter]) -> dict[str, Parameter]:
    return {gene.name: gene for gene in genes}


class FBNetV3Kind(BackboneKind):
    """Stem and seven stages of inverted residual blocks, from a family of FBNetV3."""

    module = "fbnetv3"
    genes = tuple(_genes())

    def __init__(self, family: fbnetv3.FbnetV3Family, searched_in: str) -> None:
        self.name, self.searched_in = family.name, (searched_in,)
        self._family = replace(family, halved_from=fbnetv3.FULL.halved_from)

    def definition_of(self, values: Mapping[str, Any]) -> tuple[NetworkDefinition, tuple[int, ...]]:
        """Return the network that complete values describe, and the number of its blocks up to each of C2 to C5."""
        definition = fbnetv3.definition_of(self._family, values, SMALLEST)
        ends = (sum(group.n for group in definition.groups if group.stage <= last) for last in _LAST_STAGES)
        return definition, tuple(ends)

    def trunk(self, shape: Shape) -> list[CostPart]:
        kinds = [fbnetv3_parts.parts(self._family, shape, partial(_layer_costs, kind)) for kind in range(len(SAC))]
        parts = []
        for gene, same in zip(_SAC_OF_PARTS, zip(*kinds, strict=True), strict=True):
            names = same[_PLAIN].names
            # A part costs the sum over kinds, of which the gene's value selects a single one.
            parts.append(CostPart((*names, gene), partial(_costs_by_sac, gene, same)) if gene else same[_PLAIN])
        return parts

    def width_gene(self, stage: int) -> str:
        return f"c{_LAST_STAGES[stage]}"

    def first_width_gene(self, stage: int) -> str:
        return f"c{_LAST_STAGES[stage - 1] + 1}"

    def channels(self, stage: int, width: Array) -> Array:  # noqa: ARG002 - each stage has genes of its own
        return fbnetv3_parts.round8(width)

    def trunk_stages(self, factory: StageFactory, parts: Sequence[CostPart], times: Cost) -> Iterator[Stage]:
        """Yield a stage for each row of FBNetV3's table of genes; the stem is part of the first."""
        values, reached = factory.values, 2
        for stage, part in zip(fbnetv3.STAGES, parts, strict=True):
            by = 2 if stage in (2, 3, 4, 6) else 1
            reached *= by
            level = next(index for index, last in enumerate(_LAST_STAGES) if stage <= last)
            first, _ = fbnetv3.EXPANSIONS.get(stage, ("", ""))
            yield factory.stage(
                "stem, stage 1" if stage == 1 else f"stage {stage}",
                INVERTED_RESIDUAL,
                [part],
                times,
                channels=int(fbnetv3_parts.round8(factory.codes[f"c{stage}"])),
                stride=reached,
                kernel=int(values[f"k{stage}"]),
                by=2 if stage == 1 else by,
                count=int(values.get(f"n{stage}", 1)),
                expansion=float(values[first]) if first else None,
                squeezes=stage in fbnetv3.SQUEEZED,
                note=factory.convolutions_of(level),
            )


def _costs_by_sac(gene: str, kinds: Sequence[CostPart], values: Values) -> Array:
    """Return the costs of a part by the kind of its depthwise convolutions, which a gene decides."""
    result: Array = sum((values[gene] == kind) * part.costs(values) for kind, part in enumerate(kinds))
    return result


def _layer_costs(kind: int, layer: Layer) -> Array:
    """Return the costs of a layer whose depthwise convolution is of the given kind; the head costs nothing here."""
    if layer.kind == "head":
        return np.zeros(())
    costs = fbnetv3_costs.flops_and_params(0)(layer)
    if layer.kind == "stem" or kind == _PLAIN:
        return costs
    m, k, before, after = layer.mid, layer.kernel, layer.before, layer.after  # channels, kernel, px before and after
    switchable = blocks.switchable(m, m, k, before, after, groups=m, deform=kind == _DEFORMED)
    # The depthwise convolution is replaced.
    return costs + switchable.packed - blocks.convolution(m, m, k, after, groups=m, bias=False).packed
