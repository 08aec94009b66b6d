"""A job, locked in a transaction, with its pending changes: every write to a job goes through it.

Order of locks on PostgreSQL: the job's row, then rows that belong to the job, then the global lock on events. No lock
is ever taken after the lock on events, so writers cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text, update

from searchsvc.domain import Event, Job, JobRequest, JobState, TrialState
from searchsvc.domain.life_cycle import LIFE_CYCLE, Refusal, Situation, Transition, TrialEffect, Trigger
from searchsvc.errors import Conflict, NotFound
from searchsvc.store.rows import Fields, record_of, row_of
from searchsvc.store.tables import attempts, events, jobs, leases, total_of, trials

_EVENTS_LOCK = 0x5EA2C5  # advisory lock of PostgreSQL
_CLOSING: Mapping[JobState | None, str] = MappingProxyType(
    {
        JobState.SUCCEEDED: "the job succeeded",
        JobState.FAILED: "the job failed",
        JobState.CANCELLED: "the job was cancelled",
    }
)
"""Reason of trials that a job closes when it ends, by the job's state."""


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
        """Lock a job. Raises NotFound if there is none, or it is deleted."""
        exists = (jobs.c.id == job_id) & jobs.c.deleted_at.is_(None)
        query = select(jobs).where(exists).with_for_update(key_share=True)
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

    def add(self, name: str, amount: float) -> None:
        """Add to a sum of the job."""
        self.values[name] = {**self.row, **self.values}[name] + amount

    def lease(self) -> Fields | None:
        """Return the lease on the job, live or expired, or None if nobody holds it."""
        query = select(leases).where(leases.c.job_id == self.id)
        return self.connection.execute(query).mappings().one_or_none()

    def has_driver(self) -> bool:
        lease = self.lease()
        return lease is not None and lease["deadline"] > self.now

    def event(self, kind: str, **data: Any) -> None:
        self.events.append(Event(0, self.id, None, kind, data, self.now))

    def transition(self, trigger: Trigger, *, has_driver: bool | None = None) -> Transition:
        """Look up a trigger in the life cycle of jobs. Raises Conflict if it is refused.

        `has_driver` is the answer of a caller that has a better one than the lease's deadline.
        """
        if has_driver is None:
            has_driver = self.state.is_driven and self.has_driver()
        effect = LIFE_CYCLE[Situation(self.state, self.request, has_driver), trigger]
        if isinstance(effect, Refusal):
            raise Conflict(f"job {self.id} {effect.reason}")
        return effect

    def apply(self, trigger: Trigger, transition: Transition, *, reason: str | None = None, **data: Any) -> None:
        """Make a transition: its effect on trials, state, request and lease, and its event with `data`.

        `reason` becomes the reason for the state, unless the job goes on.
        """
        if transition.event is None:
            return
        data |= {"reason": reason} if reason else {}
        data |= self._change_trials(transition, trigger)
        after = transition.after
        if after is not None and after.state is not self.state:
            goes_on = after.state is JobState.QUEUED or after.state.is_driven
            self.values |= {"state": after.state.value, "reason": None if goes_on else reason}
            self.values["finished_at"] = self.now if after.state.is_final else None
        if after is not None and after.request is not self.request:
            self.values["request"] = after.request and after.request.value
        if after is None or not after.state.is_driven or trigger.ends_driver:
            # A driver whose lease has expired may still be alive: without a lease it can no longer write.
            self.connection.execute(delete(leases).where(leases.c.job_id == self.id))
        self.event(transition.event, **data)

    def _change_trials(self, transition: Transition, trigger: Trigger) -> dict[str, Any]:
        """Apply the effect on trials. Return what the event tells about it."""
        state = None if transition.after is None else transition.after.state
        if transition.trials is TrialEffect.CLOSE:
            message = "the job was stopped" if trigger is Trigger.STOP else _CLOSING[state]
            return {"trials_cancelled": self._close_trials(message)}
        if transition.trials is TrialEffect.REQUEUE:
            self._requeue_running_trials("paused" if state is JobState.PAUSED else "waits for a driver")
        if transition.trials is TrialEffect.RETRY:
            return {"trials": self._retry_failed_trials()}
        return {}

    def _close_trials(self, message: str) -> int:
        """Cancel all open trials and their attempts. Return their number."""
        return self._end_attempts((TrialState.QUEUED, TrialState.RUNNING), TrialState.CANCELLED, message)

    def _requeue_running_trials(self, message: str) -> int:
        """Requeue all RUNNING trials and cancel their attempts. Return their number."""
        return self._end_attempts((TrialState.RUNNING,), TrialState.QUEUED, message)

    def _retry_failed_trials(self) -> int:
        """Queue all FAILED trials, keeping their count of attempts. Return their number."""
        failed = self.totals[TrialState.FAILED]
        if failed:
            theirs = (trials.c.job_id == self.id) & (trials.c.state == TrialState.FAILED.value)
            cleared = dict.fromkeys(("failure", "reason", "told", "finished_at"))
            self.connection.execute(update(trials).where(theirs).values(state=TrialState.QUEUED.value, **cleared))
            self.totals[TrialState.QUEUED] += failed
            self.totals[TrialState.FAILED] = 0
        return failed

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
