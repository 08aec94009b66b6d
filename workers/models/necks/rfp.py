"""The neck `rfp`: a recursive feature pyramid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workers.models.blocks.base import Backbone, Neck
from workers.models.blocks.rfp import RecursiveFeaturePyramid
from workers.models.necks.fpn import fpn_of


def build(values: Mapping[str, Any], backbone_of: Callable[[int], Backbone]) -> Neck:
    """Build the neck that complete values describe."""
    first = backbone_of(0)
    return RecursiveFeaturePyramid(
        lambda feedback: backbone_of(feedback) if feedback else first,
        fpn_of(values, first.outputs),
        steps=values["rfp_steps"],
        shared=values["rfp_shared"],
    )
