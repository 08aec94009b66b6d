"""The agreement of two rankings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap, spearmanr


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """Return Spearman's rank correlation, and the bounds of its 95 % bootstrap interval over pairs."""

    def ranked(first: np.ndarray, other: np.ndarray) -> float:
        return float(spearmanr(first, other).statistic)

    pair = np.array(first), np.array(second)
    interval = bootstrap(pair, ranked, paired=True, vectorized=False, n_resamples=2000, rng=0).confidence_interval
    return ranked(*pair), float(interval.low), float(interval.high)
