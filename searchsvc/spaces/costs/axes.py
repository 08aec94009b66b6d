"""The values that one parameter can have, and where they stand in a matrix."""

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
    """The numbers that a parameter can have in a space, and how an entry tells which: (entry - low) / step."""

    column: int | None
    """Its column in a matrix; None where the space does not have it."""
    values: NDArray[np.float64]
    """(k,); the last is the default where the parameter may be inactive."""
    low: float = 0.0
    step: float = 1.0

    @classmethod
    def of(cls, space: Space, name: str, default: Scalar, words: Sequence[Scalar] = ()) -> Self:
        """Of a parameter of finitely many numbers (truth values count as 0 and 1), or of its places among `words`."""

        def numbers(choices: Sequence[Scalar]) -> NDArray[np.float64]:
            return np.array([words.index(one) if words else one for one in choices], float)

        given = numbers([default])
        if name not in space:
            return cls(None, given)
        parameter, column = space[name], space.names.index(name)
        if isinstance(parameter, Categorical):
            values, low, step = numbers(parameter.choices), 0.0, 1.0
        else:
            low, step = float(parameter.low), float(parameter.step or 1.0)
            values = np.arange(low, parameter.high + step / 2, step)
        return cls(column, np.concatenate([values, given]) if parameter.when else values, low, step)

    @property
    def missing(self) -> float:
        """The entry that would stand for the last of the values."""
        return self.low + self.step * (len(self.values) - 1)

    def decoded(self, matrix: Matrix) -> NDArray[Any]:
        """(n,) numbers of the candidates, or (1,) where all have the same."""
        return self.values if self.column is None else self.values[self.codes(matrix)]

    def codes(self, matrix: Matrix) -> NDArray[np.intp]:
        """(n,) places of those numbers in `values`, or (1,)."""
        if self.column is None:
            return np.zeros(1, np.intp)
        entries = matrix[:, self.column]
        codes = np.rint((np.where(np.isnan(entries), self.missing, entries) - self.low) / self.step)
        return codes.astype(np.intp)
