"""`onnx`: a trained classifier that takes images as they are, whatever runs it.

| name | what | shape |
|---|---|---|
| images | values from 0 to 255, as float32 | (n, c, h, w), any n, h and w |
| logits | one per class, in the order of `classes` in the metadata | (n, K) |

The graph resizes the images to what the network sees and normalises them, so mean, deviation and size need not be
known. Its operators are those of opset 18 and its format is version 8: onnxruntime reads both from 1.14 on.
"""

from __future__ import annotations

import json
import threading
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from searchsvc.domain.tasks import TrialTask
from searchsvc.errors import RuntimeUnavailable
from workers.models.trained import Classifier

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, FORMAT = 18, 8
_PACKAGES = ("onnx", "onnxscript")
_ONE_AT_A_TIME = threading.Lock()
"""torch traces with state of the whole process."""


class _Deployed(nn.Module):
    """Images from 0 to 255, of any size -> logits."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network, self._inputs = deepcopy(classifier.network), classifier.inputs
        self.network.to(memory_format=torch.contiguous_format)
        for module in self.network.modules():
            if hasattr(module, "inplace"):
                # The exporter takes an operator in place apart, which doubles its time.
                module.inplace = False  # type: ignore[assignment]

    def forward(self, images: Tensor) -> Tensor:
        inputs = self._inputs
        return self.network(inputs.resized(images) * inputs.scale + inputs.offset)  # type: ignore[no-any-return]


def write(classifier: Classifier, task: TrialTask, destination: Path) -> None:  # noqa: ARG001 - as the table has it
    """The classifier as a file. Raises RuntimeUnavailable where the packages that it takes are not installed."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        packages = " ".join(_PACKAGES)
        raise RuntimeUnavailable(f"{' and '.join(missing)} is not installed here: pip install {packages}")
    with _ONE_AT_A_TIME:
        model = _exported(classifier)
    card = classifier.card
    model.ir_version = FORMAT
    model.producer_name = "searchsvc"
    for key, value in (("classes", json.dumps(card.classes)), ("card", card.model_dump_json())):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    destination.write_bytes(model.SerializeToString(deterministic=True))


def _exported(classifier: Classifier) -> ModelProto:
    channels, height, width = classifier.card.shape
    example = torch.zeros(2, channels, height, width)
    free = {0: "n", 2: "h", 3: "w"}
    program = torch.onnx.export(
        _Deployed(classifier).eval(),
        (example,),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({axis: torch.export.Dim(name) for axis, name in free.items()},),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return program.model_proto
