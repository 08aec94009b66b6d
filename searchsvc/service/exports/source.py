"""What an export is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchsvc.domain import Job, Trial, TrialTask
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.service.lookup import checks
from searchsvc.service.results import standing
from searchsvc.store import Store

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """A job, and the trial, or the kind of trials, that was asked for, if one was."""

    store: Store
    artifacts_dir: Path
    job: Job
    trial: Trial | None
    keep: Callable[[Trial], bool] | None = None

    def one_trial(self) -> Trial:
        """The trial that was asked for, or the best. Raises Conflict where there is none yet, or it is no candidate."""
        if self.trial is not None and not self.trial.is_candidate:
            raise Conflict(f"trial {self.trial.number} of job {self.job.name} trains a supernet, which is no candidate")
        return self.trial if self.trial is not None else standing.the_best(self.store, self.job)

    def task_of(self, trial: Trial) -> TrialTask:
        """What its worker was given."""
        return TrialTask.of(
            self.job.spec,
            trial_id=trial.id,
            number=trial.number,
            values={**checks.constants_of(self.job.spec), **trial.values},
            directory=str(self.artifacts_dir / self.job.id / trial.id),
        )

    def pages(self) -> Iterator[Sequence[Trial]]:
        """The trials of candidates that pass `keep`, by number. Raises InvalidInput where one was asked for."""
        if self.trial is not None:
            raise InvalidInput.at("/trial", "this format holds all trials of a job: leave the trial out")
        after = None
        while page := self.store.trials(self.job.id, after=after, limit=PAGE):
            yield [trial for trial in page if trial.is_candidate and (self.keep is None or self.keep(trial))]
            after = page[-1].number
