"""The run of a job, from the claim to its end."""

from __future__ import annotations

import logging
import signal
from types import FrameType

from searchsvc.domain import Job, JobState
from searchsvc.errors import NothingFeasible
from searchsvc.service.planning.blueprint import Blueprint, shared_search
from searchsvc.settings import Settings
from searchsvc.store import JobWriter, Store
from workers.driver import tune_run
from workers.driver.attempts import ActiveAttempts
from workers.driver.dispatcher import Dispatcher
from workers.driver.heartbeat import Heartbeat
from workers.driver.interruption import Interrupted, Reason, StopRequests
from workers.driver.leftovers import Leftovers
from workers.driver.placement import Placement
from workers.driver.recovery import recover
from workers.driver.trial_queue import TrialQueue
from workers.driver.trial_tasks import TaskBuilder
from workers.driver.volume import ArtifactsVolume
from workers.driver.winners import why_failed, winners

logger = logging.getLogger(__name__)


class JobRun:
    """Runs a claimed job. Ray must be connected and the heartbeat started before it is created."""

    def __init__(
        self, store: Store, writer: JobWriter, heartbeat: Heartbeat, settings: Settings, blueprint: Blueprint
    ) -> None:
        job = heartbeat.job
        self._store, self._writer, self._heartbeat, self._settings = store, writer, heartbeat, settings
        self._job_id = job.id
        self._ledger = recover(store, writer, job, blueprint)
        logger.info("recovered: %d trials, %d of them open", self._ledger.existing, len(self._ledger.waiting))
        placement, attempts = Placement(job.spec.resources), ActiveAttempts()
        tasks = TaskBuilder(
            job.spec,
            settings.artifacts_dir / job.id,
            blueprint.constants,
            search=shared_search(blueprint),
            pretrained=blueprint.pretrained,
            self_training=blueprint.self_training,
        )
        volume = ArtifactsVolume(settings.artifacts_dir / job.id)
        self._requests = StopRequests(heartbeat)
        self._queue = TrialQueue(self._ledger, heartbeat, placement, store, tasks, self._requests, attempts, volume)
        self._leftovers = Leftovers(settings.artifacts_dir / job.id)
        self._dispatcher = Dispatcher(
            self._ledger, heartbeat, placement, store, self._queue, self._requests, attempts, volume, self._leftovers
        )

    def run(self) -> None:
        """Run until the job has ended, or was paused or interrupted. Raises LeaseLost, StoreUnavailable."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        self._leftovers.start()
        self._leftovers.sweep(self._store, self._job_id)
        try:
            while self._queue.has_more():
                tune_run.run(self._dispatcher, self._settings.data_dir / "ray" / "tune" / self._job_id)
                self._ledger.flush()
            self._conclude()
        except Interrupted as interruption:
            self._interrupted(interruption)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        self._requests.shutdown = True

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
        self._ledger.flush()
        self._leftovers.sweep(self._store, self._job_id)
        self._leftovers.close()
        logger.info("the job ended: %s%s", state, f" ({reason})" if reason else "")

    def _interrupted(self, interruption: Interrupted) -> None:
        self._dispatcher.kill_all()
        if isinstance(interruption.error, NothingFeasible):
            self._end(JobState.FAILED, str(interruption.error), self._heartbeat.job)
        elif interruption.error is not None:
            raise interruption.error
        else:
            state = JobState.CANCELLED if interruption.reason is Reason.CANCEL else JobState.PAUSED
            self._ledger.interrupt(interruption.reason.value)
            self._end(state, None, self._heartbeat.job)
