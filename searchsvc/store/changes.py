"""One job, locked in a transaction, with what is about to change: how every write to a job is made.

Order of locks on PostgreSQL: the job's row, then whatever belongs to the job, then the one lock on events. Nothing
else is ever taken after the lock on events, so writers cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from searchsvc.domain import JOB_MOVES, Event, Job, JobRequest, JobState, TrialState
from searchsvc.errors import Conflict, NotFound
from searchsvc.store.rows import Fields, job_of
from searchsvc.store.tables import attempts, events, jobs, leases, total_of, trials

_EVENTS_LOCK = 0x5EA2C5  # advisory lock of PostgreSQL


def append_events(connection: Connection, happened: Sequence[Event]) -> None:
    """Give the events their place in the one sequence. The last writes of a transaction.

    A reader asks for what comes after the last number that it saw, so numbers have to become visible in their order:
    on PostgreSQL, transactions with events commit one after the other (on SQLite all writers do).
    """
    if not happened:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _EVENTS_LOCK})
    rows = [
        {"job_id": one.job_id, "trial_id": one.trial_id, "kind": one.kind, "data": dict(one.data), "at": one.at}
        for one in happened
    ]
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
        """The lease on the job, live or run out; None where nobody holds it."""
        query = select(leases).where(leases.c.job_id == self.id)
        return self.connection.execute(query).mappings().one_or_none()

    def has_driver(self) -> bool:
        lease = self.lease()
        return lease is not None and lease["deadline"] > self.now

    def event(self, kind: str, **data: Any) -> None:
        self.events.append(Event(0, self.id, None, kind, data, self.now))

    def move(self, state: JobState, *, reason: str | None = None) -> None:
        """To another state. What was asked of the driver is settled with it."""
        if state not in JOB_MOVES[self.state]:
            raise Conflict(f"job {self.id} is {self.state}, from where it cannot become {state}")
        self.values |= {"state": state.value, "reason": reason, "request": None}
        self.values["finished_at"] = self.now if state.is_final else None

    def close_trials(self, message: str) -> int:
        """All open trials, and their attempts, become CANCELLED. Returns how many."""
        return self._leave_open_trials((TrialState.QUEUED, TrialState.RUNNING), TrialState.CANCELLED, message)

    def requeue_running_trials(self, message: str) -> int:
        """All RUNNING trials wait again; their attempts become CANCELLED. Returns how many."""
        return self._leave_open_trials((TrialState.RUNNING,), TrialState.QUEUED, message)

    def _leave_open_trials(self, left: tuple[TrialState, ...], state: TrialState, message: str) -> int:
        count = sum(self.totals[one] for one in left)
        if not count:
            return 0
        affected = (trials.c.job_id == self.id) & trials.c.state.in_([one.value for one in left])
        ended = {"state": TrialState.CANCELLED.value, "message": message, "finished_at": self.now}
        running = attempts.c.state == TrialState.RUNNING.value
        theirs = attempts.c.trial_id.in_(select(trials.c.id).where(affected))
        self.connection.execute(update(attempts).where(running & theirs).values(ended))
        finished_at = self.now if state.is_final else None
        values = {"state": state.value, "reason": message, "finished_at": finished_at}
        self.connection.execute(update(trials).where(affected).values(values))
        for one in left:
            self.totals[one] = 0
        self.totals[state] += count
        return count

    def save(self, **marks: str) -> Job:
        """Write what changed, events last; the job as it is then. `marks` tell a later look that this was written."""
        totals = {total_of(state): count for state, count in self.totals.items()}
        self.values |= {name: count for name, count in totals.items() if count != self.row[name]}
        if self.values:
            written = self.values | marks
            self.connection.execute(update(jobs).where(jobs.c.id == self.id).values(written))
        append_events(self.connection, self.events)
        return job_of({**self.row, **self.values})
