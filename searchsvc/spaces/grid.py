"""Grids: the values low + k * step, k = 0, 1, ... of a stepped parameter, exact in decimals.

`low` and `step` are read as the decimals that a document shows, and a value is the float64 nearest to low + k * step:
on the grid of low 0 and step 0.1, k = 3 is 0.3 and not 0.30000000000000004. The last value may miss `high` by a
billionth of a step, which counts as rounding of the step.

| symbol | meaning |
|---|---|
| s | common denominator of `low` and `step` |
| k | number of a value, 0 to `last` |
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_EXACT = 2**53
"""Whole numbers up to here are exact in float64."""
_EXACT_POWER = 10**22
"""Powers of 10 up to here are exact in float64."""
_ROUNDING = 10**9
"""A range may fall short of a whole number of steps by this part of a step."""
_TOLERANCE = 1e-6
"""A value that a user writes may miss the grid by this part of a step."""


@dataclass(frozen=True, slots=True)
class StepGrid:
    """The values of a range with a step."""

    low: int
    """low * s"""
    step: int
    """step * s"""
    denominator: int
    """s"""
    high: float
    last: int
    """The largest k."""
    in_floats: bool
    """True if values can be computed in float64 without an error before the last division."""

    def values(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return low + k * step for whole numbers k (n,)."""
        if self.in_floats:
            return np.minimum((self.low + steps * self.step) / self.denominator, self.high)
        return np.array([self.value(int(k)) for k in steps], dtype=np.float64)

    def value(self, k: int) -> float:
        """Return low + k * step."""
        return min((self.low + k * self.step) / self.denominator, self.high)

    def number(self, value: float) -> int:
        """Return the k of the value on the grid that is nearest to `value`."""
        steps = (_exact(value) * self.denominator - self.low) / self.step
        return min(max(round(steps), 0), self.last)

    def holds(self, value: float) -> bool:
        """Return whether `value` lies on the grid; a float may miss it by a millionth of a step."""
        if self.denominator == 1 and self.step >= 1 and float(value).is_integer():
            return value == self.value(self.number(value))
        return abs(value - self.value(self.number(value))) <= _TOLERANCE * (self.step / self.denominator)


@lru_cache(maxsize=4096)
def grid_of(low: float, high: float, step: float) -> StepGrid:
    """Return the grid from `low` to at most `high`."""
    first, width = _exact(low), _exact(step)
    denominator = math.lcm(first.denominator, width.denominator)
    start, stride = int(first * denominator), int(width * denominator)
    span = _exact(high) * denominator - start
    last = int((span * _ROUNDING + stride) // (stride * _ROUNDING))
    exact = max(abs(start), last * stride, abs(start + last * stride)) <= _EXACT
    divisible = denominator <= _EXACT or (denominator <= _EXACT_POWER and _EXACT_POWER % denominator == 0)
    return StepGrid(start, stride, denominator, high, last, exact and divisible)


def _exact(value: float) -> Fraction:
    """Return the decimal that a document shows for a number."""
    return Fraction(value) if isinstance(value, int) else Fraction(repr(float(value)))
