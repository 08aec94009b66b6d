"""TPE: the tree-structured Parzen estimator (Bergstra et al. 2011), multivariate (Falkner et al. 2018), by Optuna.

Several objectives: MOTPE (Ozaki et al. 2022). Outcome constraints: the joint density of Optuna's constrained TPE.
Pending candidates count as bad results (constant liar), so that parallel trials spread.
"""

from __future__ import annotations

from optuna.samplers import TPESampler

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm, SamplerTraits
from searchsvc.algorithms.optuna.options import TpeOptions


def tpe(problem: Problem, options: TpeOptions) -> OptunaAlgorithm:
    """Create TPE: parameters with the same conditions are modelled jointly, by trials in which they were active."""
    joint = len(problem.objectives) == 1 if options.multivariate is None else options.multivariate

    def sampler(seed: int) -> TPESampler:
        return TPESampler(
            seed=seed,
            n_startup_trials=options.startup_trials,
            n_ei_candidates=options.draws,
            multivariate=joint,
        )

    traits = SamplerTraits(sampler, suits=lambda _: joint, models_conditions=True, replays_by_asking=False, prunes=True)
    return OptunaAlgorithm(problem, traits)
