"""A real store, real controllers and simulated drivers in one process. Nothing happens by itself: tests move each part.

A `JobWorld` has one clock. Drivers work through the store as real drivers do: heartbeats, trials, an end. Each of their
moves uses what they saw at their last heartbeat, so a test may let a user come in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from searchsvc.controller.controller import Controller
from searchsvc.controller.drivers import DriverProcess
from searchsvc.controller.housekeeping import Housekeeping
from searchsvc.domain import (
    FailureKind,
    Job,
    JobRequest,
    JobState,
    Lease,
    Outcome,
    Trial,
    TrialState,
    count_for_budget,
    new_id,
)
from searchsvc.errors import LeaseLost
from searchsvc.service.service import Service
from searchsvc.service.system.removal import remove_deleted
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.jobs import DONE, Clock, a_proposal, a_spec

LEASE_SECONDS, HEARTBEAT_SECONDS = 3.0, 0.5
TRIALS = 2
"""Trials of a new job."""
_MOST_MOVES = 100


class SimulatedDriver:
    """A driver with the surface of `DriverProcess`, moved by `beat`, `work` and `conclude`."""

    def __init__(self, world: JobWorld, lease: Lease, pid: int) -> None:
        self.process = SimpleNamespace(pid=pid)
        self.lease = lease
        self.pulse = SimpleNamespace(is_hung=lambda _: self._has_no_pulse(), silent_seconds=LEASE_SECONDS)
        self.fails_trials = False
        self._frozen_at: float | None = None
        self._world, self._store = world, world.store
        self._job: Job | None = None
        """The job as seen at the last heartbeat."""
        self._is_asked_to_end = False
        self._exit_code: int | None = None

    @property
    def is_frozen(self) -> bool:
        return self._frozen_at is not None

    @is_frozen.setter
    def is_frozen(self, value: bool) -> None:
        self._frozen_at = self._world.clock.now if value else None

    def _has_no_pulse(self) -> bool:
        return self._frozen_at is not None and self._world.clock.now - self._frozen_at >= LEASE_SECONDS

    # ---- the surface of DriverProcess

    @property
    def exit_code(self) -> int | None:
        return self._exit_code

    def ask_to_end(self) -> None:
        self._is_asked_to_end = True

    def kill(self) -> None:
        if self._exit_code is None:
            self._exit_code = -9

    def wait(self, deadline: float) -> bool:  # noqa: ARG002 - the clock stands still
        for _ in range(_MOST_MOVES):
            self.move()
        return self._exit_code is not None

    def how_it_ended(self) -> str:
        return f"ended with {self._exit_code}"

    def tail(self) -> str:
        return ""

    # ---- moves

    @property
    def is_able(self) -> bool:
        return self._exit_code is None and not self.is_frozen

    def move(self) -> None:
        for step in (self.beat, self.work, self.conclude):
            step()

    def beat(self) -> None:
        self._unless_lost(self._beat)

    def work(self) -> None:
        """Propose, start or end one trial."""
        if self._job is not None and not self._must_interrupt(self._job):
            self._unless_lost(self._work)

    def conclude(self) -> None:
        """End the job if nothing is left to do, or give it back if a user or SIGTERM requires it."""
        if self._job is not None:
            self._unless_lost(self._conclude)

    def _unless_lost(self, step: Callable[[], None]) -> None:
        if not self.is_able:
            return
        try:
            step()
        except LeaseLost:
            self._exit_code = 0

    def _beat(self) -> None:
        self._job = self._store.heartbeat(self.lease, LEASE_SECONDS, seconds=HEARTBEAT_SECONDS, gpu_seconds=0.0)

    def _must_interrupt(self, job: Job) -> bool:
        return self._is_asked_to_end or job.request is not None

    def _trials(self, *states: TrialState) -> list[Trial]:
        return [trial for trial in self._store.all_trials(self.lease.job_id) if trial.state in states]

    def _work(self) -> None:
        assert self._job is not None
        writer = self._store.writer(self.lease)
        running, waiting = self._trials(TrialState.RUNNING), self._trials(TrialState.QUEUED)
        if running:
            outcome = Outcome(TrialState.FAILED, FailureKind.ERROR, "broken") if self.fails_trials else DONE
            writer.finish(running[0].id, running[0].attempts, outcome, None)
        elif self._job.state is not JobState.STOPPING and waiting:
            writer.start_attempt(waiting[0].id, waiting[0].attempts + 1, None, None, self._world.clock.now)
        elif self._job.state is not JobState.STOPPING and not self._is_done(self._job):
            number = len(self._store.all_trials(self.lease.job_id))
            writer.add_trials([(new_id(), number, a_proposal(number))])
        writer.flush()

    def _is_done(self, job: Job) -> bool:
        if self._trials(TrialState.RUNNING):
            return False
        budget = job.spec.budget.trials
        assert budget is not None
        has_waiting = bool(self._trials(TrialState.QUEUED))
        is_over = count_for_budget(self._store.trial_counts(job.id)) >= budget
        return job.state is JobState.STOPPING or (is_over and not has_waiting)

    def _conclude(self) -> None:
        job = self._job
        assert job is not None
        if self._must_interrupt(job):
            self._end(JobState.CANCELLED if job.request is JobRequest.CANCEL else JobState.PAUSED, None)
        elif self._is_done(job):
            self._end(JobState.SUCCEEDED, job.revision)

    def _end(self, state: JobState, revision: int | None) -> None:
        writer = self._store.writer(self.lease)
        writer.finish_job(state, revision=revision)
        writer.flush()
        self._exit_code = 0


class CountingStore(Store):
    """A store that fails the test if a controller claims a job twice in a turn."""

    claims: Counter[str]

    def claim(self, *arguments: object, **options: object) -> tuple[Job, Lease] | None:
        return self._counted(super().claim(*arguments, **options))  # type: ignore[arg-type]  # passed on as they are

    def claim_job(self, *arguments: object, **options: object) -> tuple[Job, Lease] | None:
        return self._counted(super().claim_job(*arguments, **options))  # type: ignore[arg-type]  # passed on as they are

    def _counted(self, claimed: tuple[Job, Lease] | None) -> tuple[Job, Lease] | None:
        if claimed is not None:
            self.claims[claimed[0].id] += 1
            if self.claims[claimed[0].id] > 1:
                pytest.fail(f"job {claimed[0].id} ({claimed[0].state}) was claimed twice in a turn")
            if claimed[0].request is not None:
                pytest.fail(f"job {claimed[0].id} was claimed with the request {claimed[0].request}")
        return claimed


class JobWorld:
    """Jobs, controllers and drivers."""

    def __init__(self, url: str, folder: Path) -> None:
        self.clock = Clock()
        self.store = CountingStore.open(url, clock=self.clock)
        self.store.claims = Counter()
        self.settings = Settings(
            data_dir=folder,
            database_url=url,
            lease_seconds=LEASE_SECONDS,
            heartbeat_seconds=HEARTBEAT_SECONDS,
            cancel_seconds=2.0,
            max_drivers=2,
            restarts=3,
        ).prepare()
        self.service = Service(self.store, self.settings, clock=self.clock)
        self.controllers: list[Controller] = []
        self.drivers: list[SimulatedDriver] = []
        self._pids = count(1)
        self._leases: dict[tuple[str, str], Lease] = {}

    # ---- parts

    def submit(self) -> Job:
        return self.store.create_job(a_spec(budget={"trials": TRIALS}))[0]

    def start_controller(self) -> Controller:
        controller = Controller(
            self.service,
            command=self._command,
            standby_command=None,
            stop_cluster=None,
            clock=self.clock,
            monotonic=self.clock,
        )
        self.controllers.append(controller)
        return controller

    def turn(self, controller: Controller) -> None:
        """Let a controller look at the pulses of its drivers, which it does in a thread, and do a turn."""
        self.store.claims = Counter()
        controller._runs.kill_silent()
        controller.turn()

    def kill_controller(self, controller: Controller) -> None:
        """Let a controller vanish; its drivers continue."""
        self.controllers.remove(controller)

    def end_controller(self, controller: Controller) -> None:
        """Let a controller end its drivers and itself, as on SIGTERM."""
        self.controllers.remove(controller)
        stop = mock.Mock(is_set=lambda: True, wait=lambda _: True)
        controller.run(stop)

    def driver_of(self, job_id: str) -> SimulatedDriver:
        """Return the newest driver of a job."""
        return next(driver for driver in reversed(self.drivers) if driver.lease.job_id == job_id)

    def able_drivers(self) -> list[SimulatedDriver]:
        return [driver for driver in self.drivers if driver.is_able]

    def _command(self, lease: Lease) -> Sequence[str]:
        key = lease.job_id, str(lease.epoch)
        self._leases[key] = lease
        return key

    def start_driver(self, command: Sequence[str], *_arguments: object, **_options: object) -> SimulatedDriver:
        """Stand in for `DriverProcess.start`."""
        driver = SimulatedDriver(self, self._leases[command[0], command[1]], next(self._pids))
        self.drivers.append(driver)
        return driver

    # ---- all together

    def rest(self, *, rounds: int = 150) -> None:
        """Let all that lives go on, with a controller, until every job has ended or is paused. Fail if it does not."""
        if not self.controllers:
            self.start_controller()
        for _ in range(rounds):
            if all(self.is_settled(job) for job in self.store.jobs()):
                return
            self.clock.now += HEARTBEAT_SECONDS
            for driver in self.able_drivers():
                driver.move()
            for controller in self.controllers:
                self.turn(controller)
        stuck = [(job.id, job.state, job.request) for job in self.store.jobs() if not self.is_settled(job)]
        pytest.fail(f"jobs are stuck: {stuck}")

    def clear(self) -> None:
        """Remove all jobs, which must have come to rest, and all controllers and drivers."""
        for job in self.store.jobs():
            self.service.jobs.delete(job.id)
        remove_deleted(self.store, self.settings, lambda _: False)
        self.controllers.clear()
        self.drivers.clear()

    @staticmethod
    def is_settled(job: Job) -> bool:
        return job.state.is_final or job.state is JobState.PAUSED


@contextmanager
def opened_world(url: str, folder: Path) -> Iterator[JobWorld]:
    world = JobWorld(url, folder)
    try:
        with (
            mock.patch.object(DriverProcess, "start", world.start_driver),
            mock.patch.object(Housekeeping, "poke"),
        ):
            yield world
    finally:
        world.store.close()
