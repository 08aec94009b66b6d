"""The task `detection`: train a one-stage detector, measure its average precision on images it was not trained on.

Importing this module is cheap: the service looks tasks up. torch comes when training starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from searchsvc.domain.metrics import Measurement, Metric
from searchsvc.domain.parameters import Parameter, Scalar
from searchsvc.domain.task import ExportFormat, Prediction
from searchsvc.domain.trial_task import DatasetInfo, SelfTraining, TrialTask
from searchsvc.errors import below
from searchsvc.spaces import networks
from workers.data import detection as data
from workers.tasks.supernets import check_supernet
from workers.trials.files import DISTRIBUTIONS, MODEL, PICTURES, PRETRAINED, pseudo_labels_in

if TYPE_CHECKING:
    from workers.autohas.exchange import Exchange

_LEAST_REWARDED = 16
"""Validation images that a candidate of a supernet is scored on at least; each has several objects as a rule."""


class Detection:
    """Trains a detector of `searchsvc.spaces.detector`; see `searchsvc.domain.task.Task` for what each method does."""

    name = "detection"
    description = "one-stage detectors: boxes with a class in each image"
    metrics = (
        Metric("ap", "maximize", "share", "average precision: mean over classes and the overlaps .50, .55, ... .95"),
        Metric("ap50", "maximize", "share", "average precision at overlap .50"),
        Metric("ap75", "maximize", "share", "average precision at overlap .75"),
        Metric("ap_small", "maximize", "share", "ap of objects below 32² px²"),
        Metric("ap_medium", "maximize", "share", "ap of objects from 32² to 96² px²"),
        Metric("ap_large", "maximize", "share", "ap of objects above 96² px²"),
        Metric("ar100", "maximize", "share", "recall with 100 detections of an image, mean as for ap"),
        Metric("latency_ms", "minimize", "ms", "median time to detect in one image; where an objective or limit asks"),
        Metric("train_loss", "minimize", "", "mean loss of the epoch: the sum of its terms, train_loss/TERM"),
    )
    rewards = ("ap", "ap50", "ap75")
    exports = MappingProxyType(
        {"onnx": ExportFormat("the trained detector of one trial for ONNX runtimes, up to the head's outputs", ".onnx")}
    )
    default_parameters: Mapping[str, Scalar] = MappingProxyType(networks.defaults_of(name))
    draws = True

    def datasets(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, entry.description) for name, entry in {**data.NAMED, **data.FORMATS}.items())

    def inspect(self, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:  # noqa: ARG002 - the split is the dataset's
        return data.load(dataset).info

    def train(self, task: TrialTask) -> Iterator[Measurement]:
        from workers.training.detection.run import train

        return train(task)

    def check_self_training(self, how: SelfTraining, dataset: Mapping[str, Any], data_fraction: float) -> None:
        """See `searchsvc.domain.task.SelfTrainedTask`."""
        from workers.data.detection import unlabelled
        from workers.data.teachers import check_teacher

        with below("/unlabelled"):
            unlabelled.load(how.unlabelled, dataset, data_fraction)
        if how.teacher:
            with below("/teacher"):
                check_teacher(how.teacher.path, self.name, data.load(dataset).classes)

    def check_search(
        self,
        parameters: Sequence[Parameter],
        constants: Mapping[str, Scalar],
        dataset: DatasetInfo,
        options: Mapping[str, Any],  # noqa: ARG002 - nothing in them depends on the space or the data
    ) -> None:
        check_supernet(parameters, constants, dataset, self.name, least=_LEAST_REWARDED)

    def search(self, task: TrialTask, exchange: Exchange | None = None) -> Iterator[Measurement]:
        """Candidates are scored by a loss, for whichever of `rewards`: see `workers.autohas.scenes`."""
        from workers.autohas.exchange import Alone
        from workers.autohas.run import search

        return search(task, exchange or Alone())

    def files(self, directory: Path) -> tuple[str, ...]:
        found = [name for name in (MODEL, PRETRAINED, DISTRIBUTIONS) if (directory / name).is_file()]
        return (*found, *sorted(path.name for path in directory.glob(PICTURES)), *pseudo_labels_in(directory))

    def test(self, task: TrialTask) -> Mapping[str, float]:
        from workers.training.detection.run import test

        return test(task)

    def export(self, format: str, task: TrialTask, destination: Path) -> None:  # noqa: A002 - the user's word
        from workers.export import DETECTOR_WRITERS
        from workers.models.trained_detector import load

        DETECTOR_WRITERS[format](load(Path(task.directory) / MODEL), destination)

    def published(self, name: str) -> Path:
        """See `searchsvc.domain.task.PretrainedTask`."""
        from workers.models.published import published

        return published(name)

    def predict(self, model: Path, images: Sequence[Path], pictures: Sequence[Path]) -> Iterator[Prediction]:
        """See `searchsvc.domain.task.PredictingTask`."""
        from workers.prediction.detection import predict

        return predict(model, images, pictures)


TASK = Detection()
