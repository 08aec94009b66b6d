"""The neck `fpn`: a feature pyramid (`workers.models.blocks.fpn`), without genes of its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from searchsvc.spaces.costs.gathers import Array, CostPart, Values
from searchsvc.spaces.costs.stages import CONVOLUTION, Stage
from searchsvc.spaces.detector import blocks
from searchsvc.spaces.detector.backbones.base import BackboneKind
from searchsvc.spaces.detector.blocks import NOTHING, Cost
from searchsvc.spaces.detector.maps import COARSER, STRIDES, Shape, pixels_at
from searchsvc.spaces.detector.necks.base import NeckKind, Term, once
from searchsvc.spaces.detector.stage_factory import StageFactory
from searchsvc.spaces.resolution import RESOLUTION


class FPNKind(NeckKind):
    """A single pass from the backbone through the pyramid."""

    name = "fpn"

    def terms(self, backbone: BackboneKind, shape: Shape) -> list[Term]:
        return [Term(pyramid_parts(backbone, shape))]

    def stages(self, factory: StageFactory, backbone: BackboneKind) -> Iterator[Stage]:
        return pyramid_stages(factory, backbone, "feature pyramid", once(factory.codes))


def pyramid_parts(backbone: BackboneKind, shape: Shape) -> list[CostPart]:
    """Return the parts of a pass through an FPN: the levels of C2 to C5, and the coarser levels."""
    levels = [
        CostPart(
            (backbone.width_gene(stage), "neck_channels", "finest", RESOLUTION),
            partial(_level_costs, backbone, shape, stage),
        )
        for stage in range(len(STRIDES))
    ]
    return [*levels, CostPart(("neck_channels", "coarser", RESOLUTION), partial(_coarser_costs, shape))]


def pyramid_stages(factory: StageFactory, backbone: BackboneKind, block: str, times: Cost) -> Iterator[Stage]:
    """Yield the stages of an FPN, whose costs are multiplied by `times`."""
    values, (*levels, coarser) = factory.values, pyramid_parts(backbone, factory.image)
    width = int(values["neck_channels"])
    for level, (stride, part) in enumerate(zip(STRIDES, levels, strict=True), start=2):
        if stride >= int(values["finest"]):
            yield factory.stage(f"P{level}", block, [part], times, channels=width, stride=stride, kernel=3)
    if count := int(values["coarser"]):
        name = "P6" if count == 1 else f"P6 to P{5 + count}"
        stride = COARSER[count - 1]
        yield factory.stage(name, CONVOLUTION, [coarser], times, channels=width, stride=stride, kernel=3, by=2)


def _level_costs(backbone: BackboneKind, shape: Shape, stage: int, values: Values) -> Array:
    present = values["finest"] <= STRIDES[stage]  # 0 or 1
    inputs = backbone.channels(stage, values[backbone.width_gene(stage)])
    level: Cost = present * blocks.fpn([inputs], values["neck_channels"], [pixels_at(shape, values, STRIDES[stage])])
    return level.packed


def _coarser_costs(shape: Shape, values: Values) -> Array:
    c = values["neck_channels"]
    levels = (
        (values["coarser"] > number) * blocks.convolution(c, c, 3, pixels_at(shape, values, stride))
        for number, stride in enumerate(COARSER)
    )
    return sum(levels, NOTHING).packed
