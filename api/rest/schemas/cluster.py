"""What the REST interface says about the cluster."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from api.rest.schemas.jobs import Id, utc
from searchsvc.service.system import cluster


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class Node(_Out):
    """A machine of the cluster: what it offers, and what running trials of this service were given of it."""

    id: str = Field(description="Ray's id of it.")
    address: str = Field(description="Where it is.", examples=["10.0.0.7"])
    cpus: float = Field(description="CPUs that it offers.")
    cpus_used: float = Field(description="Of them, given to running trials.")
    gpus: float = Field(description="GPUs that it offers.")
    gpus_used: float = Field(description="Of them, given to running trials.")
    memory_bytes: float = Field(description="Memory that it offers.")
    memory_bytes_used: float = Field(description="Of it, set aside for running trials that ask for memory.")
    attempts: int = Field(description="Attempts that run on it.")
    avoided: bool = Field(description="Whether it is handed no trials, because too many failed there.")

    @classmethod
    def of(cls, use: cluster.NodeUse) -> Self:
        node = use.node
        return cls(
            id=node.id,
            address=node.address,
            cpus=node.cpus,
            cpus_used=use.cpus,
            gpus=node.gpus,
            gpus_used=use.gpus,
            memory_bytes=node.memory_bytes,
            memory_bytes_used=use.memory_bytes,
            attempts=use.attempts,
            avoided=node.avoided,
        )


class Work(_Out):
    """An attempt that runs."""

    job_id: Id = Field(description="The job.")
    job: str = Field(description="Its name.")
    trial: int = Field(description="Number of the trial.")
    attempt: int = Field(description="1, 2, ...")
    node: str | None = Field(description="Id and address of the node.")
    pid: int | None = Field(description="The process.")
    started_at: datetime = Field(description="When it started.")

    @classmethod
    def of(cls, work: cluster.Work) -> Self:
        return cls(
            job_id=work.job.id,
            job=work.job.name,
            trial=work.trial.number,
            attempt=work.attempt.number,
            node=work.attempt.node,
            pid=work.attempt.pid,
            started_at=utc(work.attempt.started_at),
        )


class Waiting(_Out):
    """A job without a driver, or a trial without a worker."""

    job_id: Id = Field(description="The job.")
    job: str = Field(description="Its name.")
    trial: int | None = Field(description="Number of the trial; null: the job itself waits.")
    reason: str = Field(description="Why.")

    @classmethod
    def of(cls, one: cluster.Waiting) -> Self:
        return cls(
            job_id=one.job.id, job=one.job.name, trial=one.trial.number if one.trial else None, reason=one.reason
        )


class Cluster(_Out):
    """Nodes, what runs, what waits."""

    nodes: list[Node] = Field(description="None where no driver is at work: nothing is known of the cluster then.")
    running: list[Work] = Field(description="The attempts that run, the oldest 200.")
    queue: list[Waiting] = Field(description="Jobs in the order in which they will be taken, then trials; 200 of each.")

    @classmethod
    def of(cls, found: cluster.Cluster) -> Self:
        return cls(
            nodes=[Node.of(one) for one in found.nodes],
            running=[Work.of(one) for one in found.running],
            queue=[Waiting.of(one) for one in found.queue],
        )
