"""The controller: claims jobs, starts a driver process for each, watches the drivers and restarts them when they die.

Several controllers may share a database: the lease decides which of them runs a job. A controller claims the oldest job
first, and only while it has room for another driver, so jobs run in the order of submission, `max_drivers` at a time.

The driver renews its lease, which distinguishes a live driver from a hung driver. The controller renews it only when no
driver can: during the start of a driver, and between a crash and the next start. A driver whose controller died
continues; if its lease expires, the first controller to claim the job takes it over.

A driver without a job is kept on standby, so that the next job, or a job whose driver died, need not wait for imports.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from searchsvc.controller.drivers import DriverProcess, Standby
from searchsvc.controller.housekeeping import Housekeeping
from searchsvc.domain import Job, JobRequest, JobState, Lease
from searchsvc.errors import Conflict, LeaseLost, NotFound, RuntimeUnavailable, StoreUnavailable
from searchsvc.service.service import Service

START_SECONDS = 60.0
"""A driver that has not renewed its lease by itself after this time counts as hung."""
QUICK_SECONDS = 60.0
"""A crash counts against a job if the driver lived shorter than this and no trial has ended since its start."""
STANDBY_SECONDS = 3.0
"""Delay from the start of a driver to the preparation of the next standby driver: the workers start first."""
END_SECONDS = 20.0
"""Time for drivers to end after SIGTERM."""
_FIRST_BACKOFF_SECONDS = 0.2
"""Delay of the first restart after a crash; it doubles with each further restart."""
_LONGEST_BACKOFF_SECONDS = 10.0
_JOBS_CHECK_SECONDS = 0.5
"""Interval at which requests to running jobs are checked."""
_PAUSE_PATIENCE = 6
"""A driver has this many times as long to pause a job as to cancel it: it stores checkpoints first."""
_OTHERS_PATIENCE = 1.5
"""The driver of another controller gets this many times as long, so that its own controller acts first."""
_STOP_CLUSTER_SECONDS = 30.0
_MOST_RUNNING = 1000
_DRIVEN = (JobState.RUNNING, JobState.STOPPING)

_log = logging.getLogger(__name__)

STANDBY_COMMAND = (sys.executable, "-m", "workers.driver")
"""The driver is started by module name: nothing of Ray or training is imported here."""


def driver_command(lease: Lease) -> Sequence[str]:
    """Return the command line of a driver that starts with its job, used if no driver is on standby."""
    return [*STANDBY_COMMAND, lease.job_id, str(lease.epoch)]


def holder_name() -> str:
    """Return a unique name for a controller, which also shows its host and process."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(slots=True)
class _Run:
    """A job that this controller runs, and the observed state of its driver."""

    lease: Lease
    driver: DriverProcess | None
    """None between a crash and the next start."""
    started: float
    """The time of the last start; like all times in this class, of the monotonic clock."""
    seconds_used: float
    """Seconds that the job had used at the start; once it has used more, the driver renews its lease by itself."""
    ended: int
    """Ended trials of the job at the start; a larger number later is progress."""
    crashes: int = 0
    """Consecutive crashes without progress."""
    restart_at: float = 0.0
    """The earliest time of the next start after a crash."""
    renews_itself: bool = False
    """True if the driver renews its lease by itself."""
    renew_at: float = 0.0
    """The time of the next renewal by the controller, while the driver does not renew the lease."""
    over_since: float | None = None
    """The time at which the driver was first seen alive after its job had ended."""


