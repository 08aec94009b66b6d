"""Requests to running jobs that their drivers do not carry out in time: the controller does it, and ends the driver."""

from __future__ import annotations

import logging
from collections.abc import Callable

from searchsvc.controller.health import ControllerHealth
from searchsvc.controller.runs import DrivenJob, DrivenJobs
from searchsvc.domain import Assignment, JobRequest
from searchsvc.errors import Conflict, NotFound, StoreUnavailable
from searchsvc.settings import Settings
from searchsvc.store import Store

CHECK_SECONDS = 0.5
"""Interval at which requests to running jobs are checked."""
_PAUSE_PATIENCE = 6
"""A driver has this many times as long to pause a job as to cancel it: it stores checkpoints first."""
_OTHERS_PATIENCE = 1.5
"""The driver of another controller gets this many times as long, so that its own controller acts first."""

_log = logging.getLogger(__name__)


class OverdueRequests:
    """Carries out requests in place of drivers that only renew their lease."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        runs: DrivenJobs,
        health: ControllerHealth,
        *,
        monotonic: Callable[[], float],
    ) -> None:
        self._store, self._settings, self._runs, self._health = store, settings, runs, health
        self._monotonic = monotonic
        self._since: dict[str, float] = {}
        self._check_at = 0.0

    def check(self) -> None:
        """Check the running jobs of all controllers for overdue requests, and for drivers of ours without a lease."""
        now = self._monotonic()
        if now < self._check_at:
            return
        running = self._store.assignments()
        for job in running:
            run = self._runs.get(job.id)
            if run is not None and job.epoch > run.lease.epoch:
                self._runs.drop(run)
        self._runs.kill_lingering({job.id for job in running})
        requested = {job.id: job for job in running if job.request is not None}
        self._since = {job_id: self._since.get(job_id, now) for job_id in requested}
        for job_id, since in list(self._since.items()):
            job, run = requested[job_id], self._runs.get(job_id)
            if now - since >= self._patience(job, run):
                del self._since[job_id]  # if this fails, it is tried again after the same time
                self._try(job, run)
        self._check_at = now + CHECK_SECONDS

    def forget(self, job_id: str) -> None:
        """Give a new driver of the job the whole time."""
        self._since.pop(job_id, None)

    def _patience(self, job: Assignment, run: DrivenJob | None) -> float:
        seconds = self._settings.cancel_seconds * (1 if job.request is JobRequest.CANCEL else _PAUSE_PATIENCE)
        return seconds * (1.0 if run is not None else _OTHERS_PATIENCE)

    def _try(self, job: Assignment, run: DrivenJob | None) -> None:
        with self._health.surviving(f"{job.request} of job {job.id} could not be carried out", StoreUnavailable):
            try:
                self._execute(job, run)
            except (Conflict, NotFound) as error:
                _log.info("job %s has ended, or was deleted, since it was listed: %s", job.id, error)

    def _execute(self, job: Assignment, run: DrivenJob | None) -> None:
        _log.warning("job %s: its driver does not carry out %s and is replaced", job.id, job.request)
        if run is not None:
            self._runs.drop(run)
        for lease in self._store.leases():
            if lease.job_id == job.id and lease.epoch == job.epoch:
                self._store.release(lease)
        if job.request is JobRequest.CANCEL:
            self._store.cancel_job(job.id)
        else:
            self._store.pause_job(job.id)
