"""How much each parameter decides a metric, by Optuna's PED-ANOVA (Watanabe et al., arXiv 2304.10255).

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
"""With fewer results, importance is not computed."""


@dataclass(frozen=True, slots=True)
class Importance:
    """Importance of the parameters that every candidate has, the most important first; the shares add up to 1."""

    metric: str
    results: int
    """The number of results it is computed from."""
    shares: tuple[tuple[str, float], ...]
    conditional: tuple[str, ...]
    """Parameters that only some candidates have: they get no share."""


def importance(store: Store, job: Job, metric: str) -> Importance:
    """Compute the importance for a metric.

    Raises Conflict if there are too few results, InvalidInput if too few of them have that metric.
    """
    trials = [trial for trial in store.newest_results(job.id, MOST_TRIALS) if trial.is_candidate]
    if len(trials) < FEWEST_TRIALS:
        raise Conflict(f"job {job.name} has {len(trials)} results; importance is told from {FEWEST_TRIALS} on")
    values = [_known(trial).get(metric) for trial in trials]
    measured = [(trial, value) for trial, value in zip(trials, values, strict=True) if value is not None]
    if len(measured) < FEWEST_TRIALS:
        names = sorted({name for trial in trials for name in _known(trial)})
        raise InvalidInput.at("/metric", f"fewer than {FEWEST_TRIALS} results have {metric!r}; try {', '.join(names)}")
    space = checks.space_of(job.spec, None)
    objective = next((one for one in job.spec.objectives if one.metric == metric), None)
    minimised = objective.sign < 0 if objective else metric in measured[0][0].proposal.costs
    from searchsvc.service.results.ped_anova import shares_of  # Optuna takes seconds to import

    shares = shares_of(job, measured, minimised=minimised)
    return Importance(
        metric=metric,
        results=len(measured),
        shares=tuple(sorted(shares.items(), key=lambda pair: -pair[1])),
        conditional=tuple(one.name for one in space.parameters if one.when),
    )


def _known(trial: Trial) -> dict[str, float]:
    """The costs and metrics of a trial."""
    return {**trial.proposal.costs, **(trial.metrics or {})}
