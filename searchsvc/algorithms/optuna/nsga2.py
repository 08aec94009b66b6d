"""NSGA-II (Deb et al. 2002), by Optuna: non-dominated sorting, crowding distance, constrained domination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.options import MethodOptions

if TYPE_CHECKING:
    from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm


class NsgaOptions(MethodOptions):
    """Optuna's defaults."""

    population: Annotated[int, Field(ge=2, le=100_000, description="Candidates per generation.")] = 50
    crossover: Annotated[float, Field(ge=0, le=1, description="Probability that a child has two parents.")] = 0.9
    swapping: Annotated[
        float, Field(ge=0, le=1, description="Probability that a crossover takes a parameter of the second parent.")
    ] = 0.5
    mutation: Annotated[
        float | None, Field(ge=0, le=1, description="Probability that a parameter mutates; null: one per child.")
    ] = None


def nsga2(problem: Problem, options: NsgaOptions) -> OptunaAlgorithm:
    """Create NSGA-II: parameters without conditions are inherited, conditional parameters are drawn uniformly."""
    from optuna.samplers import NSGAIISampler

    from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm, SamplerTraits
    from searchsvc.algorithms.optuna.views import NsgaGenerations

    def sampler(seed: int) -> NSGAIISampler:
        return NSGAIISampler(
            seed=seed,
            population_size=options.population,
            crossover_prob=options.crossover,
            swapping_prob=options.swapping,
            mutation_prob=options.mutation,
        )

    traits = SamplerTraits(sampler, suits=lambda _: True, blocks=False, by_asking=True, view=NsgaGenerations)
    return OptunaAlgorithm(problem, traits)
