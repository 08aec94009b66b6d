"""What the REST interface says of parameters and networks, as pydantic models."""

from __future__ import annotations

from dataclasses import asdict
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from searchsvc.service.results import architecture, importance


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class Importance(_Out):
    """How much of a metric each parameter decides."""

    metric: str = Field(description="What is decided.", examples=["accuracy"])
    results: int = Field(description="From how many results it is told, the newest.")
    shares: dict[str, float] = Field(description="By parameter, the most important first; they sum to 1.")
    conditional: list[str] = Field(description="Parameters that only some candidates have: nothing is said of them.")

    @classmethod
    def of(cls, found: importance.Importance) -> Self:
        return cls(
            metric=found.metric,
            results=found.results,
            shares=dict(found.shares),
            conditional=list(found.conditional),
        )


class Stage(_Out):
    """Equal blocks, one after another."""

    name: str = Field(description="The stage that they belong to.", examples=["stage 3"])
    block: str = Field(description="What they are.", examples=["inverted residual"])
    count: int = Field(description="How many.")
    kernel: int | None = Field(description="Of their (depthwise) convolution; null where they have none.")
    stride: int = Field(description="Of the first.")
    channels: int = Field(description="Of the output.")
    expansion: float | None = Field(description="Of inverted residuals.")
    squeezes: bool = Field(description="Whether they have squeeze-and-excitation.")
    height: int = Field(description="Of the output, in pixels.")
    width: int = Field(description="Of the output, in pixels.")
    flops: float = Field(description="Multiply-adds of all together, for one image.")
    params: float = Field(description="Parameters of all together.")
    note: str = Field(description="What else there is to say.")


class Architecture(_Out):
    """The network of a trial, from the image on."""

    shape: tuple[int, int, int] = Field(description="Channels, height and width of the images of the dataset.")
    flops: float = Field(description="Of the whole network.")
    params: float = Field(description="Of the whole network.")
    stages: list[Stage] = Field(description="What it is made of; their costs sum to those of the whole.")

    @classmethod
    def of(cls, found: architecture.Architecture) -> Self:
        return cls(
            shape=found.shape,
            flops=found.flops,
            params=found.params,
            stages=[Stage(**asdict(one)) for one in found.stages],
        )
