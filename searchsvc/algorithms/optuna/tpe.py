"""TPE: the tree-structured Parzen estimator (Bergstra et al. 2011), multivariate (Falkner et al. 2018), by Optuna.

Several objectives: MOTPE (Ozaki et al. 2022). Outcome constraints: the joint density of Optuna's constrained TPE.
Pending candidates count as bad results (constant liar), so that parallel trials spread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.options import MethodOptions

if TYPE_CHECKING:
    from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm


class TpeOptions(MethodOptions):
    """Optuna's defaults."""

    startup_trials: Annotated[int, Field(ge=1, le=100_000, description="Results before which draws are uniform.")] = 10
    draws: Annotated[
        int, Field(ge=1, le=100_000, description="Draws from the good density, of which the best ratio is proposed.")
    ] = 24
    multivariate: Annotated[
        bool | None, Field(description="Model parameters jointly; null: with one objective yes, with several no.")
    ] = None


def tpe(problem: Problem, options: TpeOptions) -> OptunaAlgorithm:
    """Create TPE: parameters with the same conditions are modelled jointly, by trials in which they were active."""
    from optuna.samplers import TPESampler

    from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm, SamplerTraits

    joint = len(problem.objectives) == 1 if options.multivariate is None else options.multivariate

    def sampler(seed: int) -> TPESampler:
        return TPESampler(
            seed=seed,
            n_startup_trials=options.startup_trials,
            n_ei_candidates=options.draws,
            multivariate=joint,
        )

    traits = SamplerTraits(sampler, suits=lambda _: joint, blocks=True, by_asking=False, prunes=True)
    return OptunaAlgorithm(problem, traits)
