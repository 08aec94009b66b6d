"""The controller: claims jobs, starts a driver process for each, watches them and starts them again when they die.

Several controllers may share a database: the lease decides who runs a job. A controller claims the oldest job first,
and only while it has room for another driver, so jobs run in the order in which they came, `max_drivers` at a time.

A lease belongs to the driver, which renews it; that is how a hung driver is told from a living one. The controller
renews it only where no driver can: while one starts, and between a crash and the next start. A driver whose controller
died goes on; when its lease ends, whichever controller comes first takes the job over.

One driver without a job is kept on standby, so that the next job, or one whose driver died, need not wait for imports.
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
from searchsvc.domain import Job, JobRequest, JobState, Lease
from searchsvc.errors import Conflict, LeaseLost, NotFound, RuntimeUnavailable, StoreUnavailable
from searchsvc.service.service import Service

START_SECONDS = 60.0
"""A driver that takes longer than this to renew its lease for the first time counts as hung."""
QUICK_SECONDS = 60.0
"""A crash counts against a job where the driver lived shorter than this, and no trial ended meanwhile."""
STANDBY_SECONDS = 3.0
"""After the start of a driver, until another one is made ready: its workers start first."""
END_SECONDS = 20.0
"""Time that drivers have to end after SIGTERM."""
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 10.0
_LOOK_SECONDS = 0.5

_log = logging.getLogger(__name__)


STANDBY_COMMAND = (sys.executable, "-m", "workers.driver")
"""The driver is started by module name: nothing of Ray or training is imported here."""


def driver_command(lease: Lease) -> Sequence[str]:
    """A driver that is given its job at once, where none waits for one."""
    return [*STANDBY_COMMAND, lease.job_id, str(lease.epoch)]


def holder_name() -> str:
    """A name for a controller that no other one has, and that tells a person where it is."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(slots=True)
class _Run:
    """A job that this controller runs."""

    lease: Lease
    driver: DriverProcess | None
    """None between a crash and the next start."""
    started: float
    """On the monotonic clock."""
    seconds_used: float
    """What the job had used when the driver was started; more means that the driver renews its lease by itself."""
    ended: int
    """Trials of the job that had ended then."""
    crashes: int = 0
    """Quick ones in a row."""
    restart_at: float = 0.0
    renews_itself: bool = False
    renew_at: float = 0.0
    over_since: float | None = None
    """When its job was first seen to have ended while the driver had not."""


