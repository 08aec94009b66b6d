"""What the REST interface says, as pydantic models: our own words, times as RFC 3339 in UTC, every field described."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Self, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from searchsvc import domain
from searchsvc.domain import FailureKind, JobRequest, JobSpec, JobState, Scalar, TrialKind, TrialState
from searchsvc.service.planning.plan import Plan
from searchsvc.service.results.comparison import TrialComparison
from searchsvc.service.results.standing import JobSummary
from searchsvc.service.system.logs import LogPart
from searchsvc.service.system.tokens import Scope

T = TypeVar("T")
Metrics: TypeAlias = dict[str, float]
Id: TypeAlias = Annotated[str, Field(examples=["0197a1f0-3c52-7c1e-9d5a-6f0f3b1c2d4e"])]
Values: TypeAlias = Annotated[dict[str, Scalar], Field(examples=[{"depth": 2, "lr": 0.003, "optimizer": "sgd"}])]


def utc(seconds: float) -> datetime:
    """A stored time as it is said outside."""
    return datetime.fromtimestamp(seconds, UTC)


def utc_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else utc(seconds)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class Page(_Out, Generic[T]):
    """Some rows of a list."""

    items: list[T] = Field(description="The rows.")
    next_page_token: str | None = Field(description="Send it as `page_token` for the next page; null on the last one.")


# ---- jobs ------------------------------------------------------------------------------------------------------------


class Job(_Out):
    """A submitted search and where it stands."""

    id: Id = Field(description="Opaque; sorts by the time of submission.")
    name: str = Field(description="The name that the spec gives.", examples=["digits-small"])
    state: JobState = Field(description="Where the job stands.")
    request: JobRequest | None = Field(description="What was asked of the running job and is not carried out yet.")
    reason: str | None = Field(description="Why it is in this state: what it waits for, what made it fail.")
    created_at: datetime = Field(description="When it was submitted.")
    started_at: datetime | None = Field(description="When a driver first took it.")
    finished_at: datetime | None = Field(description="When it ended.")
    seconds_used: float = Field(description="Seconds under a driver, over all runs of the job.")
    gpu_seconds_used: float = Field(description="GPU-seconds used, over all runs of the job.")
    claims: int = Field(description="How often a driver has taken the job.")
    owner: str | None = Field(description="Name of the token that submitted it.")
    trials: dict[TrialState, int] = Field(description="How many trials are in each state.", examples=[{"SUCCEEDED": 7}])
    spec: JobSpec = Field(description="The whole spec, defaults included.")

    @classmethod
    def of(cls, job: domain.Job, counts: Mapping[TrialState, int], **more: Any) -> Self:
        return cls(
            id=job.id,
            name=job.name,
            state=job.state,
            request=job.request,
            reason=job.reason,
            created_at=utc(job.created_at),
            started_at=utc_or_none(job.started_at),
            finished_at=utc_or_none(job.finished_at),
            seconds_used=job.seconds_used,
            gpu_seconds_used=job.gpu_seconds_used,
            claims=job.epoch,
            owner=job.owner,
            trials=dict(counts),
            spec=job.spec,
            **more,
        )


class Trial(_Out):
    """One candidate being evaluated."""

    id: Id = Field(description="Opaque.")
    job_id: Id = Field(description="The job that it belongs to.")
    number: int = Field(description="0, 1, 2, ... in the order of proposal.")
    state: TrialState = Field(description="Where the trial stands.")
    values: Values = Field(description="The candidate: a value for every active parameter.")
    costs: Metrics = Field(description="What is known before training: FLOPs, parameters.", examples=[{"flops": 4.2e6}])
    metrics: Metrics | None = Field(description="Costs, and the metrics of the best step so far.")
    test_metrics: Metrics | None = Field(description="Metrics on the test split; only winners have them.")
    best_step: int | None = Field(description="The step with the best value of the first objective.")
    step: int = Field(description="The last step that was measured; 0 before the first.")
    seconds: float = Field(description="Seconds of training, over all attempts.")
    failure: FailureKind | None = Field(description="Why it failed.")
    reason: str | None = Field(description="Why it waits, why it was stopped, what made it fail.")
    attempts: int = Field(description="Executions so far.")
    rejected: dict[str, int] = Field(description="Candidates that broke a hard constraint before this one, by reason.")
    kind: TrialKind = Field(description="What it is for: it trains one candidate, or a supernet that finds some.")
    in_full: bool = Field(description="Whether it trains to the whole fidelity, whatever the stopping rule says.")
    created_at: datetime = Field(description="When it was proposed.")
    started_at: datetime | None = Field(description="When a worker first took it.")
    finished_at: datetime | None = Field(description="When it ended.")

    @classmethod
    def of(cls, trial: domain.Trial) -> Self:
        return cls(
            id=trial.id,
            job_id=trial.job_id,
            number=trial.number,
            state=trial.state,
            values=dict(trial.values),
            costs=dict(trial.proposal.costs),
            metrics=_plain(trial.metrics),
            test_metrics=_plain(trial.test_metrics),
            best_step=trial.best_step,
            step=trial.step,
            seconds=trial.seconds,
            failure=trial.failure,
            reason=trial.reason,
            attempts=trial.attempts,
            rejected=dict(trial.proposal.rejected),
            kind=trial.proposal.kind,
            in_full=trial.proposal.in_full,
            created_at=utc(trial.created_at),
            started_at=utc_or_none(trial.started_at),
            finished_at=utc_or_none(trial.finished_at),
        )


class JobDetail(Job):
    """A job and what it has found so far."""

    rejected: dict[str, int] = Field(description="Candidates that never became a trial, by the constraint they broke.")
    answered: int = Field(description="Repeated candidates that the stored result answered.")
    best: Trial | None = Field(description="The best trial by the first objective that keeps every constraint.")
    pareto_size: int = Field(description="Trials on the Pareto front.")
    trials_per_minute: float | None = Field(description="Ended trials per minute under a driver; null: none yet.")
    eta_seconds: float | None = Field(description="Seconds until the budget is used up at this pace; null: not known.")

    @classmethod
    def of_summary(cls, summary: JobSummary) -> Self:
        return cls.of(
            summary.job,
            summary.counts,
            rejected=dict(summary.rejected),
            answered=summary.answered,
            best=None if summary.best is None else Trial.of(summary.best),
            pareto_size=summary.pareto_size,
            trials_per_minute=summary.trials_per_minute,
            eta_seconds=summary.eta_seconds,
        )


class Extension(BaseModel):
    """A larger budget: the new totals, not what is added. What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    trials: int | None = Field(None, ge=1, le=10_000_000, description="Trials in all.", examples=[96])
    seconds: float | None = Field(None, gt=0, le=1e9, description="Seconds under a driver in all.")
    gpu_hours: float | None = Field(None, gt=0, le=1e9, description="GPU-hours in all.")


