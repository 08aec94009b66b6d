"""Comparable values of trials that trained for different lengths: their metrics at the early-stop epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from searchsvc.algorithms.ranking import signed_values
from searchsvc.domain.candidates import Observation
from searchsvc.domain.metrics import Measurement, Objective, best_measurement
from searchsvc.predictors.early_stop import early_stop_epoch
from searchsvc.spaces.space import Matrix


def shared_epoch(
    observations: Sequence[Observation], objectives: Sequence[Objective], trials: int, threshold: float
) -> int | None:
    """The early-stop epoch of the first `trials` trials that trained to the end; None if there are fewer.

    The end is the last epoch of the first of them. With several objectives, the latest of their epochs counts.
    """
    curves: list[Matrix] = []
    for observation in observations:
        curve = _curve(observation, objectives)
        if curve is not None and (not curves or len(curve) == len(curves[0])):
            curves.append(curve)  # (E, m)
        if len(curves) == trials:
            stacked = np.stack(curves)  # (n, E, m), the best so far
            return max(early_stop_epoch(course, threshold) for course in np.moveaxis(stacked, 2, 0))  # (n, E) each
    return None


def metrics_by(observation: Observation, epoch: int | None, objective: Objective) -> Mapping[str, float]:
    """Metrics of a trial as if it had ended at `epoch`; all its metrics if `epoch` is None."""
    metrics = observation.metrics or {}
    if epoch is None:
        return metrics
    best = best_until(observation, epoch, objective)
    return metrics if best is None else {**metrics, **best.metrics}


def best_until(observation: Observation, epoch: int, objective: Objective) -> Measurement | None:
    """The best measurement of a trial up to `epoch`; None if no measurement up to there has the objective."""
    return best_measurement([one for one in observation.history if one.step <= epoch], objective)


def _curve(observation: Observation, objectives: Sequence[Objective]) -> Matrix | None:
    """(E, m) the best values so far after each epoch, signed.

    None if an epoch is missing or the trial was stopped early.
    """
    steps = [measurement.step for measurement in observation.history]
    if observation.stopped or not steps or steps != list(range(1, observation.step + 1)):
        return None
    values = [signed_values(measurement.metrics, objectives) for measurement in observation.history]
    if any(row is None for row in values):
        return None
    return np.maximum.accumulate(np.array(values, dtype=np.float64), axis=0)  # (E, m)
