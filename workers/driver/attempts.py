"""The attempts that Tune has queued or started, and questions to their actors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import ray
from ray.exceptions import RayError

from searchsvc.domain import Trial
from workers.driver.ledger import OpenTrial

ANSWER_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class ActiveAttempt:
    """An attempt that Tune has queued or started."""

    trial: OpenTrial
    submitted: float
    """Monotonic time at which Tune received it."""
    actor: Any = None
    node: str | None = None
    deadline: float | None = None
    """Monotonic time at which its process is killed."""
    overdue: bool = False
    test: Trial | None = None
    """The trial, if it is only measured on the test split."""
    workers: int = 1
    """Number of processes."""
    has_measured: bool = False


ActiveAttempts: TypeAlias = dict[str, ActiveAttempt]
"""By the key under which Tune runs them; shared by the queue, the dispatcher and the waiting reasons."""


class Actors:
    """Places, deaths and ends of Tune's actors. Each actor is asked for its place once, since Tune reuses actors."""

    def __init__(self) -> None:
        self._places: dict[Any, tuple[str, str, int]] = {}

    def place_of(self, actor: Any) -> tuple[str, str, int] | None:
        """Return (node id, address, pid), or None if the actor has died; Tune is about to report its death."""
        if actor not in self._places:
            try:
                self._places[actor] = ray.get(actor.place.remote(), timeout=ANSWER_SECONDS)
            except RayError:
                return None
        return self._places[actor]

    def death_of(self, actor: Any) -> Exception | None:
        """Return the error by which an actor ended, or None if it is alive or was never started."""
        if actor is None:
            return None
        try:
            ray.get(actor.place.remote(), timeout=ANSWER_SECONDS)
        except RayError as error:
            death: Exception = error
            return death
        return None

    def kill(self, actor: Any) -> None:
        ray.kill(actor)

    def forget(self, actor: Any) -> None:
        self._places.pop(actor, None)

    def clear(self) -> None:
        self._places.clear()
