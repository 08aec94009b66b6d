"""Means and differences of means with 95 % confidence intervals, by Student's t.

| symbol | meaning |
|---|---|
| n, s | the number of values, and their standard deviation |
| q(f) | the 97.5 % quantile of Student's t with f degrees of freedom |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

_UPPER = 0.975


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean, or a difference of means, with its confidence interval."""

    value: float
    low: float | None
    """None if there are too few values for an interval."""
    high: float | None


def mean(values: Sequence[float]) -> MeanEstimate:
    """Estimate a mean: value +- q(n - 1) s / sqrt(n)."""
    array = np.asarray(values, float)
    return _around(float(array.mean()), *_error(array))


def difference(before: Sequence[float], after: Sequence[float]) -> MeanEstimate:
    """Estimate mean(after) - mean(before) of independent values, by Welch: their deviations may differ."""
    first, second = np.asarray(before, float), np.asarray(after, float)
    value = float(second.mean() - first.mean())
    if min(len(first), len(second)) < 2:
        return MeanEstimate(value, None, None)
    parts = np.array([values.var(ddof=1) / len(values) for values in (first, second)])
    total = float(parts.sum())
    freedom = total**2 / float((parts**2 / (len(first) - 1, len(second) - 1)).sum()) if total > 0 else np.inf
    return _around(value, total**0.5, freedom)


def paired_difference(before: Sequence[float], after: Sequence[float]) -> MeanEstimate:
    """Estimate mean(after - before) of paired values: variation that a pair shares does not widen the interval."""
    return mean([second - first for first, second in zip(before, after, strict=True)])


def _error(values: NDArray[np.float64]) -> tuple[float | None, float]:
    """Return (standard error of the mean, degrees of freedom)."""
    n = len(values)
    return (float(values.std(ddof=1)) / n**0.5 if n > 1 else None), n - 1


def _around(value: float, error: float | None, freedom: float) -> MeanEstimate:
    if error is None:
        return MeanEstimate(value, None, None)
    reach = float(stdtrit(freedom, _UPPER)) * error if error else 0.0
    return MeanEstimate(value, value - reach, value + reach)
