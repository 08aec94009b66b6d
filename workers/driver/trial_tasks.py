"""The task that a worker receives for a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from searchsvc.domain import JobSpec, Scalar, SelfTraining, SharedSearch, TrialKind, TrialTask, WeightsFile
from workers.driver.ledger import OpenTrial


@dataclass(frozen=True, slots=True)
class TaskBuilder:
    """Builds the tasks of a job's trials."""

    spec: JobSpec
    folder: Path
    """Folder of the job; each trial has a directory in it."""
    constants: Mapping[str, Scalar]
    """Values of the space that are the same for all candidates."""
    search: SharedSearch | None = None
    """Description of the search for supernet trials."""
    pretrained: WeightsFile | None = None
    """Weights that candidates may start from."""
    self_training: SelfTraining | None = None

    def build(self, trial: OpenTrial) -> TrialTask:
        """Return the task of the next attempt at a trial."""
        task = TrialTask.of(
            self.spec,
            trial_id=trial.id,
            number=trial.number,
            values={**self.constants, **trial.proposal.candidate.values},
            directory=str(self.folder / trial.id),
            pretrained=self.pretrained,
            self_training=self.self_training,
        )
        task = replace(task, attempt=trial.attempts + 1, stored_step=trial.step)
        return self._for_supernet(task) if trial.proposal.kind is TrialKind.SUPERNET else task

    def _for_supernet(self, task: TrialTask) -> TrialTask:
        """Supernets have their own number of epochs and processes, and no time limit per trial."""
        assert self.search is not None, "the algorithm trains no supernet"
        fidelity = task.fidelity.model_copy(update={"epochs": self.search.options["epochs"]})
        workers = self.spec.resources.workers
        return replace(task, search=self.search, workers=workers, fidelity=fidelity, trial_seconds=None)
