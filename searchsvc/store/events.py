"""Events: reading and forgetting them; counts over the whole store; whether the database answers.

A measurement is stored once. The event `trial.measured` refers to it by trial and step, and is completed when it is
read; events of earlier versions are complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, RowMapping, case, delete, func, select

from searchsvc.domain import Event, JobState, TrialState
from searchsvc.store.base import StoreBase
from searchsvc.store.rows import record_of
from searchsvc.store.tables import JOB_DELETED, TOTALS, events, jobs, leases, measurements, total_of

"""The event that outlives its job, as the proof that its files may be removed."""

_PING_SECONDS = 1.0
_MEASURED = "trial.measured"


_SPENT = ("asks", "ask_seconds", "training_seconds")


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """Counts over the whole store."""

    jobs: dict[JobState, int]
    trials: dict[TrialState, int]
    leases: int
    asks: int
    """Proposals requested from algorithms."""
    ask_seconds: float
    """Time that algorithms took for them."""
    training_seconds: float
    """Time that trials were trained, over all their attempts."""


class EventReads(StoreBase):
    """The part of the Store for events and statistics."""

    def events(self, *, after: int = 0, job_id: str | None = None, limit: int = 1000) -> list[Event]:
        """Return events after the sequence number `after`, in order; reading on after the last misses no event."""
        query = _EVENTS.where(events.c.sequence > after, *_of_job(job_id)).order_by(events.c.sequence).limit(limit)
        return [_event_of(row) for row in self._rows(query)]

    def latest_events(self, job_id: str, limit: int) -> list[Event]:
        """Return the last events of a job, in order."""
        query = _EVENTS.where(*_of_job(job_id)).order_by(events.c.sequence.desc()).limit(limit)
        return [_event_of(row) for row in self._rows(query)][::-1]

    def last_sequence(self) -> int:
        """Return the sequence number of the newest event, 0 before the first."""
        query = select(func.max(events.c.sequence))
        return int(self._database.read(lambda connection: connection.execute(query).scalar()) or 0)

    def forget_events(self, before: float, *, after: int = 0, limit: int = 2_000) -> int | None:
        """Remove events from before a time, among the `limit` oldest events after the sequence number `after`.

        Events `job.deleted` stay. Return the number of the last event that was looked at, to continue after it; None
        if all older events are removed. A call is a short transaction, whatever the number of events.
        """
        page = select(events.c.sequence, events.c.at).where(events.c.sequence > after).order_by(events.c.sequence)
        # Events of deleted jobs count here, so that the number of removed events stays below the limit.
        rows = self._database.read(lambda connection: connection.execute(page.limit(limit)).mappings().all())
        if not any(row["at"] < before for row in rows):
            return None
        last = int(rows[-1]["sequence"])
        looked_at = (events.c.sequence > after) & (events.c.sequence <= last)
        old = delete(events).where(looked_at, events.c.at < before, events.c.kind != JOB_DELETED)
        self._database.write(lambda connection: connection.execute(old))
        return last

    def missing_jobs(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that belong to no job of this store."""
        existing = {row["id"] for row in self._rows(select(jobs.c.id).where(jobs.c.id.in_(job_ids)))}
        return [job_id for job_id in job_ids if job_id not in existing]

    def deleted_jobs(self, job_ids: Sequence[str]) -> set[str]:
        """Return those of the ids for which this store remembers a deletion."""
        query = select(events.c.job_id).where(events.c.job_id.in_(job_ids), events.c.kind == JOB_DELETED)
        return {row["job_id"] for row in self._rows(query)}

    def statistics(self) -> StoreStatistics:
        """Count the jobs and trials in each state, and the leases."""
        sums = (func.sum(column).label(column.name) for column in TOTALS)
        spent = (func.sum(jobs.c[name]).label(name) for name in _SPENT)
        rows = self._rows(select(jobs.c.state, func.count().label("jobs"), *sums, *spent).group_by(jobs.c.state))
        held = self._rows(select(func.count().label("held")).select_from(leases))[0]["held"]
        counted = {JobState(row["state"]): int(row["jobs"]) for row in rows}
        return StoreStatistics(
            jobs={state: counted.get(state, 0) for state in JobState},
            trials={state: sum(int(row[total_of(state)]) for row in rows) for state in TrialState},
            leases=held,
            asks=sum(int(row["asks"]) for row in rows),
            ask_seconds=sum(float(row["ask_seconds"]) for row in rows),
            training_seconds=sum(float(row["training_seconds"]) for row in rows),
        )

    def ping(self) -> None:
        """Raise StoreUnavailable unless the database answers within about a second."""
        self._database.read(lambda connection: connection.execute(select(1)), wait_seconds=_PING_SECONDS)


_STEP = case((events.c.kind == _MEASURED, events.c.data["step"].as_integer()))
_MEASUREMENT = (measurements.c.trial_id == events.c.trial_id) & (measurements.c.step == _STEP)
_EVENTS = select(
    events, measurements.c.metrics.label("measured_metrics"), measurements.c.seconds.label("measured_seconds")
).select_from(events.outerjoin(measurements, _MEASUREMENT))
"""Events, with the measurements to which they refer."""


def _event_of(row: RowMapping) -> Event:
    event = record_of(Event, row)
    if event.kind != _MEASURED or "metrics" in event.data:
        return event
    # Without its measurement, an event is of a job that is being deleted.
    measured = {"metrics": row["measured_metrics"] or {}, "seconds": row["measured_seconds"] or 0.0}
    return replace(event, data={**event.data, **measured})


def _of_job(job_id: str | None) -> list[ColumnElement[bool]]:
    return [] if job_id is None else [events.c.job_id == job_id]
