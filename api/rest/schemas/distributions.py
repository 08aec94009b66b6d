"""What the REST interface says of a job's supernet, as pydantic models."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from api.rest.schemas.jobs import Metrics
from searchsvc.domain import Scalar, TrialState
from searchsvc.service.results import distributions


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class Distribution(_Out):
    """What is believed of one parameter, whatever the others are."""

    parameter: str = Field(description="Its name.", examples=["lr"])
    options: list[Scalar] = Field(description="Choices, whole numbers, or the values that a real number is mixed of.")
    probabilities: list[float] = Field(description="One per option; they sum to 1.")
    entropy: float = Field(description="In nats: 0 where one option has it all, the logarithm of their count at first.")


class Distributions(_Out):
    """A supernet as it stands, and what its controller believes."""

    trial: int = Field(description="The number of its trial.")
    state: TrialState = Field(description="Where that trial stands.")
    step: int = Field(description="The last step that was measured.")
    steps: int = Field(description="Steps that are measured in all.")
    metrics: Metrics = Field(
        description="What was measured of the whole at that step.", examples=[{"reward": 0.91, "entropy": 4.2}]
    )
    parameters: list[Distribution] = Field(description="One distribution per parameter of the space.")

    @classmethod
    def of(cls, found: distributions.Distributions) -> Self:
        return cls(
            trial=found.trial.number,
            state=found.trial.state,
            step=found.step,
            steps=found.steps,
            metrics=dict(found.metrics),
            parameters=[
                Distribution(
                    parameter=one.parameter,
                    options=list(one.options),
                    probabilities=list(one.probabilities),
                    entropy=one.entropy,
                )
                for one in found.parameters
            ],
        )
