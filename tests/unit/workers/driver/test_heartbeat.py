"""The heartbeat: the lease, the time used, the nodes, and the limits of time of the job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from searchsvc.domain import Node
from searchsvc.errors import LeaseLost, StoreUnavailable
from searchsvc.settings import Settings
from tests.support.driver_parts import DriverParts
from workers.driver.heartbeat import Heartbeat

Drivers = Callable[..., DriverParts]
NODE = Node("n1", "host", 4.0, 1.0, 2.0**30, avoided=False)
HANG_SECONDS = 60.0


def test_a_beat_reads_the_requests_of_the_user(driver: Drivers) -> None:
    parts = driver()
    parts.store.pause_job(parts.job_id)
    assert parts.heartbeat.job.request is None
    assert parts.heartbeat.beat().request is not None
    assert parts.heartbeat.job.request is not None


def test_a_beat_extends_the_lease(driver: Drivers) -> None:
    parts = driver()
    short = parts.store.heartbeat(parts.lease, 1.0, seconds=0.0, gpu_seconds=0.0)
    [before] = parts.store.leases()
    parts.heartbeat.beat()
    [after] = parts.store.leases()
    assert after.deadline > before.deadline
    assert (after.epoch, short.id) == (before.epoch, parts.job_id)


def test_a_lost_lease_is_an_error_of_the_beat(driver: Drivers) -> None:
    parts = driver()
    parts.store.release(parts.lease)
    with pytest.raises(LeaseLost):
        parts.heartbeat.beat()


def test_nodes_are_stored_when_they_change(driver: Drivers, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = driver()
    reports: list[Any] = []
    store = parts.store.report_nodes
    monkeypatch.setattr(parts.store, "report_nodes", lambda lease, nodes: reports.append(nodes) or store(lease, nodes))
    parts.heartbeat.nodes = (NODE,)
    parts.heartbeat.beat()
    parts.heartbeat.beat()
    assert parts.store.reported_nodes() == {parts.job_id: (NODE,)}
    assert reports == [(NODE,)]


@pytest.mark.parametrize(
    ("budget", "used", "is_up"),
    [
        ({}, (1e9, 1e9), False),
        ({"seconds": 10.0}, (9.0, 0.0), False),
        ({"seconds": 10.0}, (10.0, 0.0), True),
        ({"gpu_hours": 1.0}, (1e9, 3599.0), False),
        ({"gpu_hours": 1.0}, (0.0, 3600.0), True),
        ({"seconds": 10.0, "gpu_hours": 1.0}, (0.0, 3600.0), True),
        ({"seconds": 10.0, "gpu_hours": 1.0}, (10.0, 0.0), True),
    ],
)
def test_the_time_of_a_job_is_up_at_either_limit(
    driver: Drivers, budget: dict[str, float], used: tuple[float, float], is_up: bool
) -> None:
    parts = driver(budget={"trials": 9, **budget})
    seconds, gpu_seconds = used
    parts.heartbeat.job = parts.store.heartbeat(parts.lease, 600.0, seconds=seconds, gpu_seconds=gpu_seconds)
    assert (parts.heartbeat.time_is_up, parts.heartbeat.draining) == (is_up, is_up)


def test_a_job_that_is_stopped_drains_although_its_time_is_not_up(driver: Drivers) -> None:
    parts = driver()
    parts.store.stop_job(parts.job_id)
    parts.heartbeat.beat()
    assert (parts.heartbeat.time_is_up, parts.heartbeat.draining) == (False, True)


# ---- the thread ------------------------------------------------------------------------------------------------------


def started(parts: DriverParts, **changes: Any) -> Heartbeat:
    settings = Settings(data_dir=parts.folder, heartbeat_seconds=0.01)
    arguments: dict[str, Any] = {"on_lost": lambda: None} | changes
    heartbeat = Heartbeat(parts.store, parts.lease, settings, parts.heartbeat.job, **arguments)
    heartbeat.start()
    return heartbeat


def test_the_thread_beats_until_the_lease_is_lost(driver: Drivers) -> None:
    parts = driver()
    lost, checked = threading.Event(), threading.Event()
    heartbeat = started(parts, on_lost=lost.set, check=checked.set)
    assert checked.wait(HANG_SECONDS)
    assert not lost.is_set()
    parts.store.release(parts.lease)
    assert lost.wait(HANG_SECONDS)
    heartbeat.join(HANG_SECONDS)
    assert not heartbeat.is_alive()


def test_the_thread_outlives_a_database_that_does_not_answer(driver: Drivers, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = driver()
    beats: list[str] = []
    again = threading.Event()
    beat = parts.store.heartbeat

    def failing(*arguments: Any, **options: Any) -> Any:
        beats.append("beat")
        if len(beats) == 1:
            raise StoreUnavailable("the database is away")
        again.set()
        return beat(*arguments, **options)

    monkeypatch.setattr(parts.store, "heartbeat", failing)
    heartbeat = started(parts)
    assert again.wait(HANG_SECONDS)
    heartbeat.stop()
    assert not heartbeat.is_alive()


def test_a_heartbeat_that_never_started_can_be_stopped(driver: Drivers) -> None:
    parts = driver()
    parts.heartbeat.stop()
    assert not parts.heartbeat.is_alive()
