"""Store: everything that is kept, behind one object."""

from __future__ import annotations

import time
from collections.abc import Callable

from searchsvc.domain import Lease
from searchsvc.store import schema
from searchsvc.store.database import Database
from searchsvc.store.jobs import JobOperations
from searchsvc.store.leases import LeaseOperations
from searchsvc.store.reads import Reads
from searchsvc.store.relabellings import RelabelOperations
from searchsvc.store.tokens import TokenOperations
from searchsvc.store.writer import JobWriter


class Store(JobOperations, LeaseOperations, Reads, RelabelOperations, TokenOperations):
    """Jobs, trials, events, leases, tokens and verdicts in SQLite or PostgreSQL.

    Each method is one transaction and is on disk when it returns. Threads may share a Store; processes open their
    own. A database that is away is waited for, `wait_seconds` long, and then StoreUnavailable is raised; what was
    asked for happens once even where the connection is cut in the middle.
    """

    @classmethod
    def open(cls, url: str, *, clock: Callable[[], float] = time.time, wait_seconds: float = 30.0) -> Store:
        """Raises InvalidInput for a URL that is none, StoreOutdated, StoreUnavailable."""
        database = Database(url, wait_seconds=wait_seconds)
        try:
            schema.check_database(database)
        except BaseException:
            database.close()
            raise
        return cls(database, clock)

    @classmethod
    def create(cls, url: str, *, clock: Callable[[], float] = time.time, wait_seconds: float = 30.0) -> Store:
        """The same, after bringing the schema up to date."""
        schema.upgrade(url, wait_seconds=wait_seconds)
        return cls.open(url, clock=clock, wait_seconds=wait_seconds)

    def writer(self, lease: Lease) -> JobWriter:
        """What the driver that holds `lease` writes with."""
        objective = self.job(lease.job_id).spec.objectives[0]
        return JobWriter(self._database, self._clock, lease, objective)

    def close(self) -> None:
        self._database.close()
