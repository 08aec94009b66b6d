"""Measured values to targets of about normal shape, and back.

| symbol | meaning | shape |
|---|---|---|
| y | measured values | (n,) |
| q | normal quantiles of their ranks | (n,) |
| a | asinh((y - median) / median absolute deviation), of mean 0 and deviation 1 | (n,) |
| z | targets: (q + a) / 2 | (n,) |

Ranks make outliers harmless (a network that did not train at all), and keep apart what is close together at the top.
But a search measures ever more of what is equally good, and their ranks would make noise look like progress: so half of
z is the value itself, linear around the median and logarithmic far from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchsvc.spaces.space import Matrix


@dataclass(frozen=True)
class Warp:
    """The monotone map between y and z, through the values it was made from; straight lines between and beyond them."""

    values: Matrix
    """Distinct y, ascending."""
    targets: Matrix
    """Their z."""

    @staticmethod
    def of(values: Matrix) -> Warp:
        """Equal values share the mean of their ranks."""
        from scipy.special import ndtri

        distinct, counts = np.unique(values, return_counts=True)
        middles = np.cumsum(counts) - counts / 2
        quantiles = np.asarray(ndtri(middles / len(values)))
        if len(distinct) < 2:
            return Warp(distinct, quantiles)
        away = values - np.median(values)
        width = np.median(np.abs(away)) or np.abs(away).mean()
        spread = np.arcsinh(away / width)
        linear = (np.arcsinh((distinct - np.median(values)) / width) - spread.mean()) / spread.std()
        return Warp(distinct, (quantiles + linear) / 2)

    def forward(self, values: Matrix) -> Matrix:
        """z of y (n,)."""
        return _along(values, self.values, self.targets)

    def inverse(self, targets: Matrix) -> Matrix:
        """y of z (n,)."""
        return _along(targets, self.targets, self.values)


def _along(points: Matrix, x: Matrix, y: Matrix) -> Matrix:
    """(n,) piecewise linear through (x, y), the outer quarter's mean slope beyond its ends; constant where x is one."""
    inside: Matrix = np.interp(points, x, y)
    if len(x) < 2:
        return inside
    reach = max(1, len(x) // 4)
    low = (y[reach] - y[0]) / (x[reach] - x[0])
    high = (y[-1] - y[-1 - reach]) / (x[-1] - x[-1 - reach])
    return np.asarray(inside + np.minimum(points - x[0], 0) * low + np.maximum(points - x[-1], 0) * high)
