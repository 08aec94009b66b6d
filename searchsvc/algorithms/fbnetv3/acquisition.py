"""How much is to be gained from measuring a candidate: expected improvement, with limits and several objectives.

| symbol | meaning | shape |
|---|---|---|
| μ, σ | of the objectives, signed so that larger is better, in units of the predictors' targets | (m, n) |
| b | the best that is known: the largest posterior mean among the results, as values are noisy | |
| λ | weights of the objectives, drawn anew for each ask | (m,) |
| EI | E max(0, u - b) | (n,) |

One objective: u is the objective (Jones et al. 1998). Several: u is their augmented Chebyshev scalarisation under λ
(ParEGO, Knowles 2006), over draws that all candidates share. Outcome constraints multiply EI by the probability that
they hold (Gardner et al. 2014); as long as no result holds them, that probability is all that counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from searchsvc.spaces.space import Matrix

_DRAWS = 64
_SUM = 0.05
"""Of the sum of the objectives in the augmented scalarisation."""
_WORST = -3.0
"""Of an objective in units of the targets: where the scalarisation has its zero."""


def improvement(means: Matrix, deviations: Matrix, best: float) -> Matrix:
    """(n,) expected improvement over `best` of normal variables with (n,) means and standard deviations."""
    from scipy.special import ndtr

    offset = (means - best) / deviations
    density = np.exp(-0.5 * offset**2) / np.sqrt(2 * np.pi)
    return np.asarray(deviations * (offset * ndtr(offset) + density))


def scalarised_improvement(means: Matrix, deviations: Matrix, known: Matrix, random: np.random.Generator) -> Matrix:
    """(n,) expected improvement of several objectives (m, n) over the results' means (m, r), under weights drawn."""
    weights = random.dirichlet(np.ones(len(means)))
    draws = random.standard_normal((len(means), _DRAWS))
    best = chebyshev(known[:, :, None], weights).max() if known.shape[1] else -np.inf
    values = chebyshev(means[:, :, None] + deviations[:, :, None] * draws[:, None, :], weights)  # (n, draws)
    if not np.isfinite(best):
        return np.asarray(values.mean(axis=1) - values.min())
    # Where no draw improves anything, what comes nearest goes first.
    return np.asarray(np.maximum(values - best, 0.0).mean(axis=1) + 1e-9 * np.exp(values.mean(axis=1) - best))


def chebyshev(values: Matrix, weights: Matrix) -> Matrix:
    """(n, s) from objectives (m, n, s): the least weighted one, and a little of all."""
    weighted = (values - _WORST) * weights[:, None, None]
    return np.asarray(weighted.min(axis=0) + _SUM * weighted.sum(axis=0))


def probability_within(means: Matrix, deviations: Matrix, low: float, high: float) -> Matrix:
    """(n,) probability that normal variables lie in [low, high]."""
    from scipy.special import ndtr

    return np.asarray(ndtr((high - means) / deviations) - ndtr((low - means) / deviations))


def top(values: Matrix, count: int) -> NDArray[np.intp]:
    """Indices of the `count` largest, largest first; the earlier among equals."""
    if len(values) > count:
        cut = np.partition(values, len(values) - count)[len(values) - count]
        kept = np.flatnonzero(values >= cut)
    else:
        kept = np.arange(len(values))
    return kept[np.argsort(-values[kept], kind="stable")][:count]
