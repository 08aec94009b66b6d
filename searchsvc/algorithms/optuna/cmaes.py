"""CMA-ES (Hansen and Ostermeier 2001), by Optuna: a single objective, numeric parameters without conditions.

Choices and conditional parameters are drawn uniformly; outcome constraints are not used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from cmaes import CMA
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import CmaEsSampler

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm, SamplerTraits, check_modelled
from searchsvc.algorithms.optuna.options import CmaEsOptions
from searchsvc.algorithms.optuna.space import OptunaSpace
from searchsvc.algorithms.optuna.views import CmaGenerations
from searchsvc.errors import InvalidInput

MOST_PARAMETERS = 256
"""Numbers that the optimiser models: it stores their covariances with every generation."""


def cmaes(problem: Problem, options: CmaEsOptions) -> OptunaAlgorithm:
    """Create CMA-ES. Raises InvalidInput (pointer /name) if there are several objectives or more than 256 numbers."""
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

    check_modelled(problem, "cmaes", is_number, MOST_PARAMETERS)

    def view() -> CmaGenerations:
        return CmaGenerations(options.startup_trials, options.population or _usual_population(problem, is_number))

    traits = SamplerTraits(sampler, suits=is_number, models_conditions=False, replays_by_asking=True, view=view)
    return OptunaAlgorithm(problem, traits)


def _usual_population(problem: Problem, is_number: Callable[[BaseDistribution], bool]) -> int:
    """Candidates per generation that the optimiser chooses for the parameters that it models."""
    space = OptunaSpace(problem.space)
    dimensions = sum(len(space.searched(group.names, is_number)) for group in space.groups if not group.when)
    return CMA(mean=np.zeros(dimensions), sigma=1.0).population_size if dimensions > 1 else 4 if dimensions else 1
