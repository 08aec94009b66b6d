"""Schemas of the distributions that the controller of a supernet has learned."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from api.rest.schemas.base import Metrics, Out
from searchsvc.domain import Scalar, TrialState
from searchsvc.service.results import distributions


class Distribution(Out):
    """Marginal distribution over the options of a parameter."""

    parameter: str = Field(description="Name of the parameter.", examples=["lr"])
    options: list[Scalar] = Field(description="Choices, integers, or the basis values of a continuous parameter.")
    probabilities: list[float] = Field(description="Probability of each option; they sum to 1.")
    entropy: float = Field(description="In nats: 0 for a certain option, the logarithm of their number if uniform.")


class Distributions(Out):
    """Current state of a supernet, and the distributions of its controller."""

    trial: int = Field(description="Number of its trial.")
    state: TrialState = Field(description="State of its trial.")
    step: int = Field(description="Last measured step.")
    steps: int = Field(description="Total number of measured steps.")
    metrics: Metrics = Field(
        description="Metrics of the supernet at that step.", examples=[{"reward": 0.91, "entropy": 4.2}]
    )
    parameters: list[Distribution] = Field(description="One distribution per parameter of the space.")

    @classmethod
    def of(cls, current: distributions.Distributions) -> Self:
        return cls(
            trial=current.trial.number,
            state=current.trial.state,
            step=current.step,
            steps=current.steps,
            metrics=dict(current.metrics),
            parameters=[
                Distribution(
                    parameter=learned.parameter,
                    options=list(learned.options),
                    probabilities=list(learned.probabilities),
                    entropy=learned.entropy,
                )
                for learned in current.parameters
            ],
        )
