"""Pareto dominance, fronts and the hypervolume, over matrices in which larger is better.

| symbol | meaning | shape |
|---|---|---|
| V | values, converted so that larger is better | (n, m) |
| r | reference point, worse than all rows that should count | (m,) |

A row with NaN (an unmeasured objective) is dominated by all others and never on a front.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def pareto_front(values: Matrix) -> NDArray[np.bool_]:
    """Return the mask (n,) of the rows of `values` (n, m) that no other row dominates; equal rows share the front."""
    m = values.shape[1]
    front: NDArray[np.bool_] = np.asarray(~np.isnan(values).any(axis=1))
    if m == 1:
        best = values[front].max() if front.any() else np.nan
        return np.asarray(front & (values[:, 0] == best))
    candidates = np.flatnonzero(front)
    # Sorted by the sum of ranks, with equal ranks for equal values, a row comes after all rows that dominate it. So the
    # first candidate is always on the front, and the first few eliminate most of the others.
    ranks = sum(np.unique(column, return_inverse=True)[1] for column in -values[candidates].T)
    candidates = candidates[np.argsort(ranks, kind="stable")]
    front[:] = False
    while candidates.size:
        best, rest = values[candidates[0]], values[candidates]  # (m,), (k, m)
        front[candidates[(rest == best).all(axis=1)]] = True
        candidates = candidates[(rest > best).any(axis=1)]
    return front


def nondominated_ranks(values: Matrix) -> NDArray[np.int64]:
    """Return the ranks (n,) of the rows of `values` (n, m), as in NSGA-II.

    Rows on the front have rank 0, rows on the front of the remaining rows rank 1, and so on; rows with NaN come last.
    """
    ranks = np.full(len(values), len(values), dtype=np.int64)
    unranked = np.flatnonzero(~np.isnan(values).any(axis=1))
    rank = 0
    while unranked.size:
        front = pareto_front(values[unranked])
        ranks[unranked[front]] = rank
        unranked, rank = unranked[~front], rank + 1
    return ranks


def hypervolume(values: Matrix, reference: Matrix) -> float:
    """Return the volume that the rows of `values` (n, m) dominate above `reference` (m,).

    The algorithm slices along the last objective (HSO, While et al. 2006): exact, and fast for fronts of hundreds of
    points in up to four objectives.
    """
    if values.ndim != 2 or reference.shape != (values.shape[1],):
        raise ValueError(f"values must be (n, m) and reference (m,), not {values.shape} and {reference.shape}")
    above = values[(values > reference).all(axis=1)] - reference
    return _volume(above[pareto_front(above)]) if len(above) else 0.0


def _volume(points: Matrix) -> float:
    if points.shape[1] == 1:
        return float(points.max())
    if points.shape[1] == 2:
        ordered = points[np.argsort(-points[:, 0], kind="stable")]
        heights = np.maximum.accumulate(ordered[:, 1])
        return float((ordered[:, 0] * np.diff(heights, prepend=0.0)).sum())
    ordered = points[np.argsort(-points[:, -1], kind="stable")]
    thickness = ordered[:, -1] - np.append(ordered[1:, -1], 0.0)
    total = 0.0
    for count in np.flatnonzero(thickness > 0) + 1:
        slab = ordered[:count, :-1]
        total += float(thickness[count - 1]) * _volume(slab[pareto_front(slab)])
    return total
