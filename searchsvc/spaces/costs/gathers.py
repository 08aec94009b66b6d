"""Costs of whole matrices as sums over parts: a single gather per part, as each part depends on few parameters.

The costs of a part are computed once, for every combination of its parameters, and stored in a table. If a space is so
wide that the table would be large, the costs of the part are computed again for every matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from searchsvc.spaces.costs.axes import Axis
from searchsvc.spaces.space import Matrix, Space

_ROWS = 8192
"""Candidates per chunk, so that intermediate results fit into the cache of a core."""
_LARGEST_TABLE = 2**21

Array: TypeAlias = NDArray[Any]
"""Real or complex numbers of any shape that broadcasts."""
Values: TypeAlias = Mapping[str, Array]
"""Values by parameter name."""
Costs: TypeAlias = Callable[[Values], Array]
"""Map from the values of a part's parameters to its costs."""


@dataclass(frozen=True, slots=True)
class CostPart:
    """A part of a network whose costs depend on the parameters `names`."""

    names: tuple[str, ...]
    costs: Costs

    def grid(self, axes: Mapping[str, Axis]) -> Values:
        """Return every combination of values, with a dimension per name, in the order of `names`."""
        return dict(zip(self.names, np.ix_(*(axes[name].values for name in self.names)), strict=True))

    def table(self, axes: Mapping[str, Axis]) -> Array | None:
        """Return the costs (product of the lengths of the axes,) of all combinations; None if there are too many."""
        lengths = [len(axes[name].values) for name in self.names]
        if math.prod(lengths) > _LARGEST_TABLE:
            return None
        return np.broadcast_to(self.costs(self.grid(axes)), lengths).ravel()


class Gather:
    """Map from M (n, d) to the sums (n,) of the costs of all parts, with the number type `dtype`."""

    def __init__(self, space: Space, axes: Mapping[str, Axis], parts: Iterable[CostPart], dtype: type) -> None:
        tables = [(part, part.table(axes)) for part in parts]
        self._axes, self._dtype = axes, dtype
        self._tables = [table for _, table in tables if table is not None]
        self._computed = [part for part, table in tables if table is None]
        tabled = [part for part, table in tables if table is not None]
        columns = {name: column for part in tabled for name in part.names if (column := axes[name].column) is not None}
        self._columns = list(columns.values())
        self._missing = np.array([axes[name].missing for name in columns])  # (g,)
        self._conditional = any(space.parameters[column].when for column in self._columns)
        self._weights, self._offset = _strides(tabled, axes, list(columns))

    def __call__(self, matrix: Matrix) -> Array:
        total: Array = np.empty(len(matrix), self._dtype)
        for start in range(0, len(matrix), _ROWS):
            rows = slice(start, start + _ROWS)
            total[rows] = self._sums(matrix[rows])
        return total

    def _sums(self, rows: Matrix) -> Array:
        """Return the sums (r,) for rows (r, d)."""
        genes = rows[:, self._columns]  # (r, g)
        if self._conditional:
            genes = np.where(np.isnan(genes), self._missing, genes)
        # An index into a table is a linear function of the parameters, so a single matrix product computes all indices.
        index = np.rint(self._weights @ genes.T + self._offset).astype(np.intp)  # (parts, r)
        total: Array = np.zeros(len(rows), self._dtype)  # (r,)
        for table, entries in zip(self._tables, index, strict=True):
            total += table[entries]
        for part in self._computed:
            total += part.costs({name: self._axes[name].decoded(rows) for name in part.names})
        return total


def _strides(parts: Sequence[CostPart], axes: Mapping[str, Axis], names: Sequence[str]) -> tuple[Matrix, Matrix]:
    """Return weights (parts, g) and offsets (parts, 1).

    The index into a part's table is weights * entries of the parameters `names` + offset.
    """
    weights, offset = np.zeros((len(parts), len(names))), np.zeros((len(parts), 1))
    for row, part in enumerate(parts):
        stride = 1.0
        for name in reversed(part.names):
            axis = axes[name]
            if axis.column is not None:
                weights[row, names.index(name)] += stride / axis.step
                offset[row] -= stride * axis.low / axis.step
            stride *= len(axis.values)
    return weights, offset
