"""A job, locked in a transaction, with its pending changes: every write to a job goes through it.

Order of locks on PostgreSQL: the job's row, then rows that belong to the job, then the global lock on events. No lock
is ever taken after the lock on events, so writers cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from searchsvc.domain import JOB_MOVES, Event, Job, JobRequest, JobState, TrialState
from searchsvc.errors import Conflict, NotFound
from searchsvc.store.rows import Fields, record_of, row_of
from searchsvc.store.tables import attempts, events, jobs, leases, total_of, trials

_EVENTS_LOCK = 0x5EA2C5  # advisory lock of PostgreSQL


def append_events(connection: Connection, new_events: Sequence[Event]) -> None:
    """Append events to the single sequence of the store. These must be the last writes of a transaction.

    A reader asks for events after the last number that it saw, so numbers must become visible in order: on PostgreSQL,
    transactions with events commit in turn (on SQLite all writers do).
    """
    if not new_events:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _EVENTS_LOCK})
    rows = [row_of(event) for event in new_events]
    for row in rows:
        del row["sequence"]  # the database gives it
    connection.execute(insert(events), rows)


class JobChange:
    """A job whose row is locked; `values` and `events` are written by `save`."""

    def __init__(self, connection: Connection, row: Fields, now: float) -> None:
        self.connection = connection
        self.row = row
        self.now = now
        self.values: dict[str, Any] = {}
        self.events: list[Event] = []
        self.totals = {state: int(row[total_of(state)]) for state in TrialState}

    @classmethod
    def lock(cls, connection: Connection, job_id: str, now: float) -> JobChange:
        query = select(jobs).where(jobs.c.id == job_id).with_for_update(key_share=True)
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"there is no job {job_id}")
        return cls(connection, row, now)

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def state(self) -> JobState:
        return JobState({**self.row, **self.values}["state"])

    @property
    def request(self) -> JobRequest | None:
        request = {**self.row, **self.values}["request"]
        return JobRequest(request) if request else None

    def lease(self) -> Fields | None:
        """Return the lease on the job, live or expired, or None if nobody holds it."""
        query = select(leases).where(leases.c.job_id == self.id)
        return self.connection.execute(query).mappings().one_or_none()

    def has_driver(self) -> bool:
        lease = self.lease()
        return lease is not None and lease["deadline"] > self.now

    def event(self, kind: str, **data: Any) -> None:
        self.events.append(Event(0, self.id, None, kind, data, self.now))

    def move(self, state: JobState, *, reason: str | None = None) -> None:
        """Change the state, which also settles a request to the driver. Raises Conflict if the move is not allowed."""
        if state not in JOB_MOVES[self.state]:
            raise Conflict(f"job {self.id} is {self.state}, from where it cannot become {state}")
        self.values |= {"state": state.value, "reason": reason, "request": None}
        self.values["finished_at"] = self.now if state.is_final else None

    def close_trials(self, message: str) -> int:
        """Cancel all open trials and their attempts. Return their number."""
        return self._end_attempts((TrialState.QUEUED, TrialState.RUNNING), TrialState.CANCELLED, message)

    def requeue_running_trials(self, message: str) -> int:
        """Requeue all RUNNING trials and cancel their attempts. Return their number."""
        return self._end_attempts((TrialState.RUNNING,), TrialState.QUEUED, message)

    def _end_attempts(self, states: tuple[TrialState, ...], state: TrialState, message: str) -> int:
        count = sum(self.totals[before] for before in states)
        if not count:
            return 0
        affected = (trials.c.job_id == self.id) & trials.c.state.in_([before.value for before in states])
        ended = {"state": TrialState.CANCELLED.value, "message": message, "finished_at": self.now}
        running = attempts.c.state == TrialState.RUNNING.value
        theirs = attempts.c.trial_id.in_(select(trials.c.id).where(affected))
        self.connection.execute(update(attempts).where(running & theirs).values(ended))
        finished_at = self.now if state.is_final else None
        values = {"state": state.value, "reason": message, "finished_at": finished_at}
        self.connection.execute(update(trials).where(affected).values(values))
        for before in states:
            self.totals[before] = 0
        self.totals[state] += count
        return count

    def save(self, **marks: str) -> Job:
        """Write the changes, events last, and return the changed job.

        `marks` are stored with the changes, so that a repeated transaction recognises an earlier commit.
        """
        totals = {total_of(state): count for state, count in self.totals.items()}
        self.values |= {name: count for name, count in totals.items() if count != self.row[name]}
        if self.values:
            written = self.values | marks
            self.connection.execute(update(jobs).where(jobs.c.id == self.id).values(written))
        append_events(self.connection, self.events)
        return record_of(Job, {**self.row, **self.values})
