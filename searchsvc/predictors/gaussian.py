"""The Gaussian-process head: a posterior over the objective, from features in blocks.

| symbol | meaning | shape |
|---|---|---|
| X | features of the results | (n, f) |
| z | their targets, of mean 0 and deviation 1 | (n,) |
| K | kernel matrix of X, noise on its diagonal; K = L Lᵀ | (n, n) |
| α | K⁻¹ z | (n,) |

θ is the maximum a posteriori: the marginal likelihood (Rasmussen and Williams 2006, eq. 5.8 and 5.9) and the prior of
`kernel`, by L-BFGS with analytic gradients. Everything is deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from searchsvc.predictors.encoding import FeatureBlock
from searchsvc.predictors.kernel import JITTER, Distances, Kernel, Layout, Real, matern52
from searchsvc.spaces.space import Matrix

_ITERATIONS = 60
_BOUND = 5.0
"""Standard deviations of the prior that θ may lie away from its mean."""
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Located:
    """Points as one posterior sees them."""

    features: Matrix
    """(m, f)"""
    projection: Matrix
    """(m, n) their covariances with X, times L⁻ᵀ: products of its rows are what the results explain."""


@dataclass(frozen=True)
class GaussianProcess:
    """A posterior: `fit` makes one."""

    kernel: Kernel
    features: Matrix
    """X"""
    targets: Matrix
    """z"""

    @staticmethod
    def fit(blocks: Sequence[FeatureBlock], features: Matrix, targets: Matrix, fitted_on: int = 128) -> GaussianProcess:
        """The posterior given (n, f) and (n,). θ is found on an even choice of `fitted_on`, to bound the time."""
        layout = Layout.of(blocks)
        chosen = np.unique(np.linspace(0, len(targets) - 1, fitted_on).astype(np.intp))
        theta = fit_theta(layout, features[chosen], targets[chosen])
        return GaussianProcess(Kernel(layout, theta), features, targets)

    def predict(self, features: Real) -> tuple[Real, Real]:
        """(m,) means and standard deviations of the function at (m, f), in the precision of `features`."""
        covariance = self.kernel(features, self.features)  # (m, n)
        kind = covariance.dtype
        means = covariance @ self._alpha.astype(kind)
        explained = np.square(covariance @ self._inverse_root.T.astype(kind)).sum(axis=1)
        variances = self.kernel.variances(features) - explained
        return means, np.sqrt(np.maximum(variances, kind.type(_TINY)))

    def leave_one_out(self) -> tuple[Matrix, Matrix]:
        """(n,) means and deviations of each result's target, noise included, given all the others (ibid., eq. 5.12)."""
        variances: Matrix = 1.0 / np.square(self._inverse_root).sum(axis=0)
        return np.asarray(self.targets - self._alpha * variances), np.asarray(np.sqrt(variances))

    def locate(self, features: Matrix) -> Located:
        """What of (m, f) is needed again and again."""
        return Located(features, np.asarray(self.kernel(features, self.features) @ self._inverse_root.T))

    def shrinkage(self, points: Located, awaited: Located) -> Matrix:
        """(m,) by which factor the deviations at m points shrink once p others are measured, whatever they measure."""
        if not len(awaited.features):
            return np.ones(len(points.features))
        among = self.kernel(awaited.features, awaited.features) - awaited.projection @ awaited.projection.T
        among[np.diag_indices(len(among))] += self.kernel.noise
        across = self.kernel(awaited.features, points.features) - awaited.projection @ points.projection.T  # (p, m)
        before = self.kernel.variances(points.features) - np.square(points.projection).sum(axis=1)
        explained = np.square(np.linalg.solve(np.linalg.cholesky(among), across)).sum(axis=0)
        return np.asarray(np.sqrt(np.clip(1 - explained / np.maximum(before, _TINY), 0.0, 1.0)))

    @cached_property
    def _root(self) -> Matrix:
        """L"""
        matrix = self.kernel(self.features, self.features)
        matrix[np.diag_indices(len(matrix))] += self.kernel.noise
        return np.asarray(np.linalg.cholesky(matrix))

    @cached_property
    def _inverse_root(self) -> Matrix:
        """L⁻¹"""
        from scipy.linalg import solve_triangular

        return np.asarray(solve_triangular(self._root, np.eye(len(self._root)), lower=True))

    @cached_property
    def _alpha(self) -> Matrix:
        return np.asarray(self._inverse_root.T @ (self._inverse_root @ self.targets))


def fit_theta(layout: Layout, features: Matrix, targets: Matrix) -> Matrix:
    """(p,) the maximum a posteriori, from the prior's mean."""
    from scipy.optimize import minimize

    mean, deviation = layout.prior()
    if len(targets) < 2:
        return mean
    evidence = NegativeLogPosterior(layout, features, targets)
    bounds = list(zip(mean - _BOUND * deviation, mean + _BOUND * deviation, strict=True))
    found = minimize(
        evidence, mean, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _ITERATIONS}
    )
    return np.asarray(found.x)


class NegativeLogPosterior:
    """The negative logarithm of the posterior density of θ, up to a constant, with its gradient."""

    def __init__(self, layout: Layout, features: Matrix, targets: Matrix) -> None:
        self._layout = layout
        self._distances = Distances(layout, features)
        self._targets = targets
        self._mean, self._deviation = layout.prior()

    def __call__(self, theta: Matrix) -> tuple[float, Matrix]:
        from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

        n, layout = self._distances.n, self._layout
        linear = np.exp(theta[layout.linear])
        total = (linear @ self._distances.products).reshape(n, n)
        parts = []
        for part, log_scale, distances in zip(
            layout.weights, theta[layout.scales], self._distances.by_component, strict=True
        ):
            weights, scale = np.exp(theta[part]), np.exp(log_scale)
            values, slopes = matern52((weights @ distances).reshape(n, n))
            total += scale * values
            parts.append((weights, scale, values, slopes))
        noise = np.exp(theta[-1])
        total[np.diag_indices(n)] += noise + JITTER
        root, failed = dpotrf(total, lower=1)
        if failed:
            return 1e10, np.zeros_like(theta)
        alpha, _ = dpotrs(root, self._targets, lower=1)
        offset = (theta - self._mean) / self._deviation
        value = 0.5 * self._targets @ alpha + np.log(np.diag(root)).sum() + 0.5 * offset @ offset
        lower, _ = dpotri(root, lower=1)
        inverse = np.tril(lower) + np.tril(lower, -1).T
        slope = 0.5 * (inverse - np.outer(alpha, alpha))  # dvalue / dK (n, n)
        gradient = offset / self._deviation
        for index, (weights, scale, values, slopes) in enumerate(parts):
            by_weight = self._distances.by_component[index] @ (slope * slopes).ravel()
            gradient[layout.weights[index]] += scale * weights * by_weight
            gradient[layout.scales.start + index] += scale * (slope * values).sum()
        gradient[layout.linear] += linear * (self._distances.products @ slope.ravel())
        gradient[-1] += noise * np.trace(slope)
        return float(value), gradient
