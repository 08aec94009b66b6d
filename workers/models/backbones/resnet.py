"""The backbone `resnet`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.blocks.resnet import ResNet


def build(values: Mapping[str, Any], channels: int, feedback: int) -> ResNet:
    """Build the ResNet that complete values describe, on images with that many channels; `feedback` as in `Backbone`.
    """
    depths = [values[f"depth_{stage}"] for stage in range(1, 5)]
    standardised = values["standardised"]
    return ResNet(depths, values["base_width"], channels=channels, standardised=standardised, feedback=feedback)
