"""JobWriter: all that a driver writes about its job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from sqlalchemy import Connection, delete

from searchsvc.domain import (
    FailureKind,
    JobState,
    Lease,
    Measurement,
    Objective,
    Outcome,
    Proposal,
    TrialState,
    new_id,
)
from searchsvc.store.batch import Batch, finish_job
from searchsvc.store.changes import JobChange
from searchsvc.store.database import Database
from searchsvc.store.leases import check_held, lock_leased
from searchsvc.store.tables import leases

_Operation: TypeAlias = tuple[Callable[[Batch], None], str | None]
"""What to do, and the id of the trial that it is done to."""
_Ending: TypeAlias = Callable[[JobChange], None]


@dataclass(frozen=True, slots=True)
class _Sent:
    """One flush: written whole or not at all, and known again by its mark."""

    operations: Sequence[_Operation]
    ending: _Ending | None
    mark: str
    at: float


class JobWriter:
    """The driver's pen: it collects, and `flush` writes all of it, in order, in one transaction.

    The transaction holds the job's lease to be ours at that moment, or writes nothing (LeaseLost). Events are written
    along: trial.proposed, .started, .measured, .waiting, .requeued, .finished, .tested, round.finished and job.<state>.
    Threads may share a writer.
    """

    def __init__(self, database: Database, clock: Callable[[], float], lease: Lease, objective: Objective) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease
        self._objective = objective
        self._collecting = threading.Lock()
        self._flushing = threading.Lock()
        self._operations: list[_Operation] = []
        self._ending: _Ending | None = None
        self._sent: _Sent | None = None

    def __len__(self) -> int:
        """How many operations wait for the next flush."""
        waiting = [*self._operations, *(self._sent.operations if self._sent else ())]
        return len(waiting) + (self._ending is not None)

    def add_trials(self, proposed: Iterable[tuple[str, int, Proposal]]) -> None:
        """(id, number, proposal) each. What the proposals rejected and answered is counted with them."""
        at = self._clock()
        for trial_id, number, proposal in proposed:
            operation = partial(Batch.add_trial, trial_id=trial_id, number=number, proposal=proposal, at=at)
            self._collect(operation)

    def start_attempt(self, trial_id: str, attempt: int, node: str | None, pid: int | None, at: float) -> None:
        operation = partial(Batch.start_attempt, trial_id=trial_id, attempt=attempt, node=node, pid=pid, at=at)
        self._collect(operation, trial_id)

    def measure(self, trial_id: str, measurement: Measurement, best: Measurement) -> None:
        """`best`: the trial's best so far by the first objective. A step that is stored already changes nothing."""
        operation = partial(Batch.measure, trial_id=trial_id, measurement=measurement, best=best, at=self._clock())
        self._collect(operation, trial_id)

    def wait_reason(self, trial_id: str, reason: str | None) -> None:
        """Why a QUEUED trial does not run yet."""
        self._collect(partial(Batch.wait_reason, trial_id=trial_id, reason=reason, at=self._clock()), trial_id)

    def finish(self, trial_id: str, attempt: int, outcome: Outcome, told: int | None) -> None:
        """The attempt ended, and the trial with it. Files become artifacts at `<job>/<trial>/<name>`."""
        operation = partial(
            Batch.finish, trial_id=trial_id, attempt=attempt, outcome=outcome, told=told, at=self._clock()
        )
        self._collect(operation, trial_id)

    def requeue(
        self, trial_id: str, attempt: int, state: TrialState, failure: FailureKind | None, message: str | None
    ) -> None:
        """The attempt ended in `state`; the trial waits for another one."""
        ended = Outcome(state, failure, message)
        operation = partial(Batch.requeue, trial_id=trial_id, attempt=attempt, ended=ended, at=self._clock())
        self._collect(operation, trial_id)

    def record_test(self, trial_id: str, metrics: Mapping[str, float]) -> None:
        """Metrics on the test split: stored once, the first that come."""
        self._collect(partial(Batch.record_test, trial_id=trial_id, metrics=metrics, at=self._clock()), trial_id)

    def count_rejections(self, rejected: Mapping[str, int], answered: int) -> None:
        """Rejected and answered candidates that no proposal carries: those after the last one."""
        self._collect(partial(Batch.count_rejections, rejected=dict(rejected), answered=answered))

    def record_round(self, number: int, data: Mapping[str, Any]) -> None:
        """What the algorithm says of itself after a round: stored once, the first that comes for its number."""
        self._collect(partial(Batch.record_round, number=number, data=dict(data), at=self._clock()))

    def event(self, kind: str, data: Mapping[str, Any], trial_id: str | None = None) -> None:
        operation = partial(Batch.event, kind=kind, data=dict(data), trial_id=trial_id, at=self._clock())
        self._collect(operation, trial_id)

    def finish_job(self, state: JobState, reason: str | None = None, *, revision: int | None = None) -> None:
        """Give the job and the lease back: the last word of a writer.

        A final state closes the open trials as CANCELLED. PAUSED lets running trials wait again; it becomes what is
        asked of the job at the moment of the flush (CANCELLED, or QUEUED where the pause was taken back). SUCCEEDED
        with the `revision` of the job that the driver last saw becomes QUEUED, with the open trials left alone, where
        the job was extended or retried since.
        """
        with self._collecting:
            self._ending = partial(finish_job, state=state, reason=reason, revision=revision)

    def flush(self) -> None:
        """Write what was collected. Raises LeaseLost, with nothing written, and StoreUnavailable.

        After StoreUnavailable nothing is forgotten: the next flush finds out what was written, and goes on from there.
        """
        with self._flushing:
            if self._sent is not None:
                self._send(self._sent)
            with self._collecting:
                operations, self._operations = self._operations, []
                ending, self._ending = self._ending, None
            if operations or ending is not None:
                self._sent = _Sent(operations, ending, new_id(), self._clock())
                self._send(self._sent)

    def _send(self, sent: _Sent) -> None:
        self._database.write(partial(self._write, sent=sent))
        self._sent = None

    def _write(self, connection: Connection, sent: _Sent) -> None:
        change = lock_leased(connection, self._lease, sent.at)
        if change.row["last_batch"] == sent.mark:
            return  # an earlier try was committed, and its answer lost
        check_held(change, self._lease)
        batch = Batch(change, self._objective)
        batch.load(trial_id for _, trial_id in sent.operations if trial_id is not None)
        for operation, _ in sent.operations:
            operation(batch)
        batch.write()
        if sent.ending is not None:
            sent.ending(change)
            connection.execute(delete(leases).where(leases.c.job_id == self._lease.job_id))
        change.save(last_batch=sent.mark)

    def _collect(self, operation: Callable[[Batch], None], trial_id: str | None = None) -> None:
        with self._collecting:
            self._operations.append((operation, trial_id))
