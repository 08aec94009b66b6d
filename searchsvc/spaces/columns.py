"""Encoding of a parameter: its typed values, its column of M, its share of the unit interval, its feature.

M and U are the matrices of `searchsvc.spaces.space`. An entry of M is the index of a choice or the value of a number,
and NaN if the parameter is not active.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.parameters import Categorical, Integer, Parameter, Scalar
from searchsvc.spaces.grid import grid_of
from searchsvc.spaces.ranges import levels

Column: TypeAlias = NDArray[np.float64]
"""(n,)"""


INACTIVE: Final = object()
"""Stands for the value of a parameter that is not active; None is a value."""


def typed_values(parameter: Parameter, column: Column, active: NDArray[np.bool_]) -> list[Scalar | object]:
    """Return a column (n,) of M as typed values; INACTIVE for rows in which the parameter is not active."""
    if isinstance(parameter, Categorical):
        return [parameter.choices[int(code)] if on else INACTIVE for code, on in zip(column, active, strict=True)]
    if isinstance(parameter, Integer):
        return [int(value) if on else INACTIVE for value, on in zip(column, active, strict=True)]
    return [float(value) if on else INACTIVE for value, on in zip(column, active, strict=True)]


def from_unit(parameter: Parameter, unit: Column) -> Column:
    """Return a column (n,) of M from points (n,) of the unit interval."""
    if isinstance(parameter, Categorical):
        return np.minimum(np.floor(unit * len(parameter.choices)), len(parameter.choices) - 1)
    if isinstance(parameter, Integer) and parameter.log:
        low, high = math.log(parameter.low - 0.5), math.log(parameter.high + 0.5)
        return np.clip(np.rint(np.exp(low + unit * (high - low))), parameter.low, parameter.high)
    if parameter.step is not None:
        grid = grid_of(parameter.low, parameter.high, parameter.step)
        return grid.values(np.minimum(np.floor(unit * (grid.last + 1)), grid.last))
    if parameter.log:
        low, high = math.log(parameter.low), math.log(parameter.high)
        return np.clip(np.exp(low + unit * (high - low)), parameter.low, parameter.high)
    return np.clip(parameter.low + unit * (parameter.high - parameter.low), parameter.low, parameter.high)


def to_unit(parameter: Parameter, column: Column) -> Column:
    """Return points (n,) of the unit interval from a column (n,) of M."""
    if isinstance(parameter, Categorical):
        return (column + 0.5) / len(parameter.choices)
    if isinstance(parameter, Integer) and parameter.log:
        low, high = math.log(parameter.low - 0.5), math.log(parameter.high + 0.5)
        return (np.log(column) - low) / (high - low)
    if parameter.step is not None:
        return (np.rint((column - parameter.low) / parameter.step) + 0.5) / levels(parameter)
    if parameter.low == parameter.high:
        return column * 0.0 + 0.5
    if parameter.log:
        return (np.log(column) - math.log(parameter.low)) / (math.log(parameter.high) - math.log(parameter.low))
    return (column - parameter.low) / (parameter.high - parameter.low)


def min_max(parameter: Parameter, column: Column, unit: Column, missing: NDArray[np.bool_]) -> Column:
    """Return a feature (n,) in [0, 1] from a column of M and of U, each (n,); 0 in the `missing` rows."""
    if isinstance(parameter, Categorical):
        return np.where(missing, 0.0, column)
    count = levels(parameter)
    if not parameter.log and parameter.step is not None and count > 1:
        unit = (unit * count - 0.5) / (count - 1)
    return np.where(missing, 0.0, np.clip(unit, 0.0, 1.0))
