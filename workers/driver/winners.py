"""The winners of a search: the best trial, or every trial of the Pareto front."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from searchsvc.domain import Constraint, Objective, Trial, TrialState, pareto_front

_NO_FINALISTS = {
    TrialState.STOPPED: "the time was up before the supernet had named candidates to train",
    TrialState.SUCCEEDED: "the supernet named no candidate to train: none that it drew kept the hard constraints",
}


def winners(trials: Sequence[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> list[Trial]:
    """Return the winners among the trials that keep every constraint, by number.

    With one objective, only the earliest of the best trials wins.
    """
    eligible = [trial for trial in trials if _is_eligible(trial, objectives, constraints)]
    if not eligible:
        return []
    rows = [[objective.sign * _metric(trial, objective.metric) for objective in objectives] for trial in eligible]
    on_front = pareto_front(np.array(rows))  # (n, objectives) -> (n,)
    best = [trial for trial, is_best in zip(eligible, on_front, strict=True) if is_best]
    return best if len(objectives) > 1 else best[:1]


def why_failed(trials: Sequence[Trial]) -> str:
    """Return the reason why a job has no result."""
    failed = [trial for trial in trials if trial.state is TrialState.FAILED]
    if not failed:
        ends = {trial.state for trial in trials if not trial.is_candidate}
        return next((why for state, why in _NO_FINALISTS.items() if state in ends), "no trial could be proposed")
    kinds = Counter(str(trial.failure) for trial in failed)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    usual = Counter(trial.reason for trial in failed if trial.reason).most_common(1)
    return f"no trial succeeded: {counts}" + "".join(f"; most often: {reason}" for reason, _ in usual)


def _is_eligible(trial: Trial, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> bool:
    if not trial.is_search_result or trial.metrics is None:
        return False
    measured = all(objective.metric in trial.metrics for objective in objectives)
    return measured and all(limit.holds(_metric(trial, limit.metric)) for limit in constraints)


def _metric(trial: Trial, name: str) -> float:
    return (trial.metrics or {}).get(name, float("nan"))
