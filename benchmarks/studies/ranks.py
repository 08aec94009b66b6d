"""How well two measures rank alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap, spearmanr


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """Spearman's, and the bounds of its 95 % bootstrap interval over pairs."""

    def ranked(one: np.ndarray, other: np.ndarray) -> float:
        return float(spearmanr(one, other).statistic)

    pair = np.array(first), np.array(second)
    interval = bootstrap(pair, ranked, paired=True, vectorized=False, n_resamples=2000, rng=0).confidence_interval
    return ranked(*pair), float(interval.low), float(interval.high)
