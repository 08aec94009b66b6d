"""Schemas of the importance of parameters, and of networks stage by stage."""

from __future__ import annotations

from dataclasses import asdict
from typing import Self

from pydantic import Field

from api.rest.schemas.base import Out
from searchsvc.service.results import architecture, importance


class Importance(Out):
    """Share of each parameter in the variation of a metric."""

    metric: str = Field(description="The metric.", examples=["accuracy"])
    results: int = Field(description="Number of results, the newest, from which it was computed.")
    shares: dict[str, float] = Field(description="Share by parameter, the most important first; shares sum to 1.")
    conditional: list[str] = Field(description="Parameters that only some candidates have; they are left out.")

    @classmethod
    def of(cls, result: importance.Importance) -> Self:
        return cls(
            metric=result.metric,
            results=result.results,
            shares=dict(result.shares),
            conditional=list(result.conditional),
        )


class Stage(Out):
    """A sequence of equal blocks."""

    name: str = Field(description="Name of the stage.", examples=["stage 3"])
    block: str = Field(description="Type of block.", examples=["inverted residual"])
    count: int = Field(description="Number of blocks.")
    kernel: int | None = Field(description="Kernel size of the (depthwise) convolution; null if the blocks have none.")
    stride: int = Field(description="Stride of the first block.")
    channels: int = Field(description="Channels of the output.")
    expansion: float | None = Field(description="Expansion ratio of inverted residuals; null for other blocks.")
    squeezes: bool = Field(description="Whether the blocks have squeeze-and-excitation.")
    height: int = Field(description="Height of the output in pixels.")
    width: int = Field(description="Width of the output in pixels.")
    flops: float = Field(description="Multiply-adds of all blocks together, for one image.")
    params: float = Field(description="Parameters of all blocks together.")
    note: str = Field(description="Further properties of the stage, in words.")


class Architecture(Out):
    """The network of a trial, from its input to its output."""

    shape: tuple[int, int, int] = Field(description="Channels, height and width of an image of the dataset.")
    flops: float = Field(description="Multiply-adds of the whole network, for one image.")
    params: float = Field(description="Parameters of the whole network.")
    stages: list[Stage] = Field(description="Stages of the network; their costs sum to the totals.")

    @classmethod
    def of(cls, network: architecture.Architecture) -> Self:
        return cls(
            shape=network.shape,
            flops=network.flops,
            params=network.params,
            stages=[Stage(**asdict(stage)) for stage in network.stages],
        )
