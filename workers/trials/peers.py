"""The processes beside a worker that train a supernet with it: actors in the other bundles of its placement group.

::

    driver ── Tune ──> Worker, rank 0 ──starts──> Peer, rank 1, 2, ...
                          └───────── Group ──────────┘

Peers report nothing: each runs the same search to its end, in step with rank 0 by what the group exchanges. Rank 0 is
their owner, so Ray ends them with its process, however that ends; `Peers.close` ends them before.
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
    from workers.trials.process_group import Group, Seat

START_SECONDS = 120.0
"""For processes to start and to import torch."""
REASON_SECONDS = 5.0
"""For Ray to tell how a process ended that the group misses."""


class Peer:
    """One process beside rank 0."""

    def prepare(self, name: str) -> None:
        """Import what takes long, before others wait for this process."""
        from workers.trials.process_group import Group

        self._group, self._trainer = Group, cast(SupernetTask, find(name))

    def search(self, task: TrialTask, seat: Seat) -> Outcome:
        """How it ended."""
        failures: list[Outcome] = []
        guarded(lambda: self._search(task, seat), lambda *why: failures.append(Outcome(TrialState.FAILED, *why)))
        return failures[0] if failures else Outcome(TrialState.SUCCEEDED)

    def _search(self, task: TrialTask, seat: Seat) -> None:
        """Who fails leaves the group, so that nobody waits for it; who is through stays, for those that are not."""
        with ExitStack() as on_failure:
            group = self._group(seat, task.device, ray.util.get_node_ip_address())
            on_failure.callback(group.close)
            for _ in self._trainer.search(task, group):
                pass
            on_failure.pop_all()


class Peers:
    """Those of one attempt at a trial; none before `join`."""

    def __init__(self, task: TrialTask) -> None:
        self._task = task
        self._actors: list[Any] = []
        self._ends: list[Any] = []
        self._group: Group | None = None

    def join(self) -> Group:
        """Start them, and meet them as rank 0. Raises TrialFailed (LOST) where one does not come."""
        host, size = ray.util.get_node_ip_address(), self._task.workers
        self._actors = [_in_bundle(rank) for rank in range(1, size)]
        prepared = [actor.prepare.remote(self._task.task) for actor in self._actors]
        from workers.trials.process_group import Group, Seat, listener_at  # at the same time as they do

        _wait_for(prepared)
        with listener_at(host) as listener:
            seats = [Seat(rank, size, host, listener.getsockname()[1]) for rank in range(size)]
            self._ends = [
                actor.search.remote(self._task, seat) for actor, seat in zip(self._actors, seats[1:], strict=True)
            ]
            self._group = Group(seats[0], self._task.device, host, listener)
        return self._group

    def explained(self, outcome: Outcome) -> Outcome:
        """`outcome` of rank 0; where that is only that another process is gone, why it is gone, if that is known."""
        if outcome.failure is not FailureKind.LOST or not self._ends:
            return outcome
        ended, _ = ray.wait(self._ends, num_returns=len(self._ends), timeout=REASON_SECONDS)
        causes = [cause for end in ended if (cause := _cause(end)) is not None]
        return min(causes, key=lambda one: one.failure is FailureKind.LOST, default=outcome)

    def close(self) -> None:
        """End them at once."""
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
    """A peer that has the whole of a bundle of this process's own placement group."""
    group = ray.util.get_current_placement_group()
    bundle = group.bundle_specs[index]
    place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index)
    amounts = {"num_cpus": bundle.get("CPU", 0), "num_gpus": bundle.get("GPU", 0), "memory": bundle.get("memory", 0)}
    return ray.remote(Peer).options(scheduling_strategy=place, **amounts).remote()


def _cause(end: Any) -> Outcome | None:
    """How a peer failed by itself; None where it did not, or only missed another."""
    try:
        outcome: Outcome = ray.get(end)
    except OutOfMemoryError as error:
        return Outcome(TrialState.FAILED, FailureKind.OUT_OF_MEMORY, str(error))
    except RayError as error:
        reason = str(error).splitlines()[0]
        return Outcome(TrialState.FAILED, FailureKind.LOST, f"a process of the supernet was lost: {reason}")
    return None if outcome.failure in (None, FailureKind.LOST) else outcome
