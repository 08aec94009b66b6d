"""Spaces for the search over mixtures, in which every real range is a basis of a few of its values."""

from __future__ import annotations

import numpy as np

from searchsvc.domain.parameters import Basis, Categorical, Float, Parameter
from searchsvc.spaces.space import Matrix, Space

MOST_OPTIONS = 1000
"""Maximum number of options of a parameter; each option has its own probability."""


def with_bases(space: Space, values: int) -> Space:
    """Return a space in which each Float is a Basis of `values` values from its low to its high end.

    The values are evenly spaced, on a logarithmic scale if the range is logarithmic. A range with a single value
    becomes a choice. The columns of matrices keep their places and their numbers.
    """
    return Space(_with_basis(parameter, values) for parameter in space.parameters)


def on_grid(space: Space, matrix: Matrix) -> Matrix:
    """Map candidates (n, d) of `with_bases(space, ...)` to the nearest candidates of `space`, which may have steps."""
    return space.activate(space.from_unit(np.nan_to_num(space.to_unit(matrix), nan=0.5)))


def _with_basis(parameter: Parameter, values: int) -> Parameter:
    if not isinstance(parameter, Float):
        return parameter
    if parameter.low == parameter.high:
        return Categorical(parameter.name, (parameter.low,), when=parameter.when)
    spaced = np.geomspace if parameter.log else np.linspace
    inner = spaced(parameter.low, parameter.high, values)[1:-1]
    return Basis(parameter.name, (parameter.low, *map(float, inner), parameter.high), when=parameter.when)
