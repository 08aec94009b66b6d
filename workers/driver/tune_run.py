"""One Ray Tune run: a search over the trial queue, a scheduler over the stopping rule, a callback into the store.

Tune executes: it owns actors, reuses them, and notices when they die. It decides nothing and stores nothing: its
retries, checkpoints, loggers and files are off.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import RayError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from workers.driver import actor_manager
from workers.driver.dispatcher import Dispatcher
from workers.driver.search import JobSearch
from workers.trials.failures import is_storage_failure
from workers.trials.trainable import DONE, MEASUREMENT, OUTCOME, TEST, Worker

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # the queue submits no more than the cluster has room for
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000000",
}


class JobScheduler(FIFOScheduler):  # type: ignore[misc]  # ray has no types
    """Applies the stopping rule. The worker carries out a STOP: its next step finishes the trial's files."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002 - Tune's
        self._dispatcher.measured(trial.trial_id, result[MEASUREMENT])
        return str(TrialScheduler.CONTINUE)

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Choose nothing: Tune then starts pending trials in order, without scanning all trials of the run."""


class StoreCallback(tune.Callback):  # type: ignore[misc]  # ray has no types
    """Forwards Tune's callbacks to the dispatcher."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def on_step_end(self, **_: Any) -> None:
        self._dispatcher.tick()

    def on_trial_start(self, trial: Any, **_: Any) -> None:
        self._dispatcher.started(trial.trial_id, trial.temporary_state.ray_actor)

    def on_trial_result(self, trial: Any, result: dict[str, Any], **_: Any) -> None:
        if not result[DONE]:
            return  # the scheduler has forwarded it
        if result[OUTCOME] is None:
            self._dispatcher.tested(trial.trial_id, result[TEST])
        else:
            self._dispatcher.ended(trial.trial_id, result[MEASUREMENT], result[OUTCOME])

    def on_trial_error(self, trial: Any, **_: Any) -> None:
        self._dispatcher.failed(trial.trial_id, trial.error)


def run(dispatcher: Dispatcher, folder: Path) -> None:
    """Run trials until the queue is empty. Raises Interrupted, with actors still alive, if the job must end at once."""
    dispatcher.begin_run()
    try:
        tune.run(
            Worker,
            name="run",
            storage_path=str(folder),
            search_alg=JobSearch(dispatcher.queue),
            scheduler=JobScheduler(dispatcher),
            callbacks=[StoreCallback(dispatcher)],
            num_samples=-1,
            reuse_actors=True,
            raise_on_failed_trial=False,
            verbose=0,
        )
    except (OSError, RuntimeError) as error:
        if is_storage_failure(error):  # Tune writes a few files of its own
            dispatcher.could_not_write(error)
        elif isinstance(error.__cause__, RayError):  # Tune gives up on errors of Ray that do not come from one actor
            dispatcher.broken_off(error.__cause__)
        else:
            raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepare_environment() -> None:
    """Set the environment variables that ray.tune reads, and its manager of actors; call it before ray.tune is used."""
    os.environ.update(ENVIRONMENT)
    actor_manager.install()
