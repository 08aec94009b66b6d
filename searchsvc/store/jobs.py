"""Jobs: creating, listing, and all verbs of users; `searchsvc.domain.life_cycle` decides what a verb does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from searchsvc.domain import Budget, Event, Job, JobSpec, JobState, TrialState, new_id
from searchsvc.domain.life_cycle import Trigger
from searchsvc.errors import Conflict, Fault, InvalidInput, NotFound
from searchsvc.store.access import quotas
from searchsvc.store.access.quotas import Quota
from searchsvc.store.base import StoreBase
from searchsvc.store.changes import JobChange, append_events
from searchsvc.store.database import TryAgain, insert_if_new
from searchsvc.store.rows import record_of
from searchsvc.store.tables import jobs, total_of


class JobOperations(StoreBase):
    """The part of the Store for jobs as a whole."""

    def create_job(
        self,
        spec: JobSpec,
        *,
        job_id: str | None = None,
        owner: str | None = None,
        owner_id: str | None = None,
        request_id: str | None = None,
        data_pins: Mapping[str, str] | None = None,
        quota: Quota | None = None,
    ) -> tuple[Job, bool]:
        """Create a job. Return it, and whether it is new.

        `owner` and `owner_id`: name and id of the token. `request_id`: the id of a client's request, which becomes the
        id of the job; if an earlier try of the request has created the job, that job is returned. `data_pins`:
        fingerprints of the files that the job learns from. `quota`: what the token may use. Raises Conflict if `job_id`
        is taken, and LimitExceeded.
        """
        row = _new_row(spec, request_id or job_id or new_id(), owner, owner_id, self._clock())
        row["data_pins"] = None if data_pins is None else dict(data_pins)
        return self._database.write(partial(_create, row=row, is_repeatable=request_id is not None, quota=quota))

    def job(self, job_id: str) -> Job:
        records = self._records(Job, select(jobs).where(jobs.c.id == job_id))
        if not records:
            raise NotFound(f"there is no job {job_id}")
        return records[0]

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
        return self._change_job(job_id, partial(_carry_out, verb=Trigger.PAUSE))

    def resume_job(self, job_id: str, *, accept_data: bool = False) -> Job:
        """Queue a PAUSED job, or withdraw a request to pause.

        `accept_data`: the job continues with its data as they are now.
        """
        return self._change_job(job_id, partial(_accepting, work=_resume, accept_data=accept_data))

    def stop_job(self, job_id: str) -> Job:
        """Start no more trials and let running trials finish; a job without running trials has SUCCEEDED at once."""
        return self._change_job(job_id, partial(_carry_out, verb=Trigger.STOP))

    def cancel_job(self, job_id: str) -> Job:
        """Request cancellation from the job's driver, or cancel a job without driver at once."""
        return self._change_job(job_id, partial(_carry_out, verb=Trigger.CANCEL))

    def retry_job(self, job_id: str, *, accept_data: bool = False) -> Job:
        """Queue the FAILED trials again, keeping their count of attempts; an ended job waits for a driver.

        Raises Conflict if nothing failed. A running driver notices by `Job.revision`.
        """
        return self._change_job(job_id, partial(_accepting, work=_retry, accept_data=accept_data))

    def extend_job(self, job_id: str, budget: Budget, *, accept_data: bool = False, quota: Quota | None = None) -> Job:
        """Replace the budget by a budget without smaller limits; an ended job waits for a driver.

        `quota`: what the owner of the job may use. Raises InvalidInput for limits that shrink, and LimitExceeded. A
        running driver notices by `Job.revision`.
        """
        work = partial(_extend, budget=budget, quota=quota)
        return self._change_job(job_id, partial(_accepting, work=work, accept_data=accept_data))


def _new_row(spec: JobSpec, job_id: str, owner: str | None, owner_id: str | None, now: float) -> dict[str, Any]:
    row = dict.fromkeys((column.name for column in jobs.c), None)
    counts = {total_of(state): 0 for state in TrialState}
    zero = {"seconds_used": 0.0, "gpu_seconds_used": 0.0, "epoch": 0, "revision": 0, "rejected": {}, "answered": 0}
    zero |= {"asks": 0, "ask_seconds": 0.0, "training_seconds": 0.0}
    fixed = {"id": job_id, "name": spec.name, "spec": spec.document(), "owner": owner, "owner_id": owner_id}
    fresh = {"created_at": now, "state": JobState.QUEUED.value, "last_change": new_id()}
    return row | counts | zero | fixed | fresh


