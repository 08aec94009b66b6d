"""The task `classification`: train an image classifier, measure it on images that it was not trained on.

Importing this module is cheap: the service looks tasks up. torch comes when training starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from searchsvc.domain.metrics import Measurement, Metric
from searchsvc.domain.parameters import Parameter, Scalar
from searchsvc.domain.task import ExportFormat, Prediction
from searchsvc.domain.trial_task import DatasetInfo, SelfTraining, TrialTask, ValidationSplit
from searchsvc.errors import NotFound, below
from searchsvc.spaces import networks
from workers.data import classification as data
from workers.data.classification.pictures import png
from workers.evaluation.reassessed import REAL, REAL_TOP, unmeasured
from workers.tasks.supernets import check_supernet
from workers.trials.files import DISTRIBUTIONS, DROPPED, MODEL, PREDICTIONS, PRETRAINED, pseudo_labels_in

if TYPE_CHECKING:
    from searchsvc.service.latency.timing import Bench
    from workers.autohas.exchange import Exchange

_LEAST_REWARDED = 32
"""Validation images that a candidate of a supernet is scored on at least; two of each class where there are many."""


class Classification:
    """Trains a network of `searchsvc.spaces.networks`; see `searchsvc.domain.task.Task` for what each method does."""

    name = "classification"
    description = "image classifiers: one class for each image"
    metrics = (
        Metric("accuracy", "maximize", "share", "share of the validation images that are classified right"),
        Metric("loss", "minimize", "nats", "mean cross-entropy on the validation images"),
        Metric("train_loss", "minimize", "nats", "mean loss of the epoch, with its mixup and label smoothing"),
        Metric(
            REAL, "maximize", "share", "share of those with a label in the dataset's label file that get one of them"
        ),
        Metric(REAL_TOP, "maximize", "share", "the same, of five answers to each image"),
    )
    rewards = ("accuracy", "loss")
    exports = MappingProxyType(
        {
            "onnx": ExportFormat("the trained network of one trial for ONNX runtimes", ".onnx"),
            "script": ExportFormat("a program that trains one trial's network on torch and timm alone", ".py"),
        }
    )
    default_parameters: Mapping[str, Scalar] = MappingProxyType(networks.defaults_of(name))
    draws = False

    def datasets(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, entry.description) for name, entry in {**data.NAMED, **data.FORMATS}.items())

    def inspect(self, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:  # noqa: ARG002 - the split is the dataset's
        found = data.load(dataset)
        return replace(found.info, unmeasured=unmeasured(found))

    def validation(self, dataset: Mapping[str, Any]) -> ValidationSplit:
        """See `searchsvc.domain.task.LabelledTask`."""
        return data.load(dataset).validation_images

    def picture(self, dataset: Mapping[str, Any], image: int) -> bytes:
        """See `searchsvc.domain.task.LabelledTask`."""
        found = data.load(dataset)
        if not 0 <= image < len(found.validation):
            raise NotFound(f"there is no validation image {image}: there are {len(found.validation):,}")
        return png(found.validation.images[np.array([image])][0], found.peak)

    def train(self, task: TrialTask) -> Iterator[Measurement]:
        from workers.training.classification.run import train

        return train(task)

    def check_self_training(self, how: SelfTraining, dataset: Mapping[str, Any], data_fraction: float) -> None:
        """See `searchsvc.domain.task.SelfTrainedTask`."""
        from workers.data.classification import unlabelled
        from workers.data.teachers import check_teacher

        with below("/unlabelled"):
            unlabelled.load(how.unlabelled, dataset, data_fraction)
        if how.teacher:
            found = data.load(dataset)
            with below("/teacher"):
                check_teacher(how.teacher.path, self.name, found.classes, found.info.shape)

    def check_search(
        self,
        parameters: Sequence[Parameter],
        constants: Mapping[str, Scalar],
        dataset: DatasetInfo,
        options: Mapping[str, Any],  # noqa: ARG002 - nothing in them depends on the space or the data
    ) -> None:
        check_supernet(parameters, constants, dataset, self.name, least=max(_LEAST_REWARDED, 2 * len(dataset.classes)))

    def search(self, task: TrialTask, exchange: Exchange | None = None) -> Iterator[Measurement]:
        from workers.autohas.exchange import Alone
        from workers.autohas.run import search

        return search(task, exchange or Alone())

    def files(self, directory: Path) -> tuple[str, ...]:
        kept = (MODEL, PREDICTIONS, DROPPED, PRETRAINED, DISTRIBUTIONS)
        return (*(name for name in kept if (directory / name).is_file()), *pseudo_labels_in(directory))

    def test(self, task: TrialTask) -> Mapping[str, float]:
        from workers.training.classification.run import test

        return test(task)

    def export(self, format: str, task: TrialTask, destination: Path) -> None:  # noqa: A002 - the user's word
        from workers.export import WRITERS
        from workers.models import load

        WRITERS[format](load(Path(task.directory) / MODEL), task, destination)

    def published(self, name: str) -> Path:
        """See `searchsvc.domain.task.PretrainedTask`."""
        from workers.models.published import published

        return published(name)

    def predict(
        self,
        model: Path,
        images: Sequence[Path],
        pictures: Sequence[Path],  # noqa: ARG002 - the seam's
    ) -> Iterator[Prediction]:
        """See `searchsvc.domain.task.PredictingTask`."""
        from workers.prediction.classification import predict

        return predict(model, images)

    def latency_bench(self, info: DatasetInfo, *, device: str, batch: int, threads: int) -> Bench:
        """See `searchsvc.domain.task.TimedTask`."""
        from workers.latency import TorchBench

        return TorchBench(info, device=device, batch=batch, threads=threads)


TASK = Classification()
