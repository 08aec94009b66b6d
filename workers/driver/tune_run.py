"""One Ray Tune run: a search over the algorithm, a scheduler over the stopping rule, a callback into the store.

Tune executes: it holds actors, reuses them, and sees them die. It decides nothing and keeps nothing: its retries,
checkpoints, loggers and files are off.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from workers.driver.dispatcher import Dispatcher
from workers.driver.search import JobSearch
from workers.trials.trainable import DONE, MEASUREMENT, OUTCOME, TEST, Worker

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # the dispatcher hands out no more than the cluster has room for
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000000",
}


class JobScheduler(FIFOScheduler):  # type: ignore[misc]  # ray has no types
    """Whether an attempt goes on. A STOP is carried out by the worker, which finishes its files in its next step."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002 - Tune's
        self._dispatcher.measured(trial.trial_id, result[MEASUREMENT])
        return str(TrialScheduler.CONTINUE)

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Tune starts what is pending in its order anyway, without looking through all trials that there were."""


class StoreCallback(tune.Callback):  # type: ignore[misc]  # ray has no types
    """What happened."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def on_step_end(self, **_: Any) -> None:
        self._dispatcher.tick()

    def on_trial_start(self, trial: Any, **_: Any) -> None:
        self._dispatcher.started(trial.trial_id, trial.temporary_state.ray_actor)

    def on_trial_result(self, trial: Any, result: dict[str, Any], **_: Any) -> None:
        if not result[DONE]:
            return  # the scheduler has seen it
        if result[OUTCOME] is None:
            self._dispatcher.tested(trial.trial_id, result[TEST])
        else:
            self._dispatcher.ended(trial.trial_id, result[MEASUREMENT], result[OUTCOME])

    def on_trial_error(self, trial: Any, **_: Any) -> None:
        self._dispatcher.failed(trial.trial_id, trial.error)


def run(dispatcher: Dispatcher, folder: Path) -> None:
    """Until the dispatcher is drained. Raises Interrupted, with actors still alive, where the job is to end at once."""
    dispatcher.begin_run()
    try:
        tune.run(
            Worker,
            name="run",
            storage_path=str(folder),
            search_alg=JobSearch(dispatcher),
            scheduler=JobScheduler(dispatcher),
            callbacks=[StoreCallback(dispatcher)],
            num_samples=-1,
            reuse_actors=True,
            raise_on_failed_trial=False,
            verbose=0,
        )
    except RuntimeError as error:
        # Tune does not know the error by which Ray tells that it ended a process for the node's memory, and gives up.
        if not isinstance(error.__cause__, RayError):
            raise
        dispatcher.broken_off(error.__cause__)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kill(dispatcher: Dispatcher) -> None:
    """End the processes of all attempts."""
    for actor in dispatcher.actors():
        ray.kill(actor)


def prepare_environment() -> None:
    """Before ray.tune is used: it reads these as it goes."""
    os.environ.update(ENVIRONMENT)
