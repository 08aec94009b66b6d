"""What a trained network can be taken away as, besides its weights: a table for each task, format -> writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from searchsvc.domain.trial_task import TrialTask
from workers.export import onnx, script
from workers.models.trained import Classifier
from workers.models.trained_detector import TrainedDetector

WRITERS: Mapping[str, Callable[[Classifier, TrialTask, Path], None]] = MappingProxyType(
    {"onnx": onnx.write, "script": script.write}
)
DETECTOR_WRITERS: Mapping[str, Callable[[TrainedDetector, Path], None]] = MappingProxyType(
    {"onnx": onnx.write_detector}
)
