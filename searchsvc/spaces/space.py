"""Space: parameters with conditions, and the conversion between typed values and matrices.

| symbol | meaning | shape |
|---|---|---|
| M | candidates, with a column per parameter in the order of the space | (n, d) |
| U | candidates in the unit cube: equal shares for choices and steps, the logarithm if `log` | (n, d) |
| F | features for learners: indicators of choices, min-max numbers, 0 if not active | (n, f) |

A column of M holds the index of a choice or the value of a number, and NaN if the parameter is not active.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.faults import faults_of
from searchsvc.domain.parameters import Categorical, Parameter, Scalar, value_key
from searchsvc.domain.spec import NarrowedRange
from searchsvc.errors import Fault, InvalidInput, pointer
from searchsvc.spaces import columns
from searchsvc.spaces.conditions import count_candidates, in_order, is_active
from searchsvc.spaces.ranges import listed, narrowed, outside_reason

Matrix = NDArray[np.float64]
Identity = Callable[[Matrix], Matrix]
"""Map from M (n, d) to (n, i), whose rows are equal exactly if the candidates are the same network and training."""


class Space:
    """An immutable set of parameters with conditions between them.

    Raises InvalidInput (pointers `/0/name`, `/1/when/other`, ...) if names repeat or a condition is unsound.
    """

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self.parameters = tuple(parameters)
        self.names = tuple(parameter.name for parameter in self.parameters)
        self._index = {name: index for index, name in enumerate(self.names)}
        self._order = in_order(self.parameters)
        self._conditions = [
            (self._index[parameter.name], self._index[other], self._codes(other, allowed))
            for parameter in self._order
            for other, allowed in parameter.when.items()
        ]

    def __len__(self) -> int:
        return len(self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        return self.parameters[self._index[name]]

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.parameters == other.parameters

    __hash__ = None  # type: ignore[assignment]

    # ---- members and subspaces -------------------------------------------------------------------------------------

    def size(self) -> int | float:
        """Return the number of different candidates: exact, or infinity if an active parameter is continuous.

        Infinity also beyond 1e300, or if the conditions are too entangled to count the candidates.
        """
        return count_candidates(self._order)

    def contains(self, candidate: Candidate) -> str | None:
        """Return why the candidate is not in this space, or None if it is."""
        return next((reason for _, reason in self.faults(candidate)), None)

    def faults(self, candidate: Candidate) -> Iterator[tuple[str, str]]:
        """Yield (name, reason) for every parameter by which the candidate is not in this space."""
        values = candidate.values
        for name in sorted(set(values) - set(self.names)):
            yield name, f"unknown parameter {name!r}; this space has {listed(self.names)}"
        for parameter in self._order:
            active = is_active(parameter, values)
            if not active and parameter.name in values:
                yield parameter.name, f"{parameter.name} is not active here and must have no value"
            if active and parameter.name not in values:
                yield parameter.name, f"{parameter.name} has no value"
            elif active and (reason := outside_reason(parameter, values[parameter.name])):
                yield parameter.name, reason

    def fix(self, values: Mapping[str, Scalar]) -> Space:
        """Return the space with some parameters fixed to a value each. Raises InvalidInput, pointers `/name`."""
        return self._replaced({name: (value,) for name, value in values.items()})

    def narrow(self, ranges: Mapping[str, NarrowedRange | Sequence[Scalar]]) -> Space:
        """Return the space with fewer choices or smaller ranges. Raises InvalidInput, pointers `/name`."""
        return self._replaced(ranges)

    # ---- matrices --------------------------------------------------------------------------------------------------

    def to_matrix(self, candidates: Sequence[Candidate]) -> Matrix:
        """Return M (n, d) from candidates of this space."""
        matrix = np.full((len(candidates), len(self)), np.nan)
        for column, parameter in enumerate(self.parameters):
            code = self._choice_codes.get(parameter.name)
            for row, candidate in enumerate(candidates):
                if parameter.name in candidate.values:
                    value = candidate.values[parameter.name]
                    matrix[row, column] = code[value_key(value)] if code is not None else value
        return matrix

    def from_matrix(self, matrix: Matrix) -> list[Candidate]:
        """Return candidates from M (n, d); columns of inactive parameters are ignored."""
        active: NDArray[np.bool_] = np.asarray(~np.isnan(self.activate(matrix)))  # (n, d)
        typed = [
            columns.typed_values(parameter, matrix[:, column], active[:, column])
            for column, parameter in enumerate(self.parameters)
        ]
        rows = (zip(self.names, row, strict=True) for row in zip(*typed, strict=True))
        return [
            Candidate({name: value for name, value in row if value is not columns.INACTIVE})
            for row in rows
        ]

    def activate(self, matrix: Matrix) -> Matrix:
        """Return a copy of M (n, d) with NaN for every parameter whose conditions do not hold."""
        result = matrix.copy()
        for child, other, codes in self._conditions:
            result[~np.isin(result[:, other], codes), child] = np.nan
        return result

    def from_unit(self, unit: Matrix) -> Matrix:
        """Return M (n, d) from U (n, d)."""
        matrix = np.empty_like(unit)
        for column, parameter in enumerate(self.parameters):
            matrix[:, column] = columns.from_unit(parameter, np.clip(unit[:, column], 0.0, 1.0))
        return self.activate(matrix)

    def to_unit(self, matrix: Matrix) -> Matrix:
        """Return U (n, d) from M (n, d): the middle of the share of each choice or step; NaN stays NaN."""
        unit = np.empty_like(matrix)
        for column, parameter in enumerate(self.parameters):
            unit[:, column] = columns.to_unit(parameter, matrix[:, column])
        return unit

    def sample(self, count: int, generator: np.random.Generator) -> Matrix:
        """Return M (count, d) of independent uniform draws."""
        return self.from_unit(generator.random((count, len(self))))

    def features(self, matrix: Matrix) -> Matrix:
        """Return F (n, f) in [0, 1]: a column per choice of a categorical, and a min-max column per number.

        A categorical with two choices has a single column. Inactive parameters are 0. A parameter with conditions has
        an additional column that is 1 if the parameter is active.
        """
        unit = self.to_unit(matrix)
        blocks = []  # (n, 1), or (n, choices) for categoricals
        for column, parameter in enumerate(self.parameters):
            missing = np.isnan(matrix[:, column])  # (n,)
            if isinstance(parameter, Categorical) and len(parameter.choices) > 2:
                blocks.append((matrix[:, column, None] == np.arange(len(parameter.choices))).astype(np.float64))
            else:
                blocks.append(columns.min_max(parameter, matrix[:, column], unit[:, column], missing)[:, None])
            if parameter.when:
                blocks.append((~missing).astype(np.float64)[:, None])
        return np.hstack(blocks)

    # ---- internals -------------------------------------------------------------------------------------------------

    @cached_property
    def _choice_codes(self) -> dict[str, dict[tuple[bool, Scalar], int]]:
        return {
            parameter.name: {value_key(choice): code for code, choice in enumerate(parameter.choices)}
            for parameter in self.parameters
            if isinstance(parameter, Categorical)
        }

    def _codes(self, name: str, values: Iterable[Scalar]) -> Matrix:
        """Return the entries (k,) of values of a parameter in its column of M, without values out of range."""
        parameter, codes = self[name], self._choice_codes.get(name)
        inside = [value for value in values if outside_reason(parameter, value) is None]
        return np.array([value if codes is None else codes[value_key(value)] for value in inside], dtype=np.float64)

    def _replaced(self, changes: Mapping[str, NarrowedRange | Sequence[Scalar]]) -> Space:
        faults, parameters = [], {parameter.name: parameter for parameter in self.parameters}
        for name, change in changes.items():
            if name not in parameters:
                faults.append(Fault(pointer(name), f"no such parameter; this space has {listed(self.names)}"))
                continue
            try:
                parameters[name] = narrowed(parameters[name], change)
            except ValueError as error:
                faults.append(Fault(pointer(name), _reason(error)))
        if faults:
            raise InvalidInput(faults)
        return Space(parameters.values())


def _reason(error: ValueError) -> str:
    """Return the first message of a validator's error in our words, or the text of a plain error."""
    return faults_of(error, {})[0].message if isinstance(error, ValidationError) else str(error)
