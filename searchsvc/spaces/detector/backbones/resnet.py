"""The backbone `resnet`: a ResNet of bottlenecks.

| gene | meaning |
|---|---|
| base_width | channels of the 3 x 3 convolutions of C2; each further stage has twice as many |
| depth_1 ... depth_4 | bottlenecks in C2 to C5 |
| standardised | whether convolutions standardise their weights |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from searchsvc.spaces.costs.gathers import Array, CostPart, Values
from searchsvc.spaces.costs.stages import CONVOLUTION, Stage
from searchsvc.spaces.detector import blocks
from searchsvc.spaces.detector.backbones.base import BackboneKind
from searchsvc.spaces.detector.blocks import Cost, Size
from searchsvc.spaces.detector.genes import STAGES, Gene, choice, whole
from searchsvc.spaces.detector.maps import STRIDES, Shape, pixels_at
from searchsvc.spaces.detector.stage_factory import StageFactory
from searchsvc.spaces.resolution import RESOLUTION

_FIRST_STRIDES = (1, 2, 2, 2)
"""Strides of the stages; pooling halves the map between the stem and the first of them."""


class ResNetKind(BackboneKind):
    """Stem and four stages of bottlenecks."""

    name = "resnet"
    module = "resnet"
    genes = (
        Gene.of("base_width", whole(4, 256, 4), full=(64, choice(32, 48, 64)), small=(8, choice(4, 8, 12))),
        Gene.of("depth_1", whole(1, 64), full=(3, whole(2, 4)), small=(1, whole(1, 2))),
        Gene.of("depth_2", whole(1, 64), full=(4, whole(2, 8)), small=(1, whole(1, 2))),
        Gene.of("depth_3", whole(1, 64), full=(6, whole(4, 23)), small=(1, whole(1, 2))),
        Gene.of("depth_4", whole(1, 64), full=(3, whole(2, 4)), small=(1, whole(1, 2))),
        Gene.of(
            "standardised",
            choice(False, True),
            full=(False, choice(False, True)),
            small=(False, choice(False, True)),
        ),
    )

    def trunk(self, shape: Shape) -> list[CostPart]:
        stages = [
            CostPart(
                ("base_width", f"depth_{stage + 1}", RESOLUTION, *([f"sac_{STAGES[stage - 1]}"] if stage else [])),
                partial(_stage_costs, shape, stage),
            )
            for stage in range(len(STRIDES))
        ]
        return [CostPart(("base_width", RESOLUTION), partial(_stem_costs, shape)), *stages]

    def width_gene(self, stage: int) -> str:  # noqa: ARG002 - one gene for all stages
        return "base_width"

    def first_width_gene(self, stage: int) -> str:
        return self.width_gene(stage)

    def channels(self, stage: int, width: Array) -> Array:
        channels: Array = width * 4 * 2**stage
        return channels

    def trunk_stages(self, factory: StageFactory, parts: Sequence[CostPart], times: Cost) -> Iterator[Stage]:
        width, (stem, *rest) = int(factory.values["base_width"]), parts
        yield factory.stage("stem", CONVOLUTION, [stem], times, channels=width, stride=2, kernel=7, by=2)
        for stage, part in enumerate(rest):
            yield factory.stage(
                f"C{stage + 2}",
                "bottleneck",
                [part],
                times,
                channels=4 * width * 2**stage,
                stride=STRIDES[stage],
                kernel=3,
                by=_FIRST_STRIDES[stage],
                count=int(factory.values[f"depth_{stage + 1}"]),
                note=factory.convolutions_of(stage),
            )


def _stem_costs(shape: Shape, values: Values) -> Array:
    width = values["base_width"]
    stem = blocks.convolution(shape[0], width, 7, pixels_at(shape, values, 2), bias=False)
    return (stem + blocks.normalisation(width)).packed


def _stage_costs(shape: Shape, stage: int, values: Values) -> Array:
    planes = values["base_width"] * 2**stage  # channels of the 3 x 3 convolutions
    # of the stage's input and output
    before, px = (pixels_at(shape, values, STRIDES[place]) for place in (max(stage - 1, 0), stage))

    def bottleneck(inputs: Size, px_in: Size, shortcut: int) -> Cost:
        plain = blocks.convolution(planes, planes, 3, px, bias=False)
        switched = [blocks.switchable(planes, planes, 3, px_in, px, deform=deform) for deform in (False, True)]
        spatial = blocks.chosen(values[f"sac_{STAGES[stage - 1]}"], [plain, *switched]) if stage else plain
        return blocks.bottleneck(inputs, planes, px_in, px, spatial=spatial, shortcut=shortcut)

    # The first block has 4 * planes / 2 inputs (the stem's planes in C2), and a convolution in its shortcut.
    first = bottleneck(2 * planes if stage else planes, before, 1)
    others: Cost = (values[f"depth_{stage + 1}"] - 1) * bottleneck(4 * planes, px, 0)  # blocks after the first
    return (first + others).packed
