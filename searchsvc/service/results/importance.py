"""Importance of each parameter for a metric, by Optuna's PED-ANOVA (Watanabe et al., arXiv 2304.10255).

It compares the best tenth of the results with all, and takes a second for a thousand trials; fANOVA takes a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

from searchsvc.domain import Job, Trial
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.service.lookup import checks
from searchsvc.store import Store

MOST_TRIALS = 1000
"""Only the newest results are evaluated."""
FEWEST_TRIALS = 10
"""The number of results below which importance is not computed."""


@dataclass(frozen=True, slots=True)
class Importance:
    """Importance of the parameters that every candidate has, the most important first; the shares sum to 1."""

    metric: str
    results: int
    """Number of results from which the importance is computed."""
    shares: tuple[tuple[str, float], ...]
    conditional: tuple[str, ...]
    """Parameters that only some candidates have; they receive no share."""


def importance(store: Store, job: Job, metric: str) -> Importance:
    """Compute the importance for a metric.

    Raises Conflict if there are too few results, InvalidInput if too few of them have that metric.
    """
    trials = [trial for trial in store.newest_results(job.id, MOST_TRIALS) if trial.is_candidate]
    if len(trials) < FEWEST_TRIALS:
        raise Conflict(f"job {job.name} has {len(trials)} results; importance needs at least {FEWEST_TRIALS}")
    values = [_measured_metrics(trial).get(metric) for trial in trials]
    measured = [(trial, value) for trial, value in zip(trials, values, strict=True) if value is not None]
    if len(measured) < FEWEST_TRIALS:
        names = sorted({name for trial in trials for name in _measured_metrics(trial)})
        raise InvalidInput.at("/metric", f"fewer than {FEWEST_TRIALS} results have {metric!r}; try {', '.join(names)}")
    space = checks.space_of(job.spec, None)
    objective = next((objective for objective in job.spec.objectives if objective.metric == metric), None)
    minimised = objective.sign < 0 if objective else metric in measured[0][0].proposal.costs
    from searchsvc.service.results.ped_anova import shares_of  # Optuna takes seconds to import

    shares = shares_of(job, measured, minimised=minimised)
    return Importance(
        metric=metric,
        results=len(measured),
        shares=tuple(sorted(shares.items(), key=lambda pair: -pair[1])),
        conditional=tuple(parameter.name for parameter in space.parameters if parameter.when),
    )


def _measured_metrics(trial: Trial) -> dict[str, float]:
    """Return the costs and metrics of a trial."""
    return {**trial.proposal.costs, **(trial.metrics or {})}
