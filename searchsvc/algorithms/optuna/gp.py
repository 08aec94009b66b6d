"""GP: Bayesian optimisation with a Gaussian process (Matérn 5/2, ARD), by Optuna.

One objective: log expected improvement (Ament et al. 2023). Several: expected hypervolume improvement. Outcome
constraints: probability of feasibility.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from optuna.samplers import GPSampler

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm, SamplerTraits, check_modelled
from searchsvc.algorithms.optuna.options import GpOptions
from searchsvc.algorithms.optuna.views import Window

MOST_PARAMETERS = 64
"""Parameters that the process models: an ask compares 2,048 points with 300 results in each of them."""


def gp(problem: Problem, options: GpOptions) -> OptunaAlgorithm:
    """Create GP: parameters without conditions are modelled, conditional parameters are drawn uniformly.

    Raises InvalidInput (pointer /name) if there are more than 64 parameters to model.
    """
    check_modelled(problem, "gp", lambda _: True, MOST_PARAMETERS)

    def sampler(seed: int) -> GPSampler:
        return GPSampler(seed=seed, n_startup_trials=options.startup_trials, warn_independent_sampling=False)

    traits = SamplerTraits(
        sampler,
        suits=lambda _: True,
        models_conditions=False,
        replays_by_asking=False,
        view=lambda: Window(options.window),
        context=_one_thread,
    )
    return OptunaAlgorithm(problem, traits)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit torch to a single thread.

    The matrices are small: threads cost more time than they save (60 times as much on busy cores), and their number
    would change the rounding of sums, and thereby the proposals.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
