"""Axes: the finitely many values of a parameter, and their codes in the columns of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.parameters import Categorical, Scalar
from searchsvc.spaces.space import Matrix, Space


@dataclass(frozen=True, slots=True)
class Axis:
    """The numbers that a parameter can have in a space. An entry of the matrix is low + step * index of its number."""

    column: int | None
    """Its column in a matrix; None if the space does not contain the parameter."""
    values: NDArray[np.float64]
    """(k,); the last value is the default if the parameter may be inactive."""
    low: float = 0.0
    step: float = 1.0

    @classmethod
    def of(cls, space: Space, name: str, default: Scalar, words: Sequence[Scalar] = ()) -> Self:
        """Return the axis of a parameter with finitely many numbers; truth values count as 0 and 1.

        With `words`, the numbers are the indices of the parameter's choices in `words`.
        """

        def numbers(choices: Sequence[Scalar]) -> NDArray[np.float64]:
            return np.array([words.index(choice) if words else choice for choice in choices], float)

        fallback = numbers([default])
        if name not in space:
            return cls(None, fallback)
        parameter, column = space[name], space.names.index(name)
        if isinstance(parameter, Categorical):
            values, low, step = numbers(parameter.choices), 0.0, 1.0
        else:
            low, step = float(parameter.low), float(parameter.step or 1.0)
            values = np.arange(low, parameter.high + step / 2, step)
        return cls(column, np.concatenate([values, fallback]) if parameter.when else values, low, step)

    @property
    def missing(self) -> float:
        """The entry that stands for the last value."""
        return self.low + self.step * (len(self.values) - 1)

    def decoded(self, matrix: Matrix) -> NDArray[Any]:
        """Return the numbers (n,) of the candidates in M (n, d), or (1,) if all have the same number."""
        return self.values if self.column is None else self.values[self.codes(matrix)]

    def codes(self, matrix: Matrix) -> NDArray[np.intp]:
        """Return the indices (n,) of these numbers in `values`, or (1,)."""
        if self.column is None:
            return np.zeros(1, np.intp)
        entries = matrix[:, self.column]  # (n,)
        codes = np.rint((np.where(np.isnan(entries), self.missing, entries) - self.low) / self.step)
        return codes.astype(np.intp)
