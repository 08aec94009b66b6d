"""The winners of a search: the best trial, or every trial of the Pareto front."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from searchsvc.domain import Constraint, Objective, Trial, TrialState, pareto_front


def winners(trials: Sequence[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> list[Trial]:
    """By number. With one objective, the earliest of the best; only trials that keep every constraint."""
    able = [trial for trial in trials if _counts(trial, objectives, constraints)]
    if not able:
        return []
    values = np.array([[one.sign * _metric(trial, one.metric) for one in objectives] for trial in able])
    best = [trial for trial, on_front in zip(able, pareto_front(values), strict=True) if on_front]
    return best if len(objectives) > 1 else best[:1]


def has_result(trial: Trial) -> bool:
    """Whether it was trained, to the end or as far as the stopping rule let it."""
    return trial.state in (TrialState.SUCCEEDED, TrialState.STOPPED)


def why_failed(trials: Sequence[Trial]) -> str:
    """Why a job without any result has none."""
    failed = [trial for trial in trials if trial.state is TrialState.FAILED]
    if not failed:
        return "no trial could be proposed"
    kinds = Counter(str(trial.failure) for trial in failed)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    usual = Counter(trial.reason for trial in failed if trial.reason).most_common(1)
    return f"no trial succeeded: {counts}" + "".join(f"; most often: {reason}" for reason, _ in usual)


def _counts(trial: Trial, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> bool:
    if not has_result(trial) or trial.metrics is None:
        return False
    measured = all(one.metric in trial.metrics for one in objectives)
    return measured and all(one.holds(_metric(trial, one.metric)) for one in constraints)


def _metric(trial: Trial, name: str) -> float:
    return (trial.metrics or {}).get(name, float("nan"))
