"""Protocols of a task: the interface between the service and the code that trains.

An installed package offers a task as an entry point of the group `searchsvc.tasks`, as the shipped tasks
(`workers.tasks`) do. The controller reads the metrics of a task and lets the task inspect datasets; a worker runs its
trials. Importing a task must therefore be cheap: it imports torch only when training starts.

Every task implements `Task`; each other protocol is optional and enables one feature of the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from searchsvc.domain.metrics import Measurement, Metric
from searchsvc.domain.parameters import Parameter, Scalar
from searchsvc.domain.trial_task import DatasetInfo, SelfTraining, TrialTask, ValidationSplit


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A file format for the export of a trained trial."""

    description: str
    suffix: str
    """Suffix of the file name, such as `.onnx`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A class that a trained model predicts for an image."""

    label: str
    """Name of the class."""
    score: float
    """Confidence from 0 to 1."""
    box: tuple[float, float, float, float] | None = None
    """Left, top, right and bottom edge in pixels of the file; None: the prediction concerns the whole image."""


@dataclass(frozen=True, slots=True)
class ImagePrediction:
    """All predictions of a trained model for an image."""

    image: Path
    findings: tuple[Finding, ...]
    """Predicted classes, the most confident first."""
    picture: Path | None = None
    """The image with the predicted boxes drawn in, if the task draws."""


@dataclass(frozen=True, slots=True)
class RecognisedDataset:
    """A dataset section for files that look like a format, and how closely the format describes them."""

    section: Mapping[str, Any]
    rank: int
    """Closeness of the description: of several sections for the same files, the one of the highest rank is taken."""


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """Counts over the splits of a dataset, for people who check it."""

    counted: str
    """Name of the things that are counted per class: images or boxes."""
    class_counts: Mapping[str, Mapping[str, int]]
    """Counts by split and class."""
    looked_at: int
    """Number of images whose sizes and modes are known; at most a sample."""
    image_sizes: Mapping[str, int]
    """Number of these images by width and height, as in `640x480`, the most frequent first."""
    image_modes: Mapping[str, int]
    """Number of these images by Pillow's name of the mode; empty if they are in no image files."""


