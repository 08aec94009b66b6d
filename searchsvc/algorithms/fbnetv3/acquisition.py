"""Acquisition functions: expected improvement, with outcome constraints and several objectives.

| symbol | meaning | shape |
|---|---|---|
| μ, σ | of the objectives, signed so that larger is better, in units of the predictors' targets | (m, n) |
| b | the incumbent: the largest posterior mean among the results, as values are noisy | |
| λ | weights of the objectives, drawn anew for each ask | (m,) |
| EI | E max(0, u - b) | (n,) |

One objective: u is the objective (Jones et al. 1998). Several: u is their augmented Chebyshev scalarisation under λ
(ParEGO, Knowles 2006), over draws that all candidates share. Outcome constraints multiply EI by the probability that
they hold (Gardner et al. 2014); until some result is within them, that probability alone is used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from searchsvc.spaces.space import Matrix

_DRAWS = 64
_SUM = 0.05
"""Weight of the sum of the objectives in the augmented scalarisation."""
_WORST = -3.0
"""Zero of the scalarisation: a poor objective, in units of the targets."""


def improvement(means: Matrix, deviations: Matrix, best: float) -> Matrix:
    """(n,) expected improvement over `best` of normal variables with (n,) means and standard deviations."""
    from scipy.special import ndtr

    offset = (means - best) / deviations
    density = np.exp(-0.5 * offset**2) / np.sqrt(2 * np.pi)
    return np.asarray(deviations * (offset * ndtr(offset) + density))


def scalarised_improvement(means: Matrix, deviations: Matrix, reference: Matrix, random: np.random.Generator) -> Matrix:
    """(n,) expected improvement of several objectives (m, n) over the results' means (m, r), under random weights."""
    weights = random.dirichlet(np.ones(len(means)))  # (m,)
    draws = random.standard_normal((len(means), _DRAWS))  # (m, draws)
    best = chebyshev(reference[:, :, None], weights).max() if reference.shape[1] else -np.inf
    values = chebyshev(means[:, :, None] + deviations[:, :, None] * draws[:, None, :], weights)  # (n, draws)
    if not np.isfinite(best):
        return np.asarray(values.mean(axis=1) - values.min())
    # If no draw improves anything, the candidate that comes nearest goes first.
    return np.asarray(np.maximum(values - best, 0.0).mean(axis=1) + 1e-9 * np.exp(values.mean(axis=1) - best))


def chebyshev(values: Matrix, weights: Matrix) -> Matrix:
    """(n, s) from objectives (m, n, s): the smallest weighted objective, and a small part of their sum."""
    weighted = (values - _WORST) * weights[:, None, None]  # (m, n, s)
    return np.asarray(weighted.min(axis=0) + _SUM * weighted.sum(axis=0))


def probability_within(means: Matrix, deviations: Matrix, low: float, high: float) -> Matrix:
    """(n,) probability that normal variables lie in [low, high]."""
    from scipy.special import ndtr

    return np.asarray(ndtr((high - means) / deviations) - ndtr((low - means) / deviations))


def top(values: Matrix, count: int) -> NDArray[np.intp]:
    """Indices of the `count` largest values, the largest first; among equals the earlier index."""
    if len(values) > count:
        cut = np.partition(values, len(values) - count)[len(values) - count]
        candidates = np.flatnonzero(values >= cut)
    else:
        candidates = np.arange(len(values))
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]
