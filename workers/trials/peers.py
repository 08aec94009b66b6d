"""Further processes that train a supernet together with a worker: actors in the other bundles of its placement group.

::

    driver ── Tune ──> Worker, rank 0 ──starts──> Peer, rank 1, 2, ...
                          └────── ProcessGroup ──────┘

Peers report nothing: each runs the same search to its end, in step with rank 0 through the tensors that they exchange.
Rank 0 owns them, so Ray ends them when its process ends for any reason; `Peers.close` ends them earlier.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import ray
from ray.exceptions import OutOfMemoryError, RayError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from searchsvc.domain import FailureKind, Outcome, SupernetTask, TrialState, TrialTask
from searchsvc.errors import TrialFailed
from searchsvc.tasks import find
from workers.trials.run_trial import guarded

if TYPE_CHECKING:
    from workers.trials.process_group import ProcessGroup, Rendezvous

START_SECONDS = 120.0
"""Time for processes to start and to import torch."""
REASON_SECONDS = 5.0
"""Time for Ray to report why a lost process ended."""


class Peer:
    """A process of a supernet with a rank other than 0."""

    def prepare(self, name: str) -> None:
        """Import torch and the task, which takes seconds, before other processes wait for this process."""
        from workers.trials.process_group import ProcessGroup  # torch is imported when the process has started

        self._group, self._trainer = ProcessGroup, cast(SupernetTask, find(name))

    def search(self, task: TrialTask, place: Rendezvous) -> Outcome:
        """Run the search to its end and return the outcome."""
        failures: list[Outcome] = []
        guarded(lambda: self._search(task, place), lambda *why: failures.append(Outcome(TrialState.FAILED, *why)))
        return failures[0] if failures else Outcome(TrialState.SUCCEEDED)

    def _search(self, task: TrialTask, place: Rendezvous) -> None:
        """Run the search.

        A process that fails leaves the group, so that no other process waits for it. A process that has finished stays,
        because others may still need it.
        """
        with ExitStack() as on_failure:
            group = self._group(place, task.device, ray.util.get_node_ip_address())
            on_failure.callback(group.close)
            for _ in self._trainer.search(task, group):
                pass
            on_failure.pop_all()


class Peers:
    """The peers of an attempt at a trial; no process is started before `join`."""

    def __init__(self) -> None:
        self._actors: list[Any] = []
        self._ends: list[Any] = []
        self._group: ProcessGroup | None = None

    def join(self, task: TrialTask) -> ProcessGroup:
        """Start the peers and join them as rank 0. Raises TrialFailed (LOST) if a peer does not start."""
        host, size = ray.util.get_node_ip_address(), task.workers
        self._actors = [_in_bundle(rank) for rank in range(1, size)]
        prepared = [actor.prepare.remote(task.task) for actor in self._actors]
        from workers.trials.process_group import (  # imports torch while the peers import it
            ProcessGroup,
            Rendezvous,
            listener_at,
        )

        _wait_for(prepared)
        with listener_at(host) as listener:
            places = [Rendezvous(rank, size, host, listener.getsockname()[1]) for rank in range(size)]
            self._ends = [
                actor.search.remote(task, place) for actor, place in zip(self._actors, places[1:], strict=True)
            ]
            self._group = ProcessGroup(places[0], task.device, host, listener)
        return self._group

    def explained(self, outcome: Outcome) -> Outcome:
        """Return the outcome of rank 0, or the cause if that outcome only reports a lost process.

        The outcome stays if the cause is not known.
        """
        if outcome.failure is not FailureKind.LOST or not self._ends:
            return outcome
        ended, _ = ray.wait(self._ends, num_returns=len(self._ends), timeout=REASON_SECONDS)
        causes = [cause for end in ended if (cause := _cause(end)) is not None]
        return min(causes, key=lambda cause: cause.failure is FailureKind.LOST, default=outcome)

    def close(self) -> None:
        """End the peers at once."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors, self._ends = [], []
        if self._group is not None:
            self._group.close()
            self._group = None


def _wait_for(prepared: list[Any]) -> None:
    try:
        ray.get(prepared, timeout=START_SECONDS)
    except RayError as error:
        message = f"a process beside rank 0 did not start within {START_SECONDS:g} s: {error}"
        raise TrialFailed(FailureKind.LOST, message) from error


def _in_bundle(index: int) -> Any:
    """Start a peer that uses a whole bundle of this process's placement group."""
    group = ray.util.get_current_placement_group()
    bundle = group.bundle_specs[index]
    place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index)
    amounts = {"num_cpus": bundle.get("CPU", 0), "num_gpus": bundle.get("GPU", 0), "memory": bundle.get("memory", 0)}
    return ray.remote(Peer).options(scheduling_strategy=place, **amounts).remote()


def _cause(end: Any) -> Outcome | None:
    """Return the failure of a peer, or None if it succeeded or only lost another process."""
    try:
        outcome: Outcome = ray.get(end)
    except OutOfMemoryError as error:
        return Outcome(TrialState.FAILED, FailureKind.OUT_OF_MEMORY, str(error))
    except RayError as error:
        reason = str(error).splitlines()[0]
        return Outcome(TrialState.FAILED, FailureKind.LOST, f"a process of the supernet was lost: {reason}")
    return None if outcome.failure in (None, FailureKind.LOST) else outcome
