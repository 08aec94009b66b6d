"""The task `detection`: train a one-stage detector, measure its average precision on images it was not trained on.

Importing this module is cheap, because the service looks up tasks. torch is imported when training starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from searchsvc.domain.parameters import Parameter, Scalar
from searchsvc.domain.task import DatasetSummary, ExportFormat
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces import networks
from workers.data import detection as data
from workers.data.detection.summary import identical_images, samples, summary
from workers.evaluation.detection import LATENCY, METRICS, TRAIN_LOSS
from workers.tasks.base import ShippedTask
from workers.tasks.supernets import check_supernet
from workers.trials.files import DISTRIBUTIONS, MODEL, PICTURES, PRETRAINED, pseudo_labels_in

_TILE = 320
"""Side in px of an image on a contact sheet."""
_LEAST_REWARDED = 16
"""Least number of validation images that score a candidate of a supernet; each usually has several objects."""


class Detection(ShippedTask):
    """Trains a detector of `searchsvc.spaces.detector`; `searchsvc.domain.task.Task` describes each method."""

    name = "detection"
    catalogue = data.CATALOGUE
    description = "one-stage detectors: boxes with a class in each image"
    metrics = (*METRICS, LATENCY, TRAIN_LOSS)
    rewards = ("ap", "ap50", "ap75")
    """Candidates of a supernet are scored by a loss, whichever metric is searched: see `workers.autohas.detection`."""
    exports = MappingProxyType(
        {"onnx": ExportFormat("the trained detector of one trial for ONNX runtimes, up to the head's outputs", ".onnx")}
    )
    default_parameters: Mapping[str, Scalar] = MappingProxyType(networks.defaults_of(name))
    draws = True

    def inspect(self, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:  # noqa: ARG002 - the split is the dataset's
        loaded = data.load(dataset)
        return replace(loaded.info, notes=(*loaded.notes, *identical_images(loaded)))

    def summarise(self, dataset: Mapping[str, Any]) -> DatasetSummary:
        return summary(data.load(dataset))

    def contact_sheet(self, dataset: Mapping[str, Any]) -> bytes:
        loaded, annotated = data.load(dataset), import_module("workers.evaluation.drawing").annotated
        pictures = (
            (annotated(image, boxes, labels, loaded.classes, max(1, _TILE // max(image.size))), name)
            for image, boxes, labels, name in samples(loaded)
        )
        sheet: bytes = import_module("workers.evaluation.contact_sheet").contact_sheet(pictures, _TILE)
        return sheet

    def check_search(
        self,
        parameters: Sequence[Parameter],
        constants: Mapping[str, Scalar],
        dataset: DatasetInfo,
        options: Mapping[str, Any],  # noqa: ARG002 - nothing in them depends on the space or the data
    ) -> None:
        check_supernet(parameters, constants, dataset, self.name, least=_LEAST_REWARDED)

    def files(self, directory: Path) -> tuple[str, ...]:
        results = [name for name in (MODEL, PRETRAINED, DISTRIBUTIONS) if (directory / name).is_file()]
        return (*results, *sorted(path.name for path in directory.glob(PICTURES)), *pseudo_labels_in(directory))


TASK = Detection()
