"""The open trials of a job and every write about them. Depends on neither Ray nor the wall clock.

Results are stored, passed to the algorithm and passed to the stopping rule in the order in which they arrive. So a
replay of the stored results gives the same state.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from typing import Any

from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain import (
    Decision,
    FailureKind,
    JobSpec,
    Measurement,
    Observation,
    Outcome,
    Proposal,
    TrialKind,
    TrialState,
    best_measurement,
    new_id,
)
from searchsvc.proposing.proposer import Proposer
from searchsvc.store import JobWriter
from workers.driver.interruption import in_background
from workers.trials.folders import has_made

FLUSH_SECONDS = 0.1
PATIENCE_SECONDS = 0.5
"""Time to wait for proposals before the driver turns to other work."""


@dataclass(slots=True, eq=False)
class OpenTrial:
    """A trial that waits or runs."""

    id: str
    number: int
    proposal: Proposal
    attempts: int = 0
    """Number of attempts begun."""
    failures: int = 0
    """Failures of a kind that is retried, since the trial last failed for good."""
    step: int = 0
    seconds: float = 0.0
    best: Measurement | None = None
    history: list[Measurement] = field(default_factory=list)
    """Measurements so far, by step."""
    stop: bool = False
    """True if the stopping rule has stopped the trial, so that it only remains to end it as a result."""
    reason: str | None = None
    """The stored reason why it waits."""
    since: float = field(default_factory=time.monotonic)
    """Monotonic time at which it began to wait."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The result of an ask."""

    first: int
    """The number of the first proposal."""
    proposals: Sequence[Proposal]
    rounds: Sequence[tuple[int, Mapping[str, Any]]]
    """(number, report) of rounds that ended."""
    seconds: float
    """Time that the algorithm took."""
    exhausted: bool = False
    """True if no proposal will follow."""
    has_news: bool = False
    """True if results arrived during the ask: the next ask may have more proposals."""


def with_costs(measurement: Measurement, costs: Mapping[str, float]) -> Measurement:
    """Return a measurement with the trial's costs: an objective may be a cost, which is never measured."""
    return replace(measurement, metrics={**costs, **measurement.metrics}) if costs else measurement


class BackgroundAsks:
    """A proposer that is asked in a background thread, so that an ask of any length delays nothing else.

    Whatever the proposer is told during an ask reaches it after the ask, in order. Proposals therefore depend only on
    the order of proposals and results, as a replay repeats it.
    """

    def __init__(self, proposer: Proposer) -> None:
        self._proposer = proposer
        self._ask: Future[Asked] | None = None
        self._postponed: list[Callable[[], object]] = []
        self._untold = 0
        """Number of results among the postponed calls."""

    @property
    def is_idle(self) -> bool:
        return self._ask is None

    def begin(self, count: int, existing: int, budget: int) -> None:
        """Begin to ask for up to `count` proposals and the reports of rounds that have ended."""

        def ask() -> Asked:
            first, began = self._proposer.next_number, time.monotonic()
            proposals = self._proposer.propose(count, existing=existing, budget=budget)
            return Asked(first, proposals, self._proposer.take_rounds(), time.monotonic() - began)

        self._ask = in_background(ask)

    def end(self, seconds: float) -> Asked | None:
        """Return the proposals if they arrive within `seconds`, else None. Raises NothingFeasible."""
        assert self._ask is not None
        if not wait([self._ask], seconds).done:
            return None
        ask, self._ask = self._ask, None
        postponed, self._postponed, self._untold = self._postponed, [], 0
        asked = ask.result()
        for call in postponed:
            call()
        return replace(asked, exhausted=self._proposer.exhausted, has_news=bool(postponed))

    def tell(self, number: int, observation: Observation) -> int:
        """Tell the outcome of trial `number`, after the ask under way. Return its place in the order of all results."""
        if self._ask is None:
            return self._proposer.tell(number, observation)
        self._postponed.append(lambda: self._proposer.tell(number, observation))
        self._untold += 1
        return self._proposer.told + self._untold - 1

    def reopen(self, number: int) -> None:
        """Try a failed trial again, after the ask under way."""
        if self._ask is None:
            self._proposer.reopen(number)
        else:
            self._postponed.append(lambda: self._proposer.reopen(number))

    def is_exhausted(self) -> bool:
        """True if no proposal will follow; False during an ask."""
        return self._ask is None and self._proposer.exhausted


