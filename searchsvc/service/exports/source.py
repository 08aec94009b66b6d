"""The source of an export."""

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
    """A job, and the requested trial or kind of trials, if any."""

    store: Store
    artifacts_dir: Path
    job: Job
    trial: Trial | None
    keep: Callable[[Trial], bool] | None = None

    def single_trial(self) -> Trial:
        """Return the requested trial, or the best. Raises Conflict if no trial is finished, or it trains a supernet."""
        if self.trial is not None and not self.trial.is_candidate:
            raise Conflict(f"trial {self.trial.number} of job {self.job.name} trains a supernet, not a candidate")
        return self.trial if self.trial is not None else standing.the_best(self.store, self.job)

    def task_of(self, trial: Trial, directory: str) -> TrialTask:
        """Return the task of the trial as its worker received it, with copies of its files in another directory."""
        return TrialTask.of(
            self.job.spec,
            trial_id=trial.id,
            number=trial.number,
            values={**checks.constants_of(self.job.spec), **trial.values},
            directory=directory,
        )

    def pages(self) -> Iterator[Sequence[Trial]]:
        """Yield pages of the candidates' trials that pass `keep`, by number.

        Raises InvalidInput if a single trial was requested.
        """
        if self.trial is not None:
            raise InvalidInput.at("/trial", "this format holds all trials of a job: leave the trial out")
        after = None
        while page := self.store.trials(self.job.id, after=after, limit=PAGE):
            yield [trial for trial in page if trial.is_candidate and (self.keep is None or self.keep(trial))]
            after = page[-1].number