class PlannedDataset(_Out):
    """What is known of the dataset."""

    name: str = Field(description="Its name.")
    classes: list[str] = Field(description="The names of its classes.")
    shape: list[int] = Field(description="(channels, height, width) of an image as it enters a network.")
    sizes: dict[str, int] = Field(description="Images per split.", examples=[{"train": 1078, "test": 360}])
    counts: dict[str, int] = Field(description="What else was counted while it was read.", examples=[{"boxes": 527}])


class PlannedCandidate(_Out):
    """A candidate that would be among the first."""

    values: Values = Field(description="A value for every active parameter.")
    costs: Metrics = Field(description="What is known of it before training.")


class JobPlan(_Out):
    """What a job would run. Nothing was stored or trained for it."""

    spec: JobSpec = Field(description="The whole spec, defaults included.")
    space_size: int | None = Field(description="Different candidates; null where a parameter is continuous.")
    feasible_share: float = Field(description="Share of random candidates that keep the hard constraints.")
    sampled: int = Field(description="How many random candidates that share is of.")
    candidates: list[PlannedCandidate] = Field(description="The first that the algorithm would propose.")
    dataset: PlannedDataset = Field(description="What is known of the dataset.")
    hard_constraints: list[domain.Constraint] = Field(description="Checked before a trial starts.")
    outcome_constraints: list[domain.Constraint] = Field(description="Checked on what was measured.")
    warnings: list[str] = Field(description="What is allowed and yet probably not meant.")

    @classmethod
    def of(cls, plan: Plan) -> Self:
        data = plan.dataset
        return cls(
            spec=plan.spec,
            space_size=None if math.isinf(plan.space_size) else int(plan.space_size),
            feasible_share=plan.feasible_share,
            sampled=plan.sampled,
            candidates=[
                PlannedCandidate(values=dict(one.candidate.values), costs=dict(one.costs)) for one in plan.candidates
            ],
            dataset=PlannedDataset(
                name=data.name,
                classes=list(data.classes),
                shape=list(data.shape),
                sizes=dict(data.sizes),
                counts=dict(data.counts),
            ),
            hard_constraints=list(plan.hard),
            outcome_constraints=list(plan.outcome),
            warnings=list(plan.warnings),
        )


# ---- what belongs to a trial or job ----------------------------------------------------------------------------------


class Measurement(_Out):
    """The metrics of a trial after some steps (epochs) of training."""

    step: int = Field(description="The step, from 1 on.")
    metrics: Metrics = Field(description="What was measured.", examples=[{"accuracy": 0.93, "loss": 0.24}])
    seconds: float = Field(description="Seconds of training up to here, over all attempts.")

    @classmethod
    def of(cls, one: domain.Measurement) -> Self:
        return cls(step=one.step, metrics=dict(one.metrics), seconds=one.seconds)


class JobMeasurement(Measurement):
    """A measurement among all those of a job."""

    id: int = Field(description="Grows in the order in which measurements were stored.")
    trial: int = Field(description="Number of the trial.")

    @classmethod
    def of_row(cls, row: tuple[int, int, domain.Measurement]) -> Self:
        key, trial, one = row
        return cls(id=key, trial=trial, step=one.step, metrics=dict(one.metrics), seconds=one.seconds)


