"""Quotas: what the jobs of one token may use together, checked in the transaction that would add to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from searchsvc.domain import JobSpec, JobState, TrialState
from searchsvc.errors import LimitExceeded
from searchsvc.store.tables import artifacts, jobs, of_existing_jobs, tokens, total_of, trials

DAYS = 30
"""Time over which seconds are counted: those of jobs that were submitted within it."""
RETRY_SECONDS = 60.0
_OPEN = [state.value for state in JobState if not state.is_final]
_ENDED = [state for state in TrialState if state.is_final]


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits for each token; None is no limit."""

    open_jobs: int | None = None
    open_trials: int | None = None
    """Trials that the open jobs may still run."""
    seconds: int | None = None
    """Seconds under a driver within the last days."""
    gpu_seconds: int | None = None
    bytes: int | None = None
    """Files of all trials."""


def check(
    connection: Connection, owner_id: str | None, quota: Quota | None, *, new_jobs: int, new_trials: int, now: float
) -> None:
    """Raise LimitExceeded unless the token may have more open jobs and trials. Requests of a token take turns."""
    if quota is None or owner_id is None or quota == Quota():
        return
    connection.execute(select(tokens.c.id).where(tokens.c.id == owner_id).with_for_update()).all()
    _check_open(connection, owner_id, quota, new_jobs, new_trials)
    since = now - DAYS * 86_400.0
    _check_seconds(connection, owner_id, since, jobs.c.seconds_used, quota.seconds, "SECONDS")
    _check_seconds(connection, owner_id, since, jobs.c.gpu_seconds_used, quota.gpu_seconds, "GPU_SECONDS")
    _check_bytes(connection, owner_id, quota.bytes)


def _check_seconds(
    connection: Connection, owner_id: str, since: float, column: Any, limit: int | None, setting: str
) -> None:
    if limit is None:
        return
    recent = (jobs.c.owner_id == owner_id) & (jobs.c.created_at >= since)
    used = connection.execute(of_existing_jobs(select(func.sum(column)).where(recent))).scalar() or 0.0
    if used >= limit:
        use = f"{used:,.0f} {setting.replace('_', '-')} of jobs of the last {DAYS} days".replace("SECONDS", "seconds")
        _refuse(use, limit, setting, f"a job counts for {DAYS} days from its submission")


def _check_bytes(connection: Connection, owner_id: str, limit: int | None) -> None:
    if limit is None:
        return
    sizes = select(func.sum(artifacts.c.bytes)).join(trials, artifacts.c.trial_id == trials.c.id)
    query = of_existing_jobs(sizes.join(jobs, trials.c.job_id == jobs.c.id).where(jobs.c.owner_id == owner_id))
    used = int(connection.execute(query).scalar() or 0)
    if used >= limit:
        _refuse(f"{used:,} bytes of files", limit, "BYTES", "delete jobs that are not needed any more")


def _check_open(connection: Connection, owner_id: str, quota: Quota, new_jobs: int, new_trials: int) -> None:
    is_open = (jobs.c.owner_id == owner_id) & jobs.c.state.in_(_OPEN)
    if quota.open_jobs is not None and new_jobs:
        count = connection.execute(of_existing_jobs(select(func.count()).select_from(jobs).where(is_open))).scalar_one()
        if count + new_jobs > quota.open_jobs:
            _refuse(f"{count:,} open jobs", quota.open_jobs, "OPEN_JOBS", "wait until a job ends, or cancel one")
    if quota.open_trials is not None and new_trials:
        rows = connection.execute(of_existing_jobs(select(jobs).where(is_open))).mappings().all()
        count = sum(remaining_trials(row, JobSpec.model_validate(row["spec"])) for row in rows)
        if count + new_trials > quota.open_trials:
            cure = f"ask for fewer than {new_trials:,} more, wait until trials end, or cancel a job"
            _refuse(f"{count:,} open trials", quota.open_trials, "OPEN_TRIALS", cure)


def remaining_trials(row: Any, spec: JobSpec) -> int:
    """Return the number of trials that a job may still run by its budget."""
    ended: int = sum(row[total_of(state)] for state in _ENDED)
    return max(0, spec.budget.trials - ended)


def _refuse(use: str, limit: int, setting: str, cure: str) -> None:
    message = f"this token has {use}, and its limit is {limit:,} (SEARCHSVC_LIMIT_{setting}): {cure}"
    raise LimitExceeded(message, retry_after_seconds=RETRY_SECONDS)
