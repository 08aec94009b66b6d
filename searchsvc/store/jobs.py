"""Jobs: made, listed, and everything that a user may ask of them. The moves are drawn at `JobState`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from searchsvc.domain import Budget, Event, Job, JobRequest, JobSpec, JobState, TrialState, new_id
from searchsvc.errors import Conflict, Fault, InvalidInput, NotFound
from searchsvc.store.base import StoreBase
from searchsvc.store.changes import JobChange, append_events
from searchsvc.store.database import TryAgain, insert_if_new
from searchsvc.store.rows import job_of
from searchsvc.store.tables import events, idempotency, jobs, leases, total_of, trials


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's mark on a request: the same key again, from the same owner, is answered with what the first made.

    Kept for seven days at least: records that are older go when the next one is made.
    """

    key: str
    request_hash: str


class JobOperations(StoreBase):
    """The part of the Store about jobs as wholes."""

    def create_job(
        self,
        spec: JobSpec,
        *,
        job_id: str | None = None,
        owner: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> tuple[Job, bool]:
        """The job, and whether it was made now (False: the idempotency record answered).

        Raises Conflict where the key was used for another request, or the id is taken.
        """
        row = _new_row(spec, job_id or new_id(), owner, self._clock())
        return self._database.write(partial(_create, row=row, idempotency=idempotency))

    def job(self, job_id: str) -> Job:
        query = select(jobs).where(jobs.c.id == job_id)
        row = self._database.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            raise NotFound(f"there is no job {job_id}")
        return job_of(row)

    def jobs(
        self,
        *,
        state: JobState | None = None,
        name: str | None = None,
        prefix: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """The newest first; those older than the job with id `after`. `prefix`: how the id begins."""
        query = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(jobs.c.state == state.value)
        if name is not None:
            query = query.where(jobs.c.name == name)
        if prefix is not None:
            query = query.where(jobs.c.id.startswith(prefix, autoescape=True))
        if after is not None:
            query = query.where(jobs.c.id < after)
        return self._jobs(query)

    def oldest_queued(self, limit: int) -> list[Job]:
        """Jobs that wait for a driver, in the order in which they are taken."""
        return self._jobs(select(jobs).where(jobs.c.state == JobState.QUEUED.value).order_by(jobs.c.id).limit(limit))

    def _jobs(self, query: Select[Any]) -> list[Job]:
        return [
            job_of(row) for row in self._database.read(lambda connection: connection.execute(query).mappings().all())
        ]

    def pause_job(self, job_id: str) -> Job:
        """A running job's driver is asked to pause it; a job without one is PAUSED at once."""
        return self._change_job(job_id, _pause)

    def resume_job(self, job_id: str) -> Job:
        """A PAUSED job waits for a driver again; a pause that was not carried out yet is taken back."""
        return self._change_job(job_id, _resume)

    def stop_job(self, job_id: str) -> Job:
        """Nothing new starts, what runs finishes, then the job has SUCCEEDED; a waiting job has SUCCEEDED at once."""
        return self._change_job(job_id, _stop)

    def cancel_job(self, job_id: str) -> Job:
        """A running job's driver is asked to end it; a job without one is CANCELLED at once."""
        return self._change_job(job_id, _cancel)

    def retry_job(self, job_id: str) -> Job:
        """The FAILED trials wait to be run again, attempts counting on; an ended job waits for a driver.

        Raises Conflict where nothing failed. A driver at work sees it by `Job.revision`.
        """
        return self._change_job(job_id, _retry)

    def extend_job(self, job_id: str, budget: Budget) -> Job:
        """Replace the budget by one that is nowhere smaller; an ended job waits for a driver.

        Raises InvalidInput for limits that shrink. A driver at work sees it by `Job.revision`.
        """
        return self._change_job(job_id, partial(_extend, budget=budget))

    def delete_job(self, job_id: str) -> None:
        """Remove the job and all that belongs to it. Raises Conflict while it runs.

        Its events go too; one `job.deleted` stays.
        """
        self._database.write(partial(_delete, job_id=job_id, now=self._clock(), mark=new_id()))


def _new_row(spec: JobSpec, job_id: str, owner: str | None, now: float) -> dict[str, Any]:
    row = dict.fromkeys((column.name for column in jobs.c), None)
    counts = {total_of(state): 0 for state in TrialState}
    zero = {"seconds_used": 0.0, "gpu_seconds_used": 0.0, "epoch": 0, "revision": 0, "rejected": {}, "answered": 0}
    given = {"id": job_id, "name": spec.name, "spec": spec.document(), "owner": owner, "created_at": now}
    return row | counts | zero | given | {"state": JobState.QUEUED.value, "last_change": new_id()}


def _create(connection: Connection, row: dict[str, Any], idempotency: Idempotency | None) -> tuple[Job, bool]:
    found = _job_row(connection, row["id"])
    if found is not None:
        if found["last_change"] != row["last_change"]:
            raise Conflict(f"there is a job {row['id']} already")
        return job_of(found), True  # an earlier try of ours was committed, and its answer lost
    if idempotency is not None:
        answer = _answer(connection, row["owner"], idempotency)
        if answer is not None:
            return answer, False
    connection.execute(insert(jobs), row)
    if idempotency is not None:
        _record(connection, row, idempotency)
    data = {"name": row["name"], "owner": row["owner"]}
    append_events(connection, [Event(0, row["id"], None, "job.submitted", data, row["created_at"])])
    return job_of(row), True


def _job_row(connection: Connection, job_id: str) -> Any:
    return connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one_or_none()


def _answer(connection: Connection, owner: str | None, given: Idempotency) -> Job | None:
    same = (idempotency.c.owner == (owner or "")) & (idempotency.c.key == given.key)
    record = connection.execute(select(idempotency).where(same)).mappings().one_or_none()
    if record is None:
        return None
    if record["request_hash"] != given.request_hash:
        raise Conflict(f"the idempotency key {given.key!r} was used for another request; send a new key with a new one")
    return job_of(_job_row(connection, record["job_id"]))


def _record(connection: Connection, row: dict[str, Any], given: Idempotency) -> None:
    connection.execute(delete(idempotency).where(idempotency.c.created_at < row["created_at"] - _KEPT_SECONDS))
    values = {
        "owner": row["owner"] or "",
        "key": given.key,
        "request_hash": given.request_hash,
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
    faults = [Fault(f"/{name}", f"may only grow: it is {_said(getattr(old, name))}") for name in _shrunk(old, budget)]
    if faults:
        raise InvalidInput(faults)
    if budget == old and not change.state.is_final:
        return
    change.values["spec"] = change.row["spec"] | {"budget": budget.model_dump(mode="json")}
    _wake(change)
    change.event("job.extended", budget=budget.model_dump(mode="json"))


def _ask(change: JobChange, request: JobRequest) -> None:
    """Of the driver at work; asking again changes nothing."""
    if change.request is not request:
        change.values["request"] = request.value
        change.event(f"job.{request.value.lower()}_requested")


def _shrunk(old: Budget, new: Budget) -> list[str]:
    """The limits that would become tighter; None is no limit."""
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in Budget.model_fields}
    return [name for name, (was, is_) in pairs.items() if is_ is not None and (was is None or is_ < was)]


def _said(limit: float | None) -> str:
    return "without a limit" if limit is None else f"{limit:g}"


def _wake(change: JobChange) -> None:
    """Let a driver see what changed: the one at work, or, for an ended job, the next."""
    change.values["revision"] = change.row["revision"] + 1
    if change.state.is_final:
        change.move(JobState.QUEUED)


def _refuse(change: JobChange, done: str, *, unless: tuple[JobState, ...]) -> None:
    if change.state not in unless:
        wanted = ", ".join(unless[:-1]) + " or " + unless[-1] if len(unless) > 1 else unless[0]
        raise Conflict(f"job {change.id} is {change.state}; only a job that is {wanted} can be {done}")


def _refuse_while_ending(change: JobChange, done: str) -> None:
    if change.state is JobState.STOPPING or change.request is JobRequest.CANCEL:
        raise Conflict(f"job {change.id} is ending; it can be {done} when it has ended")


def _fence(change: JobChange) -> None:
    """A driver whose lease ran out, and that may yet come back, writes nothing more."""
    change.connection.execute(delete(leases).where(leases.c.job_id == change.id))


def _delete(connection: Connection, job_id: str, now: float, mark: str) -> None:
    try:
        change = JobChange.lock(connection, job_id, now)
    except NotFound:
        if _is_deleted(connection, job_id, mark):
            return  # an earlier try was committed, and its answer lost
        raise
    _refuse(change, "deleted", unless=tuple(one for one in JobState if one.is_final or one in _WAITING))
    connection.execute(delete(events).where(events.c.job_id == job_id))
    connection.execute(delete(jobs).where(jobs.c.id == job_id))
    change.event("job.deleted", name=change.row["name"], change=mark)
    append_events(connection, change.events)


def _is_deleted(connection: Connection, job_id: str, mark: str) -> bool:
    query = select(events.c.data).where(events.c.job_id == job_id, events.c.kind == "job.deleted")
    return any(data["change"] == mark for data in connection.execute(query).scalars())


_WAITING = (JobState.QUEUED, JobState.PAUSED)
_KEPT_SECONDS = 7 * 86400.0