class Controller:
    """Runs the jobs of a store, with drivers on this machine."""

    def __init__(
        self,
        service: Service,
        holder: str | None = None,
        *,
        command: Callable[[Lease], Sequence[str]] = driver_command,
        standby_command: Sequence[str] | None = STANDBY_COMMAND,
        stop_cluster: Sequence[str] | None = (sys.executable, "-m", "workers.cluster", "stop"),
    ) -> None:
        """Create a controller that is not running yet.

        `command` returns the command line of a driver; `standby_command` starts a driver that waits for its job
        (None: no standby). `stop_cluster` stops the Ray that drivers started on this machine, after a clean end and if
        no job of the store has a driver; None leaves it running.
        """
        self.service = service
        self.store = service.store
        self.settings = service.settings
        self.holder = holder or holder_name()
        self.command = command
        log = self.settings.logs_dir / "standby.log"
        self._standby = Standby(standby_command, self.settings.environment(), log) if standby_command else None
        self._standby_at = 0.0
        self._housekeeping = Housekeeping(self.store, self.settings)
        self.stop_cluster = stop_cluster
        self._runs: dict[str, _Run] = {}
        self._requested_since: dict[str, float] = {}
        self._next_check = 0.0
        self._claims_from = 0.0
        self.leave_drivers = False
        """True if drivers continue when `run` ends (a service that restarts), or are asked to end, so that their jobs
        can be resumed. May be changed until then.
        """

    # ---- the loop --------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event, *, job_id: str | None = None) -> None:
        """Run jobs until `stop` is set. `job_id`: run only that job, and return when it has ended or is paused."""
        try:
            while not stop.is_set() and not (job_id and self._is_over(job_id)):
                try:
                    self.turn(job_id)
                except StoreUnavailable as error:
                    _log.warning("the database does not answer, trying again: %s", error)
                stop.wait(self.settings.poll_seconds)
        finally:
            if not self.leave_drivers:
                self._end_drivers()
            if self._standby:
                self._standby.close()
            self._housekeeping.close()
            self._release_all()

    def turn(self, job_id: str | None = None) -> None:
        """Do a single round: check the drivers and the requests, then claim and start jobs."""
        self._housekeeping.poke()
        self._notice_outage()
        now = time.monotonic()
        for run in list(self._runs.values()):
            self._check_driver(run, now)
        if now >= self._next_check:
            self._next_check = now + _JOBS_CHECK_SECONDS
            self._check_requests(now)
        if now < self._claims_from:
            return
        while len(self._runs) < self.settings.max_drivers and self._claim(job_id):
            pass
        if job_id is None and now >= self._standby_at:
            self.warm_up()

    def _notice_outage(self) -> None:
        """After an outage of the database, give live drivers time to renew their leases before jobs are claimed."""
        started = time.monotonic()
        try:
            self.store.ping()
        finally:
            if time.monotonic() - started > self.settings.heartbeat_seconds:
                self._claims_from = time.monotonic() + self.settings.lease_seconds

    def _is_over(self, job_id: str) -> bool:
        if job_id in self._runs:
            return False
        try:
            state = self.store.job(job_id).state
        except StoreUnavailable:
            return False
        return state.is_final or state is JobState.PAUSED

    # ---- starting --------------------------------------------------------------------------------------------------

    def _claim(self, job_id: str | None) -> bool:
        ttl = self.settings.lease_seconds
        if job_id is not None:
            claimed = None if job_id in self._runs else self.store.claim_job(job_id, self.holder, ttl)
        else:
            claimed = self.store.claim(self.holder, ttl)
        if claimed is None:
            return False
        self._begin(*claimed)
        return job_id is None

    def _begin(self, job: Job, lease: Lease) -> None:
        """Start a driver for a job that was just claimed, for the first time or again."""
        before = self._runs.pop(job.id, None)
        if before is not None and before.driver is not None:
            _log.warning("job %s: its former driver is still there and is killed", job.id)
            before.driver.kill()
        self._requested_since.pop(job.id, None)
        run = _Run(lease, None, time.monotonic(), job.seconds_used, self._ended_trials(job.id))
        run.crashes = before.crashes if before is not None else 0
        self._runs[job.id] = run
        try:
            run.driver = self._start_driver(lease)
            _log.info("job %s: driver %d started, epoch %d", job.id, run.driver.process.pid, lease.epoch)
        except RuntimeUnavailable as error:
            self._crashed(run, str(error), "")

    def _start_driver(self, lease: Lease) -> DriverProcess:
        """Use the driver on standby, or start a driver. Raises RuntimeUnavailable."""
        log = self.settings.job_log(lease.job_id)
        self._standby_at = time.monotonic() + STANDBY_SECONDS
        driver = self._standby.take(lease, log) if self._standby else None
        return driver or DriverProcess.start(self.command(lease), self.settings.environment(), log)

    def warm_up(self) -> None:
        """Prepare a driver on standby. `run` does this by itself, unless it runs a single job."""
        self._standby_at = math.inf
        try:
            if self._standby is not None:
                self._standby.prepare()
        except RuntimeUnavailable as error:
            _log.warning("%s", error)

    def _ended_trials(self, job_id: str) -> int:
        return sum(number for state, number in self.store.trial_counts(job_id).items() if state.is_final)

    # ---- watching --------------------------------------------------------------------------------------------------

    def _check_driver(self, run: _Run, now: float) -> None:
        try:
            if run.driver is None:
                self._restart(run, now)
            elif run.driver.exit_code is not None:
                self._driver_ended(run, run.driver)
            elif not run.renews_itself and now - run.started < START_SECONDS:
                self._renew_for(run, now)
        except LeaseLost:
            self._lease_lost(run)
        except NotFound:  # the job was deleted
            self._drop(run)

    def _lease_lost(self, run: _Run) -> None:
        """Give up the job if another controller has it; otherwise the driver has released the lease and will end."""
        if self.store.job(run.lease.job_id).epoch != run.lease.epoch:
            self._drop(run)
        run.renews_itself = True

    def _renew_for(self, run: _Run, now: float) -> None:
        """Renew the lease for a driver that is starting.

        The driver's own first renewal adds to the seconds that the job has used; from then on the driver renews alone.
        """
        if now < run.renew_at:
            return
        run.renew_at = now + self.settings.heartbeat_seconds
        job = self.store.heartbeat(run.lease, self.settings.lease_seconds, seconds=0.0, gpu_seconds=0.0)
        run.renews_itself = run.driver is not None and job.seconds_used > run.seconds_used

    def _driver_ended(self, run: _Run, driver: DriverProcess) -> None:
        job = self.store.job(run.lease.job_id)
        ours = job.epoch == run.lease.epoch and job.state in (JobState.RUNNING, JobState.STOPPING)
        if not ours:
            _log.info("job %s: driver ended, the job is %s", job.id, job.state)
            del self._runs[job.id]
        else:
            self._crashed(run, f"the driver {driver.how_it_ended()}", driver.tail())

    def _crashed(self, run: _Run, how: str, tail: str) -> None:
        """Give up after too many crashes, or schedule the next start."""
        now, job_id = time.monotonic(), run.lease.job_id
        progress = now - run.started >= QUICK_SECONDS or self._ended_trials(job_id) > run.ended
        run.crashes = 1 if progress else run.crashes + 1
        run.driver = None
        if run.crashes >= self.settings.restarts:
            reason = f"gave up after {run.crashes} crashes in a row: {how}" + (f"\n{tail}" if tail else "")
            del self._runs[job_id]
            self._finish(run.lease, JobState.FAILED, reason)
            return
        backoff = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** (run.crashes - 1))
        run.restart_at = now + backoff
        _log.warning("job %s: %s; starting another in %.1f s", job_id, how, backoff)
        run.renews_itself = False
        self._renew_for(run, now)

    def _restart(self, run: _Run, now: float) -> None:
        """Claim the job again, so that late writes of the dead driver are refused."""
        if now < run.restart_at:
            self._renew_for(run, now)
            return
        self.store.release(run.lease)
        claimed = self.store.claim_job(run.lease.job_id, self.holder, self.settings.lease_seconds)
        if claimed is None:
            self._drop(run)
        else:
            self._begin(*claimed)

    def _drop(self, run: _Run) -> None:
        """Give up a job that is run elsewhere: a driver of ours that is still alive is hung."""
        if run.driver is not None:
            run.driver.kill()
        self._runs.pop(run.lease.job_id, None)

    # ---- requests that a driver does not execute -------------------------------------------------------------------

    def _check_requests(self, now: float) -> None:
        """Check the running jobs of all controllers for overdue requests, and for drivers of ours without a lease."""
        running = [job for state in _DRIVEN for job in self.store.jobs(state=state, limit=_MOST_RUNNING)]
        for job in running:
            run = self._runs.get(job.id)
            if run is not None and job.epoch > run.lease.epoch:
                self._drop(run)
        self._kill_lingering({job.id for job in running}, now)
        requested = {job.id: job for job in running if job.request is not None}
        self._requested_since = {job_id: self._requested_since.get(job_id, now) for job_id in requested}
        for job_id, since in list(self._requested_since.items()):
            job, run = requested[job_id], self._runs.get(job_id)
            patience = self.settings.cancel_seconds * (1 if job.request is JobRequest.CANCEL else _PAUSE_PATIENCE)
            if now - since >= patience * (1.0 if run is not None else _OTHERS_PATIENCE):
                self._requested_since.pop(job_id)
                # The job may have ended, or been deleted, since it was listed.
                with contextlib.suppress(Conflict, NotFound):
                    self._execute(job, run)

    def _kill_lingering(self, running: set[str], now: float) -> None:
        """Kill drivers that are still alive some time after their job has ended."""
        for run in self._runs.values():
            if run.lease.job_id in running or run.driver is None:
                run.over_since = None
            elif run.over_since is None:
                run.over_since = now
            elif now - run.over_since > END_SECONDS:
                run.driver.kill()

    def _execute(self, job: Job, run: _Run | None) -> None:
        """Execute a request in place of a driver that only renews its lease."""
        _log.warning("job %s: its driver does not carry out %s and is replaced", job.id, job.request)
        if run is not None:
            self._drop(run)
        for lease in self.store.leases():
            if lease.job_id == job.id and lease.epoch == job.epoch:
                self.store.release(lease)
        if job.request is JobRequest.CANCEL:
            self.store.cancel_job(job.id)
        else:
            self.store.pause_job(job.id)

    def _finish(self, lease: Lease, state: JobState, reason: str | None) -> None:
        writer = self.store.writer(lease)
        try:
            writer.finish_job(state, reason)
            writer.flush()
        except LeaseLost:
            _log.info("job %s: another controller has it", lease.job_id)

    # ---- ending ----------------------------------------------------------------------------------------------------

    def _end_drivers(self) -> None:
        """Ask all drivers to end, and kill drivers that do not."""
        drivers = [(run, run.driver) for run in self._runs.values() if run.driver is not None]
        for _, driver in drivers:
            driver.ask_to_end()
        deadline = time.monotonic() + END_SECONDS
        for run, driver in drivers:
            if not driver.wait(deadline):
                _log.warning("job %s: the driver does not end and is killed", run.lease.job_id)
                driver.kill()

    def _release_all(self) -> None:
        """Release the leases of jobs without a driver, and stop the local Ray if no driver is active."""
        for run in self._runs.values():
            if run.driver is not None and run.driver.exit_code is None:
                continue
            try:
                self.store.release(run.lease)
            except (LeaseLost, NotFound, StoreUnavailable) as error:
                _log.info("job %s: %s", run.lease.job_id, error)
        is_active = any(run.driver is not None and run.driver.exit_code is None for run in self._runs.values())
        self._runs.clear()
        if not is_active and self.stop_cluster is not None and self.settings.ray_address is None:
            self._stop_cluster(self.stop_cluster)

    def _stop_cluster(self, command: Sequence[str]) -> None:
        try:
            if any(lease.deadline > time.time() for lease in self.store.leases()):
                return
            subprocess.run(  # noqa: S603 - our own module
                command, env=self.settings.environment(), check=True, timeout=_STOP_CLUSTER_SECONDS, capture_output=True
            )
        except (OSError, subprocess.SubprocessError, StoreUnavailable) as error:
            _log.warning("the local Ray was not stopped: %s", error)
