"""The costs of the detection head (`workers.models.heads.one_stage`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from searchsvc.spaces import recipe
from searchsvc.spaces.costs.gathers import Array, CostPart, Values
from searchsvc.spaces.costs.stages import Stage
from searchsvc.spaces.detector import blocks
from searchsvc.spaces.detector.blocks import Cost
from searchsvc.spaces.detector.maps import Shape, levels_and_pixels, strides_of
from searchsvc.spaces.detector.stage_factory import StageFactory
from searchsvc.spaces.resolution import RESOLUTION

_GENES = ("neck_channels", "head_width", "head_depth", "class_loss", "boxes", "dfl_bins", "finest", "coarser")
GENES_OF_LOSSES = ("class_loss", "boxes", "dfl_bins")
"""Genes of the recipe that decide costs."""


def bins_of(values: Mapping[str, Any]) -> int:
    """Return the bins per side of a box; 0 for a Dirac distance."""
    return int(values["dfl_bins"]) if values["boxes"] == "dfl" else 0


def head_part(shape: Shape, classes: int) -> CostPart:
    """Return the part of the head at all levels."""
    return CostPart((*_GENES, RESOLUTION), partial(_head_costs, shape, classes))


def head_stage(factory: StageFactory, classes: int) -> Stage:
    """Return the head of a detector as a stage."""
    return factory.stage(
        "head",
        "towers for classes and boxes",
        [head_part(factory.image, classes)],
        Cost(1, 1),
        channels=int(factory.values["head_width"]),
        stride=int(factory.values["finest"]),
        kernel=3,
        count=int(factory.values["head_depth"]),
        note=f"at strides {', '.join(map(str, strides_of(factory.values)))}",
    )


def _head_costs(shape: Shape, classes: int, values: Values) -> Array:
    # () or the axes of the values
    c, width, (levels, px) = values["neck_channels"], values["head_width"], levels_and_pixels(shape, values)
    # a Dirac distance is a single number
    bins = np.where(values["boxes"] == recipe.BOXES.index("dfl"), values["dfl_bins"], 1)
    centerness = values["class_loss"] == recipe.CLASS_LOSSES.index("focal")
    norm = blocks.normalisation(width)
    first = blocks.convolution(c, width, 3, px, bias=False) + norm  # a tower's first layer
    # its further layers
    others = (values["head_depth"] - 1) * (blocks.convolution(width, width, 3, px, bias=False) + norm)
    outputs = blocks.convolution(width, classes + 4 * bins + centerness, 3, px)  # classes, boxes, centerness
    scales = Cost(0, levels)  # one learnt factor per level
    head: Cost = 2 * (first + others) + outputs + scales  # two towers
    return head.packed
