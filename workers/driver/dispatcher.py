"""Consequences of Tune's events: writes to the ledger, verdicts on nodes, processes to kill."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ray.exceptions import OutOfDiskError, OutOfMemoryError, RayError, RayTaskError

from searchsvc.domain import Decision, FailureKind, Measurement, Outcome, TrialKind, TrialState
from searchsvc.store import Store
from workers.driver.actor_manager import cause_of
from workers.driver.attempts import ActiveAttempt, ActiveAttempts, Actors
from workers.driver.heartbeat import Cause, Heartbeat
from workers.driver.interruption import StopRequests, interrupting
from workers.driver.ledger import Ledger, OpenTrial
from workers.driver.leftovers import Leftovers
from workers.driver.placement import Placement
from workers.driver.recovery import reopen_retried
from workers.driver.trial_queue import TrialQueue
from workers.driver.volume import ArtifactsVolume
from workers.driver.waiting import WaitingReasons
from workers.trials.failures import is_storage_failure
from workers.trials.run_trial import TestResult
from workers.trials.trainable import GRACE_SECONDS


class Dispatcher:
    """Handles Tune's callbacks. One per job, used by all of its Tune runs."""

    def __init__(
        self,
        ledger: Ledger,
        heartbeat: Heartbeat,
        placement: Placement,
        store: Store,
        queue: TrialQueue,
        requests: StopRequests,
        attempts: ActiveAttempts,
        volume: ArtifactsVolume,
        leftovers: Leftovers,
        *,
        actors: Actors | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`actors`: access to Tune's processes (default: by Ray). `clock`: the time of deadlines."""
        self.queue = queue
        self._volume, self._leftovers = volume, leftovers
        self._ledger, self._heartbeat, self._placement, self._store = ledger, heartbeat, placement, store
        self._requests, self._attempts = requests, attempts
        self._waiting = WaitingReasons(ledger, heartbeat, placement, attempts, volume, clock=clock)
        self._actors, self._clock = actors or Actors(), clock
        self._revision = heartbeat.job.revision

    def begin_run(self) -> None:
        """Start a new Tune run, with new actors."""
        self.queue.begin_run()
        self._actors.clear()

    def started(self, key: str, actor: Any) -> None:
        """Record that an attempt has a process."""
        attempt = self._attempts[key]
        attempt.actor = actor
        place = self._actors.place_of(actor)
        attempt.node = place[0] if place else None
        for cause in (Cause.ROOM, Cause.STORAGE):
            self._heartbeat.wait_for(cause, None)
        limit = self._heartbeat.job.spec.resources.trial_seconds
        if limit is not None and attempt.trial.proposal.kind is TrialKind.CANDIDATE:
            attempt.deadline = self._clock() + max(0.0, limit - attempt.trial.seconds) + GRACE_SECONDS
        if attempt.test is None:
            node, pid = (f"{place[0]} {place[1]}", place[2]) if place else (None, None)
            self._ledger.start(attempt.trial, node, pid)
        self._count_gpus()

    def measured(self, key: str, measurement: Measurement) -> Decision:
        """Record a measurement of an attempt that continues. After STOP, its next result is its last."""
        with interrupting():
            attempt = self._attempts[key]
            decision = self._ledger.measure(attempt.trial, measurement)
            self._note_progress(attempt)
            if decision is Decision.CONTINUE and not self._heartbeat.time_is_up:
                return Decision.CONTINUE
            attempt.actor.end_early.remote()
            return Decision.STOP

    def ended(self, key: str, measurement: Measurement | None, outcome: Outcome) -> None:
        """Record the last result of an attempt."""
        with interrupting():
            attempt = self._attempts.pop(key)
            if measurement is not None:
                self._ledger.measure(attempt.trial, measurement)
            self._finish(attempt, outcome)

    def tested(self, key: str, result: TestResult) -> None:
        """Record a winner's metrics on the test split, or the failure of the test."""
        with interrupting():
            trial = self._attempts.pop(key).trial
            if isinstance(result, Outcome):
                self._note_failed_test(trial, result.message or "")
            else:
                self._ledger.record_test(trial, result)

    def failed(self, key: str, error: Exception | None) -> None:
        """Record that an attempt ended without a result: its process is gone."""
        with interrupting():
            attempt = self._attempts.pop(key)
            if attempt.test is not None:
                self._note_failed_test(attempt.trial, "its process was lost" if error is None else str(error))
                return
            if attempt.trial.id not in self._ledger.running:
                self._ledger.start(attempt.trial, None, None)
            self._actors.forget(attempt.actor)
            self._finish(attempt, self._outcome_of(attempt, error))

    def could_not_write(self, error: Exception) -> None:
        """Handle the end of a Tune run that could not write its own files."""
        self.kill_all()
        self.broken_off(error)
        self._volume.failed("", str(error), suspect=(None, 0))

    def broken_off(self, error: Exception) -> None:
        """Handle the end of a Tune run that gave up and killed all processes.

        Attempts whose process had died before have failed; all others are requeued without blame.
        """
        for key, attempt in list(self._attempts.items()):
            death = self._actors.death_of(attempt.actor)
            if isinstance(death, OutOfMemoryError):
                self.failed(key, death)
            elif attempt.test is not None:
                self.queue.reconsider_winners()
            elif attempt.actor is None:
                self._ledger.waiting.appendleft(attempt.trial)
            else:
                self._ledger.requeue(attempt.trial, f"ended along with another trial: {_first_line(error)}")
        self._attempts.clear()

    def tick(self) -> None:
        """Several times a second: check requests and time limits, explain waiting trials, flush pending writes."""
        with interrupting():
            self._requests.check()
            self._apply_changes()
            self._end_overdue()
            self._blame_nodes()
            self._waiting.update()
            self._ledger.flush_if_due()

    def kill_all(self) -> None:
        """End the processes of all attempts."""
        for attempt in self._attempts.values():
            if attempt.actor is not None:
                self._actors.kill(attempt.actor)

    def _apply_changes(self) -> None:
        """Apply a user's change of the job: a larger budget, or failed trials to be repeated."""
        revision = self._heartbeat.job.revision
        if revision == self._revision:
            return
        self._revision = revision
        self.queue.reconsider_winners()
        self._ledger.flush()
        active = {attempt.trial.id for attempt in self._attempts.values()}
        reopen_retried(self._store, self._heartbeat.job, self._ledger, active)

    def _end_overdue(self) -> None:
        now = self._clock()
        for attempt in self._attempts.values():
            if attempt.deadline is not None and now > attempt.deadline and not attempt.overdue:
                attempt.overdue = True
                self._actors.kill(attempt.actor)

    def _finish(self, attempt: ActiveAttempt, outcome: Outcome) -> None:
        """Record the end of an attempt. Files that it makes superfluous are removed once its outcome is stored."""
        trial = attempt.trial
        if self._ledger.finish(trial, outcome):
            self._ledger.after_flush(partial(self._leftovers.failed, trial.id, trial.attempts))
        elif outcome.state.has_result:
            self._ledger.after_flush(partial(self._leftovers.ended, trial.id, outcome.files))
        if outcome.failure is None:
            self._placement.succeeded(attempt.node)
            self._volume.succeeded()
        elif outcome.failure is FailureKind.STORAGE:
            self._volume.failed(trial.id, outcome.message or "", suspect=(attempt.node, trial.number))
        else:
            self._note_failure(attempt.node, trial.number, outcome.failure)
        self._count_gpus()

    def _note_progress(self, attempt: ActiveAttempt) -> None:
        """Note that this attempt has a checkpoint; once its first measurement is stored, earlier attempts may go."""
        if not attempt.has_measured:
            attempt.has_measured = True
            self._volume.succeeded()
            if (number := attempt.trial.attempts) > 1:
                self._ledger.after_flush(partial(self._leftovers.continued, attempt.trial.id, number))

    def _outcome_of(self, attempt: ActiveAttempt, error: Exception | None) -> Outcome:
        if attempt.overdue:
            limit = self._heartbeat.job.spec.resources.trial_seconds
            return _failure(FailureKind.TIMED_OUT, f"no end within {limit:g} s; its process was ended")
        return outcome_of(error)

    def _note_failed_test(self, trial: OpenTrial, message: str) -> None:
        reason = (message.strip().splitlines() or [""])[-1]
        self._ledger.event("trial.test_failed", trial, reason=reason, traceback=message)

    def _note_failure(self, node: str | None, trial: int, kind: FailureKind) -> None:
        """Count a failure against its node, and store an event if the node is now avoided or suspected."""
        reason = self._placement.failed(node, trial, kind)
        if reason is not None and node is not None:
            event = "node.avoided" if node in self._placement.avoided else "node.suspected"
            self._ledger.event(event, node=self._placement.name(node), reason=reason)

    def _blame_nodes(self) -> None:
        """Count failures of storage against their nodes if the artifacts volume works on this host."""
        for node, trial in self._volume.suspects():
            self._note_failure(node, trial, FailureKind.STORAGE)

    def _count_gpus(self) -> None:
        running = [attempt for attempt in self._attempts.values() if attempt.trial.id in self._ledger.running]
        processes = sum(attempt.workers for attempt in running)
        self._heartbeat.gpus_in_use = processes * self._placement.resources.gpu


def outcome_of(error: Exception | None) -> Outcome:
    """Return the outcome of an attempt whose process ended, or whose worker raised, with an error; None: unknown."""
    cause = cause_of(error)
    if isinstance(cause, OutOfMemoryError):
        return _failure(FailureKind.OUT_OF_MEMORY, str(cause))
    if cause is not None and (isinstance(cause, OutOfDiskError) or is_storage_failure(cause)):
        return _failure(FailureKind.STORAGE, str(error))
    if cause is None or (isinstance(cause, RayError) and not isinstance(cause, RayTaskError)):
        return _failure(FailureKind.LOST, f"the worker was lost: {_first_line(cause)}")
    return _failure(FailureKind.ERROR, str(error))


def _failure(kind: FailureKind, message: str) -> Outcome:
    return Outcome(TrialState.FAILED, kind, message)


def _first_line(error: Exception | None) -> str:
    return (str(error).splitlines() or [""])[0] if error is not None else "no reason is known"
