"""Leases: the right of a driver to run a job.

A claim increments the job's epoch. The lease row exists while a driver holds the job, even if the lease has expired,
and carries that epoch; every writer must find its own epoch there. A holder whose lease has expired may renew it as
long as nobody else has claimed the job.

No clock decides whether a job may be claimed, since clocks differ and are set, and a stalled database delays renewals.
A claimer watches the marks of leases, and passes those that it considers expired to `claim`, which takes a job only if
its mark is still the same. The deadline of a lease shows whether a job probably has a driver.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from searchsvc.domain import Assignment, Job, JobState, Lease, LeaseMark, Node, new_id
from searchsvc.domain.life_cycle import Trigger
from searchsvc.errors import LeaseLost, NotFound, SearchsvcError
from searchsvc.store.base import StoreBase
from searchsvc.store.changes import JobChange
from searchsvc.store.rows import Fields, record_of, row_of
from searchsvc.store.tables import jobs, leases

_REASON_LENGTH = 500
_log = logging.getLogger(__name__)
_CLAIMABLE = (JobState.QUEUED, JobState.RUNNING, JobState.STOPPING)


class LeaseOperations(StoreBase):
    """The part of the Store for claiming and holding jobs."""

    def claim(self, holder: str, ttl_seconds: float, expired: Collection[LeaseMark] = ()) -> tuple[Job, Lease] | None:
        """Claim the oldest job that needs a driver. Return None if no job needs a driver.

        A job with a lease needs a driver if its mark is in `expired`. A request to a driver that died is carried out
        on the way, so a claimed job never has a request.
        """
        while True:
            mark = new_id()
            if not self._rows(select(jobs.c.id).where(_may_need_a_driver(expired)).limit(1)):
                return None  # without blocking SQLite's one writer
            take = partial(self._take_oldest, holder=holder, ttl_seconds=ttl_seconds, mark=mark, expired=expired)
            taken = self._database.write(take)
            if taken is None:
                return None
            if taken.claim is not None:
                return taken.claim

    def claim_job(
        self, job_id: str, holder: str, ttl_seconds: float, expired: Collection[LeaseMark] = ()
    ) -> tuple[Job, Lease] | None:
        """Claim a job. Return None if it needs no driver, or has a lease whose mark is not in `expired`.

        A request to a driver that died is carried out instead, and the job needs no driver. Raises NotFound.
        """
        mark = new_id()

        def transaction(connection: Connection) -> tuple[Job, Lease] | None:
            claim = self._committed_claim(connection, mark)
            if claim is not None:
                return claim
            change = self._lock_job(connection, job_id)
            if change.state not in _CLAIMABLE or not _is_free(change, expired):
                return None
            return _take(change, holder, ttl_seconds, mark).claim

        return self._database.write(transaction)

    def heartbeat(self, lease: Lease, ttl_seconds: float, *, seconds: float, gpu_seconds: float) -> Job:
        """Renew the lease and add the time used since the last heartbeat; return the job with its current request.

        Raises LeaseLost if the lease is held under another epoch.
        """
        mark = new_id()

        def transaction(connection: Connection) -> Job:
            change = self._lock_leased(connection, lease)
            if check_held(change, lease)["last_mark"] == mark:
                return record_of(Job, change.row)
            renewed = update(leases).where(leases.c.job_id == lease.job_id)
            connection.execute(renewed.values(deadline=change.now + ttl_seconds, last_mark=mark))
            change.values["seconds_used"] = change.row["seconds_used"] + seconds
            change.values["gpu_seconds_used"] = change.row["gpu_seconds_used"] + gpu_seconds
            return change.save()

        return self._database.write(transaction)

    def release(self, lease: Lease) -> None:
        """Give up the lease at once, because the driver is gone. No effect if the lease is not ours.

        A request that the driver did not carry out is carried out here.
        """

        def transaction(connection: Connection) -> None:
            try:
                change = self._lock_leased(connection, lease)
                check_held(change, lease)
            except LeaseLost:
                return
            transition = change.transition(Trigger.RELEASED)
            change.apply(Trigger.RELEASED, transition, holder=lease.holder, epoch=lease.epoch)
            change.save()

        self._database.write(transaction)

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

    def assignments(self) -> list[Assignment]:
        """Return all jobs that a driver runs or should run. Their specs are not read, since one may be unreadable."""
        driven = jobs.c.state.in_([state.value for state in JobState if state.is_driven])
        return self._records(Assignment, select(jobs.c.id, jobs.c.epoch, jobs.c.request).where(driven))

    def lease_marks(self) -> list[LeaseMark]:
        """Return the marks of all held leases, live or expired."""
        rows = self._rows(select(leases.c.job_id, leases.c.epoch, leases.c.last_mark))
        return [_mark_of(row) for row in rows]

    def _lock_leased(self, connection: Connection, lease: Lease) -> JobChange:
        """Lock the job of a lease, then read the time. Raises LeaseLost if the job was deleted."""
        change = lock_leased(connection, lease, 0.0)
        change.now = self._now(connection)
        return change

    def _take_oldest(
        self, connection: Connection, *, holder: str, ttl_seconds: float, mark: str, expired: Collection[LeaseMark]
    ) -> _Taken | None:
        claim = self._committed_claim(connection, mark)
        if claim is not None:
            return _Taken(*claim)
        passed_over: list[str] = []
        while (change := self._lock_oldest(connection, expired, passed_over)) is not None:
            # A claim or a heartbeat may have come between the search and the lock; the lock shows its lease.
            if _is_free(change, expired) and _is_readable(change):
                return _take(change, holder, ttl_seconds, mark)
            passed_over.append(change.id)
        return None

    def _lock_oldest(
        self, connection: Connection, expired: Collection[LeaseMark], passed_over: list[str]
    ) -> JobChange | None:
        eligible = _may_need_a_driver(expired) & jobs.c.id.not_in(passed_over)
        oldest = select(jobs).where(eligible).order_by(jobs.c.id).limit(1)
        locking = oldest.with_for_update(skip_locked=True, key_share=True)
        row = connection.execute(locking).mappings().one_or_none()
        return None if row is None else JobChange(connection, row, self._now(connection))

    def _committed_claim(self, connection: Connection, mark: str) -> tuple[Job, Lease] | None:
        """Return the claim of an earlier try that was committed although its answer was lost."""
        row = connection.execute(select(leases).where(leases.c.last_mark == mark)).mappings().one_or_none()
        if row is None:
            return None
        return record_of(Job, self._lock_job(connection, row["job_id"]).row), record_of(Lease, row)


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


def _may_need_a_driver(expired: Collection[LeaseMark]) -> ColumnElement[bool]:
    """Jobs without a lease, or with an expired lease, unless it was renewed since (see `_is_free`)."""
    held = select(leases.c.job_id).where(leases.c.job_id == jobs.c.id).exists()
    is_expired = jobs.c.id.in_([mark.job_id for mark in expired])
    is_claimable = jobs.c.state.in_([state.value for state in _CLAIMABLE]) & jobs.c.deleted_at.is_(None)
    return is_claimable & (~held | is_expired)


def _is_free(change: JobChange, expired: Collection[LeaseMark]) -> bool:
    lease = change.lease()
    return lease is None or _mark_of(lease) in expired


def _is_readable(change: JobChange) -> bool:
    """Return whether this version understands the job; if not, the job waits with a reason for a version that does."""
    try:
        record_of(Job, change.row)
    except (ValueError, TypeError, KeyError, SearchsvcError) as error:
        reason = f"this version cannot read the job: {error}"[:_REASON_LENGTH]
        if change.row["reason"] != reason:
            _log.error("job %s: %s", change.id, reason)
            change.connection.execute(update(jobs).where(jobs.c.id == change.id).values(reason=reason))
        return False
    return True


def _mark_of(row: Fields) -> LeaseMark:
    return LeaseMark(row["job_id"], row["epoch"], row["last_mark"] or "")


@dataclass(frozen=True, slots=True)
class _Taken:
    """A job that needed a driver, after a claim."""

    job: Job
    lease: Lease | None
    """None if a request was carried out, so that the job needs no driver any more."""

    @property
    def claim(self) -> tuple[Job, Lease] | None:
        return None if self.lease is None else (self.job, self.lease)


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
