"""Schemas of the entries that a spec can name: spaces, algorithms, stopping rules, datasets, tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, Self

from fastapi import Path
from pydantic import BaseModel, Field

from api.rest.schemas.base import Out
from searchsvc import domain
from searchsvc.domain import Parameter, Scalar
from searchsvc.domain.faults import Matching
from searchsvc.domain.metrics import Goal
from searchsvc.service.exports import export
from searchsvc.service.planning import self_training
from searchsvc.spaces.catalogue import ShippedSpace

TableName = Annotated[
    str,
    Matching(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "begin with a letter or digit and hold only letters, digits and . _ -"),
    Path(max_length=128, description="Name of the entry."),
]


class Space(Out):
    """A space that a spec can name."""

    name: str = Field(description="Name of the entry.", examples=["mbconv-small"])
    description: str = Field(description="Description in one line.")
    task: str = Field(description="Task of its networks.")
    size: int | None = Field(description="Number of different candidates; null if a parameter is continuous.")
    dimensions: int = Field(description="Number of parameters.")

    @classmethod
    def of(cls, shipped: ShippedSpace, **more: Any) -> Self:
        size = shipped.space.size()
        return cls(
            name=shipped.name,
            description=shipped.description,
            task=shipped.task,
            size=None if math.isinf(size) else int(size),
            dimensions=len(shipped.space),
            **more,
        )


class SpaceDetail(Space):
    """A space with its parameters."""

    parameters: list[Parameter] = Field(description="Parameters, in the form of an inline space.")
    constants: dict[str, Scalar] = Field(description="Values shared by all candidates; `fix` changes them.")

    @classmethod
    def of(cls, shipped: ShippedSpace, **more: Any) -> Self:
        return super().of(shipped, parameters=list(shipped.space.parameters), constants=dict(shipped.constants), **more)


class _MethodEntry(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def options(self) -> type[BaseModel]: ...


class Method(Out):
    """An algorithm or a stopping rule."""

    name: str = Field(description="Name of the entry.", examples=["tpe"])
    description: str = Field(description="Description in one line.")
    options: dict[str, Any] = Field(description="JSON schema of the options, which follow the name in a spec.")

    @classmethod
    def of(cls, entry: _MethodEntry) -> Self:
        return cls(name=entry.name, description=entry.description, options=entry.options.model_json_schema())


class Dataset(Out):
    """A dataset, or a format of datasets on disk."""

    task: str = Field(description="Task that reads it.")
    name: str = Field(description="Name of the dataset or format.", examples=["digits"])
    description: str = Field(description="Description in one line.")


class Metric(Out):
    """A metric that a task measures."""

    name: str = Field(description="Name of the entry.", examples=["accuracy"])
    goal: Goal = Field(description="Direction of improvement.")
    unit: str = Field(description="Unit of the values.")
    description: str = Field(description="Description in one line.")


class Export(Out):
    """A file format in which a job can be exported."""

    name: str = Field(description="Name of the entry.", examples=["weights"])
    suffix: str = Field(description="Suffix of the file name.", examples=[".safetensors"])
    description: str = Field(description="Content of the file.")


class Task(Out):
    """A task: the kind of model that a trial trains."""

    name: str = Field(description="Name of the entry.", examples=["classification"])
    description: str = Field(description="Description in one line.")
    metrics: list[Metric] = Field(description="Metrics of the task; objectives and constraints may name them.")
    parameters: dict[str, Scalar] = Field(description="Parameters that the task reads, with default values.")
    exports: list[Export] = Field(description="Export formats of its jobs.")

    @classmethod
    def of(cls, task: domain.Task) -> Self:
        metrics = [
            Metric(name=metric.name, goal=metric.goal, unit=metric.unit, description=metric.description)
            for metric in task.metrics
        ]
        exports = [
            Export(name=name, suffix=written.suffix, description=written.description)
            for name, written in export.formats_of(task).items()
        ]
        return cls(
            name=task.name,
            description=task.description,
            metrics=metrics,
            parameters=dict(task.default_parameters),
            exports=exports,
        )

    @classmethod
    def around(cls, others: Sequence[str]) -> Self:
        """Describe self-training, whose jobs are stored as jobs of one of the other tasks."""
        others_text = ", ".join(others)
        description = f"one of {others_text}, also trained on pseudo-labels; with the metrics and exports of that task"
        return cls(name=self_training.TASK, description=description, metrics=[], parameters={}, exports=[])
