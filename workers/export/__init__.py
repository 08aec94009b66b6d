"""The files that a trained network can be exported as, in addition to its weights: format -> writer, for each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from searchsvc.domain.trial_task import TrialTask
from workers.export import onnx, script
from workers.models import trained, trained_detector


@dataclass(frozen=True, slots=True)
class Exporter:
    """Loads and exports the trained networks of a task."""

    load: Callable[[Path], Any]
    """Loads the file of a trained model."""
    writers: Mapping[str, Callable[[Any, TrialTask, Path], None]]
    """By format: functions of the loaded model, its trial, and the destination."""


EXPORTERS: Mapping[str, Exporter] = MappingProxyType(
    {
        "classification": Exporter(trained.load, {"onnx": onnx.write, "script": script.write}),
        "detection": Exporter(
            trained_detector.load, {"onnx": lambda detector, _, path: onnx.write_detector(detector, path)}
        ),
    }
)
