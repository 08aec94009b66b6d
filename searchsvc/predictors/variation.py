"""Children of candidates: crossover and mutation of whole matrices, with conditional parameters.

| symbol | meaning | shape |
|---|---|---|
| M | parents, as the space has them | (n, d) |
| U | parents in the unit cube; a parameter that is not active has a random value | (n, d) |
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.parameters import Categorical
from searchsvc.spaces.space import Matrix, Space

_LOCAL_STEP = 0.2
"""Standard deviation of a number's local mutation, as a share of its range."""
_LOCAL = 0.5
"""Share of the mutations of a number that are local; the others are uniform draws."""


def with_random_inactive(space: Space, matrix: Matrix, random: np.random.Generator) -> Matrix:
    """(n, d) points of the unit cube; each parameter that is not active gets a uniform draw."""
    unit = space.to_unit(matrix)  # (n, d), NaN if not active
    return np.where(np.isnan(unit), random.random(unit.shape), unit)


def mutated(space: Space, unit: Matrix, rates: Matrix, random: np.random.Generator) -> Matrix:
    """(n, d) points in which each parameter was changed at the rate (n,) of its row, at least one per row."""
    n, d = unit.shape
    changes = random.random((n, d)) < rates[:, None]
    changes[np.arange(n), random.integers(d, size=n)] = True
    fresh = random.random((n, d))
    near = _reflected(unit + _LOCAL_STEP * random.standard_normal((n, d)))  # (n, d)
    local = random.random((n, d)) < _LOCAL
    local[:, [isinstance(parameter, Categorical) for parameter in space.parameters]] = False
    return np.where(changes, np.where(local, near, fresh), unit)


def crossed(first: Matrix, second: Matrix, rates: Matrix, random: np.random.Generator) -> Matrix:
    """(n, d) uniform crossover: at the rate (n,) of its row, half of the parameters come from the second parent."""
    crossing = random.random(len(first)) < rates  # (n,)
    from_second = crossing[:, None] & (random.random(first.shape) < 0.5)  # (n, d)
    return np.where(from_second, second, first)


def neighbours(space: Space, matrix: Matrix, random: np.random.Generator, count: int) -> Matrix:
    """(n * count, d) candidates that differ from the rows of (n, d) in few parameters: mostly in 1, rarely in 4."""
    parents = np.repeat(matrix, count, axis=0)  # (n * count, d)
    rates = (random.geometric(0.5, len(parents)) - 1) / max(matrix.shape[1], 1)  # (n * count,)
    return space.from_unit(mutated(space, with_random_inactive(space, parents, random), rates, random))


def distinct(matrix: Matrix) -> NDArray[np.intp]:
    """Indices of the distinct rows of (n, d), each at its first occurrence. NaN (not active) equals NaN."""
    marked = np.where(np.isnan(matrix), np.finfo(np.float64).max, matrix)
    return np.sort(np.unique(marked, axis=0, return_index=True)[1])


def _reflected(unit: Matrix) -> Matrix:
    """Mirror points at 0 and 1 until they lie in between."""
    folded = np.mod(unit, 2.0)
    return np.where(folded > 1.0, 2.0 - folded, folded)
