"""Means and their differences with intervals that hold the true one in 95 of 100 repetitions, by Student's t.

| symbol | meaning |
|---|---|
| n, s | how many values there are, and their standard deviation |
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
    """A mean, or a difference of means."""

    value: float
    low: float | None
    """None: too few values for an interval."""
    high: float | None


def mean(values: Sequence[float]) -> MeanEstimate:
    """value +- q(n - 1) s / sqrt(n)."""
    found = np.asarray(values, float)
    return _around(float(found.mean()), *_error(found))


def difference(before: Sequence[float], after: Sequence[float]) -> MeanEstimate:
    """mean(after) - mean(before) of values that have nothing to do with each other, by Welch: deviations may differ."""
    first, second = np.asarray(before, float), np.asarray(after, float)
    value = float(second.mean() - first.mean())
    if min(len(first), len(second)) < 2:
        return MeanEstimate(value, None, None)
    parts = np.array([one.var(ddof=1) / len(one) for one in (first, second)])
    total = float(parts.sum())
    freedom = total**2 / float((parts**2 / (len(first) - 1, len(second) - 1)).sum()) if total > 0 else np.inf
    return _around(value, total**0.5, freedom)


def paired_difference(before: Sequence[float], after: Sequence[float]) -> MeanEstimate:
    """The same of values that belong together, one by one: what both share does not widen the interval."""
    return mean([second - first for first, second in zip(before, after, strict=True)])


def _error(values: NDArray[np.float64]) -> tuple[float | None, float]:
    """(standard error of the mean, degrees of freedom)."""
    n = len(values)
    return (float(values.std(ddof=1)) / n**0.5 if n > 1 else None), n - 1


def _around(value: float, error: float | None, freedom: float) -> MeanEstimate:
    if error is None:
        return MeanEstimate(value, None, None)
    reach = float(stdtrit(freedom, _UPPER)) * error if error else 0.0
    return MeanEstimate(value, value - reach, value + reach)
