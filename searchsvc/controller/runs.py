"""The jobs that a controller runs: each has a driver, which is started, watched, and restarted when it dies."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from searchsvc.controller.drivers import DriverProcess
from searchsvc.controller.health import Backoff, ControllerHealth
from searchsvc.controller.launcher import Launcher
from searchsvc.controller.lease_watch import LeaseWatch
from searchsvc.controller.pulse import PULSE_SECONDS, Patience
from searchsvc.domain import Job, JobState, Lease
from searchsvc.errors import LeaseLost, NotFound, RuntimeUnavailable, StoreUnavailable
from searchsvc.settings import Settings
from searchsvc.store import Store

START_SECONDS = 60.0
"""A driver that still starts, and is silent for so long, counts as hung; so does a driver whose pulse goes on but whose
lease is not renewed for so long although the database accepts writes."""
QUICK_SECONDS = 60.0
"""A crash counts against a job if the driver lived shorter than this and no trial has ended since its start."""
END_SECONDS = 20.0
"""Time for drivers to end after SIGTERM."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class DrivenJob:
    """A job that this controller runs, and the observed state of its driver. Times are of the monotonic clock."""

    lease: Lease
    started: float
    """The time of the last start."""
    seconds_used: float
    """Seconds that the job had used at the start; once it has used more, the driver renews its lease by itself."""
    driver: DriverProcess | None = None
    """None between a crash and the next start."""
    ended: int = 0
    """Ended trials of the job at the start; a larger number later is progress."""
    crashes: int = 0
    """Consecutive crashes without progress."""
    failure: str | None = None
    """The reason to give up the job, until the store has it."""
    restart_at: float = 0.0
    """The earliest time of the next start after a crash."""
    renews_itself: bool = False
    """True if the driver renews its lease by itself."""
    renew_at: float = 0.0
    """The time of the next renewal by the controller, while the driver does not renew the lease."""
    over_since: float | None = None
    """The time at which the driver was first seen alive after its job had ended."""
    hung: str | None = None
    """The reason for which a hung driver was killed."""
    check_at: float = 0.0
    """The earliest time of the next check after a check that failed."""
    backoff: Backoff = field(default_factory=Backoff)


