"""Store: all stored data behind a single object, composed of a part for each noun."""

from __future__ import annotations

from collections.abc import Callable

from searchsvc.domain import Lease
from searchsvc.store import schema
from searchsvc.store.access.requests import RequestOperations
from searchsvc.store.access.tokens import TokenOperations
from searchsvc.store.attempts import AttemptReads
from searchsvc.store.controllers import ControllerOperations
from searchsvc.store.database import API_CONNECTIONS, Database, Observer, PoolExhausted
from searchsvc.store.deletions import DeletionOperations
from searchsvc.store.events import EventReads
from searchsvc.store.jobs import JobOperations
from searchsvc.store.leases import LeaseOperations
from searchsvc.store.measurements import MeasurementReads
from searchsvc.store.relabellings import RelabelOperations
from searchsvc.store.trials import TrialReads
from searchsvc.store.writer import JobWriter

_ANSWER_SECONDS = 10.0


class Store(
    JobOperations,
    DeletionOperations,
    LeaseOperations,
    ControllerOperations,
    TrialReads,
    AttemptReads,
    MeasurementReads,
    EventReads,
    RelabelOperations,
    RequestOperations,
    TokenOperations,
):
    """Jobs, trials, events, leases, controllers, tokens and verdicts in SQLite or PostgreSQL.

    Each method is a transaction, which is on disk when the method returns. Threads may share a Store; processes open
    their own. If the database does not answer, a method waits up to `wait_seconds` and then raises StoreUnavailable.
    A write happens once even if the connection is lost in the middle.
    """

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Callable[[], float] | None = None,
        wait_seconds: float = 30.0,
        connections: int = API_CONNECTIONS,
    ) -> Store:
        """Open a database, with at most `connections` connections to it.

        `clock`: all times come from it, instead of the clocks of this machine and of PostgreSQL. Raises InvalidInput
        for an invalid URL, StoreOutdated and StoreUnavailable.
        """
        database = Database(url, wait_seconds=wait_seconds, connections=connections)
        try:
            schema.check_database(database)
        except BaseException:
            database.close()
            raise
        return cls(database, clock)

    @classmethod
    def create(cls, url: str, *, clock: Callable[[], float] | None = None, wait_seconds: float = 30.0) -> Store:
        """Create the schema or upgrade it to the current version, and open the database."""
        schema.upgrade(url, wait_seconds=wait_seconds)
        return cls.open(url, clock=clock, wait_seconds=wait_seconds)

    def writer(self, lease: Lease) -> JobWriter:
        """Return the writer of the driver that holds `lease`."""
        objective = self.job(lease.job_id).spec.objectives[0]
        return JobWriter(self._database, self._clock, lease, objective)

    def check_ready(self, wait_seconds: float = 1.0) -> None:
        """Raise StoreUnavailable unless the database answers in time, StoreOutdated unless the schema is ours.

        If all connections are in use, an answer to another thread within the last seconds is enough.
        """
        try:
            self.ping()
            schema.check_database(self._database, wait_seconds=wait_seconds)
        except PoolExhausted:
            if not self._database.answered_within(_ANSWER_SECONDS):
                raise

    def shorten_log(self) -> None:
        """Empty the file of SQLite's write-ahead log, which is large after large writes. Raises StoreUnavailable."""
        self._database.shorten_log()

    def observe(self, observer: Observer) -> None:
        """Have `observer` called after each transaction of this process."""
        self._database.observe = observer

    def bytes_used(self) -> int:
        """Return the size of the database on its disk."""
        return self._database.bytes_used()

    def close(self) -> None:
        self._database.close()
