"""Leases: the right of a driver to run a job.

A claim increments the job's epoch. The lease row exists while a driver holds the job, even if the lease has expired,
and carries that epoch; every writer must find its own epoch there. A holder whose lease has expired may renew it as
long as nobody else has claimed the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from searchsvc.domain import Job, JobState, Lease, Node, new_id
from searchsvc.domain.life_cycle import Trigger
from searchsvc.errors import LeaseLost, NotFound
from searchsvc.store.base import StoreBase
from searchsvc.store.changes import JobChange
from searchsvc.store.rows import Fields, record_of, row_of
from searchsvc.store.tables import jobs, leases

_CLAIMABLE = (JobState.QUEUED, JobState.RUNNING, JobState.STOPPING)


class LeaseOperations(StoreBase):
    """The part of the Store for claiming and holding jobs."""

    def claim(self, holder: str, ttl_seconds: float) -> tuple[Job, Lease] | None:
        """Claim the oldest job that needs a driver. Return None if no job needs a driver.

        A request to a driver that died is carried out on the way, so a claimed job never has a request.
        """
        while True:
            now, mark = self._clock(), new_id()
            if not self._rows(select(jobs.c.id).where(_needs_a_driver(now)).limit(1)):
                return None  # without blocking SQLite's one writer
            taken = self._database.write(
                partial(_take_oldest, holder=holder, ttl_seconds=ttl_seconds, mark=mark, now=now)
            )
            if taken is None:
                return None
            if taken.claim is not None:
                return taken.claim

    def claim_job(self, job_id: str, holder: str, ttl_seconds: float) -> tuple[Job, Lease] | None:
        """Claim a job. Return None if it needs no driver or already has a driver. Raises NotFound.

        A request to a driver that died is carried out instead, and the job needs no driver.
        """
        now, mark = self._clock(), new_id()

        def transaction(connection: Connection) -> tuple[Job, Lease] | None:
            claim = _committed_claim(connection, mark, now)
            if claim is not None:
                return claim
            change = JobChange.lock(connection, job_id, now)
            if change.state not in _CLAIMABLE or change.has_driver():
                return None
            return _take(change, holder, ttl_seconds, mark).claim

        return self._database.write(transaction)

    def heartbeat(self, lease: Lease, ttl_seconds: float, *, seconds: float, gpu_seconds: float) -> Job:
        """Renew the lease and add the time used since the last heartbeat; return the job with its current request.

        Raises LeaseLost if the lease is held under another epoch.
        """
        now, mark = self._clock(), new_id()

        def transaction(connection: Connection) -> Job:
            change = lock_leased(connection, lease, now)
            if check_held(change, lease)["last_mark"] == mark:
                return record_of(Job, change.row)
            renewed = update(leases).where(leases.c.job_id == lease.job_id)
            connection.execute(renewed.values(deadline=now + ttl_seconds, last_mark=mark))
            change.values["seconds_used"] = change.row["seconds_used"] + seconds
            change.values["gpu_seconds_used"] = change.row["gpu_seconds_used"] + gpu_seconds
            return change.save()

        return self._database.write(transaction)

    def release(self, lease: Lease) -> None:
        """Give up the lease at once, because the driver is gone. No effect if the lease is not ours.

        A request that the driver did not carry out is carried out here.
        """
        now = self._clock()
        self._database.write(partial(_release, lease=lease, now=now))

    def report_wait(self, lease: Lease, reason: str | None) -> Job:
        """Store what the running job waits for; None: nothing. A new reason is an event. Return the job.

        Raises LeaseLost if the lease is held under another epoch.
        """
        now = self._clock()

        def transaction(connection: Connection) -> Job:
            change = lock_leased(connection, lease, now)
            check_held(change, lease)
            if change.row["reason"] != reason:
                change.values["reason"] = reason
                if reason is not None:
                    change.event("job.waiting", reason=reason)
            return change.save()

        return self._database.write(transaction)

    def report_nodes(self, lease: Lease, nodes: Sequence[Node]) -> None:
        """Store the nodes of the cluster that the driver sees. No effect if the lease is not ours."""
        ours = (leases.c.job_id == lease.job_id) & (leases.c.epoch == lease.epoch)
        change = update(leases).where(ours).values(nodes=[asdict(node) for node in nodes])
        self._database.write(lambda connection: connection.execute(change))

    def leases(self) -> list[Lease]:
        """Return all held leases, live or expired, the oldest job first."""
        query = select(leases).order_by(leases.c.job_id)
        return self._records(Lease, query)


def lock_leased(connection: Connection, lease: Lease, now: float) -> JobChange:
    """Lock the job of a lease. Raises LeaseLost if the job was deleted."""
    try:
        return JobChange.lock(connection, lease.job_id, now)
    except NotFound as error:
        raise LeaseLost(str(error)) from error


def check_held(change: JobChange, lease: Lease) -> Fields:
    """Return the row of the lease. Raises LeaseLost unless it is still ours."""
    held = change.lease()
    if held is None or held["epoch"] != lease.epoch:
        stands = "nobody runs it" if held is None else f"it is at epoch {held['epoch']}"
        raise LeaseLost(f"the lease on job {lease.job_id} with epoch {lease.epoch} is over: {stands}")
    return held


def _needs_a_driver(now: float) -> ColumnElement[bool]:
    live = select(leases.c.job_id).where(leases.c.job_id == jobs.c.id, leases.c.deadline > now).exists()
    return jobs.c.state.in_([state.value for state in _CLAIMABLE]) & ~live


def _lock_oldest(connection: Connection, now: float, passed_over: list[str]) -> JobChange | None:
    eligible = _needs_a_driver(now) & jobs.c.id.not_in(passed_over)
    query = select(jobs).where(eligible).order_by(jobs.c.id).limit(1).with_for_update(skip_locked=True, key_share=True)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else JobChange(connection, row, now)


def _committed_claim(connection: Connection, mark: str, now: float) -> tuple[Job, Lease] | None:
    """Return the claim of an earlier try that was committed although its answer was lost."""
    row = connection.execute(select(leases).where(leases.c.last_mark == mark)).mappings().one_or_none()
    return (
        None
        if row is None
        else (record_of(Job, JobChange.lock(connection, row["job_id"], now).row), record_of(Lease, row))
    )


@dataclass(frozen=True, slots=True)
class _Taken:
    """A job that needed a driver, after a claim."""

    job: Job
    lease: Lease | None
    """None if a request was carried out, so that the job needs no driver any more."""

    @property
    def claim(self) -> tuple[Job, Lease] | None:
        return None if self.lease is None else (self.job, self.lease)


def _take_oldest(connection: Connection, *, holder: str, ttl_seconds: float, mark: str, now: float) -> _Taken | None:
    claim = _committed_claim(connection, mark, now)
    if claim is not None:
        return _Taken(*claim)
    passed_over: list[str] = []
    while (change := _lock_oldest(connection, now, passed_over)) is not None:
        # Another claim may have come between the search and the lock; the lock shows its lease.
        if not change.has_driver():
            return _take(change, holder, ttl_seconds, mark)
        passed_over.append(change.id)
    return None


def _take(change: JobChange, holder: str, ttl_seconds: float, mark: str) -> _Taken:
    """Claim a job without a driver, or carry out the request that its last driver did not."""
    transition = change.transition(Trigger.CLAIM, has_driver=False)
    if transition.after is None or not transition.after.has_driver:
        change.apply(Trigger.CLAIM, transition)
        return _Taken(change.save(), None)
    lease = Lease(change.id, holder, change.row["epoch"] + 1, change.now + ttl_seconds)
    change.connection.execute(delete(leases).where(leases.c.job_id == change.id))
    change.connection.execute(insert(leases), row_of(lease) | {"last_mark": mark})
    change.values["epoch"] = lease.epoch
    change.values["started_at"] = change.row["started_at"] or change.now
    change.apply(Trigger.CLAIM, transition, holder=holder, epoch=lease.epoch)
    return _Taken(change.save(), lease)


def _release(connection: Connection, lease: Lease, now: float) -> None:
    try:
        change = lock_leased(connection, lease, now)
        check_held(change, lease)
    except LeaseLost:
        return
    transition = change.transition(Trigger.RELEASED)
    change.apply(Trigger.RELEASED, transition, holder=lease.holder, epoch=lease.epoch)
    change.save()
