"""`onnx`: a trained network for any ONNX runtime, which takes images with values from 0 to 255, as float32.

| of | name | content | shape |
|---|---|---|---|
| classifier | images | unchanged | (n, c, h, w), any n, h and w |
| | logits | a logit per class, in the order of `classes` in the metadata | (n, K) |
| detector | images | fitted into the upper left of the square | (n, 3, side, side), any n |
| | classes | a logit per anchor and class | (n, A, K) |
| | boxes | the encoded distances of an anchor's box, as the head outputs them | (n, A, 4), or (n, A, 4 B) |
| | centerness | a logit per anchor, if the detector has a centerness branch | (n, A) |

The graph normalises the images, so that mean and deviation need not be known; a classifier's graph also resizes them.
The conversion of a detector's outputs to boxes (`workers.models.heads.detections`) is not part of the graph; the
metadata `decoder` contains everything that it needs. Operators are those of opset 18 and the format is version 8:
onnxruntime reads both since 1.14.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from searchsvc.domain.trial_task import TrialTask
from searchsvc.errors import InvalidInput, RuntimeUnavailable
from workers.models.blocks.sac import SwitchableAtrousConv
from workers.models.inputs import Inputs
from workers.models.trained import Classifier, ModelCard
from workers.models.trained_detector import TrainedDetector

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, FORMAT = 18, 8
_PACKAGES = ("onnx", "onnxscript")
_ONE_AT_A_TIME = threading.Lock()
"""Lock around tracing, for which torch uses state of the whole process."""


def write(classifier: Classifier, task: TrialTask, destination: Path) -> None:  # noqa: ARG001 - as the table has it
    """Write the classifier to a file. Raises RuntimeUnavailable if the required packages are not installed."""
    example = torch.zeros(2, *classifier.card.shape)
    deployed = _DeployedClassifier(classifier.network, classifier.inputs)
    _write(deployed, example, {0: "n", 2: "h", 3: "w"}, ["logits"], _described(classifier.card), destination)


def write_detector(detector: TrainedDetector, destination: Path) -> None:
    """Write the detector to a file. Raises RuntimeUnavailable as `write`, InvalidInput for deformable convolutions."""
    if any(isinstance(one, SwitchableAtrousConv) and one.offset_s is not None for one in detector.network.modules()):
        message = f"deformable convolutions (`deform`) are not operators of ONNX's opset {OPSET}; `plain` ones are"
        raise InvalidInput.at("/format", message)
    design = detector.network.head.design
    outputs = ["classes", "boxes", *(["centerness"] if design.centerness else [])]
    decoder = {"side": detector.side, "fill": detector.card.mean, "strides": design.strides, "bins": design.bins}
    example = torch.zeros(2, 3, detector.side, detector.side)
    metadata = {**_described(detector.card), "decoder": json.dumps(decoder)}
    _write(_DeployedDetector(detector.network, detector.inputs), example, {0: "n"}, outputs, metadata, destination)


class _Deployed(nn.Module):
    """A network that normalises its images itself."""

    def __init__(self, network: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        self.network, self.inputs = deepcopy(network), inputs
        self.network.to(memory_format=torch.contiguous_format)
        for module in self.network.modules():
            if hasattr(module, "inplace"):
                # The exporter takes an operator in place apart, which doubles its time.
                module.inplace = False  # type: ignore[assignment]

    def normalised(self, images: Tensor) -> Tensor:
        return images * self.inputs.scale + self.inputs.offset


class _DeployedClassifier(_Deployed):
    """Images from 0 to 255, of any size -> logits."""

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.normalised(self.inputs.resized(images)))  # type: ignore[no-any-return]


class _DeployedDetector(_Deployed):
    """Squares from 0 to 255 -> the outputs of the head."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(self.normalised(images))
        return tuple(one for one in outputs if one is not None)


def _described(card: ModelCard) -> dict[str, str]:
    return {"classes": json.dumps(card.classes), "card": card.model_dump_json()}


def _write(
    deployed: nn.Module,
    example: Tensor,
    free: Mapping[int, str],
    outputs: Sequence[str],
    metadata: Mapping[str, str],
    destination: Path,
) -> None:
    """Export the network to a file. `free`: names of the axes of the images that can have any size."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        packages = " ".join(_PACKAGES)
        raise RuntimeUnavailable(f"{' and '.join(missing)} is not installed here: pip install {packages}")
    with _ONE_AT_A_TIME:
        model = _exported(deployed.eval(), example, free, outputs)
    model.ir_version = FORMAT
    model.producer_name = "searchsvc"
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    destination.write_bytes(model.SerializeToString(deterministic=True))


def _exported(deployed: nn.Module, example: Tensor, free: Mapping[int, str], outputs: Sequence[str]) -> ModelProto:
    program = torch.onnx.export(
        deployed,
        (example,),
        input_names=["images"],
        output_names=list(outputs),
        dynamic_shapes=({axis: torch.export.Dim(name) for axis, name in free.items()},),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return program.model_proto
