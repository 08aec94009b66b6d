"""Second stage of resolving a spec: its dataset, the weights that trials start from, and images without labels."""

from __future__ import annotations

from dataclasses import dataclass

from searchsvc.domain import DatasetInfo, JobSpec, SelfTraining, Task, WeightsFile
from searchsvc.errors import FaultCollector
from searchsvc.service.lookup import datasets
from searchsvc.service.planning import self_training
from searchsvc.service.planning.names import ResolvedNames
from searchsvc.service.planning.sources import Sources


@dataclass(frozen=True, slots=True)
class ResolvedData:
    """The data that the trials of a job learn from."""

    spec: JobSpec
    """The spec with absolute paths, and with the weights that it names pinned."""
    dataset: DatasetInfo
    pretrained: WeightsFile | None
    """Initial weights of trials with `init: pretrained`; None if the spec names no weights."""
    self_training: SelfTraining | None
    """Self-training of the trials; None if no trial is self-trained."""


def resolve_data(
    spec: JobSpec, task: Task | None, names: ResolvedNames | None, sources: Sources, faults: FaultCollector
) -> ResolvedData | None:
    """Inspect the dataset and the weights, as far as the names are valid. Return None if the dataset cannot be read."""
    dataset = pretrained = how = None
    with faults.at():
        spec = sources.with_located_dataset(spec)
        dataset = None if task is None else datasets.inspect(task, spec.dataset.model_dump(mode="json"), spec.seed)
    with faults.at("/pretrained"):
        spec, pretrained = _with_pinned_weights(spec, task, sources)
    if names is not None and dataset is not None:
        with faults.at():
            spec, how = self_training.with_pinned_section(spec, names, sources)
    return None if dataset is None else ResolvedData(spec, dataset, pretrained, how)


def _with_pinned_weights(spec: JobSpec, task: Task | None, sources: Sources) -> tuple[JobSpec, WeightsFile | None]:
    if spec.pretrained is None:
        return spec, None
    model = sources.model(spec.pretrained, task)
    return spec.model_copy(update={"pretrained": model.source}), model.weights
