"""Schemas of jobs, and of the plan for a job that is not submitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

from pydantic import Field

from api.rest.schemas.base import In, Metrics, Out, RecordOut, Values
from api.rest.schemas.trials import Trial
from searchsvc import domain
from searchsvc.domain import JobSpec, TrialState
from searchsvc.service.planning.plan import Plan
from searchsvc.service.results.standing import JobSummary


class Job(RecordOut, record=domain.Job):
    """A submitted search and its progress."""

    claims: int = Field(description="Number of times a driver has taken the job.")
    trials: dict[TrialState, int] = Field(description="Number of trials in each state.", examples=[{"SUCCEEDED": 7}])
    spec: JobSpec = Field(description="The whole spec, including defaults.")

    @classmethod
    def of_counts(cls, job: domain.Job, counts: Mapping[TrialState, int], **others: object) -> Self:
        return cls.of(job, claims=job.epoch, trials=dict(counts), **others)


class NewJob(Job):
    """A job that was just submitted."""

    warnings: list[str] = Field(
        description="Resources that a trial needs and no machine has at present: trials wait for them.",
        examples=[["a trial needs 1 GPUs, this machine has 0"]],
    )


class JobDetail(Job):
    """A job and its results so far."""

    rejected: dict[str, int] = Field(description="Candidates that never became a trial, by broken constraint.")
    answered: int = Field(description="Repeated candidates that were answered from stored results.")
    best: Trial | None = Field(description="Best trial by the first objective within all constraints.")
    pareto_size: int = Field(description="Number of trials on the Pareto front.")
    trials_per_minute: float | None = Field(description="Ended trials per minute; null before the first.")
    eta_seconds: float | None = Field(description="Seconds until the budget is used up at this pace; null if unknown.")

    @classmethod
    def of_summary(cls, summary: JobSummary) -> Self:
        return cls.of_counts(
            summary.job,
            summary.counts,
            rejected=dict(summary.rejected),
            answered=summary.answered,
            best=None if summary.best is None else Trial.of(summary.best),
            pareto_size=summary.pareto_size,
            trials_per_minute=summary.trials_per_minute,
            eta_seconds=summary.eta_seconds,
        )


class Extension(In):
    """A larger budget: new totals, not increments. Omitted limits stay unchanged."""

    trials: int | None = Field(None, ge=1, le=10_000_000, description="Total number of trials.", examples=[96])
    seconds: float | None = Field(None, gt=0, le=1e9, description="Total seconds under a driver.")
    gpu_hours: float | None = Field(None, gt=0, le=1e9, description="Total GPU-hours.")
    accept_data: bool = Field(False, description="Continue even if the data of the job have changed.")


class Consent(In):
    """Consent to what would otherwise keep a job from continuing."""

    accept_data: bool = Field(False, description="Continue even if the data of the job have changed.")


class PlannedDataset(Out):
    """Facts about the dataset."""

    name: str = Field(description="Its name.")
    classes: list[str] = Field(description="Names of its classes.")
    shape: list[int] = Field(description="(channels, height, width) of an image as it enters a network.")
    sizes: dict[str, int] = Field(description="Images per split.", examples=[{"train": 1078, "test": 360}])
    counts: dict[str, int] = Field(description="Other counts from reading the dataset.", examples=[{"boxes": 527}])
    notes: list[str] = Field(
        [],
        description="What the files contain and is not used, or is converted, counted and named.",
        examples=[["2 files are not images and are not read: a.txt, b.csv"]],
    )


class PlannedCandidate(Out):
    """A candidate that would be among the first."""

    values: Values = Field(description="A value for every active parameter.")
    costs: Metrics = Field(description="Metrics known before training.")


class JobPlan(Out):
    """A preview of a job. Nothing is stored or trained for a plan."""

    spec: JobSpec = Field(description="The whole spec, including defaults.")
    space_size: int | None = Field(
        description="Number of different candidates; null if a parameter is continuous, or beyond 1e300."
    )
    feasible_share: float = Field(description="Share of random candidates that keep the hard constraints.")
    sampled: int = Field(description="Number of random candidates from which the share was estimated.")
    candidates: list[PlannedCandidate] = Field(description="Candidates that the algorithm would propose first.")
    dataset: PlannedDataset = Field(description="Facts about the dataset.")
    hard_constraints: list[domain.Constraint] = Field(description="Checked before a trial starts.")
    outcome_constraints: list[domain.Constraint] = Field(description="Checked on measured metrics.")
    warnings: list[str] = Field(description="Settings that are allowed but probably unintended.")

    @classmethod
    def of(cls, plan: Plan) -> Self:
        data = plan.dataset
        return cls(
            spec=plan.spec,
            space_size=None if math.isinf(plan.space_size) else int(plan.space_size),
            feasible_share=plan.feasible_share,
            sampled=plan.sampled,
            candidates=[
                PlannedCandidate(values=dict(planned.candidate.values), costs=dict(planned.costs))
                for planned in plan.candidates
            ],
            dataset=PlannedDataset(
                name=data.name,
                classes=list(data.classes),
                shape=list(data.shape),
                sizes=dict(data.sizes),
                counts=dict(data.counts),
                notes=list(data.notes),
            ),
            hard_constraints=list(plan.hard),
            outcome_constraints=list(plan.outcome),
            warnings=list(plan.warnings),
        )