class Ledger:
    """Records the trials of a job, between the store and the executor of trials."""

    def __init__(
        self,
        spec: JobSpec,
        *,
        writer: JobWriter,
        proposer: Proposer,
        rule: StoppingRule,
        existing: int = 0,
        waiting: Iterable[OpenTrial] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: the stored times of attempts. `monotonic`: the time between flushes."""
        self.spec = spec
        self.existing = existing
        """Trials that count for the budget: all except cancelled trials."""
        self.waiting = deque(waiting)
        self.running: dict[str, OpenTrial] = {}
        self.exhausted = False
        self._writer, self._asks, self._rule = writer, BackgroundAsks(proposer), rule
        self._clock, self._monotonic = clock, monotonic
        self._flushed = monotonic()
        self._after_flush: list[Callable[[], None]] = []

    # ---- next trial ------------------------------------------------------------------------------------------------

    def next_trial(self, room: int, budget: int, *, idle: bool) -> OpenTrial | None:
        """Return the next trial to run, which is stored first; None if there is none yet.

        Then an active trial has to end before, or the algorithm takes longer than PATIENCE_SECONDS for its next
        proposals: ask again later.

        `room`: number of trials that could start now; as many are proposed at once. `budget`: total number of trials
        allowed. `idle`: no trial is active.
        """
        if not self.waiting:
            self._propose(min(room, budget - self.existing), budget, idle=idle)
        self.flush()
        return self.waiting.popleft() if self.waiting else None

    def _propose(self, count: int, budget: int, *, idle: bool) -> None:
        if self._asks.is_idle:
            if count <= 0 or self.exhausted:
                return
            self._asks.begin(count, self.existing, budget)
        asked = self._asks.end(PATIENCE_SECONDS)
        if asked is None:
            return
        trials = [OpenTrial(new_id(), asked.first + place, each) for place, each in enumerate(asked.proposals)]
        self._writer.count_ask(asked.seconds)
        self._writer.add_trials([(trial.id, trial.number, trial.proposal) for trial in trials])
        for number, data in asked.rounds:
            self._writer.record_round(number, data)
        self.waiting.extend(trials)
        self.existing += len(trials)
        # An algorithm that waits for results although no trial is active would wait forever: it is exhausted.
        self.exhausted = asked.exhausted or (idle and not trials and not asked.has_news)

    # ---- events of attempts ----------------------------------------------------------------------------------------

    def start(self, trial: OpenTrial, node: str | None, pid: int | None) -> None:
        """Record the start of an attempt."""
        trial.attempts += 1
        if trial.reason is not None:
            self.explain(trial, None)
        self.running[trial.id] = trial
        self._writer.start_attempt(trial.id, trial.attempts, node, pid, self._clock())

    def measure(self, trial: OpenTrial, measurement: Measurement) -> Decision:
        """Store a measurement and ask the stopping rule. Everything is flushed before a STOP is returned."""
        if measurement.step <= trial.step:
            return Decision.STOP if trial.stop else Decision.CONTINUE
        contenders = [trial.best, measurement] if trial.best else [measurement]
        trial.best = best_measurement(contenders, self.spec.objectives[0]) or measurement
        trial.step, trial.seconds = measurement.step, measurement.seconds
        self._writer.measure(trial.id, measurement, trial.best)
        trial.history.append(measurement)
        if trial.proposal.may_be_stopped and self._asks_to_stop(trial, measurement):
            trial.stop = True
        if trial.stop:
            self.flush()
        return Decision.STOP if trial.stop else Decision.CONTINUE

    def finish(self, trial: OpenTrial, outcome: Outcome) -> bool:
        """Record that an attempt ended by itself. Return whether the trial is repeated."""
        outcome = self._checked(trial, outcome)
        del self.running[trial.id]
        if outcome.failure is not None and outcome.failure.is_retried:
            trial.failures += outcome.failure.counts_as_attempt
            if trial.failures < self.spec.resources.attempts:
                self._writer.requeue(trial.id, trial.attempts, outcome.state, outcome.failure, outcome.message)
                self._wait_again(trial)
                return True
        tell_number = self._asks.tell(trial.number, self._observation(trial, outcome))
        self._writer.finish(trial.id, trial.attempts, outcome, tell_number)
        return False

    def interrupt(self, message: str) -> None:
        """Record that all attempts were ended from outside; their trials wait for the next driver."""
        for trial in list(self.running.values()):
            self.requeue(trial, message)

    def requeue(self, trial: OpenTrial, message: str) -> None:
        """Record that an attempt was ended from outside; this is not counted as a failure."""
        self._writer.requeue(trial.id, trial.attempts, TrialState.CANCELLED, None, message)
        self.running.pop(trial.id, None)
        self._wait_again(trial)

    def reopen(self, trial: OpenTrial) -> None:
        """Queue a failed trial again. Its result may enable the algorithm to propose more trials."""
        self.exhausted = self._asks.is_exhausted()
        self._asks.reopen(trial.number)
        self.waiting.append(trial)

    def record_test(self, trial: OpenTrial, metrics: Mapping[str, float]) -> None:
        """Record a winner's metrics on the test split."""
        self._writer.record_test(trial.id, metrics)

    def explain(self, trial: OpenTrial, reason: str | None) -> None:
        """Store the reason why a trial waits; None if it no longer waits."""
        if reason != trial.reason:
            trial.reason = reason
            self._writer.wait_reason(trial.id, reason)

    def event(self, kind: str, trial: OpenTrial | None = None, **data: object) -> None:
        self._writer.event(kind, data, trial.id if trial else None)

    def flush(self) -> None:
        """Make all writes so far durable. Raises LeaseLost, StoreUnavailable."""
        self._writer.flush()
        self._flushed = self._monotonic()
        actions, self._after_flush = self._after_flush, []
        for action in actions:
            action()

    def after_flush(self, action: Callable[[], None]) -> None:
        """Have `action` called once all writes so far are durable."""
        self._after_flush.append(action)

    def flush_if_due(self) -> None:
        if self._monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    # ---- helpers ---------------------------------------------------------------------------------------------------

    def _asks_to_stop(self, trial: OpenTrial, measurement: Measurement) -> bool:
        return self._rule.report(trial.number, with_costs(measurement, trial.proposal.costs)) is Decision.STOP

    def _wait_again(self, trial: OpenTrial) -> None:
        trial.since = time.monotonic()
        self.waiting.appendleft(trial)

    def _checked(self, trial: OpenTrial, outcome: Outcome) -> Outcome:
        """Turn a result without a value of every objective, or with files of others, into a failure of the task."""
        if misplaced := [made.path_in("") for made in outcome.files if not has_made(trial.attempts, made)]:
            message = f"its worker named files outside the folder of its attempt: {', '.join(misplaced)}"
            return Outcome(TrialState.FAILED, FailureKind.ERROR, message)
        if outcome.failure is not None or trial.proposal.kind is TrialKind.SUPERNET:
            return outcome
        measured = self._metrics(trial)
        missing = [objective.metric for objective in self.spec.objectives if objective.metric not in measured]
        if not missing:
            return outcome
        message = f"task {self.spec.task!r} ended without measuring {', '.join(missing)}"
        return Outcome(TrialState.FAILED, FailureKind.ERROR, message)

    def _metrics(self, trial: OpenTrial) -> dict[str, float]:
        return {**trial.proposal.costs, **(trial.best.metrics if trial.best else {})}

    def _observation(self, trial: OpenTrial, outcome: Outcome) -> Observation:
        """Return the observation that equals `Trial.observation` of the stored trial, so that a replay is exact."""
        return Observation(
            candidate=trial.proposal.candidate,
            metrics=None if outcome.state is TrialState.FAILED else self._metrics(trial),
            failure=outcome.failure,
            step=trial.step,
            stopped=outcome.state is TrialState.STOPPED,
            history=tuple(trial.history),
        )
