"""Predictor: what a candidate will measure, from what others measured.

Two heads on the same features: a Gaussian process, which is the better of the two on few results, and the neural
ensemble of FBNetV3. They are averaged by a weight that the results decide: the one that would have predicted each
result best from the others (leave-one-out for the process, out-of-bag for the ensemble).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.candidates import Observation
from searchsvc.errors import InvalidInput, below
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.gaussian import GaussianProcess
from searchsvc.predictors.threads import one_thread
from searchsvc.predictors.warp import Warp
from searchsvc.spaces.costs.model import CostModel
from searchsvc.spaces.space import Matrix, Space

if TYPE_CHECKING:
    from searchsvc.predictors.neural import Encoder, NeuralEnsemble

WINDOW = 400
"""Results that the Gaussian process is conditioned on at most; the best half and an even choice of the others."""
LEAST_RESULTS = 2
LEAST_FOR_NEURAL = 20
"""Results from which on the ensemble is worth training."""
_SHRINKAGE = 0.05
"""Added to the mean squared difference of the heads: where they agree, the process alone is enough."""


@dataclass(frozen=True)
class Predictor:
    """One metric of one space. Immutable, and the same for the same results in the same order."""

    encoding: Encoding
    warp: Warp
    process: GaussianProcess
    ensemble: NeuralEnsemble | None
    weight: float
    """Of the ensemble, in [0, 1]."""

    @staticmethod
    def fit(
        encoding: Encoding, matrix: Matrix, values: Matrix, *, seed: int, encoder: Encoder | None = None
    ) -> Predictor:
        """From candidates (n, d) and what they measured (n,), finite. `encoder`: pretrained; None: no neural ensemble.

        Raises InvalidInput where there are fewer than two results.
        """
        if len(values) < LEAST_RESULTS:
            raise InvalidInput.at("", f"a predictor needs {LEAST_RESULTS} results, not {len(values)}")
        warp = Warp.of(values)
        targets = warp.forward(values)
        with one_thread():
            kept = most_informative(values, WINDOW)
            features = encoding.features(matrix[kept])
            process = GaussianProcess.fit(encoding.blocks, features, targets[kept])
            if encoder is None or len(kept) < LEAST_FOR_NEURAL:
                return Predictor(encoding, warp, process, None, 0.0)
            from searchsvc.predictors import neural

            ensemble = neural.fit(encoding, encoder, matrix[kept], targets[kept], seed)
            weight = _weight(process.leave_one_out()[0], ensemble.out_of_bag(), targets[kept])
        return Predictor(encoding, warp, process, ensemble if weight > 0 else None, weight)

    def predict(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        """(n,) means and standard deviations of what candidates (n, d) would measure, in the metric's own units."""
        means, deviations = self.latent(matrix, self.encoding.features(matrix))
        spread = np.sqrt(deviations**2 + self.process.kernel.noise)
        lower, upper = self.warp.inverse(means - spread), self.warp.inverse(means + spread)
        return self.warp.inverse(means), (upper - lower) / 2

    def latent(self, matrix: Matrix, features: NDArray[np.floating]) -> tuple[Matrix, Matrix]:
        """(n,) means and standard deviations of the function, without noise, in the units of the warp.

        `features` (n, f) are those of `matrix` (n, d), in the precision that is wanted.
        """
        means, deviations = self.process.predict(features)
        if self.ensemble is None:
            return np.asarray(means, dtype=np.float64), np.asarray(deviations, dtype=np.float64)
        others, widths = self.ensemble.predict(matrix)
        mixed = (1 - self.weight) * means + self.weight * others
        variances = (1 - self.weight) * (deviations**2 + (means - mixed) ** 2)
        variances += self.weight * (widths**2 + (others - mixed) ** 2)
        return mixed, np.sqrt(variances)


def fit_predictors(
    space: Space,
    observations: Sequence[Observation],
    metrics: Iterable[str],
    *,
    cost_model: CostModel,
    seed: int,
    neural: bool = True,
) -> Mapping[str, Predictor]:
    """A predictor for each metric, from all results that measured it.

    Raises InvalidInput, pointer `/<metric>`, where fewer than two did.
    """
    encoding = Encoding(space, cost_model)
    encoder = pretrained(encoding, seed) if neural else None
    predictors = {}
    for metric in metrics:
        told = [one for one in observations if one.metrics is not None and np.isfinite(one.metrics.get(metric, np.nan))]
        values = np.array([one.metrics[metric] for one in told if one.metrics is not None])
        matrix = space.to_matrix([one.candidate for one in told])
        with below(f"/{metric}"):
            predictors[metric] = Predictor.fit(encoding, matrix, values, seed=seed, encoder=encoder)
    return predictors


def pretrained(encoding: Encoding, seed: int) -> Encoder:
    """An encoder for the neural ensemble, pretrained on what random architectures cost."""
    from searchsvc.predictors import neural

    return neural.pretrain(encoding, seed)


def most_informative(values: Matrix, count: int) -> NDArray[np.intp]:
    """Which `count` of the results (n,) tell most, in their order: the best quarter of `count` at either end, as goals
    differ, and an even choice of the others; all where there are no more."""
    n = len(values)
    if n <= count:
        return np.arange(n)
    order = np.argsort(values, kind="stable")
    ends = np.concatenate([order[: count // 4], order[-(count // 4) :]])
    others = np.setdiff1d(np.arange(n), ends)
    even = others[np.linspace(0, len(others) - 1, count - len(ends)).astype(np.intp)]
    return np.sort(np.concatenate([ends, even]))


def _weight(process: Matrix, ensemble: Matrix, targets: Matrix) -> float:
    """The weight of the ensemble that minimises the squared error of the average on results not seen, shrunk to 0."""
    known = ~np.isnan(ensemble)
    if known.sum() < 2 * LEAST_RESULTS:
        return 0.0
    difference = process[known] - ensemble[known]
    gain = difference @ (process[known] - targets[known])
    return float(np.clip(gain / (difference @ difference + _SHRINKAGE * known.sum()), 0.0, 1.0))
