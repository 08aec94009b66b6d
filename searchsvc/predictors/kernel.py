"""The covariance of the Gaussian-process head: main effects and interactions, by blocks of features.

    k(x, x') = Σ_b v_b <x_b, x'_b>  +  Σ_c s_c Matern52(r_c),    r_c² = Σ_{b in c} w_b |x_b - x'_b|²

| symbol | meaning | shape |
|---|---|---|
| x_b | features of block b (a parameter, a count, a cost) | |
| c | component: the parameters (choice, order, active); the counts; all blocks (with costs) | |
| θ | log w of each component's blocks, log s of the components, log v of all blocks, log noise | (p,) |
| D | squared distances per block, flattened | (blocks, n * n) |
| P | inner products per block, flattened | (blocks, n * n) |

The linear part learns the effect of each parameter within a dozen results. The Matérn parts model interactions: of the
positions of choices, of their numbers, and of both with the costs. Each entry of θ has a normal prior, wide enough to
matter only if there is little data. A large scale of the Matérn parts keeps deviations honest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from searchsvc.predictors.encoding import BlockKind, FeatureBlock
from searchsvc.spaces.space import Matrix

Real = NDArray[np.floating]

JITTER = 1e-6
_SUMMARIES: tuple[BlockKind, ...] = ("count", "cost")
# (mean, standard deviation) of the logarithms in θ
_WEIGHT_PRIOR = (0.0, 1.5)
_SCALE_PRIOR = (0.5, 0.7)
_LINEAR_PRIOR = (-2.0, 1.5)
_NOISE_PRIOR = (-3.0, 1.0)


@dataclass(frozen=True, slots=True)
class Layout:
    """The positions of the hyperparameters in θ."""

    blocks: tuple[FeatureBlock, ...]
    components: tuple[tuple[int, ...], ...]
    """Indices of blocks per component."""

    @staticmethod
    def of(blocks: Sequence[FeatureBlock]) -> Layout:
        parameters = tuple(index for index, block in enumerate(blocks) if block.kind not in _SUMMARIES)
        counts = tuple(index for index, block in enumerate(blocks) if block.kind == "count")
        components = dict.fromkeys([parameters, tuple(range(len(blocks))), counts])
        return Layout(tuple(blocks), tuple(component for component in components if component))

    @property
    def weights(self) -> list[slice]:
        """Entries of θ with the weights w of each component."""
        ends = np.cumsum([len(component) for component in self.components])
        pairs = zip(ends, self.components, strict=True)
        return [slice(int(end) - len(component), int(end)) for end, component in pairs]

    @property
    def scales(self) -> slice:
        start = sum(map(len, self.components))
        return slice(start, start + len(self.components))

    @property
    def linear(self) -> slice:
        return slice(self.scales.stop, self.scales.stop + len(self.blocks))

    @property
    def size(self) -> int:
        return int(self.linear.stop) + 1

    def prior(self) -> tuple[Matrix, Matrix]:
        """(p,) means and standard deviations of θ."""
        mean, deviation = np.empty(self.size), np.empty(self.size)  # (p,) each
        parts = (
            (slice(0, self.scales.start), _WEIGHT_PRIOR),
            (self.scales, (_SCALE_PRIOR[0] - np.log(len(self.components)), _SCALE_PRIOR[1])),
            (self.linear, _LINEAR_PRIOR),
            (slice(-1, None), _NOISE_PRIOR),
        )
        for part, (centre, width) in parts:
            mean[part], deviation[part] = centre, width
        return mean, deviation


def matern52(squared: Real) -> tuple[Real, Real]:
    """The Matérn 5/2 kernel and its derivative with respect to r², from r² (any shape)."""
    r = np.sqrt(5.0 * squared)  # sqrt 5 times the distance
    decay = np.exp(-r)
    return (1 + r + r * r / 3) * decay, -5 / 6 * (1 + r) * decay


class Distances:
    """D and P of n points, from which every evaluation of θ is computed."""

    def __init__(self, layout: Layout, features: Matrix) -> None:
        self.n = len(features)
        parts = [features[:, block.columns] for block in layout.blocks]  # (n, columns of the block) each
        products = np.stack([part @ part.T for part in parts])  # (blocks, n, n)
        squares = np.diagonal(products, axis1=1, axis2=2)  # (blocks, n)
        distances = np.maximum(squares[:, :, None] + squares[:, None, :] - 2 * products, 0.0)  # (blocks, n, n)
        self.products = products.reshape(len(parts), -1)  # P
        self.by_component = [  # D, the rows of each component: (its blocks, n * n)
            distances[list(component)].reshape(len(component), -1) for component in layout.components
        ]


@dataclass(frozen=True)
class Kernel:
    """The covariance function for a given θ."""

    layout: Layout
    theta: Matrix

    @property
    def noise(self) -> float:
        """Variance of an observation around the function."""
        return float(np.exp(self.theta[-1])) + JITTER

    @cached_property
    def _linear_roots(self) -> Matrix:
        """(f,) square roots of v per feature."""
        return self._spread(range(len(self.layout.blocks)), self.theta[self.layout.linear])

    @cached_property
    def _weight_roots(self) -> list[tuple[NDArray[np.intp], Matrix]]:
        """Per component: the indices of its features, and the square roots of w for those features."""
        pairs = zip(self.layout.components, self.layout.weights, strict=True)
        spread = [self._spread(component, self.theta[part]) for component, part in pairs]  # (f,) each
        return [(np.flatnonzero(roots), roots[np.flatnonzero(roots)]) for roots in spread]

    def __call__(self, a: Real, b: Real) -> Real:
        """(n, m) covariances of (n, f) and (m, f), in the precision of `a`."""
        roots = self._linear_roots.astype(a.dtype)  # (f,)
        total: Real = (a * roots) @ (b * roots).astype(a.dtype).T  # (n, m)
        for (used, weights), scale in zip(self._weight_roots, np.exp(self.theta[self.layout.scales]), strict=True):
            scaled_a = a[:, used] * weights.astype(a.dtype)  # (n, used features)
            scaled_b = (b[:, used] * weights).astype(a.dtype)  # (m, used features)
            squares_a, squares_b = (scaled_a * scaled_a).sum(axis=1), (scaled_b * scaled_b).sum(axis=1)  # (n,), (m,)
            squared = squares_a[:, None] + squares_b - 2 * scaled_a @ scaled_b.T  # (n, m)
            total += a.dtype.type(scale) * matern52(np.maximum(squared, 0))[0]
        return total

    def variances(self, a: Real) -> Real:
        """(n,) prior variances of (n, f)."""
        linear: Real = np.square(a * self._linear_roots.astype(a.dtype)).sum(axis=1)
        return linear + a.dtype.type(np.exp(self.theta[self.layout.scales]).sum())

    def _spread(self, blocks: Sequence[int], logs: Matrix) -> Matrix:
        """(f,) square roots of exp(logs), each repeated over the columns of its block."""
        values = np.zeros(self.layout.blocks[-1].stop)  # (f,)
        for index, log in zip(blocks, logs, strict=True):
            values[self.layout.blocks[index].columns] = np.exp(log / 2)
        return values
