"""Tune's manager of actors, in which the loss of an actor ends the attempt that it ran and nothing else.

Tune expects two kinds of errors from an actor: RayActorError and RayTaskError. It gives up on any other error of Ray,
among them the OutOfMemoryError of a process that was killed to free memory, and ends all trials of its run.
"""

from __future__ import annotations

from typing import Any

import ray
from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution import tune_controller


class ActorLost(RayActorError):  # type: ignore[misc]  # ray has no types
    """An error of Ray that Tune does not expect, as the loss of the actor that it came from."""

    def __init__(self, cause: RayError) -> None:
        super().__init__(error_msg=str(cause))
        self.cause = cause


class ActorManager(RayActorManager):  # type: ignore[misc]  # ray has no types
    """Reports every error of an actor to its attempt."""

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            # If the process is still alive, it must not go on beside the next attempt.
            actor, _ = self._live_actors_to_ray_actors_resources[tracked_actor_task._tracked_actor]
            ray.kill(actor)
            exception = ActorLost(exception)
        super()._actor_task_failed(tracked_actor_task, exception)


def cause_of(error: Exception | None) -> Exception | None:
    """Return the error of Ray or of a worker's code behind an error that Tune reports."""
    cause = getattr(error, "cause", None) if isinstance(error, ActorLost | RayTaskError) else None
    return cause if isinstance(cause, Exception) else error


def install() -> None:
    """Let Tune use this manager."""
    tune_controller.RayActorManager = ActorManager
