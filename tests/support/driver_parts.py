"""A driver's decisions without Ray: its parts over a real store, and stand-ins for Tune's actors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from searchsvc.domain import Attempt, DatasetInfo, Event, Measurement, Outcome, Trial, TrialState
from searchsvc.service.planning.blueprint import Blueprint
from searchsvc.settings import Settings
from searchsvc.spaces import Space
from searchsvc.spaces.costs.model import NO_COSTS
from searchsvc.store import Store
from tests.support.jobs import a_spec
from tests.support.tasks import NOOP
from workers.driver.attempts import ActiveAttempts, Actors
from workers.driver.dispatcher import Dispatcher
from workers.driver.heartbeat import Heartbeat
from workers.driver.interruption import StopRequests
from workers.driver.leftovers import Leftovers
from workers.driver.placement import Placement
from workers.driver.recovery import recover
from workers.driver.trial_queue import TrialQueue
from workers.driver.trial_tasks import TaskBuilder
from workers.driver.volume import ArtifactsVolume

ACCURACY: dict[str, Any] = {"objectives": [{"metric": "accuracy"}]}
SUCCEEDED = Outcome(TrialState.SUCCEEDED)
TTL_SECONDS = 600.0


class LaterClock:
    """The monotonic clock, which tests set forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


@dataclass(eq=False)
class FakeActor:
    """An actor of Tune: a process at a place, alive unless it has a death."""

    node: str = "0"
    pid: int = 17
    death: Exception | None = None
    early_ends: int = 0
    """Requests to end the trial early."""
    end_early: Any = None

    def __post_init__(self) -> None:
        self.end_early = SimpleNamespace(remote=self._end_early)

    def _end_early(self) -> None:
        self.early_ends += 1


@dataclass(eq=False)
class FakeActors(Actors):
    """Tune's actors, without Ray; records which are killed."""

    killed: list[FakeActor] = field(default_factory=list)

    def place_of(self, actor: FakeActor) -> tuple[str, str, int] | None:
        return None if actor.death else (actor.node, "host", actor.pid)

    def death_of(self, actor: FakeActor | None) -> Exception | None:
        return None if actor is None else actor.death

    def kill(self, actor: FakeActor) -> None:
        self.killed.append(actor)

    def forget(self, actor: FakeActor) -> None:
        """Do nothing: no place is remembered."""

    def clear(self) -> None:
        """Do nothing: no place is remembered."""


class DriverParts:
    """The parts of a driver of a job over `lr`, wired as a JobRun wires them. `spec`: changes of the job's spec."""

    def __init__(self, store: Store, folder: Path, **spec: Any) -> None:
        self.store, self.folder = store, folder
        self.job_id = store.create_job(a_spec(**ACCURACY | spec))[0].id
        self.clock = LaterClock()
        self.probes: list[Callable[[], None]] = []
        """Probes of the artifacts volume, which a test runs."""
        self.take_over()

    def take_over(self) -> None:
        """Let a new driver claim the job and recover it."""
        for lease in self.store.leases():
            if lease.job_id == self.job_id:
                self.store.release(lease)
        claimed = self.store.claim_job(self.job_id, "the driver", TTL_SECONDS)
        assert claimed is not None, self.store.job(self.job_id)
        job, self.lease = claimed
        self.writer = self.store.writer(self.lease)
        settings = Settings(data_dir=self.folder)
        self.heartbeat = Heartbeat(self.store, self.lease, settings, job, on_lost=lambda: None)
        self.blueprint = Blueprint(
            spec=job.spec,
            task=NOOP,
            dataset=DatasetInfo("nothing", (), (1,), {}),
            space=Space(job.spec.space.parameters),
            cost_model=NO_COSTS,
            hard=(),
            outcome=(),
            constants={},
        )
        self.ledger = recover(self.store, self.writer, job, self.blueprint)
        self.placement, self.attempts, self.actors = Placement(job.spec.resources), ActiveAttempts(), FakeActors()
        self.requests = StopRequests(self.heartbeat)
        tasks = TaskBuilder(job.spec, self.folder, {})
        parts = (self.ledger, self.heartbeat, self.placement, self.store)
        self.volume = ArtifactsVolume(self.folder, run=self.probes.append, sleep=lambda _: None)
        self.leftovers = Leftovers(self.folder)
        shared = (self.requests, self.attempts, self.volume)
        self.queue = TrialQueue(*parts, tasks, *shared)
        self.dispatcher = Dispatcher(
            *parts, self.queue, *shared, self.leftovers, actors=self.actors, clock=self.clock
        )

    # ---- Tune's part -----------------------------------------------------------------------------------------------

    def submit(self, key: str) -> Mapping[str, Any] | None:
        """Ask for the next configuration under this key."""
        return self.queue.next_config(key)

    def start(self, key: str, **place: Any) -> FakeActor:
        """Submit an attempt that must be there, and start its process."""
        assert self.submit(key), f"nothing to run under {key}"
        actor = FakeActor(**place)
        self.dispatcher.started(key, actor)
        return actor

    def succeed(self, key: str, accuracy: float = 0.5, step: int = 8) -> None:
        """Start an attempt and end it with a measurement."""
        self.start(key)
        self.end(key, accuracy, step)

    def end(self, key: str, accuracy: float = 0.5, step: int = 8, outcome: Outcome = SUCCEEDED) -> None:
        self.dispatcher.ended(key, measured(accuracy, step), outcome)

    # ---- what is stored --------------------------------------------------------------------------------------------

    def trials(self) -> list[Trial]:
        self.ledger.flush()
        return self.store.all_trials(self.job_id)

    def states(self) -> list[str]:
        return [str(trial.state) for trial in self.trials()]

    def attempts_of(self, number: int) -> list[Attempt]:
        return self.store.attempts(self.trials()[number].id)

    def events(self, kind: str) -> list[Event]:
        self.ledger.flush()
        events = self.store.events(after=0, job_id=self.job_id, limit=10_000)
        return [event for event in events if event.kind == kind]


def measured(accuracy: float, step: int = 1, seconds: float = 1.0) -> Measurement:
    return Measurement(step, {"accuracy": accuracy}, seconds)
