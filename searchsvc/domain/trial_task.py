"""Data that the service and a task exchange: everything a worker needs to train a trial, and the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.metrics import Constraint, Objective
from searchsvc.domain.parameters import Parameter, Scalar
from searchsvc.domain.spec import Fidelity, JobSpec
from searchsvc.domain.states import TrialState
from searchsvc.errors import FailureKind

REPLICATE = "replicate"
"""The parameter of a recipe that distinguishes repetitions of a candidate: it sets their seed and nothing else."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """Facts about a dataset that are known before training starts."""

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    """(channels, height, width) of an image as it enters a network."""
    sizes: Mapping[str, int]
    """Images per split: train, validation (on which the search measures), test (used once, for the winners)."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Other counts taken while reading, such as boxes that lie outside their image."""
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    """Metrics of the task that cannot be measured on the dataset, each with the reason."""
    notes: tuple[str, ...] = ()
    """Sentences that count and name what the files contain and is not used, or converted."""


@dataclass(frozen=True, slots=True, eq=False)
class ValidationSplit:
    """The images on which a search measures, with the names that people and label files use."""

    names: tuple[str, ...]
    """(n,) paths within the folder, or row numbers."""
    numbers: NDArray[np.int64]
    """(n,) index of each image among all images that the dataset splits."""
    labels: NDArray[np.int64]
    """(n,) class of each image according to the dataset."""
    classes: tuple[str, ...]
    total: int
    """Number of images that the dataset splits."""

    @property
    def digest(self) -> str:
        """A hash of the images' names and places, and of the classes: equal if the same indices mean the same images.
        """
        names = json.dumps([self.names, self.numbers.tolist(), self.classes, self.total])
        return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class SharedSearch:
    """The space that the trial of a supernet searches, instead of training a single candidate."""

    parameters: tuple[Parameter, ...]
    """Parameters of the job's space."""
    hard: tuple[Constraint, ...]
    """Limits on costs: no candidate that exceeds them is ever drawn."""
    costs: Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]] | None
    """The cost model of that space."""
    options: Mapping[str, Any]
    """Options of the algorithm, defaults included."""


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file with the weights of a trained network."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class SelfTraining:
    """The way in which a self-trained trial learns from images without labels."""

    unlabelled: Mapping[str, Any] | None = None
    """Spec section that locates the images; None: the training images beyond the data fraction."""
    teacher: WeightsFile | None = None
    """Trained teacher; None: the trial first trains its own."""
    rounds: int = 1
    teacher_epochs: int | None = None
    """Epochs of a teacher that the trial trains itself; None: as many as the student has."""


@dataclass(frozen=True, slots=True)
class TrialTask:
    """Everything a worker needs to train a trial, without access to the database or the job."""

    trial_id: str
    attempt: int
    task: str
    dataset: Mapping[str, Any]
    """The dataset section of the job's spec."""
    values: Mapping[str, Scalar]
    fidelity: Fidelity
    objective: Objective
    """The first objective; the weights of its best step are kept."""
    seed: int
    directory: str
    """Folder into which the attempt writes its checkpoints and results; at its start, a copy of an earlier attempt's.
    """
    trial_directory: str | None = None
    """Folder of the trial: its log, and a folder for each attempt. None: `directory`, which all attempts then share."""
    stored_step: int = 0
    """Last step with a stored measurement; a resumed trial reports every later step."""
    trial_seconds: float | None = None
    """Time limit of its training; None for a supernet, which replaces many trials."""
    device: str = "cpu"
    threads: int = 1
    compile: bool = False
    """True if the network may be compiled for its GPU before it is trained."""
    search: SharedSearch | None = None
    """Set for the trial of a supernet, whose `values` are the values that all candidates share."""
    workers: int = 1
    """Number of processes that train a supernet together."""
    pretrained: WeightsFile | None = None
    """Initial weights of a trial with `init: pretrained`."""
    self_training: SelfTraining | None = None
    """Unlabelled images and teacher of a trial with `self_training: true`."""
    required_metrics: frozenset[str] = frozenset()
    """Metrics of the job's objectives and constraints; slow metrics are measured only if they are among these."""

    @property
    def last_step(self) -> int:
        """Step of the last measurement."""
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
        trial_directory: str | None = None,
        pretrained: WeightsFile | None = None,
        self_training: SelfTraining | None = None,
    ) -> Self:
        """Return the task of the first attempt at a job's trial `number`.

        The seed depends on the trial's `replicate` if it has one, and on its number otherwise.
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
            trial_directory=trial_directory,
            trial_seconds=spec.resources.trial_seconds,
            device="cuda" if spec.resources.gpu > 0 else "cpu",
            threads=max(1, int(spec.resources.cpu)),
            compile=spec.resources.compile,
            pretrained=pretrained,
            self_training=self_training,
            required_metrics=frozenset(
                [objective.metric for objective in spec.objectives] + [limit.metric for limit in spec.constraints]
            ),
        )


@dataclass(frozen=True, slots=True)
class FileMade:
    """A result file of a trial."""

    name: str
    bytes: int
    sha256: str
    folder: str = ""
    """Folder of the attempt, within the trial's folder; empty: the trial's folder itself."""

    def path_in(self, trial_directory: str) -> str:
        """Return the path of the file, given the folder of its trial."""
        return "/".join(part for part in (trial_directory, self.folder, self.name) if part)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt."""

    state: TrialState
    failure: FailureKind | None = None
    message: str | None = None
    """Traceback, or a reason in words."""
    files: tuple[FileMade, ...] = ()
