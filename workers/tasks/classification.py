"""The task `classification`: train an image classifier, measure it on images that it was not trained on.

Importing this module is cheap, because the service looks up tasks. torch is imported when training starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from searchsvc.domain.parameters import Parameter, Scalar
from searchsvc.domain.task import DatasetSummary, ExportFormat
from searchsvc.domain.trial_task import DatasetInfo, ValidationSplit
from searchsvc.errors import NotFound
from searchsvc.spaces import networks
from workers.data import classification as data
from workers.data.classification.pictures import png
from workers.data.classification.summary import samples, splits_of, summary
from workers.data.duplicates import duplicates
from workers.evaluation.classification import METRICS, TRAIN_LOSS
from workers.evaluation.reassessed import METRICS as REASSESSED
from workers.evaluation.reassessed import unmeasured
from workers.tasks.base import ShippedTask
from workers.tasks.supernets import check_supernet
from workers.trials.files import DISTRIBUTIONS, DROPPED, MODEL, PREDICTIONS, PRETRAINED, pseudo_labels_in

if TYPE_CHECKING:
    from searchsvc.service.latency.timing import Bench

_TILE = 96
"""Side in px of an image on a contact sheet."""
_LEAST_REWARDED = 32
"""Least number of validation images that score a candidate of a supernet; two of each class if there are many."""


class Classification(ShippedTask):
    """Trains a network of `searchsvc.spaces.networks`; `searchsvc.domain.task.Task` describes each method."""

    name = "classification"
    catalogue = data.CATALOGUE
    description = "image classifiers: one class for each image"
    metrics = (*METRICS, TRAIN_LOSS, *REASSESSED)
    rewards = ("accuracy", "loss")
    exports = MappingProxyType(
        {
            "onnx": ExportFormat("the trained network of one trial for ONNX runtimes", ".onnx"),
            "script": ExportFormat("a program that trains one trial's network on torch and timm alone", ".py"),
        }
    )
    default_parameters: Mapping[str, Scalar] = MappingProxyType(networks.defaults_of(name))
    draws = False

    def inspect(self, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:  # noqa: ARG002 - the split is the dataset's
        loaded = data.load(dataset)
        notes = (*loaded.notes, *duplicates(splits_of(loaded)))
        return replace(loaded.info, unmeasured=unmeasured(loaded), notes=notes)

    def summarise(self, dataset: Mapping[str, Any]) -> DatasetSummary:
        return summary(data.load(dataset))

    def contact_sheet(self, dataset: Mapping[str, Any]) -> bytes:
        pictures = samples(data.load(dataset))
        sheet: bytes = import_module("workers.evaluation.contact_sheet").contact_sheet(pictures, _TILE)
        return sheet

    def validation(self, dataset: Mapping[str, Any]) -> ValidationSplit:
        return data.load(dataset).validation_images

    def picture(self, dataset: Mapping[str, Any], image: int) -> bytes:
        loaded = data.load(dataset)
        if not 0 <= image < len(loaded.validation):
            raise NotFound(f"there is no validation image {image}: there are {len(loaded.validation):,}")
        return png(loaded.validation.images[np.array([image])][0], loaded.peak)

    def taught_shape(self, info: DatasetInfo) -> tuple[int, int, int] | None:
        return info.shape

    def check_search(
        self,
        parameters: Sequence[Parameter],
        constants: Mapping[str, Scalar],
        dataset: DatasetInfo,
        options: Mapping[str, Any],  # noqa: ARG002 - nothing in them depends on the space or the data
    ) -> None:
        check_supernet(parameters, constants, dataset, self.name, least=max(_LEAST_REWARDED, 2 * len(dataset.classes)))

    def files(self, directory: Path) -> tuple[str, ...]:
        results = (MODEL, PREDICTIONS, DROPPED, PRETRAINED, DISTRIBUTIONS)
        return (*(name for name in results if (directory / name).is_file()), *pseudo_labels_in(directory))

    def latency_bench(self, info: DatasetInfo, *, device: str, batch: int, threads: int) -> Bench:
        bench: Bench = import_module("workers.latency").TorchBench(info, device=device, batch=batch, threads=threads)
        return bench


TASK = Classification()