def _create(connection: Connection, row: dict[str, Any], is_repeatable: bool, quota: Quota | None) -> tuple[Job, bool]:
    stored = _job_row(connection, row["id"])
    if stored is not None:
        if stored["deleted_at"] is not None:
            raise Conflict(f"job {row['id']} was deleted")
        if stored["last_change"] != row["last_change"]:
            if is_repeatable:
                return record_of(Job, stored), False
            raise Conflict(f"there is a job {row['id']} already")
        return record_of(Job, stored), True  # an earlier try was committed, but its answer was lost
    wanted = row["spec"]["budget"]["trials"]
    quotas.check(connection, row["owner_id"], quota, new_jobs=1, new_trials=wanted, now=row["created_at"])
    if not insert_if_new(connection, jobs, row):
        raise TryAgain("the same request came twice at once, and the other was first")
    data = {"name": row["name"], "owner": row["owner"]}
    append_events(connection, [Event(0, row["id"], None, "job.submitted", data, row["created_at"])])
    return record_of(Job, row), True


def _job_row(connection: Connection, job_id: str) -> Any:
    return connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one_or_none()


def _carry_out(change: JobChange, verb: Trigger) -> None:
    change.apply(verb, change.transition(verb))


def _resume(change: JobChange) -> None:
    _carry_out(change, Trigger.RESUME)


def _accepting(change: JobChange, work: Callable[[JobChange], None], *, accept_data: bool) -> None:
    """Carry out a verb that may consent to changed data: the next driver then pins the data that it finds."""
    work(change)
    if accept_data and change.row["data_pins"] is not None:
        change.values["data_pins"] = None
        change.event("job.data_accepted")


def _retry(change: JobChange) -> None:
    transition = change.transition(Trigger.RETRY)
    if not change.totals[TrialState.FAILED] and change.state is not JobState.FAILED:
        raise Conflict(f"job {change.id} has no failed trials")
    change.apply(Trigger.RETRY, transition)
    _notify_driver(change)


def _extend(change: JobChange, budget: Budget, quota: Quota | None) -> None:
    transition = change.transition(Trigger.EXTEND)
    old = JobSpec.model_validate(change.row["spec"]).budget
    faults = [
        Fault(f"/{name}", f"may only grow: it is {_limit_words(getattr(old, name))}") for name in _shrunk(old, budget)
    ]
    if faults:
        raise InvalidInput(faults)
    if budget == old and not change.state.is_final:
        return
    extended = change.row["spec"] | {"budget": budget.model_dump(mode="json")}
    _check_growth(change, extended, quota)
    change.values["spec"] = extended
    change.apply(Trigger.EXTEND, transition, budget=budget.model_dump(mode="json"))
    _notify_driver(change)


def _check_growth(change: JobChange, extended: dict[str, Any], quota: Quota | None) -> None:
    """Raise LimitExceeded unless the owner of the job may have its additional trials."""
    before, is_final = JobSpec.model_validate(change.row["spec"]), change.state.is_final
    wanted = quotas.remaining_trials(change.row, JobSpec.model_validate(extended))
    added = wanted if is_final else wanted - quotas.remaining_trials(change.row, before)
    owner_id = change.row["owner_id"]
    quotas.check(change.connection, owner_id, quota, new_jobs=int(is_final), new_trials=added, now=change.now)


def _notify_driver(change: JobChange) -> None:
    """Make a running driver notice the change, and a driver that is about to end not end the job."""
    change.values["revision"] = change.row["revision"] + 1


def _shrunk(old: Budget, new: Budget) -> list[str]:
    """Return the names of limits that would become tighter; None is no limit."""
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in Budget.model_fields}
    return [name for name, (was, is_) in pairs.items() if is_ is not None and (was is None or is_ < was)]


def _limit_words(limit: float | None) -> str:
    return "without a limit" if limit is None else f"{limit:g}"


_RETENTION_SECONDS = 7 * 86400.0
