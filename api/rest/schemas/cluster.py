"""Schemas of the cluster: its nodes, running attempts and waiting work."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from api.rest.schemas.base import Id, Moment, Out, RecordOut
from searchsvc import domain
from searchsvc.service.system import cluster


class Node(Out):
    """A machine of the cluster: its resources, and those used by running trials of this service."""

    id: str = Field(description="Ray's id of the node.")
    address: str = Field(description="Network address.", examples=["10.0.0.7"])
    cpus: float = Field(description="CPUs of the node.")
    cpus_used: float = Field(description="CPUs assigned to running trials.")
    gpus: float = Field(description="GPUs of the node.")
    gpus_used: float = Field(description="GPUs assigned to running trials.")
    memory_bytes: float = Field(description="Memory of the node.")
    memory_bytes_used: float = Field(description="Memory reserved by running trials.")
    attempts: int = Field(description="Number of attempts running on the node.")
    avoided: bool = Field(description="Whether no trials are placed there because too many failed.")

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


class Work(Out):
    """A running attempt."""

    job_id: Id = Field(description="The job.")
    job: str = Field(description="Name of the job.")
    trial: int = Field(description="Number of the trial.")
    attempt: int = Field(description="1, 2, ...")
    node: str | None = Field(description="Id and address of the node.")
    pid: int | None = Field(description="Process id of the worker.")
    started_at: Moment = Field(description="Time at which the attempt started.")

    @classmethod
    def of(cls, work: cluster.Work) -> Self:
        return cls(
            job_id=work.job.id,
            job=work.job.name,
            trial=work.trial.number,
            attempt=work.attempt.number,
            node=work.attempt.node,
            pid=work.attempt.pid,
            started_at=work.attempt.started_at,
        )


class Waiting(Out):
    """A job without a driver, or a trial without a worker."""

    job_id: Id = Field(description="The job.")
    job: str = Field(description="Name of the job.")
    trial: int | None = Field(description="Number of the trial; null if the job itself waits.")
    reason: str = Field(description="Reason for waiting.")

    @classmethod
    def of(cls, waiting: cluster.Waiting) -> Self:
        trial = None if waiting.trial is None else waiting.trial.number
        return cls(job_id=waiting.job.id, job=waiting.job.name, trial=trial, reason=waiting.reason)


class Controller(RecordOut, record=domain.ControllerReport):
    """A controller as it last reported itself."""

    is_alive: bool = Field(description="Whether it has reported itself within the last minute.")


class Cluster(Out):
    """Nodes, running attempts, waiting work and controllers."""

    nodes: list[Node] = Field(description="Nodes as running drivers see them; empty if no driver is running.")
    running: list[Work] = Field(description="Running attempts, the oldest 200.")
    queue: list[Waiting] = Field(description="Waiting jobs in the order of claims, then waiting trials; 200 of each.")

    controllers: list[Controller] = Field(
        description="Controllers that reported themselves within the last hour and have not ended in order."
    )

    @classmethod
    def of(cls, state: cluster.Cluster) -> Self:
        return cls(
            nodes=[Node.of(use) for use in state.nodes],
            running=[Work.of(work) for work in state.running],
            queue=[Waiting.of(waiting) for waiting in state.queue],
            controllers=[Controller.of(one.report, is_alive=one.is_alive) for one in state.controllers],
        )
