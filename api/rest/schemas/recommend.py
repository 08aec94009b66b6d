"""Schemas of recommendations, and of the transfer of recipes to other networks."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from api.rest.schemas.base import In, Metrics, Out, Values
from api.rest.schemas.jobs import Job
from searchsvc import domain
from searchsvc.service.recommending.recommend import Recommendations
from searchsvc.service.recommending.transfer import TransferReport


class Limits(In):
    """Limits within which candidates are recommended."""

    constraints: list[domain.Constraint] = Field(
        [],
        max_length=32,
        description="Limits on costs; each replaces the job's own limit on its metric.",
        examples=[[{"metric": "flops", "max": 5e6}]],
    )
    k: int = Field(5, ge=1, le=20, description="Number of candidates.")
    train: bool = Field(False, description="Also submit a job that trains them to full fidelity.")


class Prediction(Out):
    """Predicted value of a metric."""

    mean: float = Field(description="Expected value.")
    deviation: float = Field(description="Standard deviation of the prediction.")


class Recommendation(Out):
    """A candidate worth training."""

    values: Values = Field(description="The candidate: a value for every active parameter.")
    architecture: Values = Field(description="Values of the architecture; costs depend only on them.")
    recipe: Values = Field(description="Values of the training recipe.")
    predicted: dict[str, Prediction] = Field(description="Predictions of metrics that only training reveals.")
    costs: Metrics = Field(description="Exact metrics known before training.", examples=[{"flops": 4.2e6}])
    trial: int | None = Field(description="Number of the job's trial with this candidate, null if there is none.")
    measured: Metrics | None = Field(description="Metrics of that trial at its best step.")


class Advice(Out):
    """Candidates predicted to be best within some limits, the best first."""

    constraints: list[domain.Constraint] = Field(description="Limits on costs.")
    outcome: list[domain.Constraint] = Field(description="Limits of the job on metrics that only training reveals.")
    learned_from: int = Field(description="Number of results from which the predictor learned.")
    epoch: int = Field(description="Epoch to which the predictions refer.")
    items: list[Recommendation] = Field(description="The candidates; fewer than requested if the space has no more.")
    job: Job | None = Field(description="The submitted job, if `train` was set.")

    @classmethod
    def of(cls, advice: Recommendations, job: Job | None) -> Self:
        return cls(
            constraints=list(advice.constraints),
            outcome=list(advice.outcome),
            learned_from=advice.learned_from,
            epoch=advice.epoch,
            items=[
                Recommendation(
                    values=dict(item.candidate.values),
                    architecture=item.halves.architecture,
                    recipe=item.halves.recipe,
                    predicted={
                        name: Prediction(mean=value.mean, deviation=value.deviation)
                        for name, value in item.predicted.items()
                    },
                    costs=dict(item.costs),
                    trial=item.trial.number if item.trial else None,
                    measured=dict(item.trial.metrics) if item.trial and item.trial.metrics else None,
                )
                for item in advice.items
            ],
            job=job,
        )


class Transfer(In):
    """Networks to be trained with the best recipes of a job."""

    space: str = Field(min_length=1, max_length=128, description="Space of named networks.")
    k: int = Field(3, ge=1, le=20, description="Number of recipes, the best first.")
    networks: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(
        [], max_length=100, description="Networks of that space; if empty, the first few."
    )
    repeats: int = Field(1, ge=1, le=20, description="Trials per network and recipe, each with its own seed.")


class MeasuredRecipe(Out):
    """Results of a network with a recipe."""

    recipe: int = Field(description="Index of the recipe; 0 is the default recipe.")
    trials: int = Field(description="Number of trials with a result so far.")
    mean: float | None = Field(description="Mean of the objective; null if no trial has ended.")
    deviation: float | None = Field(description="Standard deviation; null for fewer than two trials.")
    gain: float | None = Field(description="Improvement over the default recipe; negative if it is worse.")


class MeasuredTransfer(Out):
    """Results of a job's best recipes for networks that the job did not train."""

    objective: domain.Objective = Field(description="The measured objective.")
    recipes: list[Values] = Field(description="The default recipe, then the best recipes of the job, the best first.")
    differing: list[str] = Field(description="Parameters in which the recipes differ.")
    networks: dict[str, list[MeasuredRecipe]] = Field(description="Results by network, one entry per recipe.")

    @classmethod
    def of(cls, report: TransferReport) -> Self:
        return cls(
            objective=report.objective,
            recipes=[dict(recipe) for recipe in report.recipes],
            differing=list(report.differing),
            networks={
                network: [
                    MeasuredRecipe(
                        recipe=row.recipe, trials=row.trials, mean=row.mean, deviation=row.deviation, gain=row.gain
                    )
                    for row in rows
                ]
                for network, rows in report.networks.items()
            },
        )
