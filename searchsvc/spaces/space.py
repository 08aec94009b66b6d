"""Space: the parameter algebra, and the one place where typed values become a matrix and back.

| symbol | meaning | shape |
|---|---|---|
| M | candidates, a column per parameter in the order of the space | (n, d) |
| U | the same in the unit cube: equal shares for choices and steps, the logarithm where `log` | (n, d) |
| F | features for learners: one-hot choices, min-max numbers, 0 where not active | (n, f) |

A column of M holds the index of a choice or the value of a number; NaN where the parameter is not active.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.parameters import Basis, Categorical, Integer, Parameter, Scalar
from searchsvc.domain.spec import NarrowedRange
from searchsvc.errors import Fault, InvalidInput

Matrix = NDArray[np.float64]
Identity = Callable[[Matrix], Matrix]
"""(n, d) matrix -> (n, i): rows are equal exactly where candidates are the same network, trained the same way."""


class Space:
    """An immutable set of parameters with conditions between them.

    Raises InvalidInput (pointers `/0`, `/1/when/other`, ...) where names repeat or a condition is unsound.
    """

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self.parameters = tuple(parameters)
        self.names = tuple(parameter.name for parameter in self.parameters)
        self._index = {name: index for index, name in reversed(list(enumerate(self.names)))}
        self._check()
        self._conditions = [
            (self._index[parameter.name], self._index[other], self._codes(other, allowed))
            for parameter in self._in_order()
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

    # ---- what is in it ---------------------------------------------------------------------------------------------

    def size(self) -> int | float:
        """How many different candidates there are: exact, or infinity where an active parameter is continuous."""
        total: int | float = 1
        for component in self._components():
            total *= self._count(component)
        return total

    def contains(self, candidate: Candidate) -> str | None:
        """Why the candidate is not in this space; None where it is."""
        return next((reason for _, reason in self.faults(candidate)), None)

    def faults(self, candidate: Candidate) -> Iterator[tuple[str, str]]:
        """(name, what is wrong with its value) of every parameter for which the candidate is not in this space."""
        values = candidate.values
        for name in sorted(set(values) - set(self.names)):
            yield name, f"unknown parameter {name!r}; this space has {', '.join(self.names)}"
        for parameter in self._in_order():
            active = self._is_active(parameter, values)
            if not active and parameter.name in values:
                yield parameter.name, f"{parameter.name} is not active here and must have no value"
            if active and parameter.name not in values:
                yield parameter.name, f"{parameter.name} has no value"
            elif active and (reason := _outside(parameter, values[parameter.name])):
                yield parameter.name, reason

    def fix(self, values: Mapping[str, Scalar]) -> Space:
        """The same space with some parameters pinned to one value each. Raises InvalidInput, pointers `/name`."""
        return self._replaced({name: (value,) for name, value in values.items()})

    def narrow(self, ranges: Mapping[str, NarrowedRange | Sequence[Scalar]]) -> Space:
        """The same space with choices or ranges cut down. Raises InvalidInput, pointers `/name`."""
        return self._replaced(ranges)

    # ---- matrices --------------------------------------------------------------------------------------------------

    def to_matrix(self, candidates: Sequence[Candidate]) -> Matrix:
        """(n, d) from candidates of this space."""
        matrix = np.full((len(candidates), len(self)), np.nan)
        for column, parameter in enumerate(self.parameters):
            code = self._choice_codes.get(parameter.name)
            for row, candidate in enumerate(candidates):
                value = candidate.values.get(parameter.name)
                if value is not None:
                    matrix[row, column] = code[value] if code is not None else value
        return matrix

    def from_matrix(self, matrix: Matrix) -> list[Candidate]:
        """Candidates from (n, d); columns of parameters that are not active are passed over."""
        active: NDArray[np.bool_] = np.asarray(~np.isnan(self.activate(matrix)))
        columns = [
            _values(parameter, matrix[:, column], active[:, column]) for column, parameter in enumerate(self.parameters)
        ]
        rows = zip(*columns, strict=True)
        return [
            Candidate({name: value for name, value in zip(self.names, row, strict=True) if value is not None})
            for row in rows
        ]

    def activate(self, matrix: Matrix) -> Matrix:
        """A copy of (n, d) with NaN wherever a condition does not hold."""
        result = matrix.copy()
        for child, other, codes in self._conditions:
            result[~np.isin(result[:, other], codes), child] = np.nan
        return result

    def from_unit(self, unit: Matrix) -> Matrix:
        """(n, d) matrix from (n, d) points of the unit cube."""
        matrix = np.empty_like(unit)
        for column, parameter in enumerate(self.parameters):
            matrix[:, column] = _from_unit(parameter, np.clip(unit[:, column], 0.0, 1.0))
        return self.activate(matrix)

    def to_unit(self, matrix: Matrix) -> Matrix:
        """(n, d) points of the unit cube from a matrix: the middle of each choice's or step's share; NaN stays NaN."""
        unit = np.empty_like(matrix)
        for column, parameter in enumerate(self.parameters):
            unit[:, column] = _to_unit(parameter, matrix[:, column])
        return unit

    def sample(self, count: int, generator: np.random.Generator) -> Matrix:
        """(count, d) matrix of independent uniform draws."""
        return self.from_unit(generator.random((count, len(self))))

    def features(self, matrix: Matrix) -> Matrix:
        """(n, f) features in [0, 1]: one column per choice of a categorical, one min-max column per number.

        A categorical of two choices is one column too. What is not active is 0, and a parameter with conditions has
        one more column that says whether it is active.
        """
        unit = self.to_unit(matrix)
        blocks = []
        for column, parameter in enumerate(self.parameters):
            missing = np.isnan(matrix[:, column])
            if isinstance(parameter, Categorical) and len(parameter.choices) > 2:
                blocks.append((matrix[:, column, None] == np.arange(len(parameter.choices))).astype(np.float64))
            else:
                blocks.append(_min_max(parameter, matrix[:, column], unit[:, column], missing)[:, None])
            if parameter.when:
                blocks.append((~missing).astype(np.float64)[:, None])
        return np.hstack(blocks)

    # ---- inside ----------------------------------------------------------------------------------------------------

    @cached_property
    def _choice_codes(self) -> dict[str, dict[Scalar, int]]:
        return {
            parameter.name: {choice: code for code, choice in enumerate(parameter.choices)}
            for parameter in self.parameters
            if isinstance(parameter, Categorical)
        }

    def _codes(self, name: str, values: Iterable[Scalar]) -> Matrix:
        """The values of one parameter as they stand in its column; those outside its range are left out."""
        parameter, codes = self[name], self._choice_codes.get(name)
        inside = [value for value in values if _outside(parameter, value) is None]
        return np.array([value if codes is None else codes[value] for value in inside], dtype=np.float64)

    def _in_order(self) -> list[Parameter]:
        """Parameters, each after those that its conditions name."""
        return self._order

    def _is_active(self, parameter: Parameter, values: Mapping[str, Scalar]) -> bool:
        return all(other in values and values[other] in allowed for other, allowed in parameter.when.items())

    def _check(self) -> None:
        faults = []
        for index, parameter in enumerate(self.parameters):
            if self._index[parameter.name] != index:
                faults.append(Fault(f"/{index}/name", f"{parameter.name!r} occurs twice"))
            for other, allowed in parameter.when.items():
                if message := self._condition_fault(other, allowed):
                    faults.append(Fault(f"/{index}/when/{other}", message))
        if not self.parameters:
            faults.append(Fault("", "an empty space has nothing to search: name at least one parameter"))
        if not faults:
            try:
                graph = {parameter.name: list(parameter.when) for parameter in self.parameters}
                self._order = [self[name] for name in TopologicalSorter(graph).static_order()]
            except CycleError as error:
                faults.append(Fault("", f"conditions run in a circle: {' -> '.join(error.args[1])}"))
        if faults:
            raise InvalidInput(faults)

    def _condition_fault(self, other: str, allowed: Sequence[Scalar]) -> str | None:
        if other not in self._index:
            return f"no parameter {other!r} in this space"
        if not isinstance(self[other], Categorical | Integer):
            return f"{other!r} is a {self[other].type}; a condition needs a categorical or an integer"
        if not allowed:
            return f"name at least one value of {other!r}"
        return None

    def _replaced(self, changes: Mapping[str, NarrowedRange | Sequence[Scalar]]) -> Space:
        faults, parameters = [], {parameter.name: parameter for parameter in self.parameters}
        for name, change in changes.items():
            if name not in parameters:
                faults.append(Fault(f"/{name}", f"no such parameter; this space has {', '.join(self.names)}"))
                continue
            try:
                parameters[name] = _narrowed(parameters[name], change)
            except ValueError as error:
                faults.append(Fault(f"/{name}", _first_line(error)))
        if faults:
            raise InvalidInput(faults)
        return Space(parameters.values())

    def _components(self) -> list[list[Parameter]]:
        """Groups of parameters that conditions join, each in the order of its conditions."""
        group = {name: frozenset([name]) for name in self.names}
        for parameter in self.parameters:
            for other in parameter.when:
                merged = group[parameter.name] | group[other]
                group.update(dict.fromkeys(merged, merged))
        return [[p for p in self._in_order() if p.name in members] for members in dict.fromkeys(group.values())]

    def _count(self, component: Sequence[Parameter], chosen: Mapping[str, Scalar] | None = None) -> int | float:
        """Candidates of one component: only parameters that conditions name are gone through value by value."""
        chosen = chosen or {}
        named = {other for parameter in component for other in parameter.when}
        total: int | float = 1
        for index, parameter in enumerate(component):
            if not self._is_active(parameter, chosen):
                continue
            if parameter.name not in named:
                total *= _levels(parameter)
                continue
            rest = component[index + 1 :]
            shares = self._shares(parameter, rest)
            return total * sum(count * self._count(rest, {**chosen, parameter.name: value}) for value, count in shares)
        return total

    def _shares(self, parameter: Parameter, rest: Sequence[Parameter]) -> list[tuple[Scalar, int]]:
        """(value, how many values act like it) of a parameter that conditions in `rest` name."""
        named = dict.fromkeys(value for other in rest for value in other.when.get(parameter.name, ()))
        listed = [value for value in named if _outside(parameter, value) is None]
        others = _levels(parameter) - len(listed)
        assert isinstance(others, int)
        anything_else = object()
        return [(value, 1) for value in listed] + ([(anything_else, others)] if others else [])  # type: ignore[list-item]


def _levels(parameter: Parameter) -> int | float:
    """How many values a parameter has."""
    if isinstance(parameter, Categorical):
        return len(parameter.choices)
    if parameter.step is None:
        return 1 if parameter.low == parameter.high else math.inf
    return math.floor((parameter.high - parameter.low) / parameter.step + 1e-9) + 1


def _outside(parameter: Parameter, value: Scalar) -> str | None:
    """Why `value` is not one of the parameter's; None where it is."""
    if isinstance(parameter, Categorical):
        if any(value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in parameter.choices):
            return None
        return f"{parameter.name} must be one of {list(parameter.choices)}, not {value!r}"
    if isinstance(value, bool | str):
        return f"{parameter.name} must be a number, not {value!r}"
    if not parameter.low <= value <= parameter.high:
        return f"{parameter.name} must lie from {parameter.low} to {parameter.high}, not {value!r}"
    if isinstance(parameter, Integer) and not float(value).is_integer():
        return f"{parameter.name} must be a whole number, not {value!r}"
    if parameter.step is not None:
        steps = (value - parameter.low) / parameter.step
        if not math.isclose(steps, round(steps), abs_tol=1e-6):
            return f"{parameter.name} must be {parameter.low} plus a multiple of {parameter.step}, not {value!r}"
    return None


