"""Recommendations: candidates for other limits, and recipes for other networks."""

from __future__ import annotations

from collections.abc import Sequence

from searchsvc.domain import Constraint, Job, Token
from searchsvc.service.planning.resolve import resolve
from searchsvc.service.recommending import recommend, transfer
from searchsvc.service.recommending.recommend import Recommendations
from searchsvc.service.recommending.transfer import TransferReport
from searchsvc.service.use_cases.context import ServiceContext
from searchsvc.service.use_cases.jobs import JobService


class RecommendationService:
    """The use cases that start from the results of a job."""

    def __init__(self, context: ServiceContext, jobs: JobService) -> None:
        self._context = context
        self._store = context.store
        self._jobs = jobs

    def recommend(self, job_id: str, limits: Sequence[Constraint], *, k: int = 5) -> Recommendations:
        """Predict the k best candidates of a job within other limits. Trains and stores nothing.

        Raises InvalidInput (pointers `/constraints/0/metric`, `/k`) and Conflict if there are too few results.
        """
        job = self._context.job(job_id)
        if self._context.children is not None:
            call = "recommendations.recommend"
            found: Recommendations = self._context.children.run("recommend", call, job.id, tuple(limits), k=k)
            return found
        blueprint = resolve(job.spec, trusted=True, settings=self._context.settings, store=self._store)
        return recommend.recommend(self._store, job, blueprint, limits, k)

    def train(
        self, recommendations: Recommendations, *, owner: Token | None = None, request_id: str | None = None
    ) -> Job:
        """Submit a job that trains the recommended candidates at full fidelity."""
        return self._jobs.submit_derived(recommend.spec_to_train(recommendations), owner, request_id)

    def transfer(
        self,
        job_id: str,
        space: str,
        *,
        k: int = 3,
        networks: Sequence[str] = (),
        repeats: int = 1,
        owner: Token | None = None,
        request_id: str | None = None,
    ) -> Job:
        """Submit a job that trains networks of another space with the k best recipes of a job and the default recipe.

        `networks`: networks of that space; if empty, the first few. Each is trained `repeats` times with each recipe.
        """
        job = self._context.job(job_id)
        spec = transfer.spec_of(self._store, job, space, k=k, networks=networks, repeats=repeats)
        return self._jobs.submit_derived(spec, owner, request_id)

    def transfer_report(self, job_id: str) -> TransferReport:
        """Return the results of each recipe for each network so far. Raises Conflict if the job is not a transfer."""
        return transfer.report(self._store, self._context.job(job_id))
