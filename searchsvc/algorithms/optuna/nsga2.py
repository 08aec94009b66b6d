"""NSGA-II (Deb et al. 2002), by Optuna: non-dominated sorting, crowding distance, constrained domination."""

from __future__ import annotations

from optuna.samplers import NSGAIISampler

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm, SamplerTraits
from searchsvc.algorithms.optuna.options import NsgaOptions
from searchsvc.algorithms.optuna.views import NsgaGenerations


def nsga2(problem: Problem, options: NsgaOptions) -> OptunaAlgorithm:
    """Create NSGA-II: parameters without conditions are inherited, conditional parameters are drawn uniformly."""

    def sampler(seed: int) -> NSGAIISampler:
        return NSGAIISampler(
            seed=seed,
            population_size=options.population,
            crossover_prob=options.crossover,
            swapping_prob=options.swapping,
            mutation_prob=options.mutation,
        )

    def view() -> NsgaGenerations:
        return NsgaGenerations(options.population)

    traits = SamplerTraits(sampler, suits=lambda _: True, models_conditions=False, replays_by_asking=True, view=view)
    return OptunaAlgorithm(problem, traits)
