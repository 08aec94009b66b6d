"""The controller under clocks that are wrong, databases that stall and errors that nobody expected.

Drivers are objects of the test, with a real pulse; time is that of a fake monotonic clock, and nothing sleeps.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from searchsvc.controller.controller import Controller
from searchsvc.controller.launcher import Launcher
from searchsvc.controller.pulse import RUNNING, PulseReader
from searchsvc.domain import Job, JobState, Lease
from searchsvc.errors import LeaseLost
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.jobs import Clock, a_spec

LEASE_SECONDS, HEARTBEAT_SECONDS, TURN_SECONDS = 3.0, 0.5, 0.25


@dataclass(eq=False)
class Driver:
    """A driver process of the test: it beats while it is alive and neither frozen nor cut off from the database."""

    lease: Lease
    monotonic: Callable[[], float]
    is_frozen: bool = False
    is_cut_off: bool = False
    exit_code: int | None = None
    process: Any = field(default_factory=lambda: SimpleNamespace(pid=4200))

    def __post_init__(self) -> None:
        reading, self.writing = os.pipe()
        self.pulse = PulseReader(reading, self.monotonic)

    def beat(self, store: Store) -> None:
        if self.exit_code is not None or self.is_frozen:
            return
        os.write(self.writing, RUNNING)
        if not self.is_cut_off:
            try:
                store.heartbeat(self.lease, LEASE_SECONDS, seconds=HEARTBEAT_SECONDS, gpu_seconds=0.0)
            except LeaseLost:
                self.exit_code = 0

    def kill(self) -> None:
        self.exit_code = -9

    def ask_to_end(self) -> None:
        self.exit_code = 0

    def wait(self, deadline: float) -> bool:  # noqa: ARG002 - the interface of DriverProcess
        return True

    def how_it_ended(self) -> str:
        return f"ended with exit code {self.exit_code}"

    def tail(self) -> str:
        return ""


class Site:
    """A database, and controllers on it whose drivers this test plays."""

    def __init__(self, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url, self.folder = url, folder
        self.now = 1000.0
        self.drivers: list[Driver] = []
        self.controllers: list[Controller] = []
        """The controllers that are alive."""
        self.all_controllers: list[Controller] = []
        self.stores: dict[str, Store] = {}
        self.refused: Callable[[Lease], None] = lambda _: None

        def start(_: Launcher, lease: Lease) -> Driver:
            self.refused(lease)
            driver = Driver(lease, lambda: self.now)
            self.drivers.append(driver)
            return driver

        monkeypatch.setattr(Launcher, "start", start)

    def controller(self, name: str = "first", *, clock: Clock | None = None, max_drivers: int = 4) -> Controller:
        settings = Settings(
            data_dir=self.folder,
            database_url=self.url,
            lease_seconds=LEASE_SECONDS,
            heartbeat_seconds=HEARTBEAT_SECONDS,
            database_wait_seconds=0.2,
            max_drivers=max_drivers,
        ).prepare()
        self.stores[name] = store = Store.open(self.url, clock=clock or Clock(), wait_seconds=0.2)
        controller = Controller(
            Service(store, settings), name, standby_command=None, stop_cluster=None, monotonic=lambda: self.now
        )
        self.controllers.append(controller)
        self.all_controllers.append(controller)
        return controller

    def turns(self, seconds: float) -> None:
        """Let controllers turn, and drivers beat, for so many seconds."""
        for turn in range(round(seconds / TURN_SECONDS)):
            self.now += TURN_SECONDS
            for driver in self.drivers:
                if turn % 2:
                    driver.beat(self.stores[driver.lease.holder])
            for controller in self.controllers:
                controller._runs.kill_silent()  # a thread does it while a controller runs
                controller.attempt_turn()

    def submit(self) -> Job:
        return next(iter(self.stores.values())).create_job(a_spec())[0]

    def holders(self) -> list[tuple[str, int]]:
        """Return (holder, epoch) of all leases, the oldest job first."""
        return [(lease.holder, lease.epoch) for lease in next(iter(self.stores.values())).leases()]

    def close(self) -> None:
        for driver in self.drivers:
            os.close(driver.writing)
        for controller in self.all_controllers:
            controller._housekeeping.close()
        for store in self.stores.values():
            store.close()


@pytest.fixture
def site(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(sqlite_url, tmp_path / "data", monkeypatch)
    yield made
    made.close()


# ---- clocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-3600.0, 10.0, 3600.0])
def test_a_step_of_the_clock_ends_no_living_driver(site: Site, step: float) -> None:
    clock = Clock()
    site.controller(clock=clock)
    for _ in range(3):
        site.submit()
    site.turns(2.0)
    clock.now += step
    site.turns(2 * LEASE_SECONDS)
    assert site.holders() == [("first", 1)] * 3
    assert [driver.exit_code for driver in site.drivers] == [None] * 3


@pytest.mark.parametrize("apart", [5.0, 3600.0])
def test_controllers_whose_clocks_differ_take_no_job_from_each_other(site: Site, apart: float) -> None:
    clock = Clock()
    site.controller("first", clock=clock, max_drivers=2)
    site.controller("second", clock=Clock(clock.now + apart), max_drivers=4)
    for _ in range(3):
        site.submit()
    site.turns(4 * LEASE_SECONDS)
    assert sorted(site.holders()) == [("first", 1), ("first", 1), ("second", 1)]
    assert [driver.exit_code for driver in site.drivers] == [None] * 3


def test_the_job_of_a_dead_controller_and_driver_is_taken_over_although_the_clock_stepped_back(site: Site) -> None:
    clock = Clock()
    dead = site.controller("dead", clock=clock)
    site.submit()
    site.turns(2.0)
    site.controllers.remove(dead)
    site.drivers[0].kill()
    clock.now -= 3600.0
    site.controller("heir", clock=clock)
    site.turns(LEASE_SECONDS - TURN_SECONDS)
    assert site.holders() == [("dead", 1)]
    site.turns(4 * TURN_SECONDS)
    assert site.holders() == [("heir", 2)]


def test_the_driver_of_a_dead_controller_goes_on(site: Site) -> None:
    dead = site.controller("dead")
    site.submit()
    site.turns(2.0)
    site.controllers.remove(dead)
    site.controller("heir", clock=Clock(0.0))
    site.turns(4 * LEASE_SECONDS)
    assert site.holders() == [("dead", 1)]
    assert site.drivers[0].exit_code is None


# ---- hung drivers and stalls ---------------------------------------------------------------------------------------


def test_a_frozen_driver_is_replaced_although_the_controller_is_full(site: Site) -> None:
    controller = site.controller(max_drivers=1)
    site.submit()
    waiting = site.submit()
    site.turns(2.0)
    site.drivers[0].is_frozen = True
    site.turns(LEASE_SECONDS + 3 * HEARTBEAT_SECONDS)
    assert [driver.exit_code for driver in site.drivers] == [-9, None]
    assert site.holders() == [("first", 2)]
    assert controller.store.job(waiting.id).state is JobState.QUEUED


def test_a_driver_whose_heartbeat_is_stuck_is_replaced_later_than_one_without_a_pulse(site: Site) -> None:
    site.controller()
    site.submit()
    site.turns(2.0)
    site.drivers[0].is_cut_off = True
    site.turns(10 * LEASE_SECONDS)
    assert site.holders() == [("first", 1)]
    site.turns(60.0)
    assert site.holders() == [("first", 2)]
    assert site.drivers[0].exit_code == -9


def test_while_another_process_holds_the_writers_lock_no_driver_is_ended(site: Site) -> None:
    site.controller("first", max_drivers=2)
    site.controller("second")
    for _ in range(3):
        site.submit()
    site.turns(2.0)
    blocker = sqlite3.connect(site.url.removeprefix("sqlite:///"), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    for driver in site.drivers:
        driver.is_cut_off = True  # their heartbeats wait for the lock
    site.turns(2 * LEASE_SECONDS)
    blocker.execute("ROLLBACK")
    blocker.close()
    site.turns(LEASE_SECONDS / 2)  # claims come before the first heartbeat
    for driver in site.drivers:
        driver.is_cut_off = False
    site.turns(2 * LEASE_SECONDS)
    assert sorted(site.holders()) == [("first", 1), ("first", 1), ("second", 1)]
    assert [driver.exit_code for driver in site.drivers] == [None] * 3


# ---- errors --------------------------------------------------------------------------------------------------------


def test_an_error_in_the_check_of_a_job_delays_only_that_job(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = site.controller()
    broken, other = site.submit(), site.submit()
    site.turns(2.0)
    counts = controller.store.trial_counts
    attempts: list[float] = []

    def trial_counts(job_id: str) -> Any:
        if job_id == broken.id:
            attempts.append(site.now)
            raise ZeroDivisionError("a fault in the data of this job")
        return counts(job_id)

    with monkeypatch.context() as patch:
        patch.setattr(controller.store, "trial_counts", trial_counts)
        for driver in site.drivers:
            driver.kill()
        third = site.submit()
        site.turns(2.0)
        assert {driver.lease.job_id for driver in site.drivers if driver.exit_code is None} == {other.id, third.id}
        assert controller.health.errors > 0
        assert "ZeroDivisionError: a fault in the data of this job" in (controller.health.last_error or "")
    delays = [after - before for before, after in pairwise(attempts)]
    assert len(delays) > 1
    assert all(2 * before <= after for before, after in pairwise(delays))  # they double with each failure
    site.turns(20.0)  # longer than the longest delay
    alive = {driver.lease.job_id for driver in site.drivers if driver.exit_code is None}
    assert alive == {broken.id, other.id, third.id}


def test_a_job_whose_driver_cannot_be_started_for_an_unknown_reason_keeps_no_other_from_starting(site: Site) -> None:
    controller = site.controller()
    broken, other = site.submit(), site.submit()

    def refuse(lease: Lease) -> None:
        if lease.job_id == broken.id:
            raise ZeroDivisionError("no driver for this job")

    site.refused = refuse
    site.turns(2.0)
    assert [driver.lease.job_id for driver in site.drivers] == [other.id]
    assert controller.health.errors > 0
    site.refused = lambda _: None
    site.turns(20.0)
    assert [driver.lease.job_id for driver in site.drivers] == [other.id, broken.id]


def test_a_job_that_this_version_cannot_read_keeps_no_other_from_its_driver(site: Site) -> None:
    controller = site.controller()
    unreadable = site.submit()
    with contextlib.closing(sqlite3.connect(site.url.removeprefix("sqlite:///"), isolation_level=None)) as database:
        database.execute("UPDATE jobs SET spec = '{}'")
        other = site.submit()
        site.turns(2.0)
        [(state, reason)] = database.execute("SELECT state, reason FROM jobs WHERE id = ?", (unreadable.id,))
    assert [driver.lease.job_id for driver in site.drivers] == [other.id]
    assert controller.health.errors == 0
    assert (state, "this version cannot read the job" in reason) == ("QUEUED", True)


@pytest.mark.parametrize(
    "method", ["claim", "lease_marks", "assignments", "report_controller", "trial_counts", "heartbeat"]
)
def test_the_controller_survives_an_unknown_error_of_the_store_and_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    controller = site.controller()
    site.submit()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("SQLSTATE 25006, or another that nobody expected")

    with monkeypatch.context() as patch:
        patch.setattr(Store, method, fail)
        for _ in range(40):
            site.now += TURN_SECONDS
            controller.attempt_turn()
        assert controller.health.errors > 0
    site.turns(20.0)
    after = controller.health.turns
    site.turns(LEASE_SECONDS)
    assert controller.health.turns == after + LEASE_SECONDS / TURN_SECONDS
    assert controller.health.seconds_since_turn == 0.0
    assert [driver.lease.job_id for driver in site.drivers if driver.exit_code is None] == [
        lease.job_id for lease in controller.store.leases()
    ]
    assert len(site.holders()) == 1


def test_a_part_that_fails_again_and_again_is_seen_and_keeps_the_others_at_work(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = site.controller()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the list of running jobs cannot be read")

    monkeypatch.setattr(Store, "assignments", fail)
    job = site.submit()
    site.turns(60.0)
    assert controller.health.turns == 0  # the whole time
    assert controller.health.seconds_since_turn == 60.0
    assert [driver.lease.job_id for driver in site.drivers] == [job.id]
    [report] = controller.store.controllers()
    assert (report.turns, report.errors) == (0, controller.health.errors)
    assert "the list of running jobs cannot be read" in (report.last_error or "")


def test_what_no_controller_can_survive_is_noted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = site.controller()

    def end(_: str | None) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(controller, "turn", end)
    with pytest.raises(KeyboardInterrupt):
        controller.run(threading.Event())
    assert controller.has_died


# ---- reports -------------------------------------------------------------------------------------------------------


def test_a_controller_reports_itself_while_it_runs(site: Site) -> None:
    clock = Clock()
    controller = site.controller(clock=clock)
    site.submit()
    site.turns(1.0)
    clock.now += 7.0
    site.turns(6.0)
    [report] = controller.store.controllers()
    assert (report.holder, report.pid, report.drivers) == ("first", os.getpid(), 1)
    assert report.seen_at == clock.now
    assert report.turns > 0
    stop = threading.Event()
    stop.set()
    controller.run(stop)
    assert controller.store.controllers() == []
