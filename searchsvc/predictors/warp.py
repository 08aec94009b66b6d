"""The map from measured values to targets with a roughly normal distribution, and its inverse.

| symbol | meaning | shape |
|---|---|---|
| y | measured values | (n,) |
| q | normal quantiles of their ranks | (n,) |
| a | asinh((y - median) / median absolute deviation), of mean 0 and deviation 1 | (n,) |
| z | targets: (q + a) / 2 | (n,) |

Ranks make outliers harmless (a network that did not train at all) and separate values that lie close together at the
top. But as a search converges, it measures more and more equally good candidates, and ranks would make their noise look
like progress. Therefore half of z is the value itself, linear around the median and logarithmic far from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchsvc.spaces.space import Matrix


@dataclass(frozen=True)
class Warp:
    """The monotone map between y and z: piecewise linear through the fitted values, and linear beyond them."""

    values: Matrix
    """(k,) distinct y, ascending."""
    targets: Matrix
    """(k,) z of `values`."""

    @staticmethod
    def of(values: Matrix) -> Warp:
        """Fit to `values` (n,). Equal values share the mean of their ranks."""
        from scipy.special import ndtri  # late: scipy takes half a second to import

        distinct, counts = np.unique(values, return_counts=True)  # (k,) each
        middles = np.cumsum(counts) - counts / 2
        quantiles = np.asarray(ndtri(middles / len(values)))  # q (k,)
        if len(distinct) < 2:
            return Warp(distinct, quantiles)
        away = values - np.median(values)  # (n,)
        width = np.median(np.abs(away)) or np.abs(away).mean()
        spread = np.arcsinh(away / width)  # (n,)
        linear = (np.arcsinh((distinct - np.median(values)) / width) - spread.mean()) / spread.std()
        return Warp(distinct, (quantiles + linear) / 2)

    def forward(self, values: Matrix) -> Matrix:
        """z of y (n,)."""
        return _along(values, self.values, self.targets)

    def inverse(self, targets: Matrix) -> Matrix:
        """y of z (n,)."""
        return _along(targets, self.targets, self.values)


def _along(points: Matrix, x: Matrix, y: Matrix) -> Matrix:
    """(n,) piecewise linear through (x, y); beyond the ends, the mean slope of the outer quarter. Constant if k = 1."""
    inside: Matrix = np.interp(points, x, y)  # (n,)
    if len(x) < 2:
        return inside
    reach = max(1, len(x) // 4)
    low = (y[reach] - y[0]) / (x[reach] - x[0])
    high = (y[-1] - y[-1 - reach]) / (x[-1] - x[-1 - reach])
    return np.asarray(inside + np.minimum(points - x[0], 0) * low + np.maximum(points - x[-1], 0) * high)
