"""AutoHAS (arXiv 2006.03656): architecture and hyperparameters by weight sharing.

Options of the algorithm `autohas`. The authors publish no settings of their controller: momentum of the baseline and
the share of frozen steps are those of TuNAS (arXiv 2008.06120), the others are ours.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from searchsvc.algorithms.options import Options


class SoftLimit(BaseModel):
    """A limit of a cost that may be broken at a price: weight * (cost / max - 1) is taken off the reward above it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    metric: str
    max: Annotated[float, Field(gt=0)]
    weight: Annotated[float, Field(gt=0)] = 0.1


class AutohasOptions(Options):
    """How the supernet is trained, how its controller learns, and what comes out."""

    variant: Literal["reinforce", "differentiable"] = Field("reinforce", description="what moves the distributions")
    epochs: int = Field(0, ge=0, le=100_000, description="of the supernet; 0: twice those of a trial")
    logs_per_epoch: int = Field(1, ge=1, le=10_000, description="measurements and checkpoints per epoch")
    controller_every: int = Field(1, ge=1, le=10_000, description="steps of the weights per step of the controller")
    samples: int = Field(4, ge=1, le=1024, description="candidates per step of the controller, in each process")
    learning_rate: float = Field(0.05, gt=0, le=10, description="of the controller's Adam")
    frozen_share: float = Field(0.25, ge=0, lt=1, description="of the steps, in which the distributions stay uniform")
    baseline_momentum: float = Field(0.95, ge=0, lt=1, description="of the moving mean of rewards (reinforce)")
    spread: float = Field(0.25, gt=0, le=10, description="of the coefficients of a basis around their softmax")
    temperature: float = Field(1.0, gt=0, le=100, description="of the softmax behind choices (differentiable)")
    basis_values: int = Field(5, ge=2, le=100, description="of the basis that a range of floats becomes")
    reward_images: int = Field(256, ge=1, description="validation images that a candidate is scored on in a step")
    finalists: int = Field(8, ge=1, le=1000, description="candidates that are trained from scratch, budget permitting")
    scored: int = Field(64, ge=1, le=100_000, description="draws among which the finalists are looked for at the end")
    soft_limits: list[SoftLimit] = Field([], max_length=8, description="costs whose excess is taken off the reward")

    @model_validator(mode="after")
    def _limits_differ(self) -> Self:
        if len({one.metric for one in self.soft_limits}) < len(self.soft_limits):
            raise ValueError("soft_limits: each needs a metric of its own")
        return self
