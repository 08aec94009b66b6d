"""What the parts of the Store share."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from searchsvc.domain import Job, new_id
from searchsvc.store.changes import JobChange
from searchsvc.store.database import Database
from searchsvc.store.rows import job_of


class StoreBase:
    """A database and a clock."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def _change_job(self, job_id: str, work: Callable[[JobChange], None]) -> Job:
        """Lock the job, let `work` decide, write; once, even where the answer to a commit was lost on the way."""
        mark, now = new_id(), self._clock()

        def transaction(connection: Connection) -> Job:
            change = JobChange.lock(connection, job_id, now)
            if change.row["last_change"] == mark:
                return job_of(change.row)
            work(change)
            return change.save(last_change=mark)

        return self._database.write(transaction)
