"""Catalogue: starting points for a job: example specs, datasets, shipped spaces."""

from __future__ import annotations

from dataclasses import dataclass

from searchsvc import tasks
from searchsvc.service.documents import drafts
from searchsvc.service.planning import samples as sampling
from searchsvc.service.use_cases.context import ServiceContext


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A dataset, or a format of datasets, that a task can read."""

    task: str
    name: str
    description: str


class CatalogueService:
    """The use cases for writing a new job."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def examples(self) -> list[drafts.Example]:
        """List the specs that ship as examples."""
        return drafts.examples()

    def draft(self, job_id: str) -> str:
        """Return the spec of a job as YAML, as a draft for another job."""
        return drafts.of_spec(self._context.job(job_id).spec)

    def sample(self, space: str, seed: int) -> sampling.SampledCandidate:
        """Draw a random candidate of a shipped space, with its costs. Raises NotFound, InvalidInput."""
        return sampling.sample(space, seed)

    def datasets(self) -> list[DatasetEntry]:
        """List the datasets and formats that the installed tasks can read."""
        return [DatasetEntry(task.name, *dataset) for task in tasks.all_tasks() for dataset in task.datasets()]
