"""The run of a job, from the claim to its end."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from functools import partial

from searchsvc.domain import Job, JobState
from searchsvc.errors import Conflict, InvalidInput, NotFound, NothingFeasible, SearchsvcError
from searchsvc.service.lookup.pins import differences, pins_of
from searchsvc.service.planning.blueprint import Blueprint, shared_search
from searchsvc.service.planning.resolve import resolve
from searchsvc.settings import Settings
from searchsvc.store import JobWriter, Store
from workers import cluster
from workers.driver import connection, tune_run
from workers.driver.attempts import ActiveAttempts
from workers.driver.dispatcher import Dispatcher
from workers.driver.heartbeat import Cause, Heartbeat
from workers.driver.interruption import Interrupted, Reason, StopRequests, in_background
from workers.driver.ledger import Ledger
from workers.driver.leftovers import Leftovers
from workers.driver.placement import Placement
from workers.driver.recovery import recover
from workers.driver.trial_queue import TrialQueue
from workers.driver.trial_tasks import TaskBuilder
from workers.driver.volume import ArtifactsVolume
from workers.driver.winners import why_failed, winners

_FINAL_ERRORS = (InvalidInput, NotFound, Conflict, NothingFeasible)
"""Errors that another driver would meet again: the job has failed."""
_TICK_SECONDS = 0.2
_KILL_SECONDS = 5.0
"""Time for Ray to take orders to kill processes; they also end with the driver."""

logger = logging.getLogger(__name__)


class JobRun:
    """Runs a claimed job. The heartbeat must be started before."""

    def __init__(
        self,
        store: Store,
        writer: JobWriter,
        heartbeat: Heartbeat,
        settings: Settings,
        requests: StopRequests,
        connected: threading.Event,
    ) -> None:
        """Create the run. `connected` is set when Ray is connected."""
        self._store, self._writer, self._heartbeat, self._settings = store, writer, heartbeat, settings
        self._requests, self._connected = requests, connected
        self._job_id = heartbeat.job.id
        self._folder = settings.artifacts_dir / self._job_id
        self._leftovers = Leftovers(self._folder)
        self._ledger: Ledger | None = None

    def run(self) -> None:
        """Run until the job has ended, or was paused or interrupted. Raises LeaseLost, StoreUnavailable."""
        self._leftovers.start()
        try:
            self._run()
        except Interrupted as interruption:
            self._interrupted(interruption)
        except _FINAL_ERRORS as error:
            self._fail(error)

    def _run(self) -> None:
        settings = self._settings
        # The dataset is inspected while Ray connects.
        resolving = in_background(self._resolved)
        self._requests.depend_on(resolving)
        address = self._requests.await_result(partial(cluster.ensure, settings))
        is_remote = settings.ray_address is not None
        with connection.to_ray(address, self._heartbeat, self._requests, is_watched=is_remote):
            self._connected.set()
            self._search(self._requests.await_result(resolving.result))

    def _resolved(self) -> Blueprint:
        """Resolve the spec, unless the data are not the data that the job was submitted with."""
        job = self._heartbeat.job
        pins = pins_of(job.spec)
        if changes := differences(job.data_pins or {}, pins, job.spec):
            raise Interrupted(Reason.DATA_CHANGED, Conflict(" and ".join(changes)))
        blueprint = resolve(job.spec, trusted=True, settings=self._settings, store=self._store)
        if job.data_pins is None:
            self._writer.pin_data(pins)
        return blueprint

    def _search(self, blueprint: Blueprint) -> None:
        job, heartbeat = self._heartbeat.job, self._heartbeat
        ledger = self._requests.await_result(partial(recover, self._store, self._writer, job, blueprint))
        logger.info("recovered: %d trials, %d of them open", ledger.existing, len(ledger.waiting))
        placement, attempts = Placement(job.spec.resources), ActiveAttempts()
        tasks = TaskBuilder(
            job.spec,
            self._folder,
            blueprint.constants,
            search=shared_search(blueprint),
            pretrained=blueprint.pretrained,
            self_training=blueprint.self_training,
        )
        volume = ArtifactsVolume(self._folder)
        shared = (ledger, heartbeat, placement, self._store)
        queue = TrialQueue(*shared, tasks, self._requests, attempts, volume)
        dispatcher = Dispatcher(*shared, queue, self._requests, attempts, volume, self._leftovers)
        self._ledger = ledger
        self._leftovers.sweep(self._store, self._job_id)
        heartbeat.begin_counting()
        try:
            while queue.has_more():
                self._await_volume(volume, dispatcher)
                tune_run.run(dispatcher, self._settings.data_dir / "ray" / "tune" / self._job_id)
                ledger.flush()
        except Interrupted:
            self._kill_all(dispatcher)  # while Ray is connected
            raise
        self._conclude()

    def _await_volume(self, volume: ArtifactsVolume, dispatcher: Dispatcher) -> None:
        """Wait until files can be written. Raises Interrupted if the job must end before."""
        while volume.reason is not None:
            dispatcher.tick()
            self._requests.sleep(_TICK_SECONDS)
        self._heartbeat.wait_for(Cause.STORAGE, None)

    # ---- the end ---------------------------------------------------------------------------------------------------

    def _conclude(self) -> None:
        job = self._heartbeat.beat()
        trials = self._store.all_trials(self._job_id)
        if not any(trial.is_search_result for trial in trials) and job.state is not JobState.STOPPING:
            self._end(JobState.FAILED, why_failed(trials), job)
            return
        best = winners(trials, job.spec.objectives, job.spec.constraints)
        limits = " and ".join(str(limit) for limit in job.spec.constraints)
        self._end(JobState.SUCCEEDED, None if best or not limits else f"no trial keeps {limits}", job)

    def _end(self, state: JobState, reason: str | None, job: Job) -> None:
        self._heartbeat.stop()
        self._writer.finish_job(state, reason, revision=job.revision)
        (self._ledger or self._writer).flush()
        self._leftovers.sweep(self._store, self._job_id)
        self._leftovers.close()
        logger.info("the job ended: %s%s", state, f" ({reason})" if reason else "")

    def _fail(self, error: SearchsvcError) -> None:
        logger.error("the job cannot go on: %s", error)
        self._end(JobState.FAILED, str(error), self._heartbeat.job)

    def _interrupted(self, interruption: Interrupted) -> None:
        error, reason = interruption.error, interruption.reason
        if reason is Reason.DATA_CHANGED:
            self._hold(str(error))
        elif isinstance(error, _FINAL_ERRORS):
            self._fail(error)
        elif error is not None:
            raise error
        else:
            if self._ledger is not None:
                self._ledger.interrupt(reason.value)
            if reason is Reason.STOP:
                self._conclude()
            else:
                self._end(JobState.CANCELLED if reason is Reason.CANCEL else JobState.PAUSED, None, self._heartbeat.job)

    def _hold(self, changes: str) -> None:
        """Pause the job until the user consents to changed data; a job that is being stopped ends with what it has."""
        reason = f"{changes}; to continue with the data as they are now: searchctl resume {self._job_id} --accept-data"
        self._writer.event("job.data_changed", {"reason": reason})
        self._writer.flush()
        if self._heartbeat.beat().state is JobState.STOPPING:
            self._conclude()
            return
        with suppress(Conflict):  # the job is being cancelled, or was just stopped
            self._store.pause_job(self._job_id)
        self._end(JobState.PAUSED, reason, self._heartbeat.job)

    def _kill_all(self, dispatcher: Dispatcher) -> None:
        """End the processes of all attempts. A Ray that has gone does not hold up the end of the job."""
        with suppress(NotYet):
            in_background(dispatcher.kill_all).result(_KILL_SECONDS)
