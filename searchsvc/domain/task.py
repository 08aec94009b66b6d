"""The seam between the service and what trains: a Task is looked up by name and trains one trial at a time.

A task is an object that an installed package offers as an entry point of the group `searchsvc.tasks`; the shipped
ones (`workers.tasks`) use the same way. The controller asks a task what it measures and whether a dataset can
be read; a worker starts trials of it. Importing a task must therefore be cheap: torch is imported when training starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.metrics import Constraint, Measurement, Metric, Objective
from searchsvc.domain.parameters import Parameter, Scalar
from searchsvc.domain.spec import Fidelity, JobSpec
from searchsvc.domain.states import TrialState
from searchsvc.errors import FailureKind

REPLICATE = "replicate"
"""The parameter of a recipe that tells repetitions of a candidate apart: it decides their seed, and nothing else."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What is known of a dataset before anything is trained on it."""

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    """(channels, height, width) of one image as it enters a network."""
    sizes: Mapping[str, int]
    """Images per split: train, validation (which the search measures on), test (touched once, for the winners)."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What else was counted while it was read, such as boxes that lie outside their image."""
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    """Metrics of the task that cannot be measured on it, each with what it would take."""


@dataclass(frozen=True, slots=True, eq=False)
class ValidationSplit:
    """The images that a search measures on, as people and label files name them."""

    names: tuple[str, ...]
    """Of n images: paths within the folder, or numbers of rows."""
    numbers: NDArray[np.int64]
    """(n,) their places among all images that the dataset splits, as a list of all of them has them."""
    labels: NDArray[np.int64]
    """(n,) the class that the dataset gives each."""
    classes: tuple[str, ...]
    total: int
    """Images that the dataset splits."""


@dataclass(frozen=True, slots=True)
class SharedSearch:
    """What the trial of a supernet searches, instead of training one candidate."""

    parameters: tuple[Parameter, ...]
    """Of the job's space."""
    hard: tuple[Constraint, ...]
    """Limits of the cost model: a candidate that breaks one is not drawn."""
    costs: Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]] | None
    """The cost model of that space."""
    options: Mapping[str, Any]
    """All options of the algorithm."""


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """The weights of a trained network, in a file."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class SelfTraining:
    """How a self-trained trial learns from images without labels."""

    unlabelled: Mapping[str, Any] | None = None
    """The section of a spec that says where they are; None: the training images beyond the data fraction."""
    teacher: WeightsFile | None = None
    """None: the trial trains its own first."""
    rounds: int = 1
    teacher_epochs: int | None = None
    """Of the trial's own teacher; None: as many as the student has."""


@dataclass(frozen=True, slots=True)
class TrialTask:
    """All that a worker needs to train one trial: no database, no job."""

    trial_id: str
    attempt: int
    task: str
    dataset: Mapping[str, Any]
    """The dataset section of the job's spec."""
    values: Mapping[str, Scalar]
    fidelity: Fidelity
    objective: Objective
    """The first objective: its best step is the one whose weights are kept."""
    seed: int
    directory: str
    """Where checkpoints and artifacts of this trial are kept, over all attempts."""
    stored_step: int = 0
    """Measurements up to this step are stored; a resumed trial reports those after it, without a gap."""
    trial_seconds: float | None = None
    """Limit of its training; a supernet has none, since it stands for many trials."""
    device: str = "cpu"
    threads: int = 1
    compile: bool = False
    """Whether the network may be compiled for its GPU before it is trained."""
    search: SharedSearch | None = None
    """Of the trial of a supernet; its `values` are those that all candidates have besides their own."""
    workers: int = 1
    """Processes that train a supernet together."""
    pretrained: WeightsFile | None = None
    """What a trial with `init: pretrained` starts from."""
    self_training: SelfTraining | None = None
    """What a trial with `self_training: true` learns from besides."""
    asked: frozenset[str] = frozenset()
    """Metrics that the job's objectives and constraints name: one that takes time is measured for them alone."""

    @property
    def last_step(self) -> int:
        """The step of its last measurement."""
        return self.fidelity.epochs * (self.search.options["logs_per_epoch"] if self.search is not None else 1)

    @classmethod
    def of(
        cls,
        spec: JobSpec,
        *,
        trial_id: str,
        number: int,
        values: Mapping[str, Scalar],
        directory: str,
        pretrained: WeightsFile | None = None,
        self_training: SelfTraining | None = None,
    ) -> Self:
        """The task of the first attempt of a job's trial `number`.

        Its seed goes by the number, or by its `replicate` where it has one.
        """
        return cls(
            trial_id=trial_id,
            attempt=1,
            task=spec.task,
            dataset=spec.dataset.model_dump(mode="json"),
            values=values,
            fidelity=spec.fidelity,
            objective=spec.objectives[0],
            seed=(spec.seed + int(values.get(REPLICATE) or number)) % 2**63,
            directory=directory,
            trial_seconds=spec.resources.trial_seconds,
            device="cuda" if spec.resources.gpu > 0 else "cpu",
            threads=max(1, int(spec.resources.cpu)),
            compile=spec.resources.compile,
            pretrained=pretrained,
            self_training=self_training,
            asked=frozenset([one.metric for one in spec.objectives] + [one.metric for one in spec.constraints]),
        )


