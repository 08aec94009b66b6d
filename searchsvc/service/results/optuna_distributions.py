"""The parameters of a job's space as distributions of Optuna, over the user's own choices and values."""

from __future__ import annotations

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from searchsvc.domain import Categorical, Integer, JobSpec, Parameter
from searchsvc.service.lookup import checks


def distributions_of(spec: JobSpec) -> dict[str, BaseDistribution]:
    """Return Optuna's distribution of each parameter of the job's space."""
    return {parameter.name: _distribution(parameter) for parameter in checks.space_of(spec, None).parameters}


def _distribution(parameter: Parameter) -> BaseDistribution:
    """Return a distribution over the user's own choices and values (an algorithm's conversion numbers them)."""
    if isinstance(parameter, Categorical):
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter, Integer):
        steps = (parameter.high - parameter.low) // parameter.step
        return IntDistribution(parameter.low, parameter.low + steps * parameter.step, parameter.log, parameter.step)
    high = parameter.high
    if parameter.step is not None:  # Optuna requires the end of the range to be on the grid
        high = round(parameter.low + int((high - parameter.low) / parameter.step + 1e-9) * parameter.step, 12)
    return FloatDistribution(parameter.low, high, parameter.log, parameter.step)
