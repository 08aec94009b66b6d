"""Detections of a detector in the images of a split, for measuring and for teachers."""

from __future__ import annotations

import math

import torch

from workers.models.detector import Detector
from workers.models.heads.detections import Detections, in_px
from workers.models.inputs import Inputs
from workers.training.detection.batches import SceneBatches
from workers.training.precision import Precision


@torch.inference_mode()
def detect(split: SceneBatches, model: Detector, inputs: Inputs, precision: Precision) -> list[Detections]:
    """Return the detections of each image, in px of its file."""
    detections: list[Detections] = []
    model.eval()
    for batch in split.plain(math.ceil(len(split) / inputs.batch)):
        with precision.autocast():
            outputs = model(inputs(batch.images))
        places = zip(model.detections(outputs, batch.sizes), batch.sizes, batch.positions, strict=True)
        detections += [in_px(each, size, split.scenes.size_of(position)) for each, size, position in places]
    return detections
