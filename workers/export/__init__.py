"""What a trained classifier can be taken away as, besides its weights: one table, format -> writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from searchsvc.domain.tasks import TrialTask
from workers.export import onnx, script
from workers.models.trained import Classifier

WRITERS: Mapping[str, Callable[[Classifier, TrialTask, Path], None]] = MappingProxyType(
    {"onnx": onnx.write, "script": script.write}
)
