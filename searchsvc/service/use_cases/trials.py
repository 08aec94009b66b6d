"""Trials: the trials of a job, with their attempts, measurements, files and logs."""

from __future__ import annotations

from collections.abc import Sequence
from io import BufferedReader

from searchsvc.domain import Artifact, Attempt, Measurement, Trial, TrialState
from searchsvc.errors import Conflict, InvalidInput, NotFound
from searchsvc.service.exports import artifacts
from searchsvc.service.lookup.pagination import Page, page_of
from searchsvc.service.results import architecture
from searchsvc.service.results.architecture import Architecture
from searchsvc.service.results.comparison import TrialComparison, compare
from searchsvc.service.system.logs import LogPart, read_part
from searchsvc.service.use_cases.context import DEFAULT_PAGE_SIZE, ServiceContext


class TrialService:
    """The use cases of trials."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._store = context.store

    def page(
        self,
        job_id: str,
        *,
        state: TrialState | None = None,
        newest_first: bool = False,
        page_size: int = DEFAULT_PAGE_SIZE,
        page_token: str | None = None,
    ) -> Page[Trial]:
        """List the trials of a job in the order of their numbers."""
        job = self._context.job(job_id).id
        return page_of(
            lambda after, limit: self._store.trials(
                job, state=state, after=after, limit=limit, newest_first=newest_first
            ),
            lambda trial: trial.number,
            kind=int,
            size=page_size,
            token=page_token,
            filters={"list": "trials", "job": job, "state": state, "newest_first": newest_first},
        )

    def get(self, trial_id: str) -> Trial:
        """Find a trial by id, or as JOB/NUMBER. Raises NotFound."""
        return self._context.trial(trial_id)

    def with_ids(self, trial_ids: Sequence[str]) -> list[Trial]:
        """Return the existing trials among `trial_ids`, in any order, with a single statement."""
        return self._store.trials_with_ids(trial_ids)

    def numbered(self, job_id: str, numbers: Sequence[int]) -> list[Trial]:
        """Return the existing trials of a job among `numbers`, in that order, with a single statement."""
        return self._store.trials_numbered(self._context.job(job_id).id, numbers)

    def attempts(self, trial_id: str) -> list[Attempt]:
        """List the executions of a trial."""
        return self._store.attempts(self.get(trial_id).id)

    def attempts_of_job(self, job_id: str, *, limit: int = 1000) -> list[tuple[int, Attempt]]:
        """List the attempts of a job as (number of the trial, attempt), the newest trials first."""
        return self._store.job_attempts(self._context.job(job_id).id, limit)

    def artifacts(self, trial_id: str) -> list[Artifact]:
        """List the files that a trial produced."""
        return self._store.artifacts(self.get(trial_id).id)

    def open_artifact(self, trial_id: str, name: str) -> BufferedReader:
        """Open a file that a trial produced. Raises NotFound, also if something else is in its place."""
        trial = self.get(trial_id)
        record = next((artifact for artifact in self._store.artifacts(trial.id) if artifact.name == name), None)
        if record is None:
            raise NotFound(f"trial {trial.number} has no file {name!r}")
        return artifacts.opened(self._context.settings.artifacts_dir, record)

    def measurements(self, trial_id: str) -> list[Measurement]:
        """List the measurements of a trial by step."""
        return self._store.measurements(self.get(trial_id).id)

    def measurements_of(self, trial_ids: Sequence[str]) -> dict[str, list[Measurement]]:
        """List the measurements of many trials at once: by id of the trial, by step."""
        return self._store.measurements_of(trial_ids)

    def measurements_of_job(
        self, job_id: str, *, page_size: int = DEFAULT_PAGE_SIZE, page_token: str | None = None
    ) -> Page[tuple[int, int, Measurement]]:
        """List the measurements of a job in the order of their storage: (id, trial number, measurement)."""
        job = self._context.job(job_id).id
        return page_of(
            lambda after, limit: self._store.job_measurements(job, after=after or 0, limit=limit),
            lambda row: row[0],
            kind=int,
            size=page_size,
            token=page_token,
            filters={"list": "measurements", "job": job},
        )

    def architecture(self, trial_id: str) -> Architecture:
        """Describe the network of a trial. Raises Conflict if its architecture is unknown."""
        trial = self.get(trial_id)
        if not trial.is_candidate:
            raise Conflict(f"trial {trial.number} trains a supernet, not a single network")
        spec = self._store.job(trial.job_id).spec
        # A job's dataset never changes, so its description has a single version.
        dataset = self._context.memo.get(trial.job_id, "dataset", 0, lambda _: architecture.dataset_of(spec))
        return architecture.architecture(spec, dataset, trial.values)

    def compare(self, trial_ids: Sequence[str]) -> TrialComparison:
        """Compare trials side by side, of a single job or of several."""
        if not 1 <= len(trial_ids) <= 100:
            raise InvalidInput.at("/trials", f"compare 1 to 100 trials, not {len(trial_ids)}")
        trials = [self.get(trial_id) for trial_id in trial_ids]
        specs = {job_id: self._store.job(job_id).spec for job_id in {trial.job_id for trial in trials}}
        return compare(trials, specs)

    def log(self, trial_id: str, *, offset: int | None = None, lines: int | None = None) -> LogPart:
        """Read the output of a trial's training: from byte `offset`, or its last `lines`."""
        trial = self.get(trial_id)
        settings = self._context.settings
        path = settings.trial_dir(trial.job_id, trial.id) / "trial.log"
        return read_part(settings.artifacts_dir, path, offset, lines)
