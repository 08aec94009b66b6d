"""The job of `searchctl run`: a new job, or the unfinished job with the same spec."""

from __future__ import annotations

from typing import Any

from searchsvc.domain import Job, JobRequest, JobSpec, JobState, count_for_budget
from searchsvc.service.service import Service

_NAMESAKES = 1000
"""Number of jobs with the same name that are compared, newest first."""


def job_for(service: Service, document: dict[str, Any], *, new: bool) -> tuple[Job, str | None]:
    """Resume the unfinished job with this spec, or submit a new job; return it with a notice to the user."""
    job = None if new else _unfinished(service, JobSpec.parse(document))
    if job is None:
        return service.jobs.submit(document, trusted=True)[0], None
    ended = _ended_trials(service, job)
    notice = f"Resuming {job.name} ({job.id}), {ended} trials done. --new starts another job."
    return _resumed(service, job), notice


def _unfinished(service: Service, spec: JobSpec) -> Job | None:
    """Return the newest job with this spec, if it has budget left."""
    page = service.jobs.page(name=spec.name, page_size=_NAMESAKES)
    same = next((job for job in page.items if job.spec.document() == spec.document()), None)
    return same if same is not None and _has_budget_left(service, same) else None


def _has_budget_left(service: Service, job: Job) -> bool:
    """Return whether it makes sense to resume the job.

    A stopped or cancelled job can continue; a failed job would fail again.
    """
    if not job.state.is_final:
        return True
    budget = job.spec.budget
    return (
        job.state is not JobState.FAILED
        and _ended_trials(service, job) < budget.trials
        and (budget.seconds is None or job.seconds_used < budget.seconds)
        and (budget.gpu_hours is None or job.gpu_seconds_used < budget.gpu_hours * 3600)
    )


def _ended_trials(service: Service, job: Job) -> int:
    return count_for_budget(service.jobs.trial_counts([job.id]).get(job.id, {}))


def _resumed(service: Service, job: Job) -> Job:
    if job.state.is_final:
        return service.jobs.extend(job.id, trials=job.spec.budget.trials)
    if job.state is JobState.PAUSED or job.request is JobRequest.PAUSE:
        return service.jobs.resume(job.id)
    return job
