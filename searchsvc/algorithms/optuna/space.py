"""A Space as Optuna distributions, and the conversion of values in both directions.

| parameter | value as Optuna sees it |
|---|---|
| choices | the index of the choice |
| float or integer with a step | the number k of low + k * step, so that a converted value lies exactly on the grid |
| integer without a step | itself |
| float | itself |
| more than 65,536 values, or a range whose square is no float64 | its position in the unit interval |

Samplers list the values of a discrete range, and square the widths of continuous ranges: the last row spares them both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.parameters import Categorical, Float, Integer, Parameter, Scalar, is_among, value_key
from searchsvc.spaces import columns
from searchsvc.spaces.grid import grid_of
from searchsvc.spaces.ranges import levels
from searchsvc.spaces.space import Space

OptunaDistributions = dict[str, BaseDistribution]

_MOST_LEVELS = 2**16
"""Values of a discrete range that a sampler may list."""
_WIDEST, _NARROWEST, _SMALLEST = 1e150, 1e-150, 1e-300
"""Widths of ranges whose squares are numbers; the smallest number of a logarithmic range."""


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters with the same conditions: they are active together."""

    when: Mapping[str, tuple[Scalar, ...]]
    names: tuple[str, ...]

    def is_active(self, values: Mapping[str, Scalar]) -> bool:
        return all(other in values and is_among(values[other], allowed) for other, allowed in self.when.items())


class OptunaSpace:
    """Distributions of a space and the conversions between its values and Optuna's."""

    def __init__(self, space: Space) -> None:
        self._parameters = {parameter.name: parameter for parameter in space.parameters}
        self._codes = {
            parameter.name: {value_key(choice): code for code, choice in enumerate(parameter.choices)}
            for parameter in space.parameters
            if isinstance(parameter, Categorical)
        }
        self.distributions: OptunaDistributions = {
            parameter.name: _distribution(parameter) for parameter in space.parameters
        }
        self.groups = tuple(_groups(space))
        """Ordered so that each group comes after the groups that its conditions name."""

    def searched(self, names: tuple[str, ...], suits: Callable[[BaseDistribution], bool]) -> OptunaDistributions:
        """name -> distribution for those of `names` that have several values and suit a sampler."""
        named = ((name, self.distributions[name]) for name in sorted(names))
        return {name: distribution for name, distribution in named if not distribution.single() and suits(distribution)}

    def internal(self, candidate: Candidate) -> dict[str, float]:
        """name -> value of a candidate, as the parameters of an Optuna trial."""
        return {name: self._internal(name, value) for name, value in candidate.values.items()}

    def external(self, name: str, value: float) -> Scalar:
        """Convert a sampled value to the space; a continuous value is clipped to its range."""
        parameter = self._parameters[name]
        if isinstance(parameter, Categorical):
            return parameter.choices[int(value)]
        if _is_relaxed(parameter):
            position = np.clip(np.array([float(value)]), 0.0, 1.0)
            converted = float(columns.from_unit(parameter, position)[0])
            return int(converted) if isinstance(parameter, Integer) else converted
        if _is_stepped(parameter):
            number = grid_of(parameter.low, parameter.high, parameter.step or 1).value(int(value))
            return int(number) if isinstance(parameter, Integer) else number
        if isinstance(parameter, Integer):
            return min(max(int(value), parameter.low), parameter.high)
        return min(max(float(value), parameter.low), parameter.high)

    def _internal(self, name: str, value: Scalar) -> float:
        parameter = self._parameters[name]
        if isinstance(parameter, Categorical):
            return self._codes[name][value_key(value)]
        assert isinstance(value, int | float)
        if _is_relaxed(parameter):
            return float(columns.to_unit(parameter, np.array([float(value)]))[0])
        if _is_stepped(parameter):
            return grid_of(parameter.low, parameter.high, parameter.step or 1).number(value)
        return value


def single_value(distribution: BaseDistribution) -> float:
    """The only value of a distribution."""
    return 0 if isinstance(distribution, CategoricalDistribution) else distribution.low  # type: ignore[attr-defined] # the other two have it


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Categorical):
        return CategoricalDistribution(tuple(range(len(parameter.choices))))
    if _is_relaxed(parameter):
        return FloatDistribution(0.0, 1.0)
    if _is_stepped(parameter):
        return IntDistribution(0, grid_of(parameter.low, parameter.high, parameter.step or 1).last)
    if isinstance(parameter, Integer):
        return IntDistribution(parameter.low, parameter.high, parameter.log)
    return FloatDistribution(parameter.low, parameter.high, parameter.log)


def _is_stepped(parameter: Parameter) -> bool:
    """Return whether a number is searched by its place on a grid."""
    if isinstance(parameter, Integer):
        return parameter.step > 1
    return isinstance(parameter, Float) and parameter.step is not None


def _is_relaxed(parameter: Parameter) -> bool:
    """Return whether a number is searched by its position in the unit interval."""
    if isinstance(parameter, Categorical):
        return False
    if parameter.step is not None:
        return levels(parameter) > _MOST_LEVELS
    width = parameter.high - parameter.low
    if width == 0.0:
        return False
    return not _NARROWEST <= width <= _WIDEST or (parameter.log and parameter.low < _SMALLEST)


def _groups(space: Space) -> Iterator[ParameterGroup]:
    waiting = list(space.parameters)
    placed: set[str] = set()
    while waiting:
        ready = [parameter for parameter in waiting if set(parameter.when) <= placed]
        groups: dict[object, list[Parameter]] = {}
        for parameter in ready:
            conditions = frozenset(
                (other, frozenset(map(value_key, allowed))) for other, allowed in parameter.when.items()
            )
            groups.setdefault(conditions, []).append(parameter)
        for group in groups.values():
            yield ParameterGroup(group[0].when, tuple(parameter.name for parameter in group))
        placed.update(parameter.name for parameter in ready)
        waiting = [parameter for parameter in waiting if parameter.name not in placed]
