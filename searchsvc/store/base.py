"""The base class of the Store's parts; each part covers a noun."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, Select, func, select

from searchsvc.domain import Job, new_id
from searchsvc.store.changes import JobChange
from searchsvc.store.database import Database
from searchsvc.store.rows import record_of
from searchsvc.store.tables import of_existing_jobs

R = TypeVar("R")


class StoreBase:
    """Access to the database and the clock for all parts of the Store."""

    def __init__(self, database: Database, clock: Callable[[], float] | None = None) -> None:
        """Use `clock` for all times. Default: this machine's clock, and for leases on PostgreSQL the server's clock."""
        self._database = database
        self._clock = clock or time.time
        self._has_server_clock = clock is None and not database.is_sqlite

    def _now(self, connection: Connection) -> float:
        """Return the time by the clock that all machines with this database share: PostgreSQL's, or this machine's."""
        if not self._has_server_clock:
            return self._clock()
        return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())

    def _lock_job(self, connection: Connection, job_id: str) -> JobChange:
        """Lock a job. The time of the change is read afterwards: waiting for the lock may take seconds."""
        change = JobChange.lock(connection, job_id, 0.0)
        change.now = self._now(connection)
        return change

    def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        """Return all rows of a query, without those of deleted jobs."""
        existing = of_existing_jobs(query)
        return self._database.read(lambda connection: connection.execute(existing).mappings().all())

    def _records(self, kind: type[R], query: Select[Any]) -> list[R]:
        """Return all rows of a query as records, without those of deleted jobs."""
        return [record_of(kind, row) for row in self._rows(query)]

    def _change_job(self, job_id: str, work: Callable[[JobChange], None]) -> Job:
        """Lock the job, let `work` change it, and write; exactly once, even if the answer to a commit is lost."""
        mark = new_id()

        def transaction(connection: Connection) -> Job:
            change = self._lock_job(connection, job_id)
            if change.row["last_change"] == mark:
                return record_of(Job, change.row)
            work(change)
            return change.save(last_change=mark)

        return self._database.write(transaction)
