"""The early-stop epoch of FBNetV3 (arXiv 2006.02049, constrained iterative optimisation).

It is the first epoch at which candidates already rank as they will at the end, so that later candidates need no longer
training.

| symbol | meaning | shape |
|---|---|---|
| curves | the objective of n trials after each epoch, all trained in full | (n, E) |
| rho | rank correlation (Spearman) of each epoch with the last | (E,) |
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Curves = NDArray[np.float64]

LEAST_TRIALS = 4
"""The number of trials below which a rank correlation is meaningless."""


def rank_correlations(curves: Curves) -> Curves:
    """(E,) Spearman's rho of each epoch of `curves` (n, E) with the last; 0 if all values of an epoch are equal."""
    ranks = np.apply_along_axis(_midranks, 0, curves)  # (n, E)
    centred = ranks - ranks.mean(axis=0)  # (n, E)
    norms = np.sqrt((centred**2).sum(axis=0))  # (E,)
    products = centred.T @ centred[:, -1]  # (E,)
    scale = norms * norms[-1]  # (E,)
    rho: Curves = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    return rho


def early_stop_epoch(curves: Curves, threshold: float = 0.92) -> int:
    """Return the first epoch (from 1) from which on every rho is at least `threshold`; E if trials are too few.

    The condition must hold for all later epochs as well: with a dozen trials an epoch may reach the threshold by
    chance.
    """
    trials, epochs = len(curves), int(curves.shape[1])
    if trials < LEAST_TRIALS:
        return epochs
    below = np.flatnonzero(rank_correlations(curves) < threshold)  # indices of epochs, from 0
    return min(int(below[-1]) + 2, epochs) if below.size else 1


def _midranks(values: Curves) -> Curves:
    """(n,) ranks from 0; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1  # (distinct values,) the highest rank of each
    middles: Curves = (last - (counts - 1) / 2)[inverse]  # (n,)
    return middles
