"""The ledger: how many trials are proposed, what is written about each, and when writes are flushed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from searchsvc.domain import (
    Candidate,
    Decision,
    FailureKind,
    Measurement,
    Outcome,
    Proposal,
    TrialKind,
    TrialState,
)
from tests.support.driver_parts import SUCCEEDED, DriverParts, measured
from tests.support.jobs import a_spec
from workers.driver.ledger import FLUSH_SECONDS, Ledger, OpenTrial, with_costs

Drivers = Callable[..., DriverParts]
LOST = Outcome(TrialState.FAILED, FailureKind.LOST, "the worker was lost")
MEDIAN = {"name": "median", "min_trials": 1, "min_epochs": 1}
TWO = {"name": "given", "candidates": [{"lr": 0.1}, {"lr": 0.2}]}


def begin(parts: DriverParts, *, room: int = 1) -> OpenTrial:
    trial = parts.ledger.next_trial(room, 100, idle=False)
    assert trial is not None
    parts.ledger.start(trial, "node", 1)
    return trial


# ---- the next trial --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("room", "budget", "count"), [(3, 100, 3), (3, 2, 2), (1, 2, 1), (5, 5, 5)], ids=["room", "budget", "one", "both"]
)
def test_as_many_trials_are_proposed_at_once_as_there_is_room_and_budget_for(
    driver: Drivers, room: int, budget: int, count: int
) -> None:
    parts = driver()
    trial = parts.ledger.next_trial(room, budget, idle=True)
    assert trial is not None
    assert [stored.number for stored in parts.store.all_trials(parts.job_id)] == list(range(count))
    assert (trial.number, parts.ledger.existing, len(parts.ledger.waiting)) == (0, count, count - 1)


def test_a_trial_is_stored_before_it_runs(driver: Drivers) -> None:
    parts = driver()
    trial = parts.ledger.next_trial(1, 1, idle=True)
    assert trial is not None
    [stored] = parts.store.all_trials(parts.job_id)
    assert (stored.id, stored.proposal) == (trial.id, trial.proposal)


def test_waiting_trials_come_before_new_proposals(driver: Drivers) -> None:
    parts = driver()
    numbers = [getattr(parts.ledger.next_trial(3, 100, idle=False), "number", None) for _ in range(4)]
    assert numbers == [0, 1, 2, 3]
    assert parts.ledger.existing == 6


def test_no_trial_is_proposed_beyond_the_budget(driver: Drivers) -> None:
    parts = driver()
    assert parts.ledger.next_trial(1, 1, idle=True) is not None
    assert parts.ledger.next_trial(1, 1, idle=False) is None
    assert parts.ledger.next_trial(1, 1, idle=True) is None
    assert parts.ledger.existing == 1
    assert not parts.ledger.exhausted  # a larger budget may still come
    assert parts.ledger.next_trial(1, 2, idle=True) is not None


def test_an_algorithm_that_has_proposed_everything_is_exhausted(driver: Drivers) -> None:
    parts = driver(algorithm=TWO)
    assert parts.ledger.next_trial(5, 100, idle=True) is not None
    assert parts.ledger.existing == 2
    assert parts.ledger.next_trial(5, 100, idle=False) is not None
    assert parts.ledger.next_trial(5, 100, idle=False) is None
    assert parts.ledger.exhausted


def test_an_algorithm_that_proposes_nothing_is_exhausted_only_if_it_waits_for_no_result() -> None:
    proposer, writer = SilentProposer(), CountingWriter()
    ledger = Ledger(a_spec(), writer=writer, proposer=proposer, rule=None)  # type: ignore[arg-type]
    assert ledger.next_trial(1, 100, idle=False) is None
    assert not ledger.exhausted
    assert ledger.next_trial(1, 100, idle=True) is None
    assert ledger.exhausted
    assert proposer.asked == 2
    assert ledger.next_trial(1, 100, idle=True) is None
    assert proposer.asked == 2


def test_a_retried_trial_lets_an_exhausted_algorithm_be_asked_again() -> None:
    proposer = SilentProposer()
    ledger = Ledger(a_spec(), writer=CountingWriter(), proposer=proposer, rule=None)  # type: ignore[arg-type]
    ledger.next_trial(1, 100, idle=True)
    ledger.reopen(OpenTrial("retried", 0, PROPOSAL))
    assert not ledger.exhausted
    assert [trial.id for trial in ledger.waiting] == ["retried"]
    assert proposer.reopened == [0]


PROPOSAL = Proposal(Candidate({"lr": 0.1}), asks=1, told=0)


class SilentProposer:
    """Waits for results, and counts how often it is asked."""

    next_number, exhausted = 0, False

    def __init__(self) -> None:
        self.asked = 0
        self.reopened: list[int] = []

    def propose(self, _count: int, **_limits: int) -> list[Proposal]:
        self.asked += 1
        return []

    def tell(self, _number: int, _observation: Any) -> int:
        return 0

    def take_rounds(self) -> list[Any]:
        return []

    def reopen(self, number: int) -> None:
        self.reopened.append(number)


class CountingWriter:
    """Counts flushes and drops all writes."""

    def __init__(self) -> None:
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1

    def add_trials(self, trials: Any) -> None:
        """Drop them."""

    def count_ask(self, seconds: float) -> None:
        """Drop it."""


# ---- attempts --------------------------------------------------------------------------------------------------------


def test_a_trial_that_started_waits_no_longer(driver: Drivers) -> None:
    parts = driver()
    trial = parts.ledger.next_trial(1, 100, idle=True)
    assert trial is not None
    parts.ledger.explain(trial, "no room")
    assert parts.trials()[0].reason == "no room"
    parts.ledger.start(trial, "node", 1)
    assert trial.reason is None
    assert parts.trials()[0].reason is None


def test_a_reason_is_stored_once(driver: Drivers) -> None:
    parts = driver()
    trial = parts.ledger.next_trial(1, 100, idle=True)
    assert trial is not None
    for reason in ("no room", "no room", "no GPU"):
        parts.ledger.explain(trial, reason)
    assert [event.data["reason"] for event in parts.events("trial.waiting")] == ["no room", "no GPU"]


def test_an_attempt_is_stored_with_the_time_of_the_clock(driver: Drivers) -> None:
    parts = driver()
    ledger = parts.ledger
    at = Ledger(ledger.spec, writer=parts.writer, proposer=None, rule=None, clock=lambda: 1234.5)  # type: ignore[arg-type]
    trial = ledger.next_trial(1, 100, idle=True)
    assert trial is not None
    at.start(trial, "node", 7)
    assert trial.attempts == 1
    assert at.running == {trial.id: trial}
    assert parts.attempts_of(0)[0].started_at == 1234.5


@pytest.mark.parametrize(("limit", "repeated"), [(1, [False]), (2, [True, False]), (3, [True, True, False])])
def test_a_lost_trial_is_repeated_until_its_attempts_are_used_up(
    driver: Drivers, limit: int, repeated: list[bool]
) -> None:
    parts = driver(resources={"attempts": limit})
    trial = begin(parts)
    results = [parts.ledger.finish(trial, LOST)]
    while results[-1]:
        assert parts.ledger.next_trial(1, 100, idle=False) is trial
        parts.ledger.start(trial, "node", 1)
        results.append(parts.ledger.finish(trial, LOST))
    assert results == repeated
    assert parts.trials()[0].state is TrialState.FAILED
    assert len(parts.attempts_of(0)) == limit


def test_an_error_is_not_repeated(driver: Drivers) -> None:
    parts = driver()
    trial = begin(parts)
    assert not parts.ledger.finish(trial, Outcome(TrialState.FAILED, FailureKind.ERROR, "no such layer"))
    assert parts.states() == ["FAILED"]
    assert parts.ledger.running == {}


def test_a_repeated_trial_goes_to_the_front_of_the_queue(driver: Drivers) -> None:
    parts = driver()
    trial = begin(parts, room=3)
    parts.ledger.finish(trial, LOST)
    assert [waiting.number for waiting in parts.ledger.waiting] == [0, 1, 2]


def test_only_the_end_of_a_trial_is_told_to_the_algorithm(driver: Drivers) -> None:
    parts = driver()
    first, second = begin(parts), begin(parts)
    parts.ledger.finish(first, LOST)
    parts.ledger.measure(second, measured(0.5))
    parts.ledger.finish(second, SUCCEEDED)
    assert [trial.told for trial in parts.trials()] == [None, 0]
    again = parts.ledger.next_trial(1, 100, idle=True)
    assert again is first
    parts.ledger.start(first, "node", 1)
    parts.ledger.measure(first, measured(0.5))
    parts.ledger.finish(first, SUCCEEDED)
    assert [trial.told for trial in parts.trials()] == [1, 0]


def test_a_result_without_the_objective_is_a_failure_of_the_task(driver: Drivers) -> None:
    parts = driver()
    trial = begin(parts)
    parts.ledger.measure(trial, Measurement(1, {"loss": 0.5}, 1.0))
    parts.ledger.finish(trial, SUCCEEDED)
    [stored] = parts.trials()
    assert (stored.state, stored.failure) == (TrialState.FAILED, FailureKind.ERROR)
    assert stored.reason == "task 'classification' ended without measuring accuracy"


def test_a_result_with_every_objective_is_a_success(driver: Drivers) -> None:
    parts = driver()
    trial = begin(parts)
    parts.ledger.measure(trial, measured(0.5))
    assert not parts.ledger.finish(trial, SUCCEEDED)
    assert parts.states() == ["SUCCEEDED"]


def test_a_supernet_needs_no_objective(driver: Drivers) -> None:
    parts = driver()
    trial = OpenTrial("0" * 32, 0, Proposal(Candidate({}), asks=1, told=0, kind=TrialKind.SUPERNET))
    ledger = Ledger(parts.ledger.spec, writer=parts.writer, proposer=SilentProposer(), rule=None)  # type: ignore[arg-type]
    parts.writer.add_trials([(trial.id, 0, trial.proposal)])
    ledger.start(trial, "node", 1)
    assert not ledger.finish(trial, SUCCEEDED)
    assert parts.states() == ["SUCCEEDED"]


def test_an_interruption_requeues_what_runs_without_blame(driver: Drivers) -> None:
    parts = driver(resources={"attempts": 1})
    trials = [begin(parts), begin(parts)]
    parts.ledger.interrupt("paused")
    assert parts.states() == ["QUEUED", "QUEUED"]
    assert parts.ledger.running == {}
    assert set(parts.ledger.waiting) == set(trials)
    [attempt] = parts.attempts_of(0)
    assert (attempt.state, attempt.failure, attempt.message) == (TrialState.CANCELLED, None, "paused")


def test_an_event_names_its_trial_and_reaches_the_store(driver: Drivers) -> None:
    parts = driver()
    trial = begin(parts)
    parts.ledger.event("node.avoided", node="n1")
    parts.ledger.event("trial.test_failed", trial, reason="no weights")
    [of_job], [of_trial] = parts.events("node.avoided"), parts.events("trial.test_failed")
    assert (of_job.trial_id, of_job.data) == (None, {"node": "n1"})
    assert (of_trial.trial_id, of_trial.data["reason"]) == (trial.id, "no weights")


# ---- measurements ----------------------------------------------------------------------------------------------------


def test_a_measurement_that_an_attempt_repeats_is_passed_over(driver: Drivers) -> None:
    parts = driver()
    trial = begin(parts)
    for step, accuracy in ((1, 0.3), (2, 0.6), (2, 0.9), (1, 0.9)):
        assert parts.ledger.measure(trial, measured(accuracy, step)) is Decision.CONTINUE
    assert [(one.step, one.metrics["accuracy"]) for one in trial.history] == [(1, 0.3), (2, 0.6)]
    assert [one.step for one in parts.store.measurements(parts.trials()[0].id)] == [1, 2]
    assert trial.best == measured(0.6, 2)


def test_the_best_step_counts_not_the_last(driver: Drivers) -> None:
    parts = driver()
    trial = begin(parts)
    for step, accuracy in ((1, 0.3), (2, 0.6), (3, 0.5)):
        parts.ledger.measure(trial, measured(accuracy, step, seconds=step * 2.0))
    [stored] = parts.trials()
    assert (stored.step, stored.best_step, stored.metrics) == (3, 2, {"accuracy": 0.6})
    assert (trial.step, trial.seconds, stored.seconds) == (3, 6.0, 6.0)


def test_the_verdict_of_the_rule_is_durable_before_it_is_carried_out(driver: Drivers) -> None:
    parts = driver(stopping=MEDIAN)
    good, bad = begin(parts), begin(parts)
    parts.ledger.measure(good, measured(0.9))
    assert parts.ledger.measure(bad, measured(0.1)) is Decision.STOP
    assert len(parts.store.measurements(bad.id)) == 1
    assert parts.ledger.measure(bad, measured(0.1)) is Decision.STOP  # repeated by another attempt
    assert not good.stop


def test_costs_are_metrics_unless_they_are_measured() -> None:
    combined = with_costs(Measurement(1, {"flops": 5.0, "accuracy": 0.5}, 2.0), {"flops": 9.0, "params": 1.0})
    assert combined == Measurement(1, {"flops": 5.0, "accuracy": 0.5, "params": 1.0}, 2.0)


# ---- flushes ---------------------------------------------------------------------------------------------------------


def test_writes_are_flushed_once_the_time_between_flushes_is_over() -> None:
    now = [100.0]
    writer = CountingWriter()
    ledger = Ledger(a_spec(), writer=writer, proposer=None, rule=None, monotonic=lambda: now[0])  # type: ignore[arg-type]
    ledger.flush_if_due()
    assert writer.flushes == 0
    now[0] += FLUSH_SECONDS * 1.5
    ledger.flush_if_due()
    ledger.flush_if_due()
    assert writer.flushes == 1
    now[0] += FLUSH_SECONDS * 1.5
    ledger.flush()
    ledger.flush_if_due()
    assert writer.flushes == 2
