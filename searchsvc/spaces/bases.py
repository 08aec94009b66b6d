"""What a search over mixtures makes of a space: every range as a basis of some of its values."""

from __future__ import annotations

import numpy as np

from searchsvc.domain.parameters import Basis, Categorical, Float, Parameter
from searchsvc.spaces.space import Matrix, Space

MOST_OPTIONS = 1000
"""Of one parameter, each with a probability of its own."""


def with_bases(space: Space, values: int) -> Space:
    """The same space with each Float as a Basis of `values` values from its low to its high end.

    They lie evenly: by the logarithm where the range is searched by that. A range of one value is a choice of it.
    Columns of matrices keep their places and their numbers.
    """
    return Space(_with_basis(one, values) for one in space.parameters)


def on_grid(space: Space, matrix: Matrix) -> Matrix:
    """(n, d) candidates of `with_bases(space, ...)` as those of `space` that are nearest: ranges may have steps."""
    return space.activate(space.from_unit(np.nan_to_num(space.to_unit(matrix), nan=0.5)))


def _with_basis(parameter: Parameter, values: int) -> Parameter:
    if not isinstance(parameter, Float):
        return parameter
    if parameter.low == parameter.high:
        return Categorical(parameter.name, (parameter.low,), when=parameter.when)
    spaced = np.geomspace if parameter.log else np.linspace
    inner = spaced(parameter.low, parameter.high, values)[1:-1]
    return Basis(parameter.name, (parameter.low, *map(float, inner), parameter.high), when=parameter.when)
