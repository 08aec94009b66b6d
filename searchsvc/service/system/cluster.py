"""The cluster as the active drivers report it, the running attempts, the queue with reasons, and the controllers.

Nodes are known only while a driver runs a job, because drivers are connected to Ray. Only the resources of this
service's running trials count as used; other users of the same cluster are not visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from searchsvc.domain import Attempt, ControllerReport, Job, JobState, Node, Trial
from searchsvc.store import Store

MOST = 200
"""Maximum number of running attempts and of waiting trials in the list, the oldest of each."""
ALIVE_SECONDS = 60.0
"""A controller reports itself every 5 s; it counts as dead if it has not done so for this time."""
_DRIVEN = (JobState.RUNNING, JobState.STOPPING)
_LINE = "waits for a controller: {place} in line"


@dataclass(frozen=True, slots=True)
class Work:
    """A running attempt."""

    job: Job
    trial: Trial
    attempt: Attempt

    def is_on(self, node: Node) -> bool:
        return node.id in (self.attempt.node or "").split()


@dataclass(frozen=True, slots=True)
class NodeUse:
    """A node, and the part of its resources that running attempts use."""

    node: Node
    attempts: int
    cpus: float
    gpus: float
    memory_bytes: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits for a driver, or a trial that waits for resources."""

    job: Job
    trial: Trial | None
    reason: str


@dataclass(frozen=True, slots=True)
class ControllerState:
    """A controller, and whether it is alive as far as its reports show."""

    report: ControllerReport
    is_alive: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes, the running attempts, the queue and the controllers."""

    nodes: tuple[NodeUse, ...]
    """Empty if no driver is active, because the cluster is unknown then."""
    running: tuple[Work, ...]
    queue: tuple[Waiting, ...]
    """Jobs first, in the order in which they will be claimed."""
    controllers: tuple[ControllerState, ...] = ()
    """The controllers of the last hour that did not end in order."""


def look(store: Store) -> Cluster:
    """Return the state of the cluster. The number of statements does not grow with the number of attempts or trials."""
    jobs = {job.id: job for state in _DRIVEN for job in store.jobs(state=state, limit=MOST)}
    attempts = store.running_attempts(_DRIVEN, MOST)
    running = tuple(Work(jobs[trial.job_id], trial, attempt) for trial, attempt in attempts if trial.job_id in jobs)
    nodes = {node.id: node for nodes in store.reported_nodes().values() for node in nodes}
    queued = [
        Waiting(job, None, job.reason or _LINE.format(place=_ordinal(place)))
        for place, job in enumerate(store.oldest_queued(MOST), start=1)
    ]
    waiting = [
        Waiting(jobs[trial.job_id], trial, trial.reason or "waits for its turn")
        for trial in store.waiting_trials(_DRIVEN, MOST)
        if trial.job_id in jobs
    ]
    uses = tuple(_use(node, running) for node in sorted(nodes.values(), key=lambda node: (node.address, node.id)))
    return Cluster(uses, running, (*queued, *waiting), controllers(store))


def controllers(store: Store) -> tuple[ControllerState, ...]:
    """Return the controllers that have reported themselves in the last hour, except those that ended in order."""
    reports, now = store.controllers(), store.now()
    return tuple(ControllerState(report, now - report.seen_at < ALIVE_SECONDS) for report in reports)


def _use(node: Node, running: Sequence[Work]) -> NodeUse:
    used = [work.job.spec.resources for work in running if work.is_on(node)]
    return NodeUse(
        node,
        attempts=len(used),
        cpus=sum(resources.cpu for resources in used),
        gpus=sum(resources.gpu for resources in used),
        memory_bytes=sum(resources.memory_bytes for resources in used),
    )


def _ordinal(place: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(place, f"number {place}")