def _narrowed(parameter: Parameter, change: NarrowedRange | Sequence[Scalar]) -> Parameter:
    if not isinstance(change, NarrowedRange):
        for value in change:
            if reason := _outside(parameter, value):
                raise ValueError(reason)
        return Categorical(parameter.name, tuple(change), when=parameter.when)
    if isinstance(parameter, Categorical):
        raise ValueError(f"is a choice among {list(parameter.choices)}: give a list of those to keep, not low and high")
    low = parameter.low if change.low is None else change.low
    high = parameter.high if change.high is None else change.high
    for bound in (low, high):
        if reason := _outside(parameter, bound):
            raise ValueError(reason)
    if low > high:
        raise ValueError(f"low ({low:g}) must not be above high ({high:g})")
    if isinstance(parameter, Integer):
        return replace(parameter, low=int(low), high=int(high))
    if isinstance(parameter, Basis):
        kept = tuple(value for value in parameter.values if low <= value <= high)
        return replace(parameter, values=tuple(dict.fromkeys((*kept, low, high))))
    return replace(parameter, low=low, high=high)


def _values(parameter: Parameter, column: Matrix, active: NDArray[np.bool_]) -> list[Scalar | None]:
    """A column of the matrix as typed values; None where not active."""
    if isinstance(parameter, Categorical):
        return [parameter.choices[int(code)] if on else None for code, on in zip(column, active, strict=True)]
    if isinstance(parameter, Integer):
        return [int(value) if on else None for value, on in zip(column, active, strict=True)]
    return [float(value) if on else None for value, on in zip(column, active, strict=True)]


