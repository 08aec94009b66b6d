"""The open trials of a job and every write about them. Knows neither Ray nor the wall clock.

The order in which results come in is the order in which they are stored, told to the algorithm and seen by the
stopping rule; so a replay of what is stored gives the same state.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

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

FLUSH_SECONDS = 0.1


@dataclass(slots=True, eq=False)
class OpenTrial:
    """A trial that waits or runs."""

    id: str
    number: int
    proposal: Proposal
    attempts: int = 0
    """Executions begun so far."""
    failures: int = 0
    """Executions that failed in a way that is retried, since the trial last failed for good."""
    step: int = 0
    seconds: float = 0.0
    best: Measurement | None = None
    history: list[Measurement] = field(default_factory=list)
    """What was measured so far, by step."""
    stop: bool = False
    """The stopping rule has spoken: what is left is to end it as a result."""
    reason: str | None = None
    """Why it waits, as it is stored."""
    since: float = field(default_factory=time.monotonic)
    """When it began to wait."""


def with_costs(measurement: Measurement, costs: Mapping[str, float]) -> Measurement:
    """What a stopping rule sees: an objective may be a cost, which is known before training and never measured."""
    return replace(measurement, metrics={**costs, **measurement.metrics})


class Ledger:
    """Keeps the books of one job between the store and whatever executes trials."""

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
    ) -> None:
        self.spec = spec
        self.existing = existing
        """Trials that count for the budget: all but the cancelled ones."""
        self.waiting = deque(waiting)
        self.running: dict[str, OpenTrial] = {}
        self.exhausted = False
        self._writer, self._proposer, self._rule = writer, proposer, rule
        self._clock = clock
        self._flushed = time.monotonic()

    # ---- what to run -----------------------------------------------------------------------------------------------

    def next_trial(self, room: int, budget: int, *, idle: bool) -> OpenTrial | None:
        """The next trial to run, stored before it is returned; None where there is none until something ends.

        `room` trials could start now, and as many are proposed at once; `budget` may exist in all. `idle`: nothing
        that could end is under way.
        """
        if not self.waiting:
            self._propose(min(room, budget - self.existing), budget, idle=idle)
        self.flush()
        return self.waiting.popleft() if self.waiting else None

    def _propose(self, count: int, budget: int, *, idle: bool) -> None:
        if count <= 0 or self.exhausted:
            return
        first = self._proposer.next_number
        proposals = self._proposer.propose(count, existing=self.existing, budget=budget)
        trials = [OpenTrial(new_id(), first + place, proposal) for place, proposal in enumerate(proposals)]
        self._writer.add_trials([(trial.id, trial.number, trial.proposal) for trial in trials])
        for number, data in self._proposer.take_rounds():
            self._writer.record_round(number, data)
        self.waiting.extend(trials)
        self.existing += len(trials)
        # An algorithm that waits for results while none are to come waits forever: it has nothing more to say.
        self.exhausted = self._proposer.exhausted or (idle and not trials)

    # ---- what happened ---------------------------------------------------------------------------------------------

    def start(self, trial: OpenTrial, node: str | None, pid: int | None) -> None:
        """An execution begins."""
        trial.attempts += 1
        if trial.reason is not None:
            self.explain(trial, None)
        self.running[trial.id] = trial
        self._writer.start_attempt(trial.id, trial.attempts, node, pid, self._clock())

    def measure(self, trial: OpenTrial, measurement: Measurement) -> Decision:
        """Store a measurement and ask the stopping rule. A STOP is only returned once all before it is stored."""
        if measurement.step <= trial.step:
            return Decision.STOP if trial.stop else Decision.CONTINUE
        seen = [trial.best, measurement] if trial.best else [measurement]
        trial.best = best_measurement(seen, self.spec.objectives[0]) or measurement
        trial.step, trial.seconds = measurement.step, measurement.seconds
        self._writer.measure(trial.id, measurement, trial.best)
        trial.history.append(measurement)
        if trial.proposal.may_be_stopped and self._asks_to_stop(trial, measurement):
            trial.stop = True
        if trial.stop:
            self.flush()
        return Decision.STOP if trial.stop else Decision.CONTINUE

    def finish(self, trial: OpenTrial, outcome: Outcome) -> bool:
        """An execution ended by itself. True where the trial is to be tried again."""
        outcome = self._checked(trial, outcome)
        del self.running[trial.id]
        if outcome.failure is not None and outcome.failure.is_retried:
            trial.failures += 1
            if trial.failures < self.spec.resources.attempts:
                self._writer.requeue(trial.id, trial.attempts, outcome.state, outcome.failure, outcome.message)
                self._wait_again(trial)
                return True
        told = self._proposer.tell(trial.number, self._observation(trial, outcome))
        self._writer.finish(trial.id, trial.attempts, outcome, told)
        return False

    def interrupt(self, message: str) -> None:
        """All executions are ended from outside; the trials wait for the next driver."""
        for trial in list(self.running.values()):
            self.put_back(trial, message)

    def put_back(self, trial: OpenTrial, message: str) -> None:
        """An execution was ended from outside: nobody's failure."""
        self._writer.requeue(trial.id, trial.attempts, TrialState.CANCELLED, None, message)
        self.running.pop(trial.id, None)
        self._wait_again(trial)

    def reopen(self, trial: OpenTrial) -> None:
        """A trial that had failed is to be tried again; the algorithm may have more to say when it has ended."""
        self.exhausted = self._proposer.exhausted
        self._proposer.reopen(trial.number)
        self.waiting.append(trial)

    def record_test(self, trial: OpenTrial, metrics: Mapping[str, float]) -> None:
        """A winner was measured on the test split."""
        self._writer.record_test(trial.id, metrics)

    def explain(self, trial: OpenTrial, reason: str | None) -> None:
        """Say why a trial waits."""
        if reason != trial.reason:
            trial.reason = reason
            self._writer.wait_reason(trial.id, reason)

    def event(self, kind: str, trial: OpenTrial | None = None, **data: object) -> None:
        self._writer.event(kind, data, trial.id if trial else None)

    def flush(self) -> None:
        """Everything so far becomes durable. Raises LeaseLost, StoreUnavailable."""
        self._writer.flush()
        self._flushed = time.monotonic()

    def flush_if_due(self) -> None:
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _asks_to_stop(self, trial: OpenTrial, measurement: Measurement) -> bool:
        return self._rule.report(trial.number, with_costs(measurement, trial.proposal.costs)) is Decision.STOP

    def _wait_again(self, trial: OpenTrial) -> None:
        trial.since = time.monotonic()
        self.waiting.appendleft(trial)

    def _checked(self, trial: OpenTrial, outcome: Outcome) -> Outcome:
        """The result of a candidate needs a value of every objective: without one the task is at fault."""
        if outcome.failure is not None or trial.proposal.kind is TrialKind.SUPERNET:
            return outcome
        measured = self._metrics(trial)
        missing = [one.metric for one in self.spec.objectives if one.metric not in measured]
        if not missing:
            return outcome
        message = f"task {self.spec.task!r} ended without measuring {', '.join(missing)}"
        return Outcome(TrialState.FAILED, FailureKind.ERROR, message)

    def _metrics(self, trial: OpenTrial) -> dict[str, float]:
        return {**trial.proposal.costs, **(trial.best.metrics if trial.best else {})}

    def _observation(self, trial: OpenTrial, outcome: Outcome) -> Observation:
        """As `Trial.observation` gives it when it is read back."""
        return Observation(
            candidate=trial.proposal.candidate,
            metrics=None if outcome.state is TrialState.FAILED else self._metrics(trial),
            failure=outcome.failure,
            step=trial.step,
            stopped=outcome.state is TrialState.STOPPED,
            history=tuple(trial.history),
        )
