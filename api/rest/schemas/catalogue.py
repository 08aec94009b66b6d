"""Schemas of what a spec may name: spaces, algorithms, stopping rules, datasets, tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, Self

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from searchsvc import domain
from searchsvc.domain import Parameter, Scalar
from searchsvc.domain.metrics import Goal
from searchsvc.service.exports import export
from searchsvc.service.planning import self_training
from searchsvc.spaces.catalogue import ShippedSpace

TableName = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Its name.")]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


class Space(_Row):
    """A space that a spec can name."""

    name: str = Field(description="Its name.", examples=["mbconv-small"])
    description: str = Field(description="What it is.")
    task: str = Field(description="The task that it is for.")
    size: int | None = Field(description="Different candidates; null where a parameter is continuous.")
    dimensions: int = Field(description="How many parameters it has.")

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
    """A space and what may vary in it."""

    parameters: list[Parameter] = Field(description="Its parameters, as an inline space would give them.")
    constants: dict[str, Scalar] = Field(description="Values that all its candidates have besides; `fix` changes them.")

    @classmethod
    def of(cls, shipped: ShippedSpace, **more: Any) -> Self:
        return super().of(shipped, parameters=list(shipped.space.parameters), constants=dict(shipped.constants), **more)


class _Entry(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def options(self) -> type[BaseModel]: ...


class Method(_Row):
    """An algorithm or a stopping rule."""

    name: str = Field(description="Its name.", examples=["tpe"])
    description: str = Field(description="What it does.")
    options: dict[str, Any] = Field(description="JSON schema of its options, which stand beside its name in a spec.")

    @classmethod
    def of(cls, entry: _Entry) -> Self:
        return cls(name=entry.name, description=entry.description, options=entry.options.model_json_schema())


class Dataset(_Row):
    """A dataset, or a format of datasets on disk."""

    task: str = Field(description="The task that reads it.")
    name: str = Field(description="Its name, or the name of the format.", examples=["digits"])
    description: str = Field(description="What it is.")


class Metric(_Row):
    """A number that a task measures."""

    name: str = Field(description="Its name.", examples=["accuracy"])
    goal: Goal = Field(description="The direction in which it gets better.")
    unit: str = Field(description="Its unit.")
    description: str = Field(description="What it says.")


class Export(_Row):
    """A kind of file that a job can be taken away as."""

    name: str = Field(description="Its name.", examples=["weights"])
    suffix: str = Field(description="How the names of such files end.", examples=[".safetensors"])
    description: str = Field(description="What is in it.")


class Task(_Row):
    """What can be trained."""

    name: str = Field(description="Its name.", examples=["classification"])
    description: str = Field(description="One line about it.")
    metrics: list[Metric] = Field(description="What it measures; objectives and constraints may name these.")
    parameters: dict[str, Scalar] = Field(description="What it understands, with the value where a space gives none.")
    exports: list[Export] = Field(description="What a job of it can be exported as.")

    @classmethod
    def of(cls, task: domain.Task) -> Self:
        metrics = [
            Metric(name=one.name, goal=one.goal, unit=one.unit, description=one.description) for one in task.metrics
        ]
        exports = [
            Export(name=name, suffix=one.suffix, description=one.description)
            for name, one in export.formats_of(task).items()
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
        """Self-training, whose jobs are stored as those of one of the others."""
        description = f"one of {', '.join(others)}, taught by pseudo labels, too: metrics and exports are that one's"
        return cls(name=self_training.TASK, description=description, metrics=[], parameters={}, exports=[])