class Controller:
    """One controller."""

    def __init__(
        self,
        service: Service,
        holder: str | None = None,
        *,
        command: Callable[[Lease], Sequence[str]] = driver_command,
        standby_command: Sequence[str] | None = STANDBY_COMMAND,
        stop_cluster: Sequence[str] | None = (sys.executable, "-m", "workers.cluster", "stop"),
    ) -> None:
        """`command` gives a driver's command line, `standby_command` that of one that waits for its job; None: no
        driver is kept waiting. `stop_cluster` ends the Ray which drivers started on this machine, run after a
        clean end where no job of the store has a driver; None: it is left running.
        """
        self.service = service
        self.store = service.store
        self.settings = service.settings
        self.holder = holder or holder_name()
        self.command = command
        log = self.settings.logs_dir / "standby.log"
        self._standby = Standby(standby_command, self.settings.environment(), log) if standby_command else None
        self._standby_at = 0.0
        self.stop_cluster = stop_cluster
        self._runs: dict[str, _Run] = {}
        self._asked: dict[str, float] = {}
        self._next_look = 0.0
        self._claims_from = 0.0
        self.leave_drivers = False
        """Whether drivers go on by themselves when `run` ends (a service that restarts), or are asked to end, which
        leaves their jobs to be resumed. May be changed until then.
        """

    # ---- the loop --------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event, *, job_id: str | None = None) -> None:
        """Until `stop` is set. `job_id`: run only that job, and return when it has ended or is paused."""
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
            self._let_go()

    def turn(self, job_id: str | None = None) -> None:
        """One round: look after the drivers, then start what can be started."""
        self._notice_outage()
        now = time.monotonic()
        for run in list(self._runs.values()):
            self._look_after(run, now)
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._look_at_jobs(now)
        if now < self._claims_from:
            return
        while len(self._runs) < self.settings.max_drivers and self._claim(job_id):
            pass
        if job_id is None and now >= self._standby_at:
            self.warm_up()

    def _notice_outage(self) -> None:
        """Leases ran out while the database was away: living drivers get time to renew theirs before anyone claims."""
        asked = time.monotonic()
        try:
            self.store.ping()
        finally:
            if time.monotonic() - asked > self.settings.heartbeat_seconds:
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
        """Run a job that was just claimed: its first driver, or one more."""
        before = self._runs.pop(job.id, None)
        if before is not None and before.driver is not None:
            _log.warning("job %s: its former driver is still there and is killed", job.id)
            before.driver.kill()
        self._asked.pop(job.id, None)
        if job.request is not None:  # it waited for a driver that died: no other one is needed
            self._finish(lease, JobState.PAUSED, None)
            return
        run = _Run(lease, None, time.monotonic(), job.seconds_used, self._ended(job.id))
        run.crashes = before.crashes if before is not None else 0
        self._runs[job.id] = run
        try:
            run.driver = self._start_driver(lease)
            _log.info("job %s: driver %d started, epoch %d", job.id, run.driver.process.pid, lease.epoch)
        except RuntimeUnavailable as error:
            self._crashed(run, str(error), "")

    def _start_driver(self, lease: Lease) -> DriverProcess:
        """The one on standby, or another. Raises RuntimeUnavailable."""
        log = self.settings.job_log(lease.job_id)
        self._standby_at = time.monotonic() + STANDBY_SECONDS
        waiting = self._standby.take(lease, log) if self._standby else None
        return waiting or DriverProcess.start(self.command(lease), self.settings.environment(), log)

    def warm_up(self) -> None:
        """Have a driver on standby. `run` sees to that by itself, unless it is for one job."""
        self._standby_at = math.inf
        try:
            if self._standby is not None:
                self._standby.prepare()
        except RuntimeUnavailable as error:
            _log.warning("%s", error)

    def _ended(self, job_id: str) -> int:
        return sum(number for state, number in self.store.trial_counts(job_id).items() if state.is_final)

    # ---- watching --------------------------------------------------------------------------------------------------

    def _look_after(self, run: _Run, now: float) -> None:
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
        """To another controller; or the driver has just given it back, being done, and needs a moment to end."""
        if self.store.job(run.lease.job_id).epoch != run.lease.epoch:
            self._drop(run)
        run.renews_itself = True

    def _renew_for(self, run: _Run, now: float) -> None:
        """While the driver starts; its first own renewal adds to the time that the job has used."""
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
        """Give up, or set the time of the next start."""
        now, job_id = time.monotonic(), run.lease.job_id
        progress = now - run.started >= QUICK_SECONDS or self._ended(job_id) > run.ended
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
        """A new claim, so that whatever the dead driver still has on its way is refused."""
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
        """Another one runs the job now: a driver of ours that is still there is hung."""
        if run.driver is not None:
            run.driver.kill()
        self._runs.pop(run.lease.job_id, None)

    # ---- requests that a driver does not carry out -----------------------------------------------------------------

    def _look_at_jobs(self, now: float) -> None:
        """Running jobs of all controllers: requests that wait too long, drivers of ours that lost their lease."""
        running = [job for state in _DRIVEN for job in self.store.jobs(state=state, limit=_MOST_RUNNING)]
        for job in running:
            run = self._runs.get(job.id)
            if run is not None and job.epoch > run.lease.epoch:
                self._drop(run)
        self._end_the_idle({job.id for job in running}, now)
        asked = {job.id: job for job in running if job.request is not None}
        self._asked = {job_id: self._asked.get(job_id, now) for job_id in asked}
        for job_id, since in list(self._asked.items()):
            job, run = asked[job_id], self._runs.get(job_id)
            patience = self.settings.cancel_seconds * (1 if job.request is JobRequest.CANCEL else _PAUSE_PATIENCE)
            # Another controller's driver gets longer, so that its own controller acts first.
            if now - since >= patience * (1.0 if run is not None else 1.5):
                self._asked.pop(job_id)
                # The job may have ended, or been deleted, since it was listed.
                with contextlib.suppress(Conflict, NotFound):
                    self._carry_out(job, run)

    def _end_the_idle(self, running: set[str], now: float) -> None:
        """Drivers that do not end although their job has."""
        for run in self._runs.values():
            if run.lease.job_id in running or run.driver is None:
                run.over_since = None
            elif run.over_since is None:
                run.over_since = now
            elif now - run.over_since > END_SECONDS:
                run.driver.kill()

    def _carry_out(self, job: Job, run: _Run | None) -> None:
        """In place of a driver that renews its lease and does nothing else."""
        _log.warning("job %s: its driver does not carry out %s and is put aside", job.id, job.request)
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
        """Ask all drivers to end, and kill those that do not."""
        drivers = [(run, run.driver) for run in self._runs.values() if run.driver is not None]
        for _, driver in drivers:
            driver.ask_to_end()
        deadline = time.monotonic() + END_SECONDS
        for run, driver in drivers:
            if not driver.wait(deadline):
                _log.warning("job %s: the driver does not end and is killed", run.lease.job_id)
                driver.kill()

    def _let_go(self) -> None:
        """Leave jobs without a driver to be claimed, and where no driver is left at work, end the local Ray."""
        for run in self._runs.values():
            if run.driver is not None and run.driver.exit_code is None:
                continue
            try:
                self.store.release(run.lease)
            except (LeaseLost, NotFound, StoreUnavailable) as error:
                _log.info("job %s: %s", run.lease.job_id, error)
        at_work = any(run.driver is not None and run.driver.exit_code is None for run in self._runs.values())
        self._runs.clear()
        if not at_work and self.stop_cluster is not None and self.settings.ray_address is None:
            self._stop_cluster(self.stop_cluster)

    def _stop_cluster(self, command: Sequence[str]) -> None:
        try:
            if any(lease.deadline > time.time() for lease in self.store.leases()):
                return
            subprocess.run(  # noqa: S603 - our own module
                command, env=self.settings.environment(), check=True, timeout=_CLUSTER_SECONDS, capture_output=True
            )
        except (OSError, subprocess.SubprocessError, StoreUnavailable) as error:
            _log.warning("the local Ray was not stopped: %s", error)


_DRIVEN = (JobState.RUNNING, JobState.STOPPING)
_MOST_RUNNING = 1000
_PAUSE_PATIENCE = 6
_CLUSTER_SECONDS = 30.0
