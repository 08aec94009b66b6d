"""All candidates of a finite space, as a matrix."""

from __future__ import annotations

from graphlib import TopologicalSorter

import numpy as np

from searchsvc.domain.parameters import Categorical, Parameter
from searchsvc.spaces.grid import grid_of
from searchsvc.spaces.space import Matrix, Space


def enumerate_space(space: Space, limit: int) -> Matrix | None:
    """Return a matrix (n, d) with every candidate once, or None if there are more than `limit` candidates."""
    if space.size() > limit:
        return None
    rows = np.full((1, len(space)), np.nan)  # (n, d), grows by a column's values in each step
    columns = {name: column for column, name in enumerate(space.names)}
    for name in TopologicalSorter(
        {parameter.name: list(parameter.when) for parameter in space.parameters}
    ).static_order():
        rows = _with_values(space, rows, columns[name])
    return rows


def _with_values(space: Space, rows: Matrix, column: int) -> Matrix:
    """Return (n', d) from (n, d): each row once per value of a parameter; rows where it is inactive do not change."""
    values = _values(space.parameters[column])  # (k,)
    tried = rows.copy()
    tried[:, column] = values[0]
    active = ~np.isnan(space.activate(tried)[:, column])  # (n,)
    grown = np.repeat(rows[active], len(values), axis=0)  # (active rows * k, d)
    grown[:, column] = np.tile(values, int(active.sum()))
    return np.vstack([rows[~active], grown])


def _values(parameter: Parameter) -> Matrix:
    """Return the entries (k,) that a parameter of a finite space can have in a matrix."""
    if isinstance(parameter, Categorical):
        return np.arange(len(parameter.choices), dtype=np.float64)
    if parameter.step is None:
        return np.array([float(parameter.low)])
    grid = grid_of(parameter.low, parameter.high, parameter.step)
    return grid.values(np.arange(grid.last + 1, dtype=np.float64))
