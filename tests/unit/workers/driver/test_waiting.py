"""Reasons that waiting trials get, and how often the cluster is asked for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ray.exceptions import RayActorError

from tests.support.driver_parts import DriverParts
from workers.driver.waiting import EXPLAIN_SECONDS, PATIENCE_SECONDS

Drivers = Callable[..., DriverParts]


def reasons(parts: DriverParts) -> list[str | None]:
    return [trial.reason for trial in parts.trials()]


def test_a_submitted_trial_gets_a_reason_after_some_patience(driver: Drivers) -> None:
    parts = driver(2, resources={"cpu": 2.0})
    parts.submit("a")
    parts.clock.advance(PATIENCE_SECONDS - 1)
    parts.dispatcher.tick()
    assert reasons(parts) == [None]
    parts.clock.advance(1.5)
    parts.dispatcher.tick()
    assert reasons(parts) == ["waits for 2 CPU: 0 of 2 free"]


def test_a_trial_that_runs_gets_no_reason(driver: Drivers) -> None:
    parts = driver(1)
    parts.start("a")
    parts.clock.advance(PATIENCE_SECONDS + 1)
    parts.dispatcher.tick()
    assert reasons(parts) == [None]


def test_trials_beyond_the_slots_wait_for_running_ones(driver: Drivers) -> None:
    parts = driver(2, resources={"concurrency": 1})
    parts.start("a")
    parts.dispatcher.failed("a", RayActorError())
    trial = parts.ledger.next_trial(1, 100, idle=False)
    assert trial is not None
    parts.start("b")
    parts.ledger.waiting.append(trial)
    parts.clock.advance(PATIENCE_SECONDS + 1)
    parts.dispatcher.tick()
    assert trial.reason == "1 of 1 trials at once are running"


def test_the_test_of_a_winner_gets_no_reason(driver: Drivers) -> None:
    parts = driver(1, budget={"trials": 1})
    parts.succeed("a")
    parts.submit("test")
    parts.clock.advance(PATIENCE_SECONDS + 1)
    parts.dispatcher.tick()
    assert reasons(parts) == [None]


def test_the_heartbeat_gets_the_nodes_at_most_once_a_second(driver: Drivers, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = driver(2, 1)
    looks: list[int] = []
    nodes = parts.placement.nodes
    monkeypatch.setattr(parts.placement, "nodes", lambda: looks.append(1) or nodes())
    for _ in range(3):
        parts.dispatcher.tick()
    assert [node.id for node in parts.heartbeat.nodes] == ["0", "1"]
    assert len(looks) == 1
    parts.clock.advance(EXPLAIN_SECONDS * 1.5)
    parts.dispatcher.tick()
    assert len(looks) == 2
