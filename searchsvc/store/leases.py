"""Leases: which driver runs which job.

A claim makes the job's epoch one larger. The lease row exists while somebody holds the job, run out or not, and
carries that epoch; whoever writes for the job must find its own epoch there. A holder whose lease has run out may
renew it as long as nobody else has claimed the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from searchsvc.domain import Job, JobState, Lease, Node, new_id
from searchsvc.errors import LeaseLost, NotFound
from searchsvc.store.base import StoreBase
from searchsvc.store.changes import JobChange
from searchsvc.store.rows import Fields, job_of, lease_of
from searchsvc.store.tables import jobs, leases

_CLAIMABLE = (JobState.QUEUED, JobState.RUNNING, JobState.STOPPING)


class LeaseOperations(StoreBase):
    """The part of the Store about who runs a job."""

    def claim(self, holder: str, ttl_seconds: float) -> tuple[Job, Lease] | None:
        """The oldest job that waits for a driver, or has lost its own, now ours; None where there is none."""
        now, mark = self._clock(), new_id()
        look = select(jobs.c.id).where(_needs_a_driver(now)).limit(1)
        if self._database.read(lambda connection: connection.execute(look).first()) is None:
            return None  # found without keeping SQLite's one writer from its work

        def transaction(connection: Connection) -> tuple[Job, Lease] | None:
            passed_over: list[str] = []
            taken = _taken_before(connection, mark, now)
            while taken is None:
                change = _lock_oldest(connection, now, passed_over)
                if change is None:
                    return None
                # Another claim may have come between the search and the lock; the lock shows its lease.
                if not change.has_driver():
                    return _take(change, holder, ttl_seconds, mark)
                passed_over.append(change.id)
            return taken

        return self._database.write(transaction)

    def claim_job(self, job_id: str, holder: str, ttl_seconds: float) -> tuple[Job, Lease] | None:
        """The same for one job; None where it needs no driver or has one. Raises NotFound."""
        now, mark = self._clock(), new_id()

        def transaction(connection: Connection) -> tuple[Job, Lease] | None:
            taken = _taken_before(connection, mark, now)
            if taken is not None:
                return taken
            change = JobChange.lock(connection, job_id, now)
            if change.state not in _CLAIMABLE or change.has_driver():
                return None
            return _take(change, holder, ttl_seconds, mark)

        return self._database.write(transaction)

    def heartbeat(self, lease: Lease, ttl_seconds: float, *, seconds: float, gpu_seconds: float) -> Job:
        """Renew the lease and add the time used since the last beat; the job as it is now, with what is asked of it.

        Raises LeaseLost where the lease is not ours any more.
        """
        now, mark = self._clock(), new_id()

        def transaction(connection: Connection) -> Job:
            change = lock_leased(connection, lease, now)
            if check_held(change, lease)["last_mark"] == mark:
                return job_of(change.row)
            renewed = update(leases).where(leases.c.job_id == lease.job_id)
            connection.execute(renewed.values(deadline=now + ttl_seconds, last_mark=mark))
            change.values["seconds_used"] = change.row["seconds_used"] + seconds
            change.values["gpu_seconds_used"] = change.row["gpu_seconds_used"] + gpu_seconds
            return change.save()

        return self._database.write(transaction)

    def release(self, lease: Lease) -> None:
        """Give the job back at once: its driver is known to be gone, or is done. Nothing where it is not ours."""
        now = self._clock()
        self._database.write(partial(_release, lease=lease, now=now))

    def report_nodes(self, lease: Lease, nodes: Sequence[Node]) -> None:
        """What the driver sees of its cluster. Nothing where the lease is not ours any more."""
        ours = (leases.c.job_id == lease.job_id) & (leases.c.epoch == lease.epoch)
        change = update(leases).where(ours).values(nodes=[asdict(one) for one in nodes])
        self._database.write(lambda connection: connection.execute(change))

    def leases(self) -> list[Lease]:
        """All that are held, run out or not, the oldest job first."""
        query = select(leases).order_by(leases.c.job_id)
        rows = self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [lease_of(row) for row in rows]


def lock_leased(connection: Connection, lease: Lease, now: float) -> JobChange:
    """The lease's job, locked. Raises LeaseLost where there is none any more."""
    try:
        return JobChange.lock(connection, lease.job_id, now)
    except NotFound as error:
        raise LeaseLost(str(error)) from error


def check_held(change: JobChange, lease: Lease) -> Fields:
    """The row of the lease. Raises LeaseLost unless it is ours still."""
    held = change.lease()
    if held is None or held["epoch"] != lease.epoch:
        stands = "nobody runs it" if held is None else f"it is at epoch {held['epoch']}"
        raise LeaseLost(f"the lease on job {lease.job_id} with epoch {lease.epoch} is over: {stands}")
    return held


def _needs_a_driver(now: float) -> ColumnElement[bool]:
    live = select(leases.c.job_id).where(leases.c.job_id == jobs.c.id, leases.c.deadline > now).exists()
    return jobs.c.state.in_([state.value for state in _CLAIMABLE]) & ~live


def _lock_oldest(connection: Connection, now: float, passed_over: list[str]) -> JobChange | None:
    wanted = _needs_a_driver(now) & jobs.c.id.not_in(passed_over)
    query = select(jobs).where(wanted).order_by(jobs.c.id).limit(1).with_for_update(skip_locked=True, key_share=True)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else JobChange(connection, row, now)


def _taken_before(connection: Connection, mark: str, now: float) -> tuple[Job, Lease] | None:
    """What an earlier try of the same claim took, where its commit happened and the answer was lost."""
    row = connection.execute(select(leases).where(leases.c.last_mark == mark)).mappings().one_or_none()
    return None if row is None else (job_of(JobChange.lock(connection, row["job_id"], now).row), lease_of(row))


def _take(change: JobChange, holder: str, ttl_seconds: float, mark: str) -> tuple[Job, Lease]:
    lease = Lease(change.id, holder, change.row["epoch"] + 1, change.now + ttl_seconds)
    change.connection.execute(delete(leases).where(leases.c.job_id == change.id))
    row = {name: getattr(lease, name) for name in Lease.__slots__}
    change.connection.execute(insert(leases), row | {"last_mark": mark})
    change.values["epoch"] = lease.epoch
    change.values["started_at"] = change.row["started_at"] or change.now
    if change.state is JobState.QUEUED:
        change.move(JobState.RUNNING)
    change.event("job.claimed", holder=holder, epoch=lease.epoch)
    return change.save(), lease


def _release(connection: Connection, lease: Lease, now: float) -> None:
    try:
        change = lock_leased(connection, lease, now)
        check_held(change, lease)
    except LeaseLost:
        return
    connection.execute(delete(leases).where(leases.c.job_id == lease.job_id))
    change.event("job.released", holder=lease.holder, epoch=lease.epoch)
    change.save()
