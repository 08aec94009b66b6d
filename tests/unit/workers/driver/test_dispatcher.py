"""Consequences of Tune's events, without Ray: what is stored, which processes are killed, which nodes are avoided."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from searchsvc.domain import (
    Budget,
    Candidate,
    Decision,
    FailureKind,
    Outcome,
    Proposal,
    Resources,
    TrialKind,
    TrialState,
)
from searchsvc.errors import LeaseLost
from tests.support.driver_parts import DriverParts, FakeActor, measured
from workers.driver.attempts import ActiveAttempt
from workers.driver.dispatcher import Dispatcher
from workers.driver.interruption import Interrupted, Reason
from workers.driver.ledger import OpenTrial
from workers.trials.trainable import GRACE_SECONDS, INSTRUCTION, TASK, Instruction

Drivers = Callable[..., DriverParts]
MEDIAN = {"name": "median", "min_trials": 1, "min_epochs": 1}


def test_hours_of_gpus_are_those_of_all_processes_of_what_runs() -> None:
    trials = [
        OpenTrial("supernet", 0, Proposal(Candidate({}), asks=1, told=0, kind=TrialKind.SUPERNET)),
        OpenTrial("waits", 1, Proposal(Candidate({"lr": 0.01}), asks=1, told=0)),
    ]
    attempts = {trial.id: ActiveAttempt(trial, submitted=0.0, workers=3) for trial in trials}
    heartbeat: Any = SimpleNamespace(job=SimpleNamespace(revision=0))
    ledger: Any = SimpleNamespace(running={"supernet": trials[0]})
    placement: Any = SimpleNamespace(resources=Resources(gpu=2, workers=3))
    unused: Any = None
    dispatcher = Dispatcher(ledger, heartbeat, placement, unused, unused, unused, attempts, unused, unused)
    dispatcher._count_gpus()
    assert heartbeat.gpus_in_use == 6


# ---- the start of an attempt -----------------------------------------------------------------------------------------


def test_a_started_attempt_is_stored_with_its_node_and_process(driver: Drivers) -> None:
    parts = driver()
    parts.start("a", node="0", pid=4711)
    [attempt] = parts.attempts_of(0)
    assert (attempt.state, attempt.node, attempt.pid) == (TrialState.RUNNING, "0 host", 4711)


def test_an_attempt_whose_process_has_died_already_is_stored_without_a_place(driver: Drivers) -> None:
    parts = driver()
    parts.start("a", death=RayActorError())
    [attempt] = parts.attempts_of(0)
    assert (attempt.state, attempt.node, attempt.pid) == (TrialState.RUNNING, None, None)


def test_gpus_count_from_the_start_of_an_attempt_to_its_end(driver: Drivers) -> None:
    parts = driver(2, resources={"gpu": 0.5})
    parts.submit("a")
    assert parts.heartbeat.gpus_in_use == 0
    actor = FakeActor()
    parts.dispatcher.started("a", actor)
    assert parts.heartbeat.gpus_in_use == 0.5
    parts.end("a")
    assert parts.heartbeat.gpus_in_use == 0


def test_gpus_of_a_failed_attempt_are_given_back(driver: Drivers) -> None:
    parts = driver(resources={"gpu": 1.0})
    parts.start("a")
    parts.dispatcher.failed("a", RayActorError())
    assert parts.heartbeat.gpus_in_use == 0


# ---- results ---------------------------------------------------------------------------------------------------------


def test_a_measurement_is_stored_and_the_trial_continues(driver: Drivers) -> None:
    parts = driver()
    actor = parts.start("a")
    assert parts.dispatcher.measured("a", measured(0.3, 1)) is Decision.CONTINUE
    assert actor.early_ends == 0
    trial = parts.trials()[0]
    assert (trial.state, trial.step, trial.metrics) == (TrialState.RUNNING, 1, {"accuracy": 0.3})


def test_a_trial_that_the_rule_stops_is_asked_once_to_end_early(driver: Drivers) -> None:
    parts = driver(2, stopping=MEDIAN)
    good, bad = parts.start("a"), parts.start("b")
    assert parts.dispatcher.measured("a", measured(0.9)) is Decision.CONTINUE
    assert parts.dispatcher.measured("b", measured(0.1)) is Decision.STOP
    assert (good.early_ends, bad.early_ends) == (0, 1)


def test_a_trial_ends_early_once_the_time_of_the_job_is_up(driver: Drivers) -> None:
    parts = driver(budget={"trials": 4, "seconds": 5.0})
    actor = parts.start("a")
    parts.store.heartbeat(parts.lease, 600.0, seconds=5.0, gpu_seconds=0.0)
    parts.heartbeat.beat()
    assert parts.dispatcher.measured("a", measured(0.3)) is Decision.STOP
    assert actor.early_ends == 1


def test_the_last_result_is_stored_with_its_measurement(driver: Drivers) -> None:
    parts = driver()
    parts.succeed("a", 0.7, step=8)
    trial = parts.trials()[0]
    assert (trial.state, trial.step, trial.metrics) == (TrialState.SUCCEEDED, 8, {"accuracy": 0.7})
    assert not parts.attempts


def test_the_last_result_needs_no_measurement(driver: Drivers) -> None:
    parts = driver()
    parts.start("a")
    parts.dispatcher.measured("a", measured(0.4, 3))
    parts.dispatcher.ended("a", None, Outcome(TrialState.STOPPED))
    trial = parts.trials()[0]
    assert (trial.state, trial.step) == (TrialState.STOPPED, 3)


def test_metrics_of_a_winner_on_the_test_split_are_stored(driver: Drivers) -> None:
    parts = driver(budget={"trials": 1})
    parts.succeed("a")
    parts.start("test")
    parts.dispatcher.tested("test", {"accuracy": 0.6})
    assert parts.trials()[0].test_metrics == {"accuracy": 0.6}
    assert not parts.attempts
    assert not parts.queue.has_more()


# ---- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "state", "message"),
    [
        (RayActorError(), FailureKind.LOST, TrialState.QUEUED, "the worker was lost: The actor experienced"),
        (None, FailureKind.LOST, TrialState.QUEUED, "the worker was lost: no reason is known"),
        (OutOfMemoryError("too\nlarge"), FailureKind.OUT_OF_MEMORY, TrialState.QUEUED, "too\nlarge"),
        (ValueError("line\nno such layer"), FailureKind.ERROR, TrialState.FAILED, "line\nno such layer"),
    ],
    ids=["lost", "vanished", "memory", "error"],
)
def test_an_attempt_that_ends_without_a_result_fails_by_its_error(
    driver: Drivers, error: Exception | None, kind: FailureKind, state: TrialState, message: str
) -> None:
    parts = driver()
    parts.start("a")
    parts.dispatcher.failed("a", error)
    assert parts.trials()[0].state is state
    [attempt] = parts.attempts_of(0)
    assert (attempt.state, attempt.failure) == (TrialState.FAILED, kind)
    assert str(attempt.message).startswith(message)
    assert not parts.attempts


def test_an_error_inside_the_worker_is_not_a_lost_worker(driver: Drivers) -> None:
    parts = driver()
    parts.start("a")
    parts.dispatcher.failed("a", RayTaskError("step", "Traceback ...\nValueError: no", ValueError("no")))
    assert parts.attempts_of(0)[0].failure is FailureKind.ERROR


def test_a_trial_is_repeated_as_often_as_its_attempts_allow(driver: Drivers) -> None:
    parts = driver(resources={"attempts": 3})
    for key in ("a", "b", "c"):
        parts.start(key)
        parts.dispatcher.failed(key, RayActorError())
    trial = parts.trials()[0]
    assert (trial.state, trial.failure, trial.attempts) == (TrialState.FAILED, FailureKind.LOST, 3)
    assert [attempt.number for attempt in parts.attempts_of(0)] == [1, 2, 3]


def test_an_attempt_that_fails_before_its_start_counts_as_an_attempt(driver: Drivers) -> None:
    parts = driver(resources={"attempts": 1})
    parts.submit("a")
    parts.dispatcher.failed("a", RayActorError())
    [attempt] = parts.attempts_of(0)
    assert (attempt.number, attempt.node, attempt.failure) == (1, None, FailureKind.LOST)
    assert parts.states()[0] == "FAILED"


def test_a_failed_test_is_an_event_and_is_not_repeated(driver: Drivers) -> None:
    parts = driver(budget={"trials": 1})
    parts.succeed("a")
    parts.start("test")
    parts.dispatcher.failed("test", ValueError("Traceback\nno weights\n"))
    [event] = parts.events("trial.test_failed")
    assert (event.trial_id, event.data["reason"]) == (parts.trials()[0].id, "no weights")
    assert event.data["traceback"] == "Traceback\nno weights\n"
    assert parts.states() == ["SUCCEEDED"]
    assert not parts.queue.has_more()


def test_a_test_whose_process_was_lost_names_that(driver: Drivers) -> None:
    parts = driver(budget={"trials": 1})
    parts.succeed("a")
    parts.start("test")
    parts.dispatcher.failed("test", None)
    [event] = parts.events("trial.test_failed")
    assert event.data["reason"] == "its process was lost"


# ---- nodes -----------------------------------------------------------------------------------------------------------


def fail_three(parts: DriverParts, node: str) -> None:
    """Let attempts at three trials fail on a node."""
    for key in ("a", "b", "c"):
        parts.start(key, node=node)
    for key in ("a", "b", "c"):
        parts.dispatcher.failed(key, ValueError("bad library"))


def test_a_node_on_which_three_trials_fail_is_avoided(driver: Drivers) -> None:
    parts = driver(4, 4)
    fail_three(parts, "1")
    [event] = parts.events("node.avoided")
    assert event.data["node"] == "1 (host)"
    assert "3 ERROR" in event.data["reason"]
    assert parts.placement.avoided == {"1"}
    assert not parts.events("node.suspected")


def test_the_only_node_is_suspected_and_used_on(driver: Drivers) -> None:
    parts = driver(4)
    fail_three(parts, "0")
    assert len(parts.events("node.suspected")) == 1
    assert not parts.events("node.avoided")
    assert parts.placement.avoided == frozenset()


def test_a_success_between_the_failures_clears_the_node(driver: Drivers) -> None:
    parts = driver(4, 4)
    for key in ("a", "b"):
        parts.start(key, node="1")
        parts.dispatcher.failed(key, ValueError("bad library"))
    parts.start("good", node="1")
    parts.end("good")
    parts.start("c", node="1")
    parts.dispatcher.failed("c", ValueError("bad library"))
    assert parts.placement.avoided == frozenset()


def test_failed_outcomes_of_workers_count_against_their_node_too(driver: Drivers) -> None:
    parts = driver(4, 4)
    for key in ("a", "b", "c"):
        parts.start(key, node="1")
        parts.end(key, outcome=Outcome(TrialState.FAILED, FailureKind.ERROR, "bad library"))
    assert parts.placement.avoided == {"1"}


# ---- the limit of time per trial -------------------------------------------------------------------------------------


def test_a_process_is_killed_once_when_its_trial_exceeds_its_time(driver: Drivers) -> None:
    parts = driver(resources={"trial_seconds": 100.0, "attempts": 3})
    actor = parts.start("a")
    parts.clock.advance(100.0 + GRACE_SECONDS - 1)
    parts.dispatcher.tick()
    assert parts.actors.killed == []
    parts.clock.advance(2)
    parts.dispatcher.tick()
    parts.dispatcher.tick()
    assert parts.actors.killed == [actor]
    parts.dispatcher.failed("a", RayActorError())
    trial = parts.trials()[0]
    assert (trial.state, trial.failure) == (TrialState.FAILED, FailureKind.TIMED_OUT)
    assert trial.reason == "no end within 100 s; its process was ended"


def test_the_time_of_earlier_attempts_counts_for_the_limit(driver: Drivers) -> None:
    parts = driver(resources={"trial_seconds": 100.0})
    parts.start("a")
    parts.dispatcher.measured("a", measured(0.5, 1, seconds=70.0))
    parts.dispatcher.failed("a", RayActorError())
    actor = parts.start("b")
    parts.clock.advance(30.0 + GRACE_SECONDS + 1)
    parts.dispatcher.tick()
    assert parts.actors.killed == [actor]


def test_a_trial_that_has_used_its_time_has_the_grace_of_another_attempt(driver: Drivers) -> None:
    parts = driver(resources={"trial_seconds": 100.0})
    parts.start("a")
    parts.dispatcher.measured("a", measured(0.5, 1, seconds=150.0))
    parts.dispatcher.failed("a", RayActorError())
    parts.start("b")
    parts.clock.advance(GRACE_SECONDS - 1)
    parts.dispatcher.tick()
    assert parts.actors.killed == []


def test_a_trial_without_a_limit_is_never_killed(driver: Drivers) -> None:
    parts = driver()
    parts.start("a")
    parts.clock.advance(1e9)
    parts.dispatcher.tick()
    assert parts.actors.killed == []


# ---- the end of a Tune run -------------------------------------------------------------------------------------------


def test_attempts_that_end_along_with_another_are_requeued_without_blame(driver: Drivers) -> None:
    parts = driver(4)
    parts.start("killed", death=OutOfMemoryError("9 GB"))
    parts.start("bystander")
    parts.submit("queued")
    parts.dispatcher.broken_off(OutOfMemoryError("9 GB\nmore"))
    assert set(parts.states()) == {"QUEUED"}
    ends = [[(one.state, one.failure) for one in parts.attempts_of(number)] for number in range(3)]
    assert ends[0] == [(TrialState.FAILED, FailureKind.OUT_OF_MEMORY)]
    assert ends[1] == [(TrialState.CANCELLED, None)]
    assert ends[2] == []
    assert parts.attempts_of(1)[0].message == "ended along with another trial: 9 GB"
    assert not parts.attempts
    assert {0, 1, 2} <= {trial.number for trial in parts.ledger.waiting}


def test_requeued_bystanders_do_not_count_as_failures(driver: Drivers) -> None:
    parts = driver(resources={"attempts": 2})
    for turn in range(4):
        parts.start(str(turn))
        parts.dispatcher.broken_off(OutOfMemoryError("of another"))
    assert len(parts.attempts_of(0)) == 4
    assert parts.states()[0] == "QUEUED"


def test_a_test_that_is_broken_off_is_repeated(driver: Drivers) -> None:
    parts = driver(budget={"trials": 1})
    parts.succeed("a")
    parts.start("test")
    parts.dispatcher.broken_off(OutOfMemoryError("9 GB"))
    config = parts.submit("again")
    assert config is not None
    assert config[INSTRUCTION] is Instruction.TEST


def test_a_new_run_shares_no_attempts_with_the_last(driver: Drivers) -> None:
    parts = driver()
    parts.submit("a")
    parts.dispatcher.begin_run()
    assert not parts.attempts


def test_every_process_is_ended_with_the_job(driver: Drivers) -> None:
    parts = driver(4)
    actors = [parts.start("a"), parts.start("b")]
    parts.submit("without a process yet")
    parts.dispatcher.kill_all()
    assert parts.actors.killed == actors


# ---- requests and changes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "reason"), [("pause_job", Reason.PAUSE), ("cancel_job", Reason.CANCEL)], ids=["pause", "cancel"]
)
def test_a_request_interrupts_the_run_at_the_next_tick(driver: Drivers, verb: str, reason: Reason) -> None:
    parts = driver()
    parts.start("a")
    getattr(parts.store, verb)(parts.job_id)
    parts.dispatcher.tick()
    parts.heartbeat.beat()
    with pytest.raises(Interrupted) as raised:
        parts.dispatcher.tick()
    assert raised.value.reason is reason


def test_a_lost_lease_interrupts_the_run(driver: Drivers) -> None:
    parts = driver()
    parts.start("a")
    parts.store.release(parts.lease)
    parts.dispatcher.ended("a", measured(0.5), Outcome(TrialState.SUCCEEDED))
    with pytest.raises(Interrupted) as raised:
        parts.submit("b")
    assert (raised.value.reason, type(raised.value.error)) == (Reason.ERROR, LeaseLost)


def test_failed_trials_that_the_user_retries_are_queued_again(driver: Drivers) -> None:
    parts = driver(2, budget={"trials": 2})
    parts.start("a")
    parts.start("b")
    parts.dispatcher.failed("a", ValueError("no such layer"))
    parts.ledger.flush()
    parts.store.retry_job(parts.job_id)
    parts.dispatcher.tick()
    assert not parts.ledger.waiting  # the driver has not read the change yet
    parts.heartbeat.beat()
    parts.dispatcher.tick()
    parts.dispatcher.tick()
    assert [trial.number for trial in parts.ledger.waiting] == [0]
    config = parts.submit("again")
    assert config is not None
    assert (config[TASK].trial_id, config[TASK].attempt) == (parts.trials()[0].id, 2)


def test_a_retried_trial_has_all_its_attempts_again(driver: Drivers) -> None:
    parts = driver(budget={"trials": 1}, resources={"attempts": 2})
    for key in ("a", "b"):
        parts.start(key)
        parts.dispatcher.failed(key, RayActorError())
    assert parts.states() == ["FAILED"]
    parts.store.retry_job(parts.job_id)
    parts.heartbeat.beat()
    parts.dispatcher.tick()
    parts.start("c")
    parts.dispatcher.failed("c", RayActorError())
    assert parts.states() == ["QUEUED"]


def test_a_larger_budget_lets_the_queue_go_on(driver: Drivers) -> None:
    parts = driver(budget={"trials": 1})
    parts.succeed("a")
    parts.start("test")
    parts.dispatcher.tested("test", {"accuracy": 0.4})
    assert not parts.queue.has_more()
    parts.store.extend_job(parts.job_id, Budget(trials=2))
    parts.heartbeat.beat()
    parts.dispatcher.tick()
    parts.succeed("b", 0.9)
    config = parts.submit("test of the new winner")
    assert config is not None
    assert (config[INSTRUCTION], config[TASK].trial_id) == (Instruction.TEST, parts.trials()[1].id)
