"""The search algorithm that Tune asks for trials, and Tune's trial without its bookkeeping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import SearchAlgorithm

from workers.driver.trial_queue import NO_MORE, TrialQueue
from workers.trials.trainable import Worker


class Execution(TuneTrial):  # type: ignore[misc]  # ray has no types
    """Tune's object for an attempt.

    Tune's own class looks its trainable up in the cluster, asks its actor for metrics twice, updates statistics for
    every result, creates folders and saves itself. That takes longer than a short trial, and the driver needs none of
    it.
    """

    def __init__(self, key: str, config: Mapping[str, Any], storage: Any) -> None:
        super().__init__("Worker", config=dict(config), trial_id=key, storage=storage, stub=True)
        self.error: Exception | None = None

    def get_trainable_cls(self) -> type[Worker]:
        return Worker

    def set_ray_actor(self, ray_actor: Any) -> None:
        self.temporary_state.ray_actor = ray_actor

    def init_local_path(self) -> None:
        """Name the folder that all attempts share; nothing is ever written to it."""
        self.relative_logdir = self.storage.trial_dir_name = "trial"

    def update_last_result(self, result: dict[str, Any]) -> None:
        """Do nothing: the dispatcher has recorded the result."""

    def handle_error(self, exc: Exception | None = None) -> None:
        self.run_metadata.num_failures += 1
        self.error = exc

    def get_json_state(self) -> str:
        return "{}"


class JobSearch(SearchAlgorithm):  # type: ignore[misc]  # ray has no types
    """Tune's search algorithm: an adapter of the trial queue."""

    def __init__(self, queue: TrialQueue) -> None:
        self._queue = queue
        self._storage: Any = None

    def add_configurations(self, experiments: list[Any]) -> None:
        self._storage = experiments[0].storage

    def next_trial(self) -> Execution | None:
        key = TuneTrial.generate_id()
        config = self._queue.next_config(key)
        if config is NO_MORE:
            self.set_finished()
            return None
        return None if config is None else Execution(key, config, self._storage)
