"""A Space as Optuna distributions, and the conversion of values in both directions.

A choice is its index; a stepped float is the index of its grid point, so that a converted value lies exactly on the
grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.parameters import Categorical, Integer, Parameter, Scalar
from searchsvc.spaces.space import Space

OptunaDistributions = dict[str, BaseDistribution]


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters with the same conditions: they are active together."""

    when: Mapping[str, tuple[Scalar, ...]]
    names: tuple[str, ...]

    def is_active(self, values: Mapping[str, Scalar]) -> bool:
        return all(other in values and values[other] in allowed for other, allowed in self.when.items())


class OptunaSpace:
    """Distributions of a space and the conversions between its values and Optuna's."""

    def __init__(self, space: Space) -> None:
        self._parameters = {parameter.name: parameter for parameter in space.parameters}
        self._codes = {
            parameter.name: {choice: code for code, choice in enumerate(parameter.choices)}
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
        if isinstance(parameter, Integer):
            return int(value)
        if parameter.step is not None:
            return min(round(parameter.low + int(value) * parameter.step, 12), parameter.high)
        return min(max(float(value), parameter.low), parameter.high)

    def _internal(self, name: str, value: Scalar) -> float:
        parameter = self._parameters[name]
        if isinstance(parameter, Categorical):
            return self._codes[name][value]
        assert not isinstance(value, str)
        if not isinstance(parameter, Integer) and parameter.step is not None:
            return round((value - parameter.low) / parameter.step)
        return value


def single_value(distribution: BaseDistribution) -> float:
    """The only value of a distribution."""
    return 0 if isinstance(distribution, CategoricalDistribution) else distribution.low  # type: ignore[attr-defined] # the other two have it


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Categorical):
        return CategoricalDistribution(tuple(range(len(parameter.choices))))
    if isinstance(parameter, Integer):
        steps = (parameter.high - parameter.low) // parameter.step
        return IntDistribution(parameter.low, parameter.low + steps * parameter.step, parameter.log, parameter.step)
    if parameter.step is not None:
        return IntDistribution(0, int((parameter.high - parameter.low) / parameter.step + 1e-9))
    return FloatDistribution(parameter.low, parameter.high, parameter.log)


def _groups(space: Space) -> Iterator[ParameterGroup]:
    waiting = list(space.parameters)
    placed: set[str] = set()
    while waiting:
        ready = [parameter for parameter in waiting if set(parameter.when) <= placed]
        groups: dict[object, list[Parameter]] = {}
        for parameter in ready:
            conditions = frozenset((other, frozenset(allowed)) for other, allowed in parameter.when.items())
            groups.setdefault(conditions, []).append(parameter)
        for group in groups.values():
            yield ParameterGroup(group[0].when, tuple(parameter.name for parameter in group))
        placed.update(parameter.name for parameter in ready)
        waiting = [parameter for parameter in waiting if parameter.name not in placed]
