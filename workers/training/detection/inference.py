"""What a detector finds in the images of a split, as it is measured and as a teacher."""

from __future__ import annotations

import math

import torch

from workers.models.detector import Detector
from workers.models.heads.detections import Detections, in_px
from workers.models.inputs import Inputs
from workers.training.detection.batches import SceneBatches
from workers.training.precision import Precision


@torch.inference_mode()
def found_in(split: SceneBatches, model: Detector, inputs: Inputs, precision: Precision) -> list[Detections]:
    """Of each image, in px of its file."""
    found: list[Detections] = []
    model.eval()
    for batch in split.plain(math.ceil(len(split) / inputs.batch)):
        with precision.autocast():
            outputs = model(inputs(batch.images))
        places = zip(model.detections(outputs, batch.sizes), batch.sizes, batch.positions, strict=True)
        found += [in_px(one, size, split.scenes.size_of(position)) for one, size, position in places]
    return found
