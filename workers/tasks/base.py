"""The base of the shipped tasks, whose rooms are named after them: `workers.data.NAME`, `workers.training.NAME`.

The modules in these rooms import torch, so this module imports each of them when a method first needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchsvc.domain.metrics import Measurement
from searchsvc.domain.task import ImagePrediction, RecognisedDataset
from searchsvc.domain.trial_task import DatasetInfo, SelfTraining, TrialTask
from searchsvc.errors import below
from workers.data.catalogue import Catalogue
from workers.trials.files import MODEL

if TYPE_CHECKING:
    from workers.autohas.exchange import Exchange


class ShippedTask:
    """Base of the shipped tasks; `searchsvc.domain.task` describes each method."""

    name: str
    catalogue: Catalogue[Any, Any]
    """The datasets of the task."""

    def datasets(self) -> tuple[tuple[str, str], ...]:
        return self.catalogue.descriptions

    def path_options(self, dataset: Mapping[str, Any]) -> tuple[str, ...]:
        return self.catalogue.path_options(dataset)

    def confined(self, dataset: Mapping[str, Any], roots: Sequence[str]) -> Mapping[str, Any]:
        return {**dataset, "within": list(roots)}

    def inspect(self, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:  # noqa: ARG002 - the split is the dataset's
        info: DatasetInfo = self.catalogue.load(dataset).info
        return info

    def formats(self) -> tuple[tuple[str, str], ...]:
        return self.catalogue.formats

    def recognise(self, path: Path) -> tuple[RecognisedDataset, ...]:
        return self.catalogue.recognise(path)

    def train(self, task: TrialTask) -> Iterator[Measurement]:
        measurements: Iterator[Measurement] = self._module("training", "run").train(task)
        return measurements

    def test(self, task: TrialTask) -> Mapping[str, float]:
        metrics: Mapping[str, float] = self._module("training", "run").test(task)
        return metrics

    def search(self, task: TrialTask, exchange: Exchange | None = None) -> Iterator[Measurement]:
        exchange = exchange or import_module("workers.autohas.exchange").SingleProcess()
        measurements: Iterator[Measurement] = import_module("workers.autohas.run").search(task, exchange)
        return measurements

    def check_self_training(self, how: SelfTraining, dataset: Mapping[str, Any], data_fraction: float) -> None:
        with below("/unlabelled"):
            self._module("data", "unlabelled").load(how.unlabelled, dataset, data_fraction)
        if how.teacher:
            info = self.inspect(dataset, 0)
            with below("/teacher"):
                check_teacher = import_module("workers.data.teachers").check_teacher
                check_teacher(how.teacher.path, self.name, info.classes, self.taught_shape(info))

    def taught_shape(self, info: DatasetInfo) -> tuple[int, int, int] | None:  # noqa: ARG002 - for other tasks
        """Return the shape of images that a teacher must have been trained on; None if it takes images of any shape."""
        return None

    def export(self, format: str, task: TrialTask, destination: Path) -> None:  # noqa: A002 - the user's word
        exporter = import_module("workers.export").EXPORTERS[self.name]
        exporter.writers[format](exporter.load(Path(task.directory) / MODEL), task, destination)

    def published(self, name: str) -> Path:
        path: Path = import_module("workers.models.published").published(name)
        return path

    def predict(self, model: Path, images: Sequence[Path], pictures: Sequence[Path]) -> Iterator[ImagePrediction]:
        predictions: Iterator[ImagePrediction] = self._module("prediction").predict(model, images, pictures)
        return predictions

    def _module(self, room: str, *names: str) -> Any:
        return import_module(".".join(("workers", room, self.name, *names)))
