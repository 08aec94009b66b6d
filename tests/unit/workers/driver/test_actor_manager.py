"""The loss of an actor ends the attempt that it ran, whatever error Ray reports, and nothing else."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.air.execution._internal import RayActorManager, TrackedActor
from ray.exceptions import (
    ActorDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)
from ray.tune.execution import tune_controller

from searchsvc.domain import FailureKind
from workers.driver import actor_manager
from workers.driver.actor_manager import ActorManager
from workers.driver.dispatcher import outcome_of

LOST = [
    OutOfMemoryError("the node ran low on memory"),
    NodeDiedError("node"),
    ObjectLostError("0" * 56, None, ""),
    OutOfDiskError("disk"),
]


class Resources:
    """A resource manager that counts what it gets back."""

    def __init__(self) -> None:
        self.freed: list[Any] = []

    def free_resources(self, acquired_resource: Any) -> None:
        self.freed.append(acquired_resource)


class Managed:
    """A manager with two live actors, and everything that it reports."""

    def __init__(self, manager: type[RayActorManager]) -> None:
        self.resources, self.reported = Resources(), list[tuple[str, int, Exception]]()
        self.manager: Any = manager(resource_manager=self.resources)
        self.actors = [TrackedActor(number, on_error=self._reports("actor")) for number in (1, 2)]
        for actor in self.actors:
            self.manager._live_actors_to_ray_actors_resources[actor] = (f"process {actor.actor_id}", actor.actor_id)

    def fail(self, error: Exception) -> None:
        """Let a task of the first actor fail."""
        task = SimpleNamespace(_tracked_actor=self.actors[0], _on_error=self._reports("task"))
        self.manager._actor_task_failed(task, error)

    def _reports(self, kind: str) -> Any:
        return lambda actor, error: self.reported.append((kind, actor.actor_id, error))


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    actors: list[Any] = []
    monkeypatch.setattr(ray, "kill", actors.append)
    return actors


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_an_error_that_tune_does_not_expect_is_the_loss_of_one_actor(error: RayError, killed: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):
        Managed(RayActorManager).fail(error)
    managed = Managed(ActorManager)
    managed.fail(error)
    assert [(kind, actor) for kind, actor, _ in managed.reported] == [("actor", 1), ("task", 1)]
    assert all(isinstance(reported, RayActorError) for *_, reported in managed.reported)
    assert managed.manager.live_actors == managed.actors[1:]
    assert managed.resources.freed == [1]
    assert killed == ["process 1"]


@pytest.mark.parametrize(
    ("error", "kinds"),
    [(ActorDiedError(), ["actor", "task"]), (RayTaskError("step", "traceback", ValueError("x")), ["task"])],
    ids=["died", "raised"],
)
def test_errors_that_tune_expects_reach_it_unchanged(error: RayError, kinds: list[str], killed: list[Any]) -> None:
    managed = Managed(ActorManager)
    managed.fail(error)
    assert [kind for kind, *_ in managed.reported] == kinds
    assert all(reported is error for *_, reported in managed.reported)
    assert killed == []


def test_an_error_of_the_driver_itself_still_ends_tune(killed: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):
        Managed(ActorManager).fail(KeyError("a mistake"))


def test_tune_uses_the_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune_controller, "RayActorManager", RayActorManager)
    actor_manager.install()
    assert tune_controller.RayActorManager is ActorManager


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (actor_manager.ActorLost(OutOfMemoryError("low")), FailureKind.OUT_OF_MEMORY),
        (OutOfMemoryError("low"), FailureKind.OUT_OF_MEMORY),
        (actor_manager.ActorLost(NodeDiedError("node")), FailureKind.LOST),
        (actor_manager.ActorLost(OutOfDiskError("disk")), FailureKind.STORAGE),
        (ActorDiedError(), FailureKind.LOST),
        (None, FailureKind.LOST),
        (RayTaskError("step", "traceback", ValueError("x")), FailureKind.ERROR),
        (RayTaskError("setup", "traceback", OSError(errno.ENOSPC, "full")), FailureKind.STORAGE),
        (RuntimeError("Tune"), FailureKind.ERROR),
    ],
    ids=repr,
)
def test_each_loss_has_its_kind(error: Exception | None, kind: FailureKind) -> None:
    assert outcome_of(error).failure is kind
