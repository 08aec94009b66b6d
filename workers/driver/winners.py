"""The winners of a search: the best trial, or every trial of the Pareto front, measured once on the test split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayError, RayTaskError

from searchsvc.domain import Constraint, Objective, Trial, TrialState, TrialTask, pareto_front
from searchsvc.service.tasks import find
from searchsvc.store import JobWriter
from workers.driver.placement import Placement
from workers.trainable import resource_request

_WAIT_SECONDS = 0.2


def winners(
    trials: Sequence[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> list[Trial]:
    """By number. With one objective, the earliest of the best; only trials that keep every constraint."""
    able = [trial for trial in trials if _counts(trial, objectives, constraints)]
    if not able:
        return []
    values = np.array([[one.sign * _metric(trial, one.metric) for one in objectives] for trial in able])
    best = [trial for trial, on_front in zip(able, pareto_front(values), strict=True) if on_front]
    return best if len(objectives) > 1 else best[:1]


def _counts(trial: Trial, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> bool:
    if trial.state not in (TrialState.SUCCEEDED, TrialState.STOPPED) or trial.metrics is None:
        return False
    measured = all(one.metric in trial.metrics for one in objectives)
    return measured and all(one.holds(_metric(trial, one.metric)) for one in constraints)


def _metric(trial: Trial, name: str) -> float:
    return (trial.metrics or {}).get(name, float("nan"))


def why_failed(trials: Sequence[Trial]) -> str:
    """Why a job without any result has none."""
    kinds = Counter(str(trial.failure or trial.state) for trial in trials)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    reasons = Counter(trial.reason for trial in trials if trial.reason)
    usual = f"; most often: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"no trial succeeded: {counts}{usual}" if trials else "no trial could be proposed"


def test_winners(
    best: Sequence[Trial],
    task_of: Callable[[Trial], TrialTask],
    placement: Placement,
    writer: JobWriter,
    check: Callable[[], None],
) -> None:
    """Store `test_metrics` of those that have none. What goes wrong is an event, never a failed job.

    `check` is called several times a second and may raise to end it.
    """
    request = resource_request(placement.resources, tuple(placement.avoided))
    groups = {trial.id: request.to_placement_group() for trial in best if trial.test_metrics is None}
    pending = {
        _submit(replace(task_of(trial), trial_id=trial.id), groups[trial.id], placement): trial
        for trial in best
        if trial.id in groups
    }
    try:
        while pending:
            done, _ = ray.wait(list(pending), timeout=_WAIT_SECONDS)
            for reference in done:
                trial = pending.pop(reference)
                _record(reference, trial, writer)
                ray.util.remove_placement_group(groups.pop(trial.id))
            check()
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)
        for group in groups.values():
            ray.util.remove_placement_group(group)


def _submit(task: TrialTask, group: Any, placement: Placement) -> Any:
    strategy = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(group)
    resources = placement.resources
    remote = ray.remote(_test).options(
        num_cpus=resources.cpu,
        num_gpus=resources.gpu,
        memory=resources.memory_bytes or None,
        max_retries=1,
        scheduling_strategy=strategy,
    )
    return remote.remote(task)


def _test(task: TrialTask) -> dict[str, float]:
    return dict(find(task.task).test(task))


def _record(reference: Any, trial: Trial, writer: JobWriter) -> None:
    try:
        writer.record_test(trial.id, ray.get(reference))
    except RayTaskError as error:
        writer.event("trial.test_failed", {"reason": str(error.cause), "traceback": str(error)}, trial.id)
    except RayError as error:
        writer.event("trial.test_failed", {"reason": str(error)}, trial.id)
    writer.flush()
