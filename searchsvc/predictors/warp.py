"""Measured values to targets of a normal shape, and back.

| symbol | meaning | shape |
|---|---|---|
| y | measured values | (n,) |
| z | targets: the normal quantile of each value's rank | (n,) |

Ranks make outliers harmless (a network that did not train at all), and keep apart what is close together at the top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchsvc.spaces.space import Matrix


@dataclass(frozen=True)
class RankWarp:
    """The monotone map between y and z, through the values it was made from; straight lines between and beyond them."""

    values: Matrix
    """Distinct y, ascending."""
    targets: Matrix
    """Their z."""

    @staticmethod
    def of(values: Matrix) -> RankWarp:
        """Equal values share the mean of their ranks."""
        from scipy.special import ndtri

        distinct, counts = np.unique(values, return_counts=True)
        middles = np.cumsum(counts) - counts / 2
        return RankWarp(distinct, np.asarray(ndtri(middles / len(values))))

    def forward(self, values: Matrix) -> Matrix:
        """z of y (n,)."""
        return _along(values, self.values, self.targets)

    def back(self, targets: Matrix) -> Matrix:
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