@dataclass(frozen=True, slots=True)
class FileMade:
    """A finished file in the trial's directory."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    state: TrialState
    failure: FailureKind | None = None
    message: str | None = None
    """The traceback, or the reason in words."""
    files: tuple[FileMade, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A kind of file that a trained trial can be taken away as."""

    description: str
    suffix: str
    """How names of such files end: `.onnx`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a trained model says of an image."""

    label: str
    """Of one of its classes."""
    score: float
    """From 0 to 1."""
    box: tuple[float, float, float, float] | None = None
    """Left, upper, right and lower side, in px of the file; None: said of the whole image."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a trained model says of one image."""

    image: Path
    findings: tuple[Finding, ...]
    """The most certain first."""
    picture: Path | None = None
    """The image with the boxes that were found, where the task draws some."""


class Task(Protocol):
    """What a trial trains."""

    name: str
    description: str
    """One line about it."""
    metrics: tuple[Metric, ...]
    """What `train` measures; objectives and constraints may name these and what the cost model knows."""
    default_parameters: Mapping[str, Scalar]
    """The parameters that `train` understands, with the value that each has where a space does not give it."""

    exports: Mapping[str, ExportFormat]
    """What `export` writes, by name."""

    def datasets(self) -> tuple[tuple[str, str], ...]:
        """(name or format, one line about it) of all datasets that `inspect` knows."""

    def inspect(self, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:
        """Read enough of the dataset to know that all of it can be read.

        Raises InvalidInput with pointers into the dataset section.
        """

    def train(self, task: TrialTask) -> Iterator[Measurement]:
        """Train, and yield one measurement per epoch; the checkpoint of that epoch is on disk when it is yielded.

        A task whose directory holds a checkpoint goes on from there. Closing the iterator ends the training at once.
        Raises TrialFailed where the failure has a kind of its own.
        """

    def files(self, directory: Path) -> tuple[str, ...]:
        """Names of the files in the trial's directory that are results, to be stored as artifacts."""

    def test(self, task: TrialTask) -> Mapping[str, float]:
        """Metrics of the trial's best weights on the test split. For winners, once."""

    def export(self, format: str, task: TrialTask, destination: Path) -> None:  # noqa: A002 - the user's word
        """Write the file of one of `exports` from the best weights that the trial has left in its directory.

        Raises InvalidInput where they are none, RuntimeUnavailable where a package that it takes is not installed.
        """


@runtime_checkable
class SupernetTask(Task, Protocol):
    """A task that can train weights which all candidates of a space share."""

    rewards: tuple[str, ...]
    """The objective is one of these: shared weights can be scored by them, or by what stands for them."""

    def check_search(
        self,
        parameters: Sequence[Parameter],
        constants: Mapping[str, Scalar],
        dataset: DatasetInfo,
        options: Mapping[str, Any],
    ) -> None:
        """Of the space's parameters and the options of the algorithm, whether there is such a supernet.

        Cheap, without torch. Raises InvalidInput: `/space/<parameter>`, or pointers into the spec.
        """

    def search(self, task: TrialTask, exchange: Any = None) -> Iterator[Measurement]:
        """Train the supernet of `task.search`; `train` otherwise says what holds here.

        `exchange`: of several processes, each of which iterates (`workers.autohas.exchange`); None: there is only this.

        One measurement per step up to `task.last_step`, none of them with an objective. The last has
        `finalist/<rank>/<parameter>`, 0 the best: entries of the space's matrix, those of active parameters.
        """


@runtime_checkable
class SelfTrainedTask(Task, Protocol):
    """A task whose trials can be self-trained; `self_training` is among its parameters."""

    def check_self_training(self, how: SelfTraining, dataset: Mapping[str, Any], data_fraction: float) -> None:
        """Look at the images without labels beside a dataset, and at what the teacher knows. Without torch.

        Raises InvalidInput, pointers `/unlabelled` and `/teacher`: images that cannot be read, none at all, some that
        are measured on; a teacher of other classes.
        """


@runtime_checkable
class PretrainedTask(Task, Protocol):
    """A task whose networks can start from weights that others have published."""

    def published(self, name: str) -> Path:
        """The file with the weights of that name, as it lies on this machine: nothing is downloaded.

        Raises InvalidInput where the name is unknown, or where no such file is.
        """


@runtime_checkable
class PredictingTask(Task, Protocol):
    """A task whose trained models can be shown images that are in no dataset."""

    draws: bool
    """Whether its predictions are pictures, too."""

    def predict(self, model: Path, images: Sequence[Path], pictures: Sequence[Path]) -> Iterator[Prediction]:
        """What the trained model in a file that `weights` exports says of each image, in their order.

        `pictures`: the PNG to write for each image, where the task draws. Raises InvalidInput where the file is no
        model of the task, or an image cannot be decoded; those before it are answered.
        """


@runtime_checkable
class LabelledTask(Task, Protocol):
    """A task whose validation images have a class each, which can be looked at and doubted."""

    def validation(self, dataset: Mapping[str, Any]) -> ValidationSplit:
        """The images that trials are measured on. Raises InvalidInput (pointers into the dataset section)."""

    def picture(self, dataset: Mapping[str, Any], image: int) -> bytes:
        """A validation image as PNG, for people. Raises InvalidInput; NotFound where there are not so many."""