class Attempt(_Out):
    """One execution of a trial on a worker."""

    number: int = Field(description="1, 2, ...")
    state: TrialState = Field(description="How it stands or ended.")
    failure: FailureKind | None = Field(description="Why it failed.")
    message: str | None = Field(description="The traceback, or the reason in words.")
    node: str | None = Field(description="The node that it ran on.")
    pid: int | None = Field(description="The process that it ran in.")
    started_at: datetime = Field(description="When it started.")
    finished_at: datetime | None = Field(description="When it ended.")

    @classmethod
    def of(cls, one: domain.Attempt) -> Self:
        return cls(
            number=one.number,
            state=one.state,
            failure=one.failure,
            message=one.message,
            node=one.node,
            pid=one.pid,
            started_at=utc(one.started_at),
            finished_at=utc_or_none(one.finished_at),
        )


class Comparison(_Out):
    """Trials side by side: by name, one value per trial; null where a trial has none."""

    trials: list[Trial] = Field(description="The trials, in the order in which they were named.")
    parameters: dict[str, list[Scalar | None]] = Field(description="Values of parameters, fixed ones too.")
    metrics: dict[str, list[float | None]] = Field(description="Costs and metrics.")
    differing: list[str] = Field(description="The parameters in which the trials are not all alike.")

    @classmethod
    def of(cls, comparison: TrialComparison) -> Self:
        return cls(
            trials=[Trial.of(one) for one in comparison.trials],
            parameters={name: list(values) for name, values in comparison.parameters.items()},
            metrics={name: list(values) for name, values in comparison.metrics.items()},
            differing=list(comparison.differing),
        )


class Artifact(_Out):
    """A file that a trial made. `GET .../artifacts/{name}` downloads it."""

    name: str = Field(description="Its name, unique in the trial.", examples=["model.safetensors"])
    bytes: int = Field(description="Its size.")
    sha256: str = Field(description="SHA-256 of its content, in hex digits.")
    created_at: datetime = Field(description="When it was stored.")

    @classmethod
    def of(cls, one: domain.Artifact) -> Self:
        return cls(name=one.name, bytes=one.bytes, sha256=one.sha256, created_at=utc(one.created_at))


class Round(_Out):
    """What an algorithm says of itself after one round of its search."""

    number: int = Field(description="0, 1, 2, ...")
    data: dict[str, Any] = Field(
        description="Depends on the algorithm: how well it predicted, say.", examples=[{"rank_correlation": 0.83}]
    )
    at: datetime = Field(description="When it ended.")

    @classmethod
    def of(cls, one: domain.Round) -> Self:
        return cls(number=one.number, data=dict(one.data), at=utc(one.at))


class Event(_Out):
    """Something that happened."""

    sequence: int = Field(description="Grows over all jobs and never repeats; the `id` in an event stream.")
    job_id: Id = Field(description="The job that it is about.")
    trial_id: str | None = Field(description="The trial that it is about, if any.")
    kind: str = Field(description="What happened.", examples=["job.submitted", "trial.finished"])
    data: dict[str, Any] = Field(description="What more is to be said; depends on the kind.")
    at: datetime = Field(description="When it happened.")

    @classmethod
    def of(cls, one: domain.Event) -> Self:
        return cls(
            sequence=one.sequence,
            job_id=one.job_id,
            trial_id=one.trial_id,
            kind=one.kind,
            data=dict(one.data),
            at=utc(one.at),
        )


class Log(_Out):
    """A piece of a log."""

    text: str = Field(description="At most a megabyte of it.")
    end: int = Field(description="Where the next piece begins, in bytes: send it as `offset`.")

    @classmethod
    def of(cls, part: LogPart) -> Self:
        return cls(text=part.text, end=part.end)


# ---- tokens ----------------------------------------------------------------------------------------------------------


class TokenRequest(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    name: str = Field(min_length=1, max_length=128, description="What it is for.", examples=["ci"])
    scope: Scope = Field(Scope.READ, description="read: look; submit: steer jobs too; admin: handle tokens too.")
    expires_seconds: float | None = Field(None, gt=0, le=1e9, description="Seconds until it expires; null: never.")


class Token(_Out):
    """A bearer token, without its secret."""

    id: Id = Field(description="Opaque.")
    name: str = Field(description="What it is for.")
    scope: Scope = Field(description="What it allows.")
    created_at: datetime = Field(description="When it was made.")
    expires_at: datetime | None = Field(description="From when on it is refused; null: never.")
    revoked_at: datetime | None = Field(description="When it was revoked.")
    used_at: datetime | None = Field(description="When it was last used, to the minute.")

    @classmethod
    def of(cls, token: domain.Token, **more: Any) -> Self:
        return cls(
            id=token.id,
            name=token.name,
            scope=Scope(token.scope),
            created_at=utc(token.created_at),
            expires_at=utc_or_none(token.expires_at),
            revoked_at=utc_or_none(token.revoked_at),
            used_at=utc_or_none(token.used_at),
            **more,
        )


class NewToken(Token):
    """A token that was just made."""

    secret: str = Field(description="Send it as `Authorization: Bearer ...`. It is shown this once and never stored.")


def _plain(metrics: Mapping[str, float] | None) -> Metrics | None:
    return None if metrics is None else dict(metrics)
