"""What Tune is given to run: its search algorithm over the dispatcher, and its trial, stripped of all bookkeeping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import SearchAlgorithm

from workers.driver.dispatcher import NO_MORE, Dispatcher
from workers.trials.trainable import Worker


class Execution(TuneTrial):  # type: ignore[misc]  # ray has no types
    """One attempt, as Tune knows it.

    Tune's own trial looks its class up in the cluster, asks its actor for metrics twice, keeps statistics of every
    result, makes folders and writes itself down: more work than a short trial is. None of it is needed here.
    """

    def __init__(self, key: str, config: Mapping[str, Any], storage: Any) -> None:
        super().__init__("Worker", config=dict(config), trial_id=key, storage=storage, stub=True)
        self.error: Exception | None = None

    def get_trainable_cls(self) -> type[Worker]:
        return Worker

    def set_ray_actor(self, ray_actor: Any) -> None:
        self.temporary_state.ray_actor = ray_actor

    def init_local_path(self) -> None:
        """All share one folder, in which nothing is ever written."""
        self.relative_logdir = self.storage.trial_dir_name = "trial"

    def update_last_result(self, result: dict[str, Any]) -> None:
        """The dispatcher has it."""

    def handle_error(self, exc: Exception | None = None) -> None:
        self.run_metadata.num_failures += 1
        self.error = exc

    def get_json_state(self) -> str:
        return "{}"


class JobSearch(SearchAlgorithm):  # type: ignore[misc]  # ray has no types
    """What to run next."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._storage: Any = None

    def add_configurations(self, experiments: list[Any]) -> None:
        self._storage = experiments[0].storage

    def next_trial(self) -> Execution | None:
        key = TuneTrial.generate_id()
        config = self._dispatcher.hand_out(key)
        if config is NO_MORE:
            self.set_finished()
            return None
        return None if config is None else Execution(key, config, self._storage)
