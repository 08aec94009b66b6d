"""JobWriter: all writes of a driver to its job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import StatementError

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
from searchsvc.errors import LeaseLost, StoreUnavailable, Unstorable
from searchsvc.store.batch import WriteBatch, finish_job
from searchsvc.store.changes import JobChange
from searchsvc.store.database import Database
from searchsvc.store.failures import message_of
from searchsvc.store.leases import check_held, lock_leased
from searchsvc.store.rows import row_of
from searchsvc.store.storable import check_row, document_of, metrics_of
from searchsvc.store.tables import artifacts, attempts, events, jobs, measurements, rounds, trials

_Operation: TypeAlias = tuple[Callable[[WriteBatch], None], str | None]
"""Operation, and the id of the trial that it changes."""
_Ending: TypeAlias = Callable[[JobChange], None]

_LONGEST_MESSAGE = 100_000
"""Maximum length of a message. Of a longer message the end is stored, where a traceback has its error."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A flush: written completely or not at all, and recognised by its mark when it is repeated."""

    operations: Sequence[_Operation]
    ending: _Ending | None
    mark: str
    at: float

    def __len__(self) -> int:
        return len(self.operations) + (self.ending is not None)


class JobWriter:
    """Collects the writes of a driver; `flush` executes them in order, in one transaction.

    The transaction writes nothing unless the driver holds the job's lease (LeaseLost). It also writes events:
    trial.proposed, .started, .measured, .waiting, .requeued, .finished, .tested, round.finished and job.<state>.
    Threads may share a writer. A method that receives a value which cannot be stored raises Unstorable and collects
    nothing.
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
        """Return the number of operations that are not known to be written, the end of the job among them."""
        with self._collecting:
            count = len(self._operations) + (self._ending is not None)
            return count if self._sent is None else count + len(self._sent)

    def add_trials(self, proposed: Iterable[tuple[str, int, Proposal]]) -> None:
        """Add trials, each as (id, number, proposal), and the counts of rejected and answered candidates."""
        at, added = self._clock(), list(proposed)
        for trial_id, number, proposal in added:
            check_row(trials, row_of(proposal) | {"id": trial_id, "number": number})
        for trial_id, number, proposal in added:
            operation = partial(WriteBatch.add_trial, trial_id=trial_id, number=number, proposal=proposal, at=at)
            self._collect(operation)

    def start_attempt(self, trial_id: str, attempt: int, node: str | None, pid: int | None, at: float) -> None:
        check_row(attempts, {"number": attempt, "node": node, "pid": pid, "started_at": at})
        operation = partial(WriteBatch.start_attempt, trial_id=trial_id, attempt=attempt, node=node, pid=pid, at=at)
        self._collect(operation, trial_id)

    def measure(self, trial_id: str, measurement: Measurement, best: Measurement) -> None:
        """Add a measurement, unless its step is stored; `best` is the trial's best so far by the first objective."""
        for each in (measurement, best):
            check_row(measurements, row_of(each))
        measurement = replace(measurement, metrics=dict(measurement.metrics))
        operation = partial(WriteBatch.measure, trial_id=trial_id, measurement=measurement, best=best, at=self._clock())
        self._collect(operation, trial_id)

    def wait_reason(self, trial_id: str, reason: str | None) -> None:
        """Set the reason for which a QUEUED trial does not run yet."""
        check_row(trials, {"reason": reason})
        self._collect(partial(WriteBatch.wait_reason, trial_id=trial_id, reason=reason, at=self._clock()), trial_id)

    def finish(self, trial_id: str, attempt: int, outcome: Outcome, told: int | None) -> None:
        """End an attempt and its trial. Files become artifacts at `<job>/<trial>/<attempt>/<name>`."""
        outcome = _checked(attempt, outcome)
        check_row(trials, {"told": told})
        operation = partial(
            WriteBatch.finish, trial_id=trial_id, attempt=attempt, outcome=outcome, told=told, at=self._clock()
        )
        self._collect(operation, trial_id)

    def requeue(
        self, trial_id: str, attempt: int, state: TrialState, failure: FailureKind | None, message: str | None
    ) -> None:
        """End an attempt in `state`, and queue the trial for another attempt."""
        ended = _checked(attempt, Outcome(state, failure, message))
        operation = partial(WriteBatch.requeue, trial_id=trial_id, attempt=attempt, ended=ended, at=self._clock())
        self._collect(operation, trial_id)

    def record_test(self, trial_id: str, metrics: Mapping[str, float]) -> None:
        """Store metrics on the test split, unless the trial already has such metrics."""
        copy = metrics_of(metrics, "test metrics")
        self._collect(partial(WriteBatch.record_test, trial_id=trial_id, metrics=copy, at=self._clock()), trial_id)

    def count_rejections(self, rejected: Mapping[str, int], answered: int) -> None:
        """Count the rejected and answered candidates since the last proposal that no further proposal will carry."""
        check_row(jobs, {"rejected": rejected, "answered": answered})
        self._collect(partial(WriteBatch.count_rejections, rejected=dict(rejected), answered=answered))

    def count_ask(self, seconds: float) -> None:
        """Count a request for proposals to the algorithm, and the seconds that it took."""
        self._collect(partial(WriteBatch.count_ask, seconds=seconds))

    def record_round(self, number: int, data: Mapping[str, Any]) -> None:
        """Store the algorithm's report on a round, unless a report with its number is stored."""
        check_row(rounds, {"number": number})
        copy = document_of(data, f"round {number}")
        self._collect(partial(WriteBatch.record_round, number=number, data=copy, at=self._clock()))

    def pin_data(self, pins: Mapping[str, str]) -> None:
        """Store the fingerprints of the files that the job learns from."""
        self._collect(partial(WriteBatch.pin_data, pins=dict(pins)))

    def event(self, kind: str, data: Mapping[str, Any], trial_id: str | None = None) -> None:
        check_row(events, {"kind": kind})
        copy = document_of(data, f"event {kind}")
        operation = partial(WriteBatch.event, kind=kind, data=copy, trial_id=trial_id, at=self._clock())
        self._collect(operation, trial_id)

    def finish_job(self, state: JobState, reason: str | None = None, *, revision: int | None = None) -> None:
        """Give back the job and the lease: the last operation of a writer.

        `state` is the driver's report; what becomes of the job follows from `searchsvc.domain.life_cycle`, since a user
        may have made a request after the driver last looked. PAUSED and CANCELLED report that the running trials were
        ended early: the job becomes PAUSED or CANCELLED if a user requested it, and otherwise waits for a driver.
        SUCCEEDED and FAILED cancel the open trials, unless the job was extended or retried since the `revision` that
        the driver last saw: then it waits for a driver.
        """
        reason = reason and reason[-_LONGEST_MESSAGE:]
        with self._collecting:
            self._ending = partial(finish_job, state=state, reason=reason, revision=revision)

    def flush(self) -> None:
        """Write the collected operations. Raises LeaseLost and Unstorable, with nothing written, and StoreUnavailable.

        After StoreUnavailable no operation is lost: the next flush determines which were written, and continues.
        Unstorable means that the database refuses the operations for their data and would refuse them for ever, which
        the checks of each operation should prevent: these operations are dropped.
        """
        with self._flushing:
            if self._sent is not None:
                self._send(self._sent)
            with self._collecting:
                operations, self._operations = self._operations, []
                ending, self._ending = self._ending, None
                if not operations and ending is None:
                    return
                self._sent = sent = _Sent(operations, ending, new_id(), self._clock())
            self._send(sent)

    def _send(self, sent: _Sent) -> None:
        try:
            self._database.write(partial(self._write, sent=sent))
        except (LeaseLost, StoreUnavailable):
            raise
        except (StatementError, ValueError, TypeError, ArithmeticError) as error:
            self._sent = None
            count = len(sent.operations)
            raise Unstorable(f"{count} writes are dropped, as they cannot be stored: {message_of(error)}") from error
        except Exception:
            self._sent = None  # it would fail again, and everything after it
            raise
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


def _checked(attempt: int, ended: Outcome) -> Outcome:
    """Return the outcome of an attempt with a message of bounded length. Raises Unstorable."""
    message = ended.message and ended.message[-_LONGEST_MESSAGE:]
    check_row(attempts, {"number": attempt, "message": message})
    for file in ended.files:
        check_row(artifacts, {"name": file.name, "bytes": file.bytes, "sha256": file.sha256})
    return replace(ended, message=message)
