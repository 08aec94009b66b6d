"""How a ranking of trials changes when they are measured by other labels, and how sure that is.

| symbol | meaning | shape |
|---|---|---|
| right | whether trial t gave image i the label of the dataset | (T, n) |
| hits | whether it gave image i one of its label set | (T, n) |
| counted | whether image i has a label in its set | (n,) |

Intervals hold 90 %, over other images of the same kind: each image counts as often as a Poisson variable of mean 1 says
(the bootstrap for very many observations).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES, LEVEL = 500, 0.9
LEAST_RANKED = 3
"""Of fewer trials, a rank correlation says nothing."""
_AT_ONCE = 50

Shares = NDArray[np.float64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, and where it may well lie for other images."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of T trials."""

    accuracies: tuple[Estimate, ...]
    real_accuracies: tuple[Estimate, ...]
    correlation: Estimate | None
    """Spearman's, of the two rankings; None where there is none: too few trials, or all alike."""


def compared(right: Marks, hits: Marks, counted: Marks, *, seed: int = 0) -> Comparison:
    """`counted` has an image at least."""
    once = np.ones((1, len(counted)), np.float32)
    plain, real = _shares(once, right, hits, counted)
    random = np.random.default_rng(seed)
    sizes = [_AT_ONCE] * (RESAMPLES // _AT_ONCE)
    parts = [
        _shares(random.poisson(1.0, (size, len(counted))).astype(np.float32), right, hits, counted) for size in sizes
    ]
    plains, reals = (np.concatenate(one) for one in zip(*parts, strict=True))  # (B, T) each
    correlation = _correlations(plain, real)[0]
    if len(right) < LEAST_RANKED or not np.isfinite(correlation):
        return Comparison(_estimates(plain[0], plains), _estimates(real[0], reals), None)
    resampled = _correlations(plains, reals)
    [found] = _estimates(np.array([correlation]), resampled[np.isfinite(resampled), None])
    return Comparison(_estimates(plain[0], plains), _estimates(real[0], reals), found)


def _shares(weights: NDArray[np.float32], right: Marks, hits: Marks, counted: Marks) -> tuple[Shares, Shares]:
    """(B, T) each, both accuracies by the weights (B, n) of the images."""
    plain = weights @ right.T.astype(np.float32) / np.maximum(weights.sum(1, keepdims=True), 1)
    weights = weights[:, counted]
    real = weights @ hits[:, counted].T.astype(np.float32) / np.maximum(weights.sum(1, keepdims=True), 1)
    return plain.astype(np.float64), real.astype(np.float64)


def _correlations(first: Shares, second: Shares) -> Shares:
    """(B,) Spearman's rho of each row of (B, T) with the same of another; NaN where all values of one are equal."""
    from scipy.stats import rankdata  # takes long to import, and only this needs it

    ranks = [rankdata(one, axis=1) - (one.shape[1] + 1) / 2 for one in (first, second)]
    norms = np.sqrt((ranks[0] ** 2).sum(1) * (ranks[1] ** 2).sum(1))
    products = (ranks[0] * ranks[1]).sum(1)
    rho: Shares = np.divide(products, norms, out=np.full(len(first), np.nan), where=norms > 0)
    return rho


def _estimates(values: Shares, resampled: Shares) -> tuple[Estimate, ...]:
    """Of values (T,), and the same of resampled images (B, T)."""
    lows, highs = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return tuple(map(Estimate, values.tolist(), lows.tolist(), highs.tolist()))
