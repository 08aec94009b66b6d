"""Results: the progress of a job, and the analysis of its trials."""

from __future__ import annotations

from collections.abc import Mapping

from searchsvc.domain import Job, Round, Trial, TrialState, count_for_budget, count_results
from searchsvc.errors import InvalidInput
from searchsvc.service.lookup import checks
from searchsvc.service.results import distributions, front, gains, importance, standing
from searchsvc.service.results.columns import ResultColumns
from searchsvc.service.results.distributions import Distributions, Learning
from searchsvc.service.results.front import ParetoFront
from searchsvc.service.results.gains import GainReport
from searchsvc.service.results.importance import Importance
from searchsvc.service.results.standing import JobStanding, JobSummary
from searchsvc.service.use_cases.context import ServiceContext

_TRAINED_SECONDS_KEPT = 5.0
"""The sum reads all trials, so it is not computed again each time a trial ends."""


class ResultService:
    """The use cases of results."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._store = context.store
        self._memo = context.memo

    def standing(self, job_id: str) -> JobStanding:
        """Summarise a job without its Pareto front: counts, pace, time left, the best trial."""
        job = self._context.job(job_id)
        counts = self._store.trial_counts(job.id)
        ended = count_for_budget(counts)
        return standing.standing(self._store, job, counts, self._trained_seconds(job, ended) if ended else 0.0)

    def summary(self, job_id: str) -> JobSummary:
        """Summarise a job with the size of its Pareto front."""
        current = self.standing(job_id)
        return standing.summary(current, self._front_size(current.job, current.counts) if current.best else 0)

    def best(self, job_id: str, k: int = 5) -> list[Trial]:
        """Return the k best trials by the first objective that keep every constraint."""
        if not 1 <= k <= 1000:
            raise InvalidInput.at("/k", f"must lie from 1 to 1000, not {k}")
        return standing.best(self._store, self._context.job(job_id), k)

    def front(self, job_id: str) -> list[Trial]:
        """Return the trials that no other trial dominates, best first by the first objective."""
        job = self._context.job(job_id)
        return front.trials_on_front(self._store, job, self._memo.peek(job.id, "front"))

    def columns(self, job_id: str) -> ResultColumns:
        """Return the results of all trials as columns."""
        job = self._context.job(job_id)
        columns = ResultColumns.of(self._store.results(job.id))
        if len(job.spec.objectives) > 1:
            self._memo.put(job.id, "front", front.front_of(job, columns))
        return columns

    def rounds(self, job_id: str) -> list[Round]:
        """Return the reports of the job's algorithm on its rounds, by number; empty if the algorithm has no rounds."""
        return self._store.rounds(self._context.job(job_id).id)

    def distributions(self, job_id: str) -> Distributions:
        """Return the distributions that the supernet has learned, by parameter. Raises Conflict without a supernet."""
        return distributions.distributions(self._store, self._context.job(job_id))

    def learning(self, job_id: str, *, most: int = 200) -> Learning:
        """Return the distributions at up to `most` steps of the supernet. Raises Conflict without a supernet."""
        return distributions.learning(self._store, self._context.job(job_id), most)

    def importance(self, job_id: str, metric: str | None = None) -> Importance:
        """Return the importance of each parameter for a metric (None: the first objective), by the newest results.

        Raises Conflict if there are too few results, InvalidInput if they do not have the metric.
        """
        job = self._context.job(job_id)
        name = metric or job.spec.objectives[0].metric
        version = count_results(self._store.trial_counts(job.id))
        return self._memo.get(
            job.id, ("importance", name), version, lambda _: importance.importance(self._store, job, name)
        )

    def gains(self, job_id: str) -> GainReport:
        """Return the gains from pre-training, self-training and augmentation by amount of data, as far as measured.

        Raises Conflict if the job searches none of them.
        """
        job = self._context.job(job_id)
        task = checks.task_of(job.spec)
        defaults = {**task.default_parameters, **checks.constants_of(job.spec)}
        return gains.report(self._store, job, checks.space_of(job.spec, task), defaults)

    def _front_size(self, job: Job, counts: Mapping[TrialState, int]) -> int:
        version = count_results(counts)
        if len(job.spec.objectives) == 1:
            return self._memo.get(job.id, "ties", version, lambda _: len(front.ties_for_best(self._store, job)))

        def grown(before: ParetoFront | None) -> ParetoFront:
            return front.grown(self._store, job, before)

        return len(self._memo.get(job.id, "front", version, grown).columns)

    def _trained_seconds(self, job: Job, ended: int) -> float:
        return self._memo.get(
            job.id,
            "trained seconds",
            ended,
            lambda _: self._store.trained_seconds(job.id),
            keep_seconds=_TRAINED_SECONDS_KEPT,
        )
