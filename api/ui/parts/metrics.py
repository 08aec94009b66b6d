"""Metrics, limits and costs of jobs, as pages show them."""

from __future__ import annotations

from api import text
from searchsvc.domain import Constraint, JobSpec, Trial
from searchsvc.service.results.standing import JobStanding


def cost_text(summary: JobStanding) -> str:
    """Return `1.52 CPU-hours, 0.4 GPU-hours`; GPUs only if the job uses them, small values in minutes."""
    used = [("CPU", summary.cpu_hours), ("GPU", summary.gpu_hours)][: 2 if summary.job.spec.resources.gpu else 1]
    return ", ".join(f"{one:.3g} {what}-hours" if one >= 0.1 else f"{60 * one:.2g} {what}-min" for what, one in used)


def metric_names(spec: JobSpec) -> list[str]:
    """Return the metrics of the objectives, then those of the constraints."""
    return list(dict.fromkeys([one.metric for one in spec.objectives] + [one.metric for one in spec.constraints]))


def costs_and_metrics(trial: Trial) -> dict[str, float]:
    """Return the costs of a trial and the metrics of its best step."""
    return {**trial.proposal.costs, **(trial.metrics or {})}


def limit_of(spec: JobSpec, metric: str) -> Constraint | None:
    return next((one for one in spec.constraints if one.metric == metric), None)


def limit_text(constraint: Constraint) -> str:
    """Return a constraint as `flops <= 3 M`."""
    metric = constraint.metric
    ends = ((">=", constraint.min), ("<=", constraint.max))
    return f"{metric} " + " and ".join(f"{sign} {text.quantity(metric, end)}" for sign, end in ends if end is not None)
