"""Deleting jobs: a job disappears at once, and its rows are removed in parts, so that no transaction takes long."""

from __future__ import annotations

from functools import partial

from sqlalchemy import ColumnElement, Connection, CursorResult, Table, delete, select, tuple_

from searchsvc.domain import new_id
from searchsvc.domain.life_cycle import Trigger
from searchsvc.errors import NotFound
from searchsvc.store.base import StoreBase
from searchsvc.store.changes import JobChange
from searchsvc.store.tables import IS_DELETED, JOB_DELETED, events, idempotency, jobs, metadata, trials


class DeletionOperations(StoreBase):
    """The part of the Store for deleting jobs."""

    def delete_job(self, job_id: str) -> None:
        """Delete a job: from now on no operation finds it, or anything that belongs to it. Raises Conflict if it runs.

        A single event `job.deleted` remains. `remove_rows` and `remove_job` free the space.
        """
        self._database.write(partial(_delete, job_id=job_id, now=self._clock(), mark=new_id()))

    def jobs_to_remove(self) -> list[str]:
        """Return the ids of deleted jobs that have not been removed completely, the oldest deletion first."""
        query = select(jobs.c.id).where(IS_DELETED).order_by(jobs.c.deleted_at, jobs.c.id)
        return list(self._database.read(lambda connection: connection.execute(query).scalars().all()))

    def remove_rows(self, job_id: str, limit: int) -> int:
        """Remove up to `limit` rows that belong to a deleted job, in one transaction. Return their number.

        A smaller number than `limit` says that none remain.
        """
        return self._database.write(partial(_remove_rows, job_id=job_id, limit=limit))

    def remove_job(self, job_id: str) -> None:
        """Remove the row of a deleted job, and with it the record that its rows or files may remain."""
        row = delete(jobs).where(jobs.c.id == job_id, IS_DELETED)
        self._database.write(lambda connection: connection.execute(row))


def _delete(connection: Connection, job_id: str, now: float, mark: str) -> None:
    try:
        change = JobChange.lock(connection, job_id, now)
    except NotFound:
        if _was_deleted(connection, job_id, mark):
            return  # an earlier try was committed, but its answer was lost
        raise
    change.apply(Trigger.DELETE, change.transition(Trigger.DELETE), name=change.row["name"], change=mark)
    change.values["deleted_at"] = now
    connection.execute(delete(idempotency).where(idempotency.c.job_id == job_id))
    change.save()


def _was_deleted(connection: Connection, job_id: str, mark: str) -> bool:
    query = select(events.c.data).where(events.c.job_id == job_id, events.c.kind == JOB_DELETED)
    return any(data["change"] == mark for data in connection.execute(query).scalars())


def _remove_rows(connection: Connection, job_id: str, limit: int) -> int:
    # The lock lets several processes remove the same job: they take turns.
    deleted = select(jobs.c.id).where(jobs.c.id == job_id, IS_DELETED).with_for_update()
    if connection.execute(deleted).first() is None:
        return 0
    removed = 0
    for table in reversed(metadata.sorted_tables):  # rows before the rows to which they refer
        condition = _belongs_to(table, job_id)
        if condition is not None and removed < limit:
            removed += _remove(connection, table, condition, limit - removed)
    return removed


def _belongs_to(table: Table, job_id: str) -> ColumnElement[bool] | None:
    """Return the condition for rows of a table that belong to a job, or None if the table has no such rows."""
    if table is events:
        return (events.c.job_id == job_id) & (events.c.kind != JOB_DELETED)
    if "job_id" in table.c:
        return table.c.job_id == job_id
    if "trial_id" in table.c:
        return table.c.trial_id.in_(select(trials.c.id).where(trials.c.job_id == job_id))
    return None


def _remove(connection: Connection, table: Table, condition: ColumnElement[bool], limit: int) -> int:
    key = list(table.primary_key.columns)
    part = select(*key).where(condition).limit(limit)
    chosen = tuple_(*key).in_(part) if len(key) > 1 else key[0].in_(part)
    result: CursorResult[tuple[()]] = connection.execute(delete(table).where(chosen))
    return result.rowcount
