"""The base class of the Store's parts; each part covers a noun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, Select

from searchsvc.domain import Job, new_id
from searchsvc.store.changes import JobChange
from searchsvc.store.database import Database
from searchsvc.store.rows import record_of

R = TypeVar("R")


class StoreBase:
    """Access to the database and the clock for all parts of the Store."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        """Return all rows of a query."""
        return self._database.read(lambda connection: connection.execute(query).mappings().all())

    def _records(self, kind: type[R], query: Select[Any]) -> list[R]:
        """Return all rows of a query as records."""
        return [record_of(kind, row) for row in self._rows(query)]

    def _change_job(self, job_id: str, work: Callable[[JobChange], None]) -> Job:
        """Lock the job, let `work` change it, and write; exactly once, even if the answer to a commit is lost."""
        mark, now = new_id(), self._clock()

        def transaction(connection: Connection) -> Job:
            change = JobChange.lock(connection, job_id, now)
            if change.row["last_change"] == mark:
                return record_of(Job, change.row)
            work(change)
            return change.save(last_change=mark)

        return self._database.write(transaction)
