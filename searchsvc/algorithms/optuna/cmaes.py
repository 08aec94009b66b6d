"""CMA-ES (Hansen and Ostermeier 2001), by Optuna: one objective, numeric parameters without conditions.

Choices and conditional parameters are drawn uniformly; outcome constraints are not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.options import MethodOptions
from searchsvc.errors import InvalidInput

if TYPE_CHECKING:
    from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm


class CmaEsOptions(MethodOptions):
    """Optuna's defaults."""

    startup_trials: Annotated[int, Field(ge=1, le=100_000, description="Results before which draws are uniform.")] = 1
    population: Annotated[
        int | None, Field(ge=2, le=100_000, description="Candidates per generation; null: 4 + 3 ln(dimensions).")
    ] = None


def cmaes(problem: Problem, options: CmaEsOptions) -> OptunaAlgorithm:
    """Create CMA-ES. Raises InvalidInput (pointer /name) if there are several objectives."""
    from optuna.distributions import CategoricalDistribution
    from optuna.samplers import CmaEsSampler

    from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm, SamplerTraits
    from searchsvc.algorithms.optuna.views import CmaGenerations

    if len(problem.objectives) > 1:
        raise InvalidInput.at("/name", "cmaes searches one objective; for several use nsga2, tpe, gp or evolution")

    def sampler(seed: int) -> CmaEsSampler:
        return CmaEsSampler(
            seed=seed,
            n_startup_trials=options.startup_trials,
            popsize=options.population,
            warn_independent_sampling=False,
        )

    def is_number(distribution: object) -> bool:
        return not isinstance(distribution, CategoricalDistribution)

    def view() -> CmaGenerations:
        return CmaGenerations(options.startup_trials)

    return OptunaAlgorithm(problem, SamplerTraits(sampler, suits=is_number, blocks=False, by_asking=True, view=view))
