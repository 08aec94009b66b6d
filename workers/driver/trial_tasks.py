"""The task that a worker receives for a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from searchsvc.domain import Artifact, JobSpec, Scalar, SelfTraining, SharedSearch, TrialKind, TrialTask, WeightsFile
from workers.driver.ledger import OpenTrial


@dataclass(frozen=True, slots=True)
class TaskBuilder:
    """Builds the tasks of a job's trials."""

    spec: JobSpec
    folder: Path
    """Folder of the job; each trial has a directory in it, and each attempt a directory in that of its trial."""
    constants: Mapping[str, Scalar]
    """Values of the space that are the same for all candidates."""
    search: SharedSearch | None = None
    """Description of the search for supernet trials."""
    pretrained: WeightsFile | None = None
    """Weights that candidates may start from."""
    self_training: SelfTraining | None = None

    def build(self, trial: OpenTrial) -> TrialTask:
        """Return the task of the next attempt at a trial."""
        home, attempt = self.folder / trial.id, trial.attempts + 1
        task = TrialTask.of(
            self.spec,
            trial_id=trial.id,
            number=trial.number,
            values={**self.constants, **trial.proposal.candidate.values},
            directory=str(home / str(attempt)),
            trial_directory=str(home),
            pretrained=self.pretrained,
            self_training=self.self_training,
        )
        task = replace(task, attempt=attempt, stored_step=trial.step)
        return self._for_supernet(task) if trial.proposal.kind is TrialKind.SUPERNET else task

    def test(self, trial: OpenTrial, files: Sequence[Artifact]) -> TrialTask:
        """Return the task of measuring a finished trial on the test split, in the folder of its stored files."""
        task = self.build(trial)
        folders = [self.folder.parent / Path(file.path).parent for file in files]
        return replace(task, directory=str(folders[0])) if folders else task

    def _for_supernet(self, task: TrialTask) -> TrialTask:
        """Supernets have their own number of epochs and processes, and no time limit per trial."""
        assert self.search is not None, "the algorithm trains no supernet"
        fidelity = task.fidelity.model_copy(update={"epochs": self.search.options["epochs"]})
        workers = self.spec.resources.workers
        return replace(task, search=self.search, workers=workers, fidelity=fidelity, trial_seconds=None)
