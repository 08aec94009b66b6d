"""What the REST interface says about going on from a job's results: recommendations, and recipes for other networks."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from api.rest.schemas.jobs import Job, Metrics, Values
from searchsvc import domain
from searchsvc.service.recommending.recommend import Recommendations
from searchsvc.service.recommending.transfer import TransferReport


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class Limits(_In):
    """What is to be recommended."""

    constraints: list[domain.Constraint] = Field(
        [],
        max_length=32,
        description="Limits on what is known before training; each takes the place of the job's own on its metric.",
        examples=[[{"metric": "flops", "max": 5e6}]],
    )
    k: int = Field(5, ge=1, le=20, description="How many candidates.")
    train: bool = Field(False, description="Submit a job that trains them to the whole fidelity, too.")


class Prediction(_Out):
    """What a candidate would reach."""

    mean: float = Field(description="The expectation.")
    deviation: float = Field(description="Standard deviation: how far the truth may well be off.")


class Recommendation(_Out):
    """A candidate worth training."""

    values: Values = Field(description="The candidate: a value for every active parameter.")
    architecture: Values = Field(description="The half of it that is trained; costs depend on it alone.")
    recipe: Values = Field(description="The half of it that says how.")
    predicted: dict[str, Prediction] = Field(description="Of what only training shows.")
    costs: Metrics = Field(description="What is known before training: exact.", examples=[{"flops": 4.2e6}])
    trial: int | None = Field(description="Number of the job's trial that measured this candidate already; null: none.")
    measured: Metrics | None = Field(description="What that trial measured at its best step.")


class Advice(_Out):
    """What the results of a job speak for within some limits, the best first."""

    constraints: list[domain.Constraint] = Field(description="Limits on what is known before training.")
    outcome: list[domain.Constraint] = Field(description="Limits of the job on what only training shows: as predicted.")
    learned_from: int = Field(description="Trials with a result that the predictor learned from.")
    epoch: int = Field(description="Predictions are of what is measured after so many epochs.")
    items: list[Recommendation] = Field(description="The candidates; fewer than asked for where no more are left.")
    job: Job | None = Field(description="With `train`: the job that was submitted.")

    @classmethod
    def of(cls, found: Recommendations, job: Job | None) -> Self:
        return cls(
            constraints=list(found.constraints),
            outcome=list(found.outcome),
            learned_from=found.learned_from,
            epoch=found.epoch,
            items=[
                Recommendation(
                    values=dict(one.candidate.values),
                    architecture=one.halves.architecture,
                    recipe=one.halves.recipe,
                    predicted={
                        name: Prediction(mean=value.mean, deviation=value.deviation)
                        for name, value in one.predicted.items()
                    },
                    costs=dict(one.costs),
                    trial=one.trial.number if one.trial else None,
                    measured=dict(one.trial.metrics) if one.trial and one.trial.metrics else None,
                )
                for one in found.items
            ],
            job=job,
        )


class Transfer(_In):
    """Which networks are to be trained with the recipes that a job has found."""

    space: str = Field(min_length=1, max_length=128, description="A space of networks that have names.")
    k: int = Field(3, ge=1, le=20, description="So many of the best recipes.")
    networks: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(
        [], max_length=100, description="Networks of that space; none: the first few."
    )
    repeats: int = Field(1, ge=1, le=20, description="Trials of each network with each recipe, each with its own seed.")


class MeasuredRecipe(_Out):
    """What one network reached with one recipe."""

    recipe: int = Field(description="Its place among the recipes: 0 is the default recipe.")
    trials: int = Field(description="Trials with a result so far.")
    mean: float | None = Field(description="Mean of the objective; null: none has ended.")
    deviation: float | None = Field(description="Standard deviation; null: of fewer than two trials.")
    gain: float | None = Field(description="By how much it is better than the default recipe; negative: worse.")


class MeasuredTransfer(_Out):
    """What the recipes that a job has found did for networks that it never saw."""

    objective: domain.Objective = Field(description="What was measured.")
    recipes: list[Values] = Field(description="The default recipe, then those that were found, the best first.")
    differing: list[str] = Field(description="The parameters in which the recipes are not all alike.")
    networks: dict[str, list[MeasuredRecipe]] = Field(description="By network: one entry per recipe.")

    @classmethod
    def of(cls, report: TransferReport) -> Self:
        return cls(
            objective=report.objective,
            recipes=[dict(one) for one in report.recipes],
            differing=list(report.differing),
            networks={
                network: [
                    MeasuredRecipe(
                        recipe=one.recipe, trials=one.trials, mean=one.mean, deviation=one.deviation, gain=one.gain
                    )
                    for one in rows
                ]
                for network, rows in report.networks.items()
            },
        )
