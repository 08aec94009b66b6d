"""Reading events and counts over the whole store, and checking that the database answers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from searchsvc.domain import Event, JobState, TrialState
from searchsvc.store.base import StoreBase
from searchsvc.store.tables import TOTALS, events, jobs, leases, total_of

_PING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """Counts over the whole store."""

    jobs: dict[JobState, int]
    trials: dict[TrialState, int]
    leases: int


class EventReads(StoreBase):
    """The part of the Store that reads events and statistics."""

    def events(self, *, after: int = 0, job_id: str | None = None, limit: int = 1000) -> list[Event]:
        """Return events after the sequence number `after`, in order; reading on after the last misses no event."""
        query = select(events).where(events.c.sequence > after, *_of_job(job_id))
        return self._records(Event, query.order_by(events.c.sequence).limit(limit))

    def latest_events(self, job_id: str, limit: int) -> list[Event]:
        """Return the last events of a job, in order."""
        query = select(events).where(*_of_job(job_id)).order_by(events.c.sequence.desc()).limit(limit)
        return self._records(Event, query)[::-1]

    def last_sequence(self) -> int:
        """Return the sequence number of the newest event, 0 before the first."""
        row = self._rows(select(func.max(events.c.sequence).label("last")))[0]
        return int(row["last"] or 0)

    def statistics(self) -> StoreStatistics:
        """Count the jobs and trials in each state, and the leases."""
        sums = (func.sum(column).label(column.name) for column in TOTALS)
        rows = self._rows(select(jobs.c.state, func.count().label("jobs"), *sums).group_by(jobs.c.state))
        held = self._rows(select(func.count().label("held")).select_from(leases))[0]["held"]
        counted = {JobState(row["state"]): int(row["jobs"]) for row in rows}
        return StoreStatistics(
            jobs={state: counted.get(state, 0) for state in JobState},
            trials={state: sum(int(row[total_of(state)]) for row in rows) for state in TrialState},
            leases=held,
        )

    def ping(self) -> None:
        """Raise StoreUnavailable unless the database answers within about a second."""
        self._database.read(lambda connection: connection.execute(select(1)), wait_seconds=_PING_SECONDS)


def _of_job(job_id: str | None) -> list[ColumnElement[bool]]:
    return [] if job_id is None else [events.c.job_id == job_id]
