"""The cluster as the drivers at work report it, what runs on it, and what waits, with the reasons.

Nodes are known only while a driver runs a job: it is the drivers that are connected to Ray. What is in use is what the
running trials of this service were given; what others do on the same cluster is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from searchsvc.domain import Attempt, Job, JobState, Node, Trial
from searchsvc.store import Store

MOST = 200
"""Running attempts and waiting trials that are looked at, of each the oldest."""
_DRIVEN = (JobState.RUNNING, JobState.STOPPING)
_LINE = "waits for a controller: {place} in line"


@dataclass(frozen=True, slots=True)
class Work:
    """An attempt that runs now."""

    job: Job
    trial: Trial
    attempt: Attempt

    def is_on(self, node: Node) -> bool:
        return node.id in (self.attempt.node or "").split()


@dataclass(frozen=True, slots=True)
class NodeUse:
    """A node, and what of it the running attempts were given."""

    node: Node
    attempts: int
    cpus: float
    gpus: float
    memory_bytes: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits for a driver, or a trial that waits for room."""

    job: Job
    trial: Trial | None
    reason: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """What there is to see."""

    nodes: tuple[NodeUse, ...]
    """None where no driver is at work: then nothing is known of the cluster."""
    running: tuple[Work, ...]
    queue: tuple[Waiting, ...]
    """Jobs first, in the order in which they will be taken."""


def look(store: Store) -> Cluster:
    """The number of statements does not grow with what runs or waits."""
    jobs = {job.id: job for state in _DRIVEN for job in store.jobs(state=state, limit=MOST)}
    attempts = store.running_attempts(_DRIVEN, MOST)
    running = tuple(Work(jobs[trial.job_id], trial, one) for trial, one in attempts if trial.job_id in jobs)
    nodes = {node.id: node for nodes in store.reported_nodes().values() for node in nodes}
    queued = [
        Waiting(job, None, job.reason or _LINE.format(place=_ordinal(place)))
        for place, job in enumerate(store.oldest_queued(MOST), start=1)
    ]
    waiting = [
        Waiting(jobs[one.job_id], one, one.reason or "its turn has not come")
        for one in store.waiting_trials(_DRIVEN, MOST)
        if one.job_id in jobs
    ]
    uses = tuple(_use(node, running) for node in sorted(nodes.values(), key=lambda one: (one.address, one.id)))
    return Cluster(uses, running, (*queued, *waiting))


def _use(node: Node, running: Sequence[Work]) -> NodeUse:
    given = [one.job.spec.resources for one in running if one.is_on(node)]
    return NodeUse(
        node,
        attempts=len(given),
        cpus=sum(one.cpu for one in given),
        gpus=sum(one.gpu for one in given),
        memory_bytes=sum(one.memory_bytes for one in given),
    )


def _ordinal(place: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(place, f"number {place}")
