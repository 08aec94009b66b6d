"""The Gaussian-process head: a posterior over the objective, from features in blocks.

| symbol | meaning | shape |
|---|---|---|
| X | features of the results | (n, f) |
| z | their targets, of mean 0 and deviation 1 | (n,) |
| K | kernel matrix of X, noise on its diagonal; K = L Lᵀ | (n, n) |
| α | K⁻¹ z | (n,) |

θ is the maximum a posteriori: the marginal likelihood (Rasmussen and Williams 2006, eq. 5.8 and 5.9) and the prior of
`kernel`, by L-BFGS with analytic gradients. Fitting is deterministic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from searchsvc.predictors.encoding import FeatureBlock
from searchsvc.predictors.kernel import JITTER, Distances, Kernel, Layout, Real, matern52
from searchsvc.spaces.space import Matrix

_ITERATIONS = 60
_BOUND = 5.0
"""The largest distance of θ from the mean of its prior, in standard deviations."""
_TINY = 1e-9
_MOST_DISTANCES = 2**22
"""Entries of D: (blocks, n * n)."""


@dataclass(frozen=True, slots=True)
class ProjectedPoints:
    """Points with their projection on the results of a Gaussian process."""

    features: Matrix
    """(m, f)"""
    projection: Matrix
    """(m, n) covariances of the points with X, times L⁻ᵀ. The inner product of two rows is the covariance that the
    results explain."""


@dataclass(frozen=True)
class GaussianProcess:
    """A Gaussian process conditioned on results."""

    kernel: Kernel
    features: Matrix
    """X (n, f)"""
    targets: Matrix
    """z (n,)"""

    @staticmethod
    def fit(blocks: Sequence[FeatureBlock], features: Matrix, targets: Matrix, fitted_on: int = 128) -> GaussianProcess:
        """Fit to (n, f) and (n,).

        To bound the time, θ is fitted to `fitted_on` results at most, chosen evenly; to fewer if there are more than
        256 blocks, to bound the memory of their distances.
        """
        fitted_on = min(fitted_on, math.isqrt(_MOST_DISTANCES // max(len(blocks), 1)))
        layout = Layout.of(blocks)
        chosen = np.unique(np.linspace(0, len(targets) - 1, fitted_on).astype(np.intp))  # (<= fitted_on,)
        theta = fit_theta(layout, features[chosen], targets[chosen])
        return GaussianProcess(Kernel(layout, theta), features, targets)

    def predict(self, features: Real) -> tuple[Real, Real]:
        """(m,) means and standard deviations of the function at (m, f), in the precision of `features`."""
        covariance = self.kernel(features, self.features)  # (m, n)
        kind = covariance.dtype
        means = covariance @ self._alpha.astype(kind)  # (m,)
        explained = np.square(covariance @ self._inverse_root.T.astype(kind)).sum(axis=1)  # (m,)
        variances = self.kernel.variances(features) - explained  # (m,)
        return means, np.sqrt(np.maximum(variances, kind.type(_TINY)))

    def leave_one_out(self) -> tuple[Matrix, Matrix]:
        """(n,) means and deviations of each target, noise included, given all other results (ibid., eq. 5.12)."""
        variances: Matrix = 1.0 / np.square(self._inverse_root).sum(axis=0)  # (n,) 1 / diagonal of K⁻¹
        return np.asarray(self.targets - self._alpha * variances), np.asarray(np.sqrt(variances))

    def project(self, features: Matrix) -> ProjectedPoints:
        """Project points (m, f) once, for repeated calls of `shrinkage`."""
        return ProjectedPoints(features, np.asarray(self.kernel(features, self.features) @ self._inverse_root.T))

    def shrinkage(self, points: ProjectedPoints, awaited: ProjectedPoints) -> Matrix:
        """(m,) factors by which deviations at m points shrink once p awaited points are measured.

        The factors do not depend on the measured values.
        """
        if not len(awaited.features):
            return np.ones(len(points.features))
        among = self.kernel(awaited.features, awaited.features) - awaited.projection @ awaited.projection.T  # (p, p)
        among[np.diag_indices(len(among))] += self.kernel.noise
        across = self.kernel(awaited.features, points.features) - awaited.projection @ points.projection.T  # (p, m)
        before = self.kernel.variances(points.features) - np.square(points.projection).sum(axis=1)  # (m,)
        explained = np.square(np.linalg.solve(np.linalg.cholesky(among), across)).sum(axis=0)  # (m,)
        return np.asarray(np.sqrt(np.clip(1 - explained / np.maximum(before, _TINY), 0.0, 1.0)))

    @cached_property
    def _root(self) -> Matrix:
        """L (n, n)"""
        matrix = self.kernel(self.features, self.features)  # becomes K (n, n)
        matrix[np.diag_indices(len(matrix))] += self.kernel.noise
        return np.asarray(np.linalg.cholesky(matrix))

    @cached_property
    def _inverse_root(self) -> Matrix:
        """L⁻¹ (n, n)"""
        from scipy.linalg import solve_triangular  # late: scipy takes half a second to import

        return np.asarray(solve_triangular(self._root, np.eye(len(self._root)), lower=True))

    @cached_property
    def _alpha(self) -> Matrix:
        return np.asarray(self._inverse_root.T @ (self._inverse_root @ self.targets))


def fit_theta(layout: Layout, features: Matrix, targets: Matrix) -> Matrix:
    """(p,) the maximum a posteriori of θ, searched from the mean of the prior."""
    from scipy.optimize import minimize  # late: scipy takes half a second to import

    mean, deviation = layout.prior()  # (p,) each
    if len(targets) < 2:
        return mean
    objective = NegativeLogPosterior(layout, features, targets)
    bounds = list(zip(mean - _BOUND * deviation, mean + _BOUND * deviation, strict=True))
    optimum = minimize(
        objective, mean, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _ITERATIONS}
    )
    return np.asarray(optimum.x)


class NegativeLogPosterior:
    """The negative logarithm of the posterior density of θ, up to a constant, with its gradient."""

    def __init__(self, layout: Layout, features: Matrix, targets: Matrix) -> None:
        self._layout = layout
        self._distances = Distances(layout, features)
        self._targets = targets
        self._mean, self._deviation = layout.prior()

    def __call__(self, theta: Matrix) -> tuple[float, Matrix]:
        """Value and gradient (p,) at `theta` (p,); a value of 1e10 if K is not positive definite."""
        from scipy.linalg.lapack import dpotrf, dpotri, dpotrs  # late: scipy takes half a second to import

        n, layout = self._distances.n, self._layout
        linear = np.exp(theta[layout.linear])  # (blocks,)
        total = (linear @ self._distances.products).reshape(n, n)  # becomes K
        parts = []
        for part, log_scale, distances in zip(
            layout.weights, theta[layout.scales], self._distances.by_component, strict=True
        ):
            weights, scale = np.exp(theta[part]), np.exp(log_scale)  # (blocks of the component,), scalar
            values, slopes = matern52((weights @ distances).reshape(n, n))  # (n, n) each
            total += scale * values
            parts.append((weights, scale, values, slopes))
        noise = np.exp(theta[-1])
        total[np.diag_indices(n)] += noise + JITTER
        root, failed = dpotrf(total, lower=1)  # L (n, n)
        if failed:
            return 1e10, np.zeros_like(theta)
        alpha, _ = dpotrs(root, self._targets, lower=1)  # (n,)
        offset = (theta - self._mean) / self._deviation  # (p,)
        value = 0.5 * self._targets @ alpha + np.log(np.diag(root)).sum() + 0.5 * offset @ offset
        lower, _ = dpotri(root, lower=1)  # lower triangle of K⁻¹
        inverse = np.tril(lower) + np.tril(lower, -1).T  # K⁻¹ (n, n)
        slope = 0.5 * (inverse - np.outer(alpha, alpha))  # dvalue / dK (n, n)
        gradient = offset / self._deviation  # (p,), of the prior
        for index, (weights, scale, values, slopes) in enumerate(parts):
            by_weight = self._distances.by_component[index] @ (slope * slopes).ravel()  # (blocks of the component,)
            gradient[layout.weights[index]] += scale * weights * by_weight
            gradient[layout.scales.start + index] += scale * (slope * values).sum()
        gradient[layout.linear] += linear * (self._distances.products @ slope.ravel())
        gradient[-1] += noise * np.trace(slope)
        return float(value), gradient