class DrivenJobs:
    """The jobs of a controller. A fault of a job delays only that job."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        holder: str,
        health: ControllerHealth,
        launcher: Launcher,
        *,
        monotonic: Callable[[], float],
    ) -> None:
        self._store, self._settings, self._holder, self._health = store, settings, holder, health
        self._launcher, self._monotonic = launcher, monotonic
        self._runs: dict[str, DrivenJob] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[DrivenJob]:
        return iter(list(self._runs.values()))

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._runs

    def get(self, job_id: str) -> DrivenJob | None:
        return self._runs.get(job_id)

    # ---- starting --------------------------------------------------------------------------------------------------

    def begin(self, job: Job, lease: Lease) -> None:
        """Start a driver for a job that was just claimed, for the first time or again."""
        before = self._runs.pop(job.id, None)
        if before is not None and before.driver is not None:
            _log.warning("job %s: its former driver is still there and is killed", job.id)
            before.driver.kill()
        run = DrivenJob(lease, self._monotonic(), job.seconds_used)
        run.crashes = before.crashes if before is not None else 0
        self._runs[job.id] = run  # before anything that may fail, so that the next turn continues
        run.ended = self._ended_trials(job.id)
        try:
            run.driver = self._launcher.start(lease)
            _log.info("job %s: driver %d started, epoch %d", job.id, run.driver.process.pid, lease.epoch)
        except RuntimeUnavailable as error:
            self._crashed(run, str(error), "")

    def _ended_trials(self, job_id: str) -> int:
        return sum(number for state, number in self._store.trial_counts(job_id).items() if state.is_final)

    # ---- watching --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check all drivers. If the database does not answer, the next check begins with the other jobs."""
        now = self._monotonic()
        for run in self:
            if now < run.check_at:
                continue
            with self._health.surviving(f"the check of job {run.lease.job_id} failed and is repeated") as attempt:
                self._check_run(run, now)
                run.backoff.succeeded()
            if attempt.error is not None:
                run.check_at = self._monotonic() + run.backoff.failed()
            if isinstance(attempt.error, StoreUnavailable):
                return

    def _check_run(self, run: DrivenJob, now: float) -> None:
        try:
            if run.failure is not None:
                self._give_up(run, run.failure)
            elif run.driver is None:
                self._restart(run, now)
            elif run.driver.exit_code is not None or run.hung is not None:
                self._driver_ended(run, run.driver)
            elif not run.renews_itself and now - run.started < START_SECONDS:
                self._renew_for(run, now)
        except LeaseLost:
            self._lease_lost(run)
        except NotFound:  # the job was deleted
            self.drop(run)

    def _lease_lost(self, run: DrivenJob) -> None:
        """Give up the job if another controller has it; otherwise the driver has released the lease and will end.

        Raises NotFound.
        """
        if self._store.job(run.lease.job_id).epoch != run.lease.epoch:
            self.drop(run)
        run.renews_itself = True

    def _renew_for(self, run: DrivenJob, now: float) -> None:
        """Renew the lease for a driver that is starting.

        The driver's own first renewal adds to the seconds that the job has used; from then on the driver renews alone.
        """
        if now < run.renew_at:
            return
        run.renew_at = now + self._settings.heartbeat_seconds
        job = self._store.heartbeat(run.lease, self._settings.lease_seconds, seconds=0.0, gpu_seconds=0.0)
        run.renews_itself = run.driver is not None and job.seconds_used > run.seconds_used

    def _driver_ended(self, run: DrivenJob, driver: DriverProcess) -> None:
        job = self._store.job(run.lease.job_id)
        ours = job.epoch == run.lease.epoch and job.state in (JobState.RUNNING, JobState.STOPPING)
        if not ours:
            _log.info("job %s: driver ended, the job is %s", job.id, job.state)
            del self._runs[job.id]
        else:
            how = driver.how_it_ended() if run.hung is None else f"{run.hung} and was killed"
            self._crashed(run, f"the driver {how}", driver.tail())

    def _crashed(self, run: DrivenJob, how: str, tail: str) -> None:
        """Give up after too many crashes, or schedule the next start."""
        now, job_id = self._monotonic(), run.lease.job_id
        progress = now - run.started >= QUICK_SECONDS or self._ended_trials(job_id) > run.ended
        run.crashes = 1 if progress else run.crashes + 1
        run.driver, run.hung = None, None
        if run.crashes >= self._settings.restarts:
            reason = f"gave up after {run.crashes} crashes in a row: {how}" + (f"\n{tail}" if tail else "")
            run.failure = reason
            self._give_up(run, reason)
            return
        backoff = Backoff(run.crashes - 1).failed()
        run.restart_at = now + backoff
        _log.warning("job %s: %s; starting another in %.1f s", job_id, how, backoff)
        run.renews_itself = False
        self._renew_for(run, now)

    def _give_up(self, run: DrivenJob, reason: str) -> None:
        writer = self._store.writer(run.lease)
        writer.finish_job(JobState.FAILED, reason)
        with contextlib.suppress(LeaseLost):  # another controller has the job
            writer.flush()
        del self._runs[run.lease.job_id]

    def _restart(self, run: DrivenJob, now: float) -> None:
        """Claim the job again, so that late writes of the dead driver are refused."""
        if now < run.restart_at:
            self._renew_for(run, now)
            return
        self._store.release(run.lease)
        claimed = self._store.claim_job(run.lease.job_id, self._holder, self._settings.lease_seconds)
        if claimed is None:
            self.drop(run)
        else:
            self.begin(*claimed)

    def drop(self, run: DrivenJob) -> None:
        """Give up a job that is run elsewhere or has ended: a driver of ours that is still alive is hung."""
        if run.driver is not None:
            run.driver.kill()
        self._runs.pop(run.lease.job_id, None)

    # ---- hung drivers ----------------------------------------------------------------------------------------------

    def kill_silent(self) -> None:
        """Kill drivers without a pulse. May run in a thread, so that it works while the database does not answer."""
        lease_seconds = self._settings.lease_seconds
        patience = Patience(max(START_SECONDS, lease_seconds), lease_seconds)
        for run in self:
            driver = run.driver
            if driver is None or driver.exit_code is not None or run.hung is not None:
                continue
            if driver.pulse.is_hung(patience):
                self._kill_hung(run, f"gave no sign of life for {driver.pulse.silent_seconds:.1f} s")

    def kill_unrenewed(self, watch: LeaseWatch) -> None:
        """Kill drivers that have a pulse but do not renew their lease, although the database accepts writes."""
        for mark in watch.expired(max(START_SECONDS, self._settings.lease_seconds)):
            run = self._runs.get(mark.job_id)
            if run is not None and run.lease.epoch == mark.epoch and run.hung is None:
                self._kill_hung(run, f"has not renewed its lease for {START_SECONDS:g} s")

    def _kill_hung(self, run: DrivenJob, reason: str) -> None:
        driver = run.driver
        if driver is None:
            return
        _log.error("job %s: driver %d %s and is killed", run.lease.job_id, driver.process.pid, reason)
        driver.kill()
        run.hung = reason

    def kill_lingering(self, running: set[str]) -> None:
        """Kill drivers that are still alive some time after their job has left `running`."""
        now = self._monotonic()
        for run in self:
            if run.lease.job_id in running or run.driver is None:
                run.over_since = None
            elif run.over_since is None:
                run.over_since = now
            elif now - run.over_since > END_SECONDS:
                run.driver.kill()

    # ---- ending ----------------------------------------------------------------------------------------------------

    def end_drivers(self) -> None:
        """Ask all drivers to end, and kill drivers that do not."""
        drivers = [(run, run.driver) for run in self if run.driver is not None]
        for _, driver in drivers:
            driver.ask_to_end()
        deadline = time.monotonic() + END_SECONDS
        for run, driver in drivers:
            if not driver.wait(deadline):
                _log.warning("job %s: the driver does not end and is killed", run.lease.job_id)
                driver.kill()

    def release_all(self) -> bool:
        """Release the leases of jobs without a driver. Return whether a driver is active."""
        active = [run for run in self if run.driver is not None and run.driver.exit_code is None]
        for run in [run for run in self if run not in active]:
            with self._health.surviving(f"the lease of job {run.lease.job_id} was not released"):
                self._store.release(run.lease)
        self._runs.clear()
        return bool(active)


class PulseWatch(threading.Thread):
    """Kills the silent drivers of a controller while the controller may wait for the database."""

    def __init__(self, runs: DrivenJobs, health: ControllerHealth) -> None:
        super().__init__(name="pulses", daemon=True)
        self._runs, self._health = runs, health
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(PULSE_SECONDS):
            with self._health.surviving("the check of the drivers' pulses failed and is repeated"):
                self._runs.kill_silent()

    def stop(self) -> None:
        self._done.set()
        if self.is_alive():
            self.join()
