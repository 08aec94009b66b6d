"""The parameters of a job's space as distributions of Optuna, over the user's own choices and values."""

from __future__ import annotations

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from searchsvc.domain import Categorical, Integer, JobSpec, Parameter, Scalar, value_key
from searchsvc.service.lookup import checks
from searchsvc.spaces.grid import grid_of


def distributions_of(spec: JobSpec) -> dict[str, BaseDistribution]:
    """Return Optuna's distribution of each parameter of the job's space."""
    return {parameter.name: _distribution(parameter) for parameter in checks.space_of(spec, None).parameters}


def internal_value(distribution: BaseDistribution, value: Scalar) -> float:
    """Return the number by which Optuna stores a value; Optuna itself takes the choices true and 1 for the same."""
    if isinstance(distribution, CategoricalDistribution):
        keys = [value_key(choice) for choice in distribution.choices]
        return keys.index(value_key(value))
    return float(distribution.to_internal_repr(value))


def _distribution(parameter: Parameter) -> BaseDistribution:
    """Return a distribution over the user's own choices and values (an algorithm's conversion numbers them)."""
    if isinstance(parameter, Categorical):
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter, Integer):
        steps = (parameter.high - parameter.low) // parameter.step
        return IntDistribution(parameter.low, parameter.low + steps * parameter.step, parameter.log, parameter.step)
    high = parameter.high
    if parameter.step is not None:  # Optuna requires the end of the range to be on the grid
        grid = grid_of(parameter.low, high, parameter.step)
        high = grid.value(grid.last)
    return FloatDistribution(parameter.low, high, parameter.log, parameter.step)