class Task(Protocol):
    """Trains and evaluates the trials of a job."""

    name: str
    description: str
    """Description, a single line."""
    metrics: tuple[Metric, ...]
    """Metrics that `train` reports; objectives and constraints may name these and the metrics of the cost model."""
    default_parameters: Mapping[str, Scalar]
    """Parameters that `train` reads, with the value of each that a space leaves out."""
    exports: Mapping[str, ExportFormat]
    """Formats that `export` writes, by name."""

    def datasets(self) -> tuple[tuple[str, str], ...]:
        """Return (name or format, description) of each dataset that `inspect` accepts."""

    def inspect(self, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:
        """Check that the whole dataset can be read.

        Raises InvalidInput with pointers into the dataset section.
        """

    def train(self, task: TrialTask) -> Iterator[Measurement]:
        """Train, and yield one measurement per epoch; the checkpoint of that epoch is on disk when it is yielded.

        Training resumes from the checkpoint in the task's directory if there is one, which may be that of the last
        epoch. Closing the iterator ends the training at once. Raises TrialFailed if the failure has a kind of its own.
        """

    def files(self, directory: Path) -> tuple[str, ...]:
        """Return the names of the files in the trial's directory to be stored as artifacts."""

    def test(self, task: TrialTask) -> Mapping[str, float]:
        """Measure the trial's best weights on the test split; called once per winner."""

    def export(self, format: str, task: TrialTask, destination: Path) -> None:  # noqa: A002 - the user's word
        """Write the best weights in the task's directory in one of the formats of `exports`.

        The directory holds copies of the files that the trial has stored. Raises InvalidInput if it has no weights, and
        RuntimeUnavailable if a required package is not installed.
        """


@runtime_checkable
class FileTask(Task, Protocol):
    """A task whose dataset formats declare which of their options are paths."""

    def path_options(self, dataset: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the options of a dataset section that name a file, a folder, or files of a folder by a pattern.

        The service makes them absolute, and checks that they exist and may be read.
        """


@runtime_checkable
class ConfinedTask(Task, Protocol):
    """A task that can be told to read no file outside some folders, although links in a dataset lead there."""

    def confined(self, dataset: Mapping[str, Any], roots: Sequence[str]) -> Mapping[str, Any]:
        """Return the dataset section completed so that reading a file outside `roots` raises InvalidInput."""


@runtime_checkable
class SupernetTask(Task, Protocol):
    """A task that can train a supernet: weights that all candidates of a space share."""

    rewards: tuple[str, ...]
    """Metrics by which shared weights can be scored; the objective of a search must be among them."""

    def check_search(
        self,
        parameters: Sequence[Parameter],
        constants: Mapping[str, Scalar],
        dataset: DatasetInfo,
        options: Mapping[str, Any],
    ) -> None:
        """Check that a supernet exists for the space's parameters and the options of the algorithm.

        Cheap, without torch. Raises InvalidInput, pointers `/space/<parameter>` or into the spec.
        """

    def search(self, task: TrialTask, exchange: Any = None) -> Iterator[Measurement]:
        """Train the supernet of `task.search`, under the same contract as `train`.

        `exchange` connects several processes, each of which iterates (`workers.autohas.exchange`); None if there is
        only one process.

        Yields one measurement per step up to `task.last_step`; none contains an objective. The last measurement has
        `finalist/<rank>/<parameter>` for every active parameter of a finalist: its entry in the space's matrix. The
        best finalist has rank 0.
        """


@runtime_checkable
class SelfTrainedTask(Task, Protocol):
    """A task whose trials can be self-trained; it has a parameter `self_training`."""

    def check_self_training(self, how: SelfTraining, dataset: Mapping[str, Any], data_fraction: float) -> None:
        """Check the unlabelled images against the dataset, and the classes of the teacher. Without torch.

        Raises InvalidInput, pointers `/unlabelled` (unreadable images, no images, images of the validation split) and
        `/teacher` (other classes).
        """


@runtime_checkable
class PretrainedTask(Task, Protocol):
    """A task whose networks can start from published weights."""

    def published(self, name: str) -> Path:
        """Return the local file with the weights of that name; nothing is downloaded.

        Raises InvalidInput if the name is unknown or the file is not on this machine.
        """


@runtime_checkable
class PredictingTask(Task, Protocol):
    """A task whose trained models can predict on images outside any dataset."""

    draws: bool
    """True if a prediction includes a picture."""

    def predict(self, model: Path, images: Sequence[Path], pictures: Sequence[Path]) -> Iterator[ImagePrediction]:
        """Yield the prediction for each image, in order, by the model in a file of the `weights` export.

        `pictures`: the PNG to write for each image, if the task draws. Raises InvalidInput if the file is not a model
        of the task, or when it reaches an image that cannot be decoded.
        """


@runtime_checkable
class CheckedTask(Task, Protocol):
    """A task that recognises datasets by their files, and shows people what it reads of them."""

    def formats(self) -> tuple[tuple[str, str], ...]:
        """Return (format, description) of each format that `recognise` looks for."""

    def recognise(self, path: Path) -> tuple[RecognisedDataset, ...]:
        """Return a section for each format that a file or folder looks like, from names and headers only."""

    def summarise(self, dataset: Mapping[str, Any]) -> DatasetSummary:
        """Count what the splits contain. Raises InvalidInput with pointers into the dataset section."""

    def contact_sheet(self, dataset: Mapping[str, Any]) -> bytes:
        """Return a PNG of sample images with their labels. Raises InvalidInput as `summarise` does."""


@runtime_checkable
class LabelledTask(Task, Protocol):
    """A task whose validation images have a single class each, which people can review."""

    def validation(self, dataset: Mapping[str, Any]) -> ValidationSplit:
        """Return the images that trials are measured on. Raises InvalidInput with pointers into the dataset section."""

    def picture(self, dataset: Mapping[str, Any], image: int) -> bytes:
        """Return a validation image as PNG, for people. Raises InvalidInput, and NotFound if the index is too large."""


@runtime_checkable
class TimedTask(Protocol):
    """Additional method of a task whose networks can be timed."""

    def latency_bench(self, info: DatasetInfo, *, device: str, batch: int, threads: int) -> Any:
        """Return a `searchsvc.service.latency.timing.Bench` for images and classes of a dataset.

        Raises InvalidInput (pointer `/device`) if the device does not exist.
        """