def _from_unit(parameter: Parameter, unit: Matrix) -> Matrix:
    if isinstance(parameter, Categorical):
        return np.minimum(np.floor(unit * len(parameter.choices)), len(parameter.choices) - 1)
    if isinstance(parameter, Integer) and parameter.log:
        low, high = math.log(parameter.low - 0.5), math.log(parameter.high + 0.5)
        return np.clip(np.rint(np.exp(low + unit * (high - low))), parameter.low, parameter.high)
    if parameter.step is not None:
        levels = _levels(parameter)
        steps = np.minimum(np.floor(unit * levels), levels - 1)
        values = np.minimum(parameter.low + steps * parameter.step, parameter.high)
        # The short decimal on the grid, so that 0.1 + 2 * 0.1 is 0.3 here as in a document.
        digits = 12 + max(0, -math.floor(math.log10(parameter.step)))
        return values if isinstance(parameter, Integer) else np.asarray(np.round(values, digits), dtype=np.float64)
    if parameter.log:
        low, high = math.log(parameter.low), math.log(parameter.high)
        return np.clip(np.exp(low + unit * (high - low)), parameter.low, parameter.high)
    return np.clip(parameter.low + unit * (parameter.high - parameter.low), parameter.low, parameter.high)


def _to_unit(parameter: Parameter, column: Matrix) -> Matrix:
    if isinstance(parameter, Categorical):
        return (column + 0.5) / len(parameter.choices)
    if isinstance(parameter, Integer) and parameter.log:
        low, high = math.log(parameter.low - 0.5), math.log(parameter.high + 0.5)
        return (np.log(column) - low) / (high - low)
    if parameter.step is not None:
        return (np.rint((column - parameter.low) / parameter.step) + 0.5) / _levels(parameter)
    if parameter.low == parameter.high:
        return column * 0.0 + 0.5
    if parameter.log:
        return (np.log(column) - math.log(parameter.low)) / (math.log(parameter.high) - math.log(parameter.low))
    return (column - parameter.low) / (parameter.high - parameter.low)


def _min_max(parameter: Parameter, column: Matrix, unit: Matrix, missing: NDArray[np.bool_]) -> Matrix:
    if isinstance(parameter, Categorical):
        return np.where(missing, 0.0, column)
    levels = _levels(parameter)
    if not parameter.log and parameter.step is not None and levels > 1:
        unit = (unit * levels - 0.5) / (levels - 1)
    return np.where(missing, 0.0, np.clip(unit, 0.0, 1.0))


def _first_line(error: ValueError) -> str:
    """A pydantic error's own message, or the text of a plain one."""
    details = getattr(error, "errors", None)
    return str(details()[0]["msg"]).removeprefix("Value error, ") if callable(details) else str(error)
