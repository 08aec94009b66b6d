"""Quality of predictions, once the predicted candidates have been measured.

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
"""Share of a normal distribution -> half the width of the central interval that holds it, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of a predictor on results that it was not fitted to."""

    results: int
    rank_correlation: float | None
    """Spearman's rho of μ and y; None if there are fewer than three results or if all μ or all y are equal."""
    low: float | None
    high: float | None
    """Ends of the 90 % bootstrap interval of `rank_correlation`."""
    inside_50: float
    inside_90: float
    """Share of y within the central 50 % and 90 % of the predicted distribution. Ideal: 0.5 and 0.9."""

    def document(self) -> dict[str, float | None]:
        """The stored form."""
        return asdict(self)


def quality(measured: Matrix, means: Matrix, deviations: Matrix, seed: int) -> Quality:
    """Compare predictions (n,) with measured values (n,), n >= 1. `seed`: for the bootstrap."""
    n = len(measured)
    inside = {
        share: float(np.mean(np.abs(measured - means) <= half * deviations)) for share, half in _HALF_WIDTHS.items()
    }
    rho = _spearman(means, measured)
    low = high = None
    if rho is not None:
        resamples = np.random.default_rng(seed).integers(n, size=(_RESAMPLES, n))  # (500, n) indices
        correlations = [_spearman(means[rows], measured[rows]) for rows in resamples]
        defined = [correlation for correlation in correlations if correlation is not None]
        if defined:
            low, high = map(float, np.quantile(defined, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]))
    return Quality(n, rho, low, high, inside[0.5], inside[0.9])


def _spearman(a: Matrix, b: Matrix) -> float | None:
    """Spearman's rho; None if it is undefined."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(rank_correlations(np.stack([a, b], axis=1))[0])  # of the first column of (n, 2) with the last
