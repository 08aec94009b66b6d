"""Recovery of a job from its stored trials, as the next driver does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ray.exceptions import RayActorError

from searchsvc.domain import Attempt, Candidate, Decision, FailureKind, JobState, Outcome, Proposal, TrialState
from tests.support.driver_parts import DriverParts, measured
from workers.driver import recovery
from workers.driver.ledger import OpenTrial
from workers.driver.recovery import counted_failures, reopen_retried

Drivers = Callable[..., DriverParts]
MEDIAN = {"name": "median", "min_trials": 1, "min_epochs": 1}
L, M, E, OK = FailureKind.LOST, FailureKind.OUT_OF_MEMORY, FailureKind.ERROR, None


@pytest.mark.parametrize(
    ("failures", "limit", "count"),
    [
        ([], 3, 0),
        ([OK], 3, 0),
        ([L], 3, 1),
        ([L, M], 3, 2),
        ([L, OK, L], 3, 2),
        ([L, L, L], 3, 0),
        ([L, L, L, L], 3, 1),
        ([E], 3, 0),
        ([L, E, L], 3, 1),
        ([L], 1, 0),
        ([L, L], 2, 0),
    ],
)
def test_failures_count_since_the_trial_last_failed_for_good(
    failures: list[FailureKind | None], limit: int, count: int
) -> None:
    attempts = [
        Attempt("trial", number, TrialState.FAILED, failure, None, None, None, 0.0, 1.0)
        for number, failure in enumerate(failures, 1)
    ]
    assert counted_failures(attempts, limit) == count


def test_a_fresh_job_has_nothing_to_recover(driver: Drivers) -> None:
    parts = driver()
    assert (parts.ledger.existing, list(parts.ledger.waiting), parts.ledger.running) == (0, [], {})


def test_trials_that_ran_are_requeued_first_and_in_order(driver: Drivers) -> None:
    parts = driver(4)
    parts.start("a")
    parts.start("b")
    parts.ledger.flush()
    parts.take_over()
    assert parts.states() == ["QUEUED"] * 4
    assert [trial.number for trial in parts.ledger.waiting] == [0, 1, 2, 3]
    assert parts.ledger.existing == 4
    [attempt] = parts.attempts_of(1)
    assert (attempt.state, attempt.failure, attempt.message) == (TrialState.CANCELLED, None, "its driver ended")
    assert parts.attempts_of(2) == []


def test_requeued_trials_are_stored_before_recovery_ends(driver: Drivers) -> None:
    parts = driver(1)
    parts.start("a")
    parts.ledger.flush()
    parts.take_over()
    assert parts.store.all_trials(parts.job_id)[0].state is TrialState.QUEUED
    assert len(parts.writer) == 0


def test_final_trials_count_for_the_budget_and_do_not_run_again(driver: Drivers) -> None:
    parts = driver(1)
    parts.succeed("a")
    parts.start("b")
    parts.dispatcher.failed("b", ValueError("no such layer"))
    parts.ledger.flush()
    parts.take_over()
    assert (parts.ledger.existing, list(parts.ledger.waiting)) == (2, [])
    trial = parts.ledger.next_trial(1, 100, idle=True)
    assert trial is not None
    assert trial.number == 2


def test_cancelled_trials_do_not_count_for_the_budget(driver: Drivers) -> None:
    parts = driver(2, budget={"trials": 4})
    parts.succeed("a")
    parts.start("b")
    parts.ledger.flush()
    parts.writer.finish_job(JobState.SUCCEEDED)  # cancels the open trial
    parts.writer.flush()
    assert parts.store.all_trials(parts.job_id)[1].state is TrialState.CANCELLED
    parts.store.extend_job(parts.job_id, parts.blueprint.spec.budget.model_copy(update={"trials": 5}))
    parts.take_over()
    assert parts.ledger.existing == 1


def test_an_open_trial_continues_from_its_stored_state(driver: Drivers) -> None:
    parts = driver(1)
    parts.start("a")
    parts.dispatcher.measured("a", measured(0.6, 1, 2.0))
    parts.dispatcher.measured("a", measured(0.4, 2, 4.0))
    parts.dispatcher.failed("a", RayActorError())
    parts.ledger.explain(parts.ledger.waiting[0], "no room")
    parts.ledger.flush()
    before = parts.ledger.waiting[0]
    parts.take_over()
    [trial] = parts.ledger.waiting
    assert (trial.attempts, trial.failures, trial.step, trial.seconds) == (1, 1, 2, 4.0)
    assert (trial.best, trial.history) == (measured(0.6, 1, 2.0), before.history)
    assert (trial.id, trial.proposal, trial.reason) == (before.id, before.proposal, "no room")
    assert not trial.stop


def test_failures_before_a_restart_count_for_the_limit(driver: Drivers) -> None:
    parts = driver(1, resources={"attempts": 2})
    parts.start("a")
    parts.dispatcher.failed("a", RayActorError())
    parts.ledger.flush()
    parts.take_over()
    parts.start("b")
    parts.dispatcher.failed("b", RayActorError())
    assert parts.states() == ["FAILED"]


def test_a_stop_that_was_not_carried_out_is_remembered(driver: Drivers) -> None:
    parts = driver(2, stopping=MEDIAN)
    parts.start("good")
    parts.start("bad")
    parts.dispatcher.measured("good", measured(0.9))
    parts.dispatcher.measured("bad", measured(0.1))
    parts.ledger.flush()
    parts.take_over()
    assert [(trial.number, trial.stop) for trial in parts.ledger.waiting] == [(0, False), (1, True)]


def test_the_stopping_rule_continues_with_the_stored_measurements(driver: Drivers) -> None:
    parts = driver(2, stopping=MEDIAN)
    parts.start("good")
    parts.dispatcher.measured("good", measured(0.9))
    parts.ledger.flush()
    parts.take_over()
    parts.start("good again")
    parts.start("bad")
    assert parts.dispatcher.measured("bad", measured(0.1)) is Decision.STOP


def test_the_next_driver_proposes_what_the_first_would_have_proposed(driver: Drivers) -> None:
    whole, parts = driver(1, seed=5), driver(1, seed=5)
    for key in ("a", "b", "c", "d"):
        whole.succeed(key)
        parts.succeed(key)
        parts.ledger.flush()
        parts.take_over()
    assert [one.values for one in parts.trials()] == [one.values for one in whole.trials()]
    assert not parts.events("algorithm.diverged")


def test_an_algorithm_that_proposes_something_else_is_an_event(driver: Drivers) -> None:
    parts = driver(1, algorithm={"name": "nsga2"})
    other = Candidate({"lr": 0.123})
    parts.writer.add_trials([("0" * 32, 0, Proposal(other, asks=1, told=0))])
    parts.writer.flush()
    parts.take_over()
    [event] = parts.events("algorithm.diverged")
    assert event.data["trial"] == 0
    assert parts.ledger.waiting[0].proposal.candidate == other


# ---- trials that a user retries while the driver runs ----------------------------------------------------------------


def test_only_trials_that_nobody_has_are_reopened(driver: Drivers) -> None:
    parts = driver(3)
    for key in ("a", "b", "c"):
        parts.start(key)
    parts.dispatcher.failed("a", ValueError("no such layer"))
    parts.dispatcher.failed("b", RayActorError())
    parts.ledger.requeue(parts.attempts["c"].trial, "another reason")
    waiting = list(parts.ledger.waiting)
    parts.ledger.waiting.remove(parts.attempts["c"].trial)
    parts.ledger.flush()
    job = parts.store.retry_job(parts.job_id)
    reopen_retried(parts.store, job, parts.ledger, {parts.attempts["c"].trial.id})
    assert [trial.number for trial in parts.ledger.waiting] == [1, 0]
    assert len(waiting) == 2
    reopen_retried(parts.store, job, parts.ledger, {parts.attempts["c"].trial.id})
    assert [trial.number for trial in parts.ledger.waiting] == [1, 0]


def test_a_reopened_trial_keeps_its_attempts_and_is_not_stopped(driver: Drivers) -> None:
    parts = driver(1, resources={"attempts": 1})
    parts.start("a")
    parts.dispatcher.measured("a", measured(0.5, 3, 9.0))
    parts.end("a", 0.5, 4, Outcome(TrialState.FAILED, FailureKind.ERROR, "no"))
    parts.ledger.flush()
    job = parts.store.retry_job(parts.job_id)
    reopen_retried(parts.store, job, parts.ledger, set())
    trial: OpenTrial = parts.ledger.waiting[0]
    assert (trial.attempts, trial.step, trial.failures, trial.stop) == (1, 4, 0, False)


@pytest.mark.parametrize("rule", ["none", "asha", "median", "rank-correlation"])
def test_measurements_are_read_only_for_a_rule_that_needs_them(
    driver: Drivers, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    parts = driver(1, stopping={"name": rule}, algorithm={"name": "tpe"})
    for key in "abc":
        parts.succeed(key)
    read: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        method = getattr(parts.store, name)

        def call(*arguments: Any, **options: Any) -> Any:
            read.append(name)
            return method(*arguments, **options)

        return call

    for name in ("scan_measurements", "job_measurements", "measurements_of", "measurements"):
        monkeypatch.setattr(parts.store, name, counted(name))
    parts.take_over()
    assert read == ([] if rule == "none" else ["scan_measurements"])


def test_histories_are_read_a_few_trials_at_a_time(driver: Drivers, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = driver(1)
    for number in range(5):
        parts.succeed(f"trial {number}", accuracy=number / 10)
    parts.ledger.flush()
    monkeypatch.setattr(recovery, "_TRIALS_AT_ONCE", 2)
    histories = recovery.StoredHistories(parts.store, parts.store.all_trials(parts.job_id))
    asked: list[int] = []
    read = parts.store.measurements_of

    def counted(ids: list[str]) -> Any:
        asked.append(len(ids))
        return read(ids)

    monkeypatch.setattr(parts.store, "measurements_of", counted)
    values = [histories[number][0].metrics["accuracy"] for number in histories]
    assert values == [number / 10 for number in range(5)]
    assert asked == [2, 2, 1]
