"""One job, from the claim to its end."""

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
from workers.driver.dispatcher import Dispatcher, Interrupted, Reason
from workers.driver.heartbeat import Heartbeat
from workers.driver.placement import Placement
from workers.driver.recovery import recover
from workers.driver.winners import why_failed, winners

logger = logging.getLogger(__name__)


class JobRun:
    """Runs a claimed job. Connected to Ray and with its heart beating before it is made."""

    def __init__(
        self, store: Store, writer: JobWriter, heartbeat: Heartbeat, settings: Settings, blueprint: Blueprint
    ) -> None:
        job = heartbeat.job
        self._store, self._writer, self._heartbeat, self._settings = store, writer, heartbeat, settings
        self._job_id = job.id
        self._ledger = recover(store, writer, job, blueprint)
        logger.info("taken up: %d trials, %d of them open", self._ledger.existing, len(self._ledger.waiting))
        self._placement = Placement(job.spec.resources)
        folder = settings.artifacts_dir / job.id
        self._dispatcher = Dispatcher(
            self._ledger,
            heartbeat,
            self._placement,
            store,
            folder,
            blueprint.constants,
            search=shared_search(blueprint),
            pretrained=blueprint.pretrained,
            self_training=blueprint.self_training,
        )

    def run(self) -> None:
        """Until the job has ended, or is given back. Raises LeaseLost, StoreUnavailable."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        try:
            while self._dispatcher.has_more():
                tune_run.run(self._dispatcher, self._settings.data_dir / "ray" / "tune" / self._job_id)
                self._ledger.flush()
            self._conclude()
        except Interrupted as interruption:
            self._interrupted(interruption)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        self._dispatcher.shutdown = True

    # ---- the end ---------------------------------------------------------------------------------------------------

    def _conclude(self) -> None:
        job = self._heartbeat.beat()
        trials = self._store.all_trials(self._job_id)
        if not any(trial.is_search_result for trial in trials) and job.state is not JobState.STOPPING:
            self._end(JobState.FAILED, why_failed(trials), job)
            return
        best = winners(trials, job.spec.objectives, job.spec.constraints)
        limits = " and ".join(str(one) for one in job.spec.constraints)
        self._end(JobState.SUCCEEDED, None if best or not limits else f"no trial keeps {limits}", job)

    def _end(self, state: JobState, reason: str | None, job: Job) -> None:
        self._heartbeat.stop()
        self._writer.finish_job(state, reason, revision=job.revision)
        self._writer.flush()
        logger.info("the job ended: %s%s", state, f" ({reason})" if reason else "")

    def _interrupted(self, interruption: Interrupted) -> None:
        tune_run.kill(self._dispatcher)
        if isinstance(interruption.error, NothingFeasible):
            self._end(JobState.FAILED, str(interruption.error), self._heartbeat.job)
        elif interruption.error is not None:
            raise interruption.error
        else:
            state = JobState.CANCELLED if interruption.reason is Reason.CANCEL else JobState.PAUSED
            self._ledger.interrupt(interruption.reason.value)
            self._end(state, None, self._heartbeat.job)
