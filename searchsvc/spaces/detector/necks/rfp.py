"""The neck `rfp`: a recursive feature pyramid (`workers.models.blocks.rfp`), which runs the backbone at every step.

| gene | meaning |
|---|---|
| rfp_steps | passes through backbone and pyramid |
| rfp_shared | whether all steps share a backbone, or each has its own |

With T steps on B backbones (B = 1 if the steps share it, else T)::

    flops  = T (backbone + pyramid) + (T - 1) (feedback + recursion)
    params = B backbone + pyramid + max(B - 1, 1) feedback + recursion
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from searchsvc.spaces.costs.gathers import Array, CostPart, Values
from searchsvc.spaces.costs.stages import Stage
from searchsvc.spaces.detector import blocks
from searchsvc.spaces.detector.backbones.base import BackboneKind
from searchsvc.spaces.detector.blocks import Cost
from searchsvc.spaces.detector.genes import SWITCHED, Gene, choice, whole
from searchsvc.spaces.detector.maps import STRIDES, Shape, levels_and_pixels, pixels_at
from searchsvc.spaces.detector.necks.base import NeckKind, Term
from searchsvc.spaces.detector.necks.fpn import pyramid_parts, pyramid_stages
from searchsvc.spaces.detector.stage_factory import StageFactory
from searchsvc.spaces.resolution import RESOLUTION


class RFPKind(NeckKind):
    """Backbone and FPN, unrolled over `rfp_steps`."""

    name = "rfp"
    genes = (
        Gene.of("rfp_steps", whole(2, 8), full=(2, whole(2, 3)), small=(2, None)),
        Gene.of(
            "rfp_shared", choice(False, True), full=(False, choice(False, True)), small=(False, choice(False, True))
        ),
    )

    def backbone_times(self, values: Values) -> Cost:
        return Cost(values["rfp_steps"], _backbones(values))  # runs, copies

    def terms(self, backbone: BackboneKind, shape: Shape) -> list[Term]:
        return [
            Term(pyramid_parts(backbone, shape), _pyramid_times),
            Term(_feedback_parts(backbone, shape), _feedback_times),
            Term([_recursion_part(shape)], _recursion_times),
        ]

    def stages(self, factory: StageFactory, backbone: BackboneKind) -> Iterator[Stage]:
        codes, width = factory.codes, int(factory.values["neck_channels"])
        yield from pyramid_stages(factory, backbone, "recursive pyramid", _pyramid_times(codes))
        feedback, recursion = _feedback_parts(backbone, factory.image), [_recursion_part(factory.image)]
        for block, parts, times, kernel in (
            ("feedback", feedback, _feedback_times(codes), 1),
            ("ASPP and fusion", recursion, _recursion_times(codes), 3),
        ):
            yield factory.stage("neck", block, parts, times, channels=width, stride=STRIDES[-1], kernel=kernel)


def _backbones(values: Values) -> Array:
    return np.where(values["rfp_shared"], 1.0, values["rfp_steps"])


def _pyramid_times(values: Values) -> Cost:
    return Cost(values["rfp_steps"], 1)  # a single FPN runs at every step


def _feedback_times(values: Values) -> Cost:
    return Cost(values["rfp_steps"] - 1, np.maximum(_backbones(values) - 1, 1))  # not at the first step


def _recursion_times(values: Values) -> Cost:
    return Cost(values["rfp_steps"] - 1, 1)


def _feedback_parts(backbone: BackboneKind, shape: Shape) -> list[CostPart]:
    """Return the convolutions that feed maps back to a backbone, at the first blocks of C3 to C5."""
    return [
        CostPart(
            (backbone.first_width_gene(stage), "neck_channels", RESOLUTION),
            partial(_feedback_costs, backbone, shape, stage),
        )
        for stage in SWITCHED
    ]


def _feedback_costs(backbone: BackboneKind, shape: Shape, stage: int, values: Values) -> Array:
    outputs = backbone.channels(stage, values[backbone.first_width_gene(stage)])
    return blocks.feedback([outputs], values["neck_channels"], [pixels_at(shape, values, STRIDES[stage])]).packed


def _recursion_part(shape: Shape) -> CostPart:
    return CostPart(("neck_channels", "finest", "coarser", RESOLUTION), partial(_recursion_costs, shape))


def _recursion_costs(shape: Shape, values: Values) -> Array:
    """Return the costs of ASPP and fusion, once."""
    fed = [pixels_at(shape, values, stride) for stride in STRIDES[1:]]
    _, px = levels_and_pixels(shape, values)
    return blocks.recursion(values["neck_channels"], fed, [px], steps=2).packed
