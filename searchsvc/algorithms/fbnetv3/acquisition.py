"""Acquisition functions: expected improvement, with outcome constraints and several objectives.

| symbol | meaning | shape |
|---|---|---|
| μ, σ | means and deviations of the objectives, larger is better, in units of the predictors' targets | (m, n) |
| b | the incumbent: the largest posterior mean among the results, as values are noisy | |
| λ | weights of the objectives, drawn for each ask | (m,) |
| EI | E max(0, u - b) | (n,) |

With a single objective, u is the objective (Jones et al. 1998). With several, u is their augmented Chebyshev
scalarisation under λ (ParEGO, Knowles 2006), over draws that all candidates share. Outcome constraints multiply EI by
the probability that they hold (Gardner et al. 2014). Until a result keeps them, that probability alone is used.
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
    """(n,) expected improvement over `best` of normal variables with means and standard deviations (n,)."""
    offset = (means - best) / deviations  # (n,)
    density = np.exp(-0.5 * offset**2) / np.sqrt(2 * np.pi)  # (n,)
    return np.asarray(deviations * (offset * _cumulative(offset) + density))


def scalarised_improvement(means: Matrix, deviations: Matrix, reference: Matrix, random: np.random.Generator) -> Matrix:
    """(n,) expected improvement of objectives (m, n) over the means of the results (m, r), under random weights."""
    weights = random.dirichlet(np.ones(len(means)))  # (m,)
    draws = random.standard_normal((len(means), _DRAWS))  # (m, draws)
    best = chebyshev(reference[:, :, None], weights).max() if reference.shape[1] else -np.inf
    values = chebyshev(means[:, :, None] + deviations[:, :, None] * draws[:, None, :], weights)  # (n, draws)
    if not np.isfinite(best):
        return np.asarray(values.mean(axis=1) - values.min())
    # The second term breaks ties if no draw improves on the best: the nearest candidate then comes first.
    return np.asarray(np.maximum(values - best, 0.0).mean(axis=1) + 1e-9 * np.exp(values.mean(axis=1) - best))


def chebyshev(values: Matrix, weights: Matrix) -> Matrix:
    """(n, s) from objectives (m, n, s): the smallest weighted objective, plus a small part of their sum."""
    weighted = (values - _WORST) * weights[:, None, None]  # (m, n, s)
    return np.asarray(weighted.min(axis=0) + _SUM * weighted.sum(axis=0))


def probability_within(means: Matrix, deviations: Matrix, low: float, high: float) -> Matrix:
    """(n,) probability that normal variables lie in [low, high]."""
    return np.asarray(_cumulative((high - means) / deviations) - _cumulative((low - means) / deviations))


def _cumulative(values: Matrix) -> Matrix:
    """(n,) cumulative distribution function of the standard normal distribution."""
    from scipy.special import ndtr  # late: scipy takes half a second to import

    return np.asarray(ndtr(values))


def top(values: Matrix, count: int) -> NDArray[np.intp]:
    """Indices of the `count` largest values, the largest first; of equal values the earlier index first."""
    if len(values) > count:
        cut = np.partition(values, len(values) - count)[len(values) - count]
        candidates = np.flatnonzero(values >= cut)
    else:
        candidates = np.arange(len(values))
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]
