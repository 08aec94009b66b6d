"""Sources of the files and jobs that a spec names."""

from __future__ import annotations

from dataclasses import dataclass

from searchsvc.domain import JobSpec, ModelSource, Task
from searchsvc.domain.spec import Dataset
from searchsvc.errors import below
from searchsvc.service.exports import models
from searchsvc.service.exports.models import FoundModel
from searchsvc.service.lookup import datasets
from searchsvc.settings import Settings
from searchsvc.store import Store


@dataclass(frozen=True, slots=True)
class Sources:
    """The files and trained networks that a spec may name."""

    settings: Settings
    store: Store | None
    """Holds the jobs whose networks a spec may name; None: a spec may not name jobs."""
    trusted: bool
    """True if files may be anywhere; otherwise they must be under the data roots."""
    task: Task | None = None
    """Declares which options of a dataset are paths; None if it is unknown."""

    def with_located_dataset(self, spec: JobSpec) -> JobSpec:
        """Make the paths of the dataset absolute and free of links. Raises InvalidInput, pointers into the spec."""
        with below("/dataset"):
            return spec.model_copy(update={"dataset": self.located(spec.dataset)})

    def located(self, section: Dataset) -> Dataset:
        """Make the paths in a section absolute and free of links. Raises InvalidInput, pointers into the section."""
        return datasets.located(self.task, section, trusted=self.trusted, settings=self.settings)

    def model(self, source: ModelSource, task: Task | None) -> FoundModel:
        """Find a trained network and pin it; see `models.find`."""
        return models.find(source, task=task, store=self.store, settings=self.settings, trusted=self.trusted)
