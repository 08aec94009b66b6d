"""The order in which Tune gets its work: waiting trials, new trials, tests of winners, and the end of a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ray.exceptions import RayActorError

from searchsvc.domain import FailureKind, TrialState
from tests.support.driver_parts import DriverParts, measured
from workers.driver import trial_queue
from workers.driver.interruption import Interrupted, Reason
from workers.driver.trial_queue import NO_MORE
from workers.trials.trainable import AVOIDED, INSTRUCTION, RESOURCES, TASK, Instruction

Drivers = Callable[..., DriverParts]
MEDIAN = {"name": "median", "min_trials": 1, "min_epochs": 1}


def instruction(parts: DriverParts, key: str) -> Instruction | None:
    config = parts.submit(key)
    return None if not config else config[INSTRUCTION]


def test_a_new_trial_comes_with_its_task_and_resources(driver: Drivers) -> None:
    parts = driver(resources={"cpu": 2.0})
    config = parts.submit("a")
    assert config is not None
    assert (config[INSTRUCTION], config[RESOURCES], config[AVOIDED]) == (
        Instruction.TRAIN,
        parts.placement.resources,
        (),
    )
    assert (config[TASK].trial_id, config[TASK].attempt) == (parts.trials()[0].id, 1)
    assert parts.attempts["a"].trial.id == config[TASK].trial_id


def test_no_more_attempts_are_active_than_there_are_slots(driver: Drivers) -> None:
    parts = driver(2)
    assert [instruction(parts, key) for key in ("a", "b", "c")] == [Instruction.TRAIN, Instruction.TRAIN, None]
    assert len(parts.trials()) == 2


def test_avoided_nodes_are_named_to_ray(driver: Drivers) -> None:
    parts = driver(2, 2, 2)
    for node in ("2", "1"):
        for trial in range(3):
            parts.placement.failed(node, trial, FailureKind.LOST)
    config = parts.submit("a")
    assert config is not None
    assert config[AVOIDED] == ("1", "2")


def test_a_lost_trial_is_repeated_before_new_ones(driver: Drivers) -> None:
    parts = driver(2)
    parts.start("a")
    parts.start("b")
    parts.dispatcher.failed("a", RayActorError())
    config = parts.submit("c")
    assert config is not None
    assert (config[TASK].trial_id, config[TASK].attempt) == (parts.trials()[0].id, 2)


def test_a_trial_that_the_rule_stopped_is_only_ended_by_its_next_attempt(driver: Drivers) -> None:
    parts = driver(2, stopping=MEDIAN)
    parts.start("good")
    parts.start("bad")
    parts.dispatcher.measured("good", measured(0.9))
    parts.dispatcher.measured("bad", measured(0.1))
    parts.dispatcher.failed("bad", RayActorError())
    assert instruction(parts, "again") is Instruction.STOP


# ---- winners ---------------------------------------------------------------------------------------------------------


def test_the_winner_is_tested_when_the_budget_is_used_up(driver: Drivers) -> None:
    parts = driver(2, budget={"trials": 2})
    parts.start("a")
    parts.start("b")
    parts.end("a", 0.9)
    assert instruction(parts, "too early") is None  # b may still win, or have to be repeated
    parts.end("b", 0.4)
    config = parts.submit("test")
    assert config is not None
    assert (config[INSTRUCTION], config[TASK].trial_id) == (Instruction.TEST, parts.trials()[0].id)
    assert config[TASK].stored_step == 8
    assert parts.submit("nothing else") is None
    parts.dispatcher.tested("test", {"accuracy": 0.8})
    assert parts.submit("end") is NO_MORE
    assert not parts.queue.has_more()


def test_a_failed_trial_that_is_repeated_delays_the_tests(driver: Drivers) -> None:
    parts = driver(2, budget={"trials": 2})
    parts.start("a")
    parts.start("b")
    parts.end("a", 0.9)
    parts.dispatcher.failed("b", RayActorError())
    assert instruction(parts, "again") is Instruction.TRAIN


def test_every_trial_of_the_front_is_tested(driver: Drivers) -> None:
    parts = driver(2, budget={"trials": 2}, objectives=[{"metric": "accuracy"}, {"metric": "accuracy2"}])
    for key, pair in (("a", (0.9, 0.1)), ("b", (0.1, 0.9))):
        parts.start(key)
        measurement = measured(pair[0], 8)
        metrics = {"accuracy": pair[0], "accuracy2": pair[1]}
        parts.dispatcher.measured(key, type(measurement)(8, metrics, 1.0))
    for key in ("a", "b"):
        parts.end(key)
    assert [instruction(parts, key) for key in ("x", "y", "z")] == [Instruction.TEST, Instruction.TEST, None]


def test_tests_wait_for_a_slot(driver: Drivers) -> None:
    parts = driver(1, budget={"trials": 2}, objectives=[{"metric": "accuracy"}, {"metric": "accuracy2"}])
    for key, pair in (("a", (0.9, 0.1)), ("b", (0.1, 0.9))):
        parts.start(key)
        measurement = measured(pair[0], 8)
        parts.dispatcher.measured(key, type(measurement)(8, {"accuracy": pair[0], "accuracy2": pair[1]}, 1.0))
        parts.end(key)
    assert [instruction(parts, key) for key in ("x", "y")] == [Instruction.TEST, None]


def test_a_tested_winner_is_not_tested_again_by_the_next_driver(driver: Drivers) -> None:
    parts = driver(1, budget={"trials": 1})
    parts.succeed("a")
    parts.start("test")
    parts.dispatcher.tested("test", {"accuracy": 0.5})
    parts.ledger.flush()
    parts.take_over()
    assert not parts.queue.has_more()


# ---- the end ---------------------------------------------------------------------------------------------------------


def test_a_job_that_stops_starts_no_more_trials(driver: Drivers) -> None:
    parts = driver(2)
    parts.start("a")
    parts.store.stop_job(parts.job_id)
    parts.heartbeat.beat()
    assert parts.submit("b") is None
    parts.end("a")
    assert instruction(parts, "test") is Instruction.TEST


def test_a_job_whose_time_is_up_starts_no_more_trials(driver: Drivers) -> None:
    parts = driver(2, budget={"trials": 9, "seconds": 3.0})
    parts.start("a")
    parts.store.heartbeat(parts.lease, 600.0, seconds=3.0, gpu_seconds=0.0)
    parts.heartbeat.beat()
    assert parts.submit("b") is None
    assert len(parts.attempts) == 1


def test_there_is_more_while_the_budget_lasts(driver: Drivers) -> None:
    parts = driver(1, budget={"trials": 2})
    assert parts.queue.has_more()
    parts.succeed("a")
    assert parts.queue.has_more()


def test_a_waiting_trial_is_run_although_the_budget_is_used_up(driver: Drivers) -> None:
    parts = driver(1, budget={"trials": 1})
    parts.start("a")
    parts.dispatcher.failed("a", RayActorError())
    assert parts.queue.has_more()
    assert instruction(parts, "b") is Instruction.TRAIN


def test_an_exhausted_algorithm_ends_the_search(driver: Drivers) -> None:
    parts = driver(4, algorithm={"name": "given", "candidates": [{"lr": 0.1}]})
    parts.succeed("a")
    assert instruction(parts, "test") is Instruction.TEST
    parts.dispatcher.tested("test", {"accuracy": 0.5})
    assert parts.submit("end") is NO_MORE


def test_a_run_of_tune_takes_a_limited_number_of_attempts(driver: Drivers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_queue, "RECYCLE_ATTEMPTS", 2)
    monkeypatch.setattr(trial_queue, "RECYCLE_ROUNDS", 2)
    parts = driver(1)
    parts.succeed("a")
    parts.start("b")
    assert parts.submit("c") is None  # b still runs
    parts.end("b")
    assert parts.submit("c") is NO_MORE
    assert parts.queue.has_more()
    parts.dispatcher.begin_run()
    assert instruction(parts, "c") is Instruction.TRAIN


def test_a_large_cluster_has_more_attempts_in_a_run(driver: Drivers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_queue, "RECYCLE_ATTEMPTS", 2)
    monkeypatch.setattr(trial_queue, "RECYCLE_ROUNDS", 2)
    parts = driver(3)
    for key in range(6):
        parts.succeed(str(key))
    assert parts.submit("over") is NO_MORE


@pytest.mark.parametrize("ask", ["has_more", "next_config"])
def test_requests_interrupt_before_anything_starts(driver: Drivers, ask: str) -> None:
    parts = driver()
    parts.requests.shutdown = True
    with pytest.raises(Interrupted) as raised:
        parts.queue.has_more() if ask == "has_more" else parts.submit("a")
    assert raised.value.reason is Reason.SHUTDOWN
    assert parts.trials() == []


def test_a_trial_without_result_is_no_winner(driver: Drivers) -> None:
    parts = driver(1, budget={"trials": 1})
    parts.start("a")
    parts.dispatcher.failed("a", ValueError("no such layer"))
    assert parts.submit("end") is NO_MORE
    assert parts.trials()[0].state is TrialState.FAILED
