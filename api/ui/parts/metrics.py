"""What pages say of jobs in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api import text
from searchsvc.domain import Constraint, JobSpec, Trial, TrialState
from searchsvc.service.results.standing import JobStanding


def cost_words(summary: JobStanding) -> str:
    """`1.52 CPU-hours, 0.4 GPU-hours`; the latter where there are GPUs, minutes where it is little."""
    used = [("CPU", summary.cpu_hours), ("GPU", summary.gpu_hours)][: 2 if summary.job.spec.resources.gpu else 1]
    return ", ".join(f"{one:.3g} {what}-hours" if one >= 0.1 else f"{60 * one:.2g} {what}-min" for what, one in used)


def metric_names(spec: JobSpec) -> list[str]:
    """The metrics that a job is about: its objectives, then what is constrained."""
    return list(dict.fromkeys([one.metric for one in spec.objectives] + [one.metric for one in spec.constraints]))


def known(trial: Trial) -> dict[str, float]:
    """Costs, and the metrics of the best step."""
    return {**trial.proposal.costs, **(trial.metrics or {})}


def limit_of(spec: JobSpec, metric: str) -> Constraint | None:
    return next((one for one in spec.constraints if one.metric == metric), None)


def limit_words(constraint: Constraint) -> str:
    """`flops <= 3 M`."""
    metric = constraint.metric
    ends = ((">=", constraint.min), ("<=", constraint.max))
    return f"{metric} " + " and ".join(f"{sign} {text.quantity(metric, end)}" for sign, end in ends if end is not None)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the funnel."""

    name: str
    count: int


def funnel(summary: JobStanding) -> list[Stage]:
    """From all that were proposed to those that were trained in full."""
    counts = summary.counts
    trials = sum(counts.values())
    rejected, waiting = sum(summary.rejected.values()), counts.get(TrialState.QUEUED, 0)
    return [
        Stage("proposed", trials + rejected + summary.answered),
        Stage("rejected by limits", rejected),
        Stage("duplicates, answered from the store", summary.answered),
        Stage("started", trials - waiting),
        Stage("stopped early", counts.get(TrialState.STOPPED, 0)),
        Stage("failed", counts.get(TrialState.FAILED, 0)),
        Stage("trained in full", counts.get(TrialState.SUCCEEDED, 0)),
    ]


def epochs_saved(trials: Iterable[Trial], spec: JobSpec) -> tuple[int, int]:
    """(epochs that stopped trials were spared, epochs that all ended candidates would have taken in full)."""
    ended_ones = [one for one in trials if one.is_search_result]
    spared = sum(spec.fidelity.epochs - one.step for one in ended_ones if one.state is TrialState.STOPPED)
    return spared, spec.fidelity.epochs * len(ended_ones)
