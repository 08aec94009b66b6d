"""JobWriter: all writes of a driver to its job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from sqlalchemy import Connection

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
from searchsvc.store.batch import WriteBatch, finish_job
from searchsvc.store.changes import JobChange
from searchsvc.store.database import Database
from searchsvc.store.leases import check_held, lock_leased

_Operation: TypeAlias = tuple[Callable[[WriteBatch], None], str | None]
"""Operation, and the id of the trial that it changes."""
_Ending: TypeAlias = Callable[[JobChange], None]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A flush: written completely or not at all, and recognised by its mark when it is repeated."""

    operations: Sequence[_Operation]
    ending: _Ending | None
    mark: str
    at: float


class JobWriter:
    """Collects the writes of a driver; `flush` executes them in order, in one transaction.

    The transaction writes nothing unless the driver holds the job's lease (LeaseLost). It also writes events:
    trial.proposed, .started, .measured, .waiting, .requeued, .finished, .tested, round.finished and job.<state>.
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
        """Return the number of operations that wait for the next flush."""
        waiting = [*self._operations, *(self._sent.operations if self._sent else ())]
        return len(waiting) + (self._ending is not None)

    def add_trials(self, proposed: Iterable[tuple[str, int, Proposal]]) -> None:
        """Add trials, each as (id, number, proposal), and the counts of rejected and answered candidates."""
        at = self._clock()
        for trial_id, number, proposal in proposed:
            operation = partial(WriteBatch.add_trial, trial_id=trial_id, number=number, proposal=proposal, at=at)
            self._collect(operation)

    def start_attempt(self, trial_id: str, attempt: int, node: str | None, pid: int | None, at: float) -> None:
        operation = partial(WriteBatch.start_attempt, trial_id=trial_id, attempt=attempt, node=node, pid=pid, at=at)
        self._collect(operation, trial_id)

    def measure(self, trial_id: str, measurement: Measurement, best: Measurement) -> None:
        """Add a measurement, unless its step is stored; `best` is the trial's best so far by the first objective."""
        operation = partial(WriteBatch.measure, trial_id=trial_id, measurement=measurement, best=best, at=self._clock())
        self._collect(operation, trial_id)

    def wait_reason(self, trial_id: str, reason: str | None) -> None:
        """Set the reason for which a QUEUED trial does not run yet."""
        self._collect(partial(WriteBatch.wait_reason, trial_id=trial_id, reason=reason, at=self._clock()), trial_id)

    def finish(self, trial_id: str, attempt: int, outcome: Outcome, told: int | None) -> None:
        """End an attempt and its trial. Files become artifacts at `<job>/<trial>/<attempt>/<name>`."""
        operation = partial(
            WriteBatch.finish, trial_id=trial_id, attempt=attempt, outcome=outcome, told=told, at=self._clock()
        )
        self._collect(operation, trial_id)

    def requeue(
        self, trial_id: str, attempt: int, state: TrialState, failure: FailureKind | None, message: str | None
    ) -> None:
        """End an attempt in `state`, and queue the trial for another attempt."""
        ended = Outcome(state, failure, message)
        operation = partial(WriteBatch.requeue, trial_id=trial_id, attempt=attempt, ended=ended, at=self._clock())
        self._collect(operation, trial_id)

    def record_test(self, trial_id: str, metrics: Mapping[str, float]) -> None:
        """Store metrics on the test split, unless the trial already has such metrics."""
        self._collect(partial(WriteBatch.record_test, trial_id=trial_id, metrics=metrics, at=self._clock()), trial_id)

    def count_rejections(self, rejected: Mapping[str, int], answered: int) -> None:
        """Count the rejected and answered candidates since the last proposal that no further proposal will carry."""
        self._collect(partial(WriteBatch.count_rejections, rejected=dict(rejected), answered=answered))

    def record_round(self, number: int, data: Mapping[str, Any]) -> None:
        """Store the algorithm's report on a round, unless a report with its number is stored."""
        self._collect(partial(WriteBatch.record_round, number=number, data=dict(data), at=self._clock()))

    def event(self, kind: str, data: Mapping[str, Any], trial_id: str | None = None) -> None:
        operation = partial(WriteBatch.event, kind=kind, data=dict(data), trial_id=trial_id, at=self._clock())
        self._collect(operation, trial_id)

    def finish_job(self, state: JobState, reason: str | None = None, *, revision: int | None = None) -> None:
        """Give back the job and the lease: the last operation of a writer.

        `state` is the driver's report; what becomes of the job follows from `searchsvc.domain.life_cycle`, since a user
        may have made a request after the driver last looked. PAUSED and CANCELLED report that the running trials were
        ended early: the job becomes PAUSED or CANCELLED if a user requested it, and otherwise waits for a driver.
        SUCCEEDED and FAILED cancel the open trials, unless the job was extended or retried since the `revision` that
        the driver last saw: then it waits for a driver.
        """
        with self._collecting:
            self._ending = partial(finish_job, state=state, reason=reason, revision=revision)

    def flush(self) -> None:
        """Write the collected operations. Raises LeaseLost, with nothing written, and StoreUnavailable.

        After StoreUnavailable no operation is lost: the next flush determines which were written, and continues.
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
            return  # an earlier try was committed, but its answer was lost
        check_held(change, self._lease)
        batch = WriteBatch(change, self._objective)
        batch.load(trial_id for _, trial_id in sent.operations if trial_id is not None)
        for operation, _ in sent.operations:
            operation(batch)
        batch.write()
        if sent.ending is not None:
            sent.ending(change)
        change.save(last_batch=sent.mark)

    def _collect(self, operation: Callable[[WriteBatch], None], trial_id: str | None = None) -> None:
        with self._collecting:
            self._operations.append((operation, trial_id))
