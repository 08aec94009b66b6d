"""Jobs: creating, listing, and all requests of users to them. `JobState` shows the allowed moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from searchsvc.domain import Budget, Event, Job, JobRequest, JobSpec, JobState, TrialState, new_id
from searchsvc.errors import Conflict, Fault, InvalidInput, NotFound
from searchsvc.store.base import StoreBase
from searchsvc.store.changes import JobChange, append_events
from searchsvc.store.database import TryAgain, insert_if_new
from searchsvc.store.rows import record_of
from searchsvc.store.tables import events, idempotency, jobs, leases, total_of, trials


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's key for a request: repeating the request with the same key and owner returns the job of the first.

    Records are kept for at least seven days; older records are deleted when the next record is stored.
    """

    key: str
    request_hash: str


class JobOperations(StoreBase):
    """The part of the Store for jobs as a whole."""

    def create_job(
        self,
        spec: JobSpec,
        *,
        job_id: str | None = None,
        owner: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> tuple[Job, bool]:
        """Create a job. Return it, and whether it is new (False: an idempotency record answered).

        Raises Conflict if the key was used for another request, or the id is taken.
        """
        row = _new_row(spec, job_id or new_id(), owner, self._clock())
        return self._database.write(partial(_create, row=row, idempotency=idempotency))

    def job(self, job_id: str) -> Job:
        query = select(jobs).where(jobs.c.id == job_id)
        row = self._database.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            raise NotFound(f"there is no job {job_id}")
        return record_of(Job, row)

    def jobs(
        self,
        *,
        state: JobState | None = None,
        name: str | None = None,
        prefix: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """Return jobs older than the job with id `after`, the newest first; `prefix`: beginning of the id."""
        query = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(jobs.c.state == state.value)
        if name is not None:
            query = query.where(jobs.c.name == name)
        if prefix is not None:
            query = query.where(jobs.c.id.startswith(prefix, autoescape=True))
        if after is not None:
            query = query.where(jobs.c.id < after)
        return self._records(Job, query)

    def oldest_queued(self, limit: int) -> list[Job]:
        """Return jobs that wait for a driver, in the order in which they will be claimed."""
        return self._records(
            Job, select(jobs).where(jobs.c.state == JobState.QUEUED.value).order_by(jobs.c.id).limit(limit)
        )

    def pause_job(self, job_id: str) -> Job:
        """Request a pause from the job's driver, or pause a job without driver at once."""
        return self._change_job(job_id, _pause)

    def resume_job(self, job_id: str) -> Job:
        """Queue a PAUSED job, or withdraw a request to pause."""
        return self._change_job(job_id, _resume)

    def stop_job(self, job_id: str) -> Job:
        """Start no more trials and let running trials finish; a job without running trials has SUCCEEDED at once."""
        return self._change_job(job_id, _stop)

    def cancel_job(self, job_id: str) -> Job:
        """Request cancellation from the job's driver, or cancel a job without driver at once."""
        return self._change_job(job_id, _cancel)

    def retry_job(self, job_id: str) -> Job:
        """Queue the FAILED trials again, keeping their count of attempts; an ended job waits for a driver.

        Raises Conflict if nothing failed. A running driver notices by `Job.revision`.
        """
        return self._change_job(job_id, _retry)

    def extend_job(self, job_id: str, budget: Budget) -> Job:
        """Replace the budget by a budget without smaller limits; an ended job waits for a driver.

        Raises InvalidInput for limits that shrink. A running driver notices by `Job.revision`.
        """
        return self._change_job(job_id, partial(_extend, budget=budget))

    def delete_job(self, job_id: str) -> None:
        """Delete the job and all its data. Raises Conflict if it runs.

        Its events are deleted with it; a single event `job.deleted` remains.
        """
        self._database.write(partial(_delete, job_id=job_id, now=self._clock(), mark=new_id()))


def _new_row(spec: JobSpec, job_id: str, owner: str | None, now: float) -> dict[str, Any]:
    row = dict.fromkeys((column.name for column in jobs.c), None)
    counts = {total_of(state): 0 for state in TrialState}
    zero = {"seconds_used": 0.0, "gpu_seconds_used": 0.0, "epoch": 0, "revision": 0, "rejected": {}, "answered": 0}
    fixed = {"id": job_id, "name": spec.name, "spec": spec.document(), "owner": owner, "created_at": now}
    return row | counts | zero | fixed | {"state": JobState.QUEUED.value, "last_change": new_id()}


def _create(connection: Connection, row: dict[str, Any], idempotency: Idempotency | None) -> tuple[Job, bool]:
    stored = _job_row(connection, row["id"])
    if stored is not None:
        if stored["last_change"] != row["last_change"]:
            raise Conflict(f"there is a job {row['id']} already")
        return record_of(Job, stored), True  # an earlier try was committed, but its answer was lost
    if idempotency is not None:
        answer = _answer(connection, row["owner"], idempotency)
        if answer is not None:
            return answer, False
    connection.execute(insert(jobs), row)
    if idempotency is not None:
        _record(connection, row, idempotency)
    data = {"name": row["name"], "owner": row["owner"]}
    append_events(connection, [Event(0, row["id"], None, "job.submitted", data, row["created_at"])])
    return record_of(Job, row), True


def _job_row(connection: Connection, job_id: str) -> Any:
    return connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one_or_none()


def _answer(connection: Connection, owner: str | None, request: Idempotency) -> Job | None:
    same = (idempotency.c.owner == (owner or "")) & (idempotency.c.key == request.key)
    record = connection.execute(select(idempotency).where(same)).mappings().one_or_none()
    if record is None:
        return None
    if record["request_hash"] != request.request_hash:
        raise Conflict(
            f"the idempotency key {request.key!r} was used for another request; send a new key with a new one"
        )
    return record_of(Job, _job_row(connection, record["job_id"]))


def _record(connection: Connection, row: dict[str, Any], request: Idempotency) -> None:
    connection.execute(delete(idempotency).where(idempotency.c.created_at < row["created_at"] - _RETENTION_SECONDS))
    values = {
        "owner": row["owner"] or "",
        "key": request.key,
        "request_hash": request.request_hash,
        "job_id": row["id"],
        "created_at": row["created_at"],
    }
    if not insert_if_new(connection, idempotency, values):
        raise TryAgain("the same request came twice at once, and the other was first")


def _pause(change: JobChange) -> None:
    if change.state is JobState.PAUSED or change.request is JobRequest.CANCEL:
        return  # a cancel goes further than a pause
    if change.state is JobState.RUNNING and change.has_driver():
        _ask(change, JobRequest.PAUSE)
        return
    _refuse(change, "paused", unless=(JobState.QUEUED, JobState.RUNNING))
    _fence(change)
    change.requeue_running_trials("paused")
    change.move(JobState.PAUSED)
    change.event("job.paused")


def _resume(change: JobChange) -> None:
    if change.request is JobRequest.CANCEL:
        raise Conflict(f"job {change.id} is being cancelled")
    if change.state is JobState.RUNNING and change.request is JobRequest.PAUSE:
        change.values["request"] = None
    elif change.state in (JobState.RUNNING, JobState.QUEUED):
        return
    else:
        _refuse(change, "resumed", unless=(JobState.PAUSED,))
        change.move(JobState.QUEUED)
    change.event("job.resumed")


def _stop(change: JobChange) -> None:
    if change.state in (JobState.STOPPING, JobState.SUCCEEDED) or change.request is JobRequest.CANCEL:
        return
    _refuse(change, "stopped", unless=(JobState.QUEUED, JobState.RUNNING, JobState.PAUSED))
    if change.state is JobState.RUNNING:
        change.move(JobState.STOPPING)
        change.event("job.stopping")
        return
    cancelled = change.close_trials("the job was stopped")
    change.move(JobState.SUCCEEDED)
    change.event("job.succeeded", trials_cancelled=cancelled)


def _cancel(change: JobChange) -> None:
    if change.state is JobState.CANCELLED:
        return
    _refuse(change, "cancelled", unless=(JobState.QUEUED, JobState.PAUSED, JobState.RUNNING, JobState.STOPPING))
    if change.state in (JobState.RUNNING, JobState.STOPPING) and change.has_driver():
        _ask(change, JobRequest.CANCEL)
        return
    _fence(change)
    cancelled = change.close_trials("the job was cancelled")
    change.move(JobState.CANCELLED)
    change.event("job.cancelled", trials_cancelled=cancelled)


def _retry(change: JobChange) -> None:
    failed = change.totals[TrialState.FAILED]
    if not failed and change.state is not JobState.FAILED:
        raise Conflict(f"job {change.id} has no failed trials")
    _refuse_while_ending(change, "retried")
    if failed:
        theirs = (trials.c.job_id == change.id) & (trials.c.state == TrialState.FAILED.value)
        cleared = dict.fromkeys(("failure", "reason", "told", "finished_at"))
        change.connection.execute(update(trials).where(theirs).values(state=TrialState.QUEUED.value, **cleared))
        change.totals[TrialState.QUEUED] += failed
        change.totals[TrialState.FAILED] = 0
    _wake(change)
    change.event("job.retried", trials=failed)


def _extend(change: JobChange, budget: Budget) -> None:
    _refuse_while_ending(change, "extended")
    old = JobSpec.model_validate(change.row["spec"]).budget
    faults = [
        Fault(f"/{name}", f"may only grow: it is {_limit_words(getattr(old, name))}") for name in _shrunk(old, budget)
    ]
    if faults:
        raise InvalidInput(faults)
    if budget == old and not change.state.is_final:
        return
    change.values["spec"] = change.row["spec"] | {"budget": budget.model_dump(mode="json")}
    _wake(change)
    change.event("job.extended", budget=budget.model_dump(mode="json"))


def _ask(change: JobChange, request: JobRequest) -> None:
    """Send a request to the running driver; repeating it has no effect."""
    if change.request is not request:
        change.values["request"] = request.value
        change.event(f"job.{request.value.lower()}_requested")


def _shrunk(old: Budget, new: Budget) -> list[str]:
    """Return the names of limits that would become tighter; None is no limit."""
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in Budget.model_fields}
    return [name for name, (was, is_) in pairs.items() if is_ is not None and (was is None or is_ < was)]


def _limit_words(limit: float | None) -> str:
    return "without a limit" if limit is None else f"{limit:g}"


def _wake(change: JobChange) -> None:
    """Make the running driver notice the change, or queue an ended job for the next driver."""
    change.values["revision"] = change.row["revision"] + 1
    if change.state.is_final:
        change.move(JobState.QUEUED)


def _refuse(change: JobChange, done: str, *, unless: tuple[JobState, ...]) -> None:
    if change.state not in unless:
        allowed = ", ".join(unless[:-1]) + " or " + unless[-1] if len(unless) > 1 else unless[0]
        raise Conflict(f"job {change.id} is {change.state}; only a job that is {allowed} can be {done}")


def _refuse_while_ending(change: JobChange, done: str) -> None:
    if change.state is JobState.STOPPING or change.request is JobRequest.CANCEL:
        raise Conflict(f"job {change.id} is ending; it can be {done} when it has ended")


def _fence(change: JobChange) -> None:
    """Prevent further writes of a driver whose lease has expired but which may still be alive."""
    change.connection.execute(delete(leases).where(leases.c.job_id == change.id))


def _delete(connection: Connection, job_id: str, now: float, mark: str) -> None:
    try:
        change = JobChange.lock(connection, job_id, now)
    except NotFound:
        if _is_deleted(connection, job_id, mark):
            return  # an earlier try was committed, but its answer was lost
        raise
    _refuse(change, "deleted", unless=tuple(state for state in JobState if state.is_final or state in _WAITING))
    connection.execute(delete(events).where(events.c.job_id == job_id))
    connection.execute(delete(jobs).where(jobs.c.id == job_id))
    change.event("job.deleted", name=change.row["name"], change=mark)
    append_events(connection, change.events)


def _is_deleted(connection: Connection, job_id: str, mark: str) -> bool:
    query = select(events.c.data).where(events.c.job_id == job_id, events.c.kind == "job.deleted")
    return any(data["change"] == mark for data in connection.execute(query).scalars())


_WAITING = (JobState.QUEUED, JobState.PAUSED)
_RETENTION_SECONDS = 7 * 86400.0
