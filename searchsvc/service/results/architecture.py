"""The architecture of a trial's network, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from searchsvc.domain import DatasetInfo, JobSpec, Scalar
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.service.lookup import checks, datasets
from searchsvc.spaces import networks
from searchsvc.spaces.costs.stages import Stage


@dataclass(frozen=True, slots=True)
class Architecture:
    """The stages of a network, from input to output."""

    shape: tuple[int, int, int]
    """(channels, height, width) of the images of the dataset."""
    stages: tuple[Stage, ...]

    @property
    def flops(self) -> float:
        return sum(stage.flops for stage in self.stages)

    @property
    def params(self) -> float:
        return sum(stage.params for stage in self.stages)


def dataset_of(spec: JobSpec) -> DatasetInfo:
    """Inspect the job's dataset. Raises Conflict if it can no longer be read."""
    try:
        return datasets.inspect(checks.task_of(spec), spec.dataset.model_dump(mode="json"), spec.seed)
    except InvalidInput as error:
        raise Conflict(f"the dataset of the job cannot be read: {error}") from None


def architecture(spec: JobSpec, dataset: DatasetInfo, values: Mapping[str, Scalar]) -> Architecture:
    """Describe the network of a candidate. Raises Conflict if the stages of such a network are unknown."""
    if spec.task not in networks.DEFAULTS:
        raise Conflict(f"it is not known what the task {spec.task} builds")
    try:
        stages = networks.stages_of(spec.task, {**checks.constants_of(spec), **values}, dataset)
    except InvalidInput as error:
        raise Conflict(f"it is not known what this candidate builds: {error}") from None
    return Architecture(dataset.shape, tuple(stages))
