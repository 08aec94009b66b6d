"""Latency of a detector as it is used after training: one image at a time.

The forward pass, decoding and non-maximum suppression are timed, on fitted validation images in memory, by the clock
that `workers.latency` chooses for the device.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Literal

import numpy as np
import torch

from workers.latency import stopwatch
from workers.models.detector import Detector
from workers.models.heads.detections import Detections
from workers.models.inputs import Inputs
from workers.training.detection.batches import DetectionBatch, SceneBatches
from workers.training.precision import Precision

_WARM, _TIMED = 2, 16
"""Numbers of images; the first two warm up and do not count."""


@torch.inference_mode()
def milliseconds(split: SceneBatches, model: Detector, inputs: Inputs, precision: Precision, threads: int) -> float:
    """Return the median over images of a split, on its device and with `threads` threads of a CPU."""
    kind: Literal["cpu", "cuda"] = "cuda" if split.device.type == "cuda" else "cpu"
    _, timed = stopwatch(kind, threads)
    model.eval()

    def detected(batch: DetectionBatch) -> list[Detections]:
        with precision.autocast():
            outputs = model(inputs(batch.images))
        return model.detections(outputs, batch.sizes)

    order = np.arange(_WARM + _TIMED) % len(split)
    times = [timed(partial(detected, batch)) for batch in split.plain(len(order), order)]
    return statistics.median(times[_WARM:])
