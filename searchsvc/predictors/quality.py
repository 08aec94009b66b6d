"""How good predictions were, once what they were about has been measured.

| symbol | meaning | shape |
|---|---|---|
| y | measured values | (n,) |
| μ, σ | means and standard deviations that were predicted before | (n,) |
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from searchsvc.predictors.early_stop import rank_correlations
from searchsvc.spaces.space import Matrix

_RESAMPLES = 500
_LEVEL = 0.9
_HALF_WIDTHS = {0.5: 0.6744897501960817, 0.9: 1.6448536269514722}
"""Share of a normal distribution -> the standard deviations to either side that hold it."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one predictor, on results that it was not fitted to."""

    results: int
    rank_correlation: float | None
    """Spearman's rho of μ and y; None for fewer than three results or equal ones."""
    low: float | None
    high: float | None
    """Bootstrap interval of it that holds 90 %."""
    inside_50: float
    inside_90: float
    """Share of y within the central 50 % and 90 % of what was predicted: 0.5 and 0.9 at best."""

    def document(self) -> dict[str, float | None]:
        """As it is stored."""
        return asdict(self)


def quality(measured: Matrix, means: Matrix, deviations: Matrix, seed: int) -> Quality:
    """Of predictions (n,) against what was measured (n,), n >= 1. `seed` is of the bootstrap."""
    n = len(measured)
    inside = {
        share: float(np.mean(np.abs(measured - means) <= half * deviations)) for share, half in _HALF_WIDTHS.items()
    }
    rho = _spearman(means, measured)
    low = high = None
    if rho is not None:
        rows = np.random.default_rng(seed).integers(n, size=(_RESAMPLES, n))
        found = [one for one in (_spearman(means[row], measured[row]) for row in rows) if one is not None]
        if found:
            low, high = (float(one) for one in np.quantile(found, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]))
    return Quality(n, rho, low, high, inside[0.5], inside[0.9])


def _spearman(a: Matrix, b: Matrix) -> float | None:
    """None where it is not defined."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(rank_correlations(np.stack([a, b], axis=1))[0])
