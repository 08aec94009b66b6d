"""Change of a ranking of trials when they are measured against other labels, with its uncertainty.

| symbol | meaning | shape |
|---|---|---|
| right | whether trial t predicted the dataset's label for image i | (T, n) |
| hits | whether trial t predicted a class in the label set of image i | (T, n) |
| counted | whether the label set of image i is not empty | (n,) |

Intervals cover 90 %, over other images from the same distribution: each image is weighted by a Poisson variable of mean
1 (the bootstrap for very many observations).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES, LEVEL = 500, 0.9
LEAST_RANKED = 3
"""Minimum number of trials for a meaningful rank correlation."""
_AT_ONCE = 50

Shares = NDArray[np.float64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 90 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LabelComparison:
    """Accuracies of T trials against both kinds of labels, and the correlation of the two rankings."""

    accuracies: tuple[Estimate, ...]
    real_accuracies: tuple[Estimate, ...]
    correlation: Estimate | None
    """Spearman's correlation of the two rankings; None if undefined: too few trials, or all equal."""


def compare_labels(right: Marks, hits: Marks, counted: Marks, *, seed: int = 0) -> LabelComparison:
    """Return the comparison of T trials on n images; at least one image must be counted."""
    once = np.ones((1, len(counted)), np.float32)
    plain, real = _shares(once, right, hits, counted)
    random = np.random.default_rng(seed)
    sizes = [_AT_ONCE] * (RESAMPLES // _AT_ONCE)
    parts = [
        _shares(random.poisson(1.0, (size, len(counted))).astype(np.float32), right, hits, counted) for size in sizes
    ]
    plains, reals = (np.concatenate(part) for part in zip(*parts, strict=True))  # (B, T) each
    correlation = _correlations(plain, real)[0]
    if len(right) < LEAST_RANKED or not np.isfinite(correlation):
        return LabelComparison(_estimates(plain[0], plains), _estimates(real[0], reals), None)
    resampled = _correlations(plains, reals)
    [estimate] = _estimates(np.array([correlation]), resampled[np.isfinite(resampled), None])
    return LabelComparison(_estimates(plain[0], plains), _estimates(real[0], reals), estimate)


def _shares(weights: NDArray[np.float32], right: Marks, hits: Marks, counted: Marks) -> tuple[Shares, Shares]:
    """Return both accuracies (B, T) for the weights (B, n) of the images."""
    plain = weights @ right.T.astype(np.float32) / np.maximum(weights.sum(1, keepdims=True), 1)
    weights = weights[:, counted]
    real = weights @ hits[:, counted].T.astype(np.float32) / np.maximum(weights.sum(1, keepdims=True), 1)
    return plain.astype(np.float64), real.astype(np.float64)


def _correlations(first: Shares, second: Shares) -> Shares:
    """Return Spearman's rho (B,) between the rows of two matrices (B, T); NaN if all values of a row are equal."""
    from scipy.stats import rankdata  # takes long to import, and only this needs it

    ranks = [rankdata(shares, axis=1) - (shares.shape[1] + 1) / 2 for shares in (first, second)]
    norms = np.sqrt((ranks[0] ** 2).sum(1) * (ranks[1] ** 2).sum(1))
    products = (ranks[0] * ranks[1]).sum(1)
    rho: Shares = np.divide(products, norms, out=np.full(len(first), np.nan), where=norms > 0)
    return rho


def _estimates(values: Shares, resampled: Shares) -> tuple[Estimate, ...]:
    """Return estimates of `values` (T,), with intervals from the values for resampled images (B, T)."""
    lows, highs = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return tuple(map(Estimate, values.tolist(), lows.tolist(), highs.tolist()))
