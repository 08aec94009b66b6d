"""The controller: claims jobs, starts a driver process for each, watches the drivers and restarts them when they die.

Several controllers may share a database: the lease decides which of them runs a job. A controller claims the oldest job
first, and only while it has room for another driver, so jobs run in the order of submission, `max_drivers` at a time.

A driver of its own shows by its pulse that it lives; a hung driver is killed and replaced. The drivers of other and of
former controllers show it by renewing their leases: the first controller that sees a lease expire takes the job over.
The controller renews a lease only when no driver can: during the start of a driver, and between a crash and the next
start. No clock that can be set, and no stall of the database, ends a driver that lives.

An exception in one job delays that job, an exception in one turn delays the next turn; neither ends the controller.

A driver without a job is kept on standby, so that the next job, or a job whose driver died, need not wait for imports.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from searchsvc import processes
from searchsvc.controller.health import REPORT_SECONDS, ControllerHealth, TurnPart
from searchsvc.controller.housekeeping import Housekeeping
from searchsvc.controller.launcher import Launcher
from searchsvc.controller.lease_watch import LeaseWatch
from searchsvc.controller.requests import OverdueRequests
from searchsvc.controller.runs import DrivenJobs, PulseWatch
from searchsvc.domain import Job, JobState, Lease
from searchsvc.errors import NotFound, RuntimeUnavailable, StoreUnavailable
from searchsvc.service.service import Service

PATIENCE_SECONDS = 30.0
"""A controller is not ready if it has completed no turn for this time and the time to wait for the database."""
_STOP_CLUSTER_SECONDS = 30.0
_QUIET_SECONDS = 60.0
"""A lease that expired less than this time ago may belong to a live driver, for which the database was stalled."""

STANDBY_COMMAND = tuple(processes.program("workers.driver"))
"""The driver is started by module name: nothing of Ray or training is imported here."""
STOP_CLUSTER_COMMAND = tuple(processes.program("workers.cluster", "stop"))


def driver_command(lease: Lease) -> Sequence[str]:
    """Return the command line of a driver that starts with its job, used if no driver is on standby."""
    return [*STANDBY_COMMAND, lease.job_id, str(lease.epoch)]


def holder_name() -> str:
    """Return a unique name for a controller, which also shows its host and process."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Controller:
    """Runs the jobs of a store, with drivers on this machine."""

    def __init__(
        self,
        service: Service,
        holder: str | None = None,
        *,
        command: Callable[[Lease], Sequence[str]] = driver_command,
        standby_command: Sequence[str] | None = STANDBY_COMMAND,
        stop_cluster: Sequence[str] | None = STOP_CLUSTER_COMMAND,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a controller that is not running yet.

        `command` returns the command line of a driver, which must write a pulse; `standby_command` starts a driver that
        waits for its job (None: no standby). `stop_cluster` stops the Ray that drivers started on this machine, after a
        clean end and if no job of the store has a driver; None leaves it running.
        """
        self.service = service
        self.store = service.store
        self.settings = settings = service.settings
        self.holder = holder = holder or holder_name()
        self.health = ControllerHealth(holder, started_at=clock(), monotonic=monotonic)
        self.stop_cluster = stop_cluster
        self.has_died = False
        """True if `run` was ended by an exception that it cannot survive."""
        self.leave_drivers = False
        """True if drivers continue when `run` ends (a service that restarts), or are asked to end, so that their jobs
        can be resumed. May be changed until then.
        """
        self._monotonic = monotonic
        self._launcher = Launcher(settings, command=command, standby_command=standby_command, monotonic=monotonic)
        self._runs = DrivenJobs(self.store, settings, holder, self.health, self._launcher, monotonic=monotonic)
        self._requests = OverdueRequests(self.store, settings, self._runs, self.health, monotonic=monotonic)
        self._watch = LeaseWatch(
            settings.lease_seconds,
            settings.heartbeat_seconds,
            read=lambda: self.store.lease_marks(),
            probe=self._report,
            monotonic=monotonic,
        )
        self._housekeeping = Housekeeping(self.store, settings, clock=clock, monotonic=monotonic)
        self._report_at = 0.0
        self._job_id: str | None = None
        """The only job that the current turn may claim."""
        self._parts = (
            TurnPart("housekeeping", self._housekeeping.poke),
            TurnPart("the check of the drivers", self._runs.check),
            TurnPart("the check of requests", self._requests.check),
            TurnPart("the watch over leases", self._watch_leases),
            TurnPart("the claims", self._claim_all),
            TurnPart("the start of a driver on standby", self._refill),
            TurnPart("the report of this controller", self._report_in_time),
        )

    # ---- the loop --------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event, *, job_id: str | None = None) -> None:
        """Run jobs until `stop` is set. `job_id`: run only that job, and return when it has ended or is paused."""
        pulses = PulseWatch(self._runs, self.health)
        pulses.start()
        try:
            while not stop.is_set():
                self.attempt_turn(job_id)
                if job_id is not None and self._is_over(job_id):
                    break
                stop.wait(self.settings.poll_seconds)
        except BaseException:
            self.has_died = True
            raise
        finally:
            pulses.stop()
            self._end()

    def attempt_turn(self, job_id: str | None = None) -> None:
        """Do a turn, and survive every error in it."""
        with self.health.surviving("the turn failed and is repeated"):
            if self.turn(job_id):
                self.health.turn_completed()

    def turn(self, job_id: str | None = None) -> bool:
        """Do a single round: check the drivers and the requests, then claim and start jobs.

        A part that fails is repeated after a delay; the other parts go on. Return whether all parts were completed.
        Raises StoreUnavailable.
        """
        self._job_id = job_id
        completed = [part.attempt(self.health, self._monotonic) for part in self._parts]
        return all(completed)

    def _watch_leases(self) -> None:
        self._watch.look()
        self._runs.kill_unrenewed(self._watch)

    def _refill(self) -> None:
        if self._job_id is None:
            self._launcher.refill()

    def _report_in_time(self) -> None:
        if self._monotonic() >= self._report_at:
            self._report()

    def take(self, job_id: str) -> bool:
        """Claim a job before `run`, and start its driver. Return whether this controller runs the job.

        Another controller of the same database may have claimed it already.
        """
        with self.health.surviving(f"job {job_id} was not claimed yet", StoreUnavailable):
            if (claimed := self._claim(job_id)) is not None:
                self._begin(*claimed)
        return job_id in self._runs

    def check_health(self) -> None:
        """Raise RuntimeUnavailable if the controller has died, or has completed no turn for a long time."""
        if self.has_died:
            raise RuntimeUnavailable("the controller has died")
        self.health.check(self.settings.database_wait_seconds + PATIENCE_SECONDS)

    def warm_up(self) -> None:
        """Prepare a driver on standby. `run` does this by itself, unless it runs a single job."""
        self._launcher.warm_up()

    def _is_over(self, job_id: str) -> bool:
        if job_id in self._runs:
            return False
        with self.health.surviving(f"job {job_id} cannot be read"):
            try:
                state = self.store.job(job_id).state
            except NotFound:
                return True
            return state.is_final or state is JobState.PAUSED
        return False

    def _report(self) -> None:
        """Report this controller to the store."""
        self.store.report_controller(self.health.report(len(self._runs)))
        self._report_at = self._monotonic() + REPORT_SECONDS

    # ---- claiming --------------------------------------------------------------------------------------------------

    def _claim_all(self) -> None:
        """Claim and start jobs while there is room, each at most once."""
        begun: set[str] = set()
        while len(self._runs) < self.settings.max_drivers:
            claimed = self._claim(self._job_id)
            if claimed is None or claimed[0].id in begun:
                return
            begun.add(claimed[0].id)
            self._begin(*claimed)
            if self._job_id is not None:
                return

    def _claim(self, job_id: str | None) -> tuple[Job, Lease] | None:
        ttl = self.settings.lease_seconds
        expired = frozenset(mark for mark in self._watch.expired() if mark.job_id not in self._runs)
        if job_id is None:
            return self.store.claim(self.holder, ttl, expired)
        return None if job_id in self._runs else self.store.claim_job(job_id, self.holder, ttl, expired)

    def _begin(self, job: Job, lease: Lease) -> None:
        self._requests.forget(job.id)
        with self.health.surviving(f"the driver of job {job.id} could not be started", StoreUnavailable):
            self._runs.begin(job, lease)  # if this fails, the next check of the run continues

    # ---- ending ----------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """End or leave the drivers, release the leases of jobs without a driver, and stop the local Ray."""
        if not self.leave_drivers:
            self._runs.end_drivers()
        self._launcher.close()
        self._housekeeping.close()
        is_active = self._runs.release_all()
        with self.health.surviving("the report of this controller was not removed"):
            self.store.remove_controller(self.holder)
        if not is_active and self.stop_cluster is not None and self.settings.ray_address is None:
            with self.health.surviving("the local Ray was not stopped"):
                self._stop_cluster(self.stop_cluster)

    def _stop_cluster(self, command: Sequence[str]) -> None:
        if any(lease.deadline > self.store.now() - _QUIET_SECONDS for lease in self.store.leases()):
            return
        environment = self.settings.environment()
        subprocess.run(  # noqa: S603 - our own module
            command,
            env=environment,
            cwd=self.settings.logs_dir,
            check=True,
            timeout=_STOP_CLUSTER_SECONDS,
            capture_output=True,
        )
