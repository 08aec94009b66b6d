"""Predictors of a metric: from measured candidates to the metric of new candidates.

A predictor has two heads on the same features: a Gaussian process, which is better if there are few results, and the
neural ensemble of FBNetV3. Their predictions are averaged. The weight is chosen so that the average predicts each
result best from the other results (leave-one-out for the process, out-of-bag for the ensemble).
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

if TYPE_CHECKING:  # torch takes seconds to import
    from searchsvc.predictors.neural import Encoder, NeuralEnsemble

WINDOW = 400
"""Maximum number of results that the Gaussian process is conditioned on; see `most_informative`."""
LEAST_RESULTS = 2
LEAST_FOR_NEURAL = 20
"""Number of results from which on the ensemble is worth training."""
_SHRINKAGE = 0.05
"""Added to the mean squared difference of the heads: if they agree, the process alone is enough."""


@dataclass(frozen=True)
class Predictor:
    """Predicts a metric of a space. Immutable; the same results in the same order give the same predictor."""

    encoding: Encoding
    warp: Warp
    process: GaussianProcess
    ensemble: NeuralEnsemble | None
    weight: float
    """Weight of the ensemble, in [0, 1]."""

    @staticmethod
    def fit(
        encoding: Encoding, matrix: Matrix, values: Matrix, *, seed: int, encoder: Encoder | None = None
    ) -> Predictor:
        """Fit to candidates (n, d) and their measured values (n,), which must be finite.

        `encoder`: pretrained encoder of the neural ensemble; if None, there is no ensemble. Raises InvalidInput if
        there are fewer than two results.
        """
        if len(values) < LEAST_RESULTS:
            raise InvalidInput.at("", f"a predictor needs {LEAST_RESULTS} results, not {len(values)}")
        warp = Warp.of(values)
        targets = warp.forward(values)  # (n,)
        with one_thread():
            rows = most_informative(values, WINDOW)
            features = encoding.features(matrix[rows])  # (rows, f)
            process = GaussianProcess.fit(encoding.blocks, features, targets[rows])
            if encoder is None or len(rows) < LEAST_FOR_NEURAL:
                return Predictor(encoding, warp, process, None, 0.0)
            from searchsvc.predictors import neural  # late: torch takes seconds to import

            ensemble = neural.fit(encoding, encoder, matrix[rows], targets[rows], seed)
            weight = _weight(process.leave_one_out()[0], ensemble.out_of_bag(), targets[rows])
        return Predictor(encoding, warp, process, ensemble if weight > 0 else None, weight)

    def predict(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        """(n,) means and standard deviations of measurements of candidates (n, d), in the units of the metric."""
        size = self.encoding.rows_at_once
        parts = [matrix[start : start + size] for start in range(0, max(len(matrix), 1), size)]
        latent = [self.latent(part, self.encoding.features(part)) for part in parts]
        means, deviations = (np.concatenate(values) for values in zip(*latent, strict=True))  # (n,) each
        spread = np.sqrt(deviations**2 + self.process.kernel.noise)  # (n,)
        lower, upper = self.warp.inverse(means - spread), self.warp.inverse(means + spread)
        return self.warp.inverse(means), (upper - lower) / 2

    def latent(self, matrix: Matrix, features: NDArray[np.floating]) -> tuple[Matrix, Matrix]:
        """(n,) means and standard deviations of the function, without noise, in the units of the warp.

        `features` (n, f) of `matrix` (n, d) decide the precision of the computation.
        """
        means, deviations = self.process.predict(features)  # (n,) each
        if self.ensemble is None:
            return np.asarray(means, dtype=np.float64), np.asarray(deviations, dtype=np.float64)
        ensemble_means, ensemble_deviations = self.ensemble.predict(matrix)  # (n,) each
        mixed = (1 - self.weight) * means + self.weight * ensemble_means  # (n,)
        # The variance of a mixture: within the heads, and between them.
        variances = (1 - self.weight) * (deviations**2 + (means - mixed) ** 2)
        variances += self.weight * (ensemble_deviations**2 + (ensemble_means - mixed) ** 2)
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
    """Fit a predictor for each metric, to all results that measured the metric.

    Raises InvalidInput with pointer `/<metric>` if fewer than two results did.
    """
    encoding = Encoding(space, cost_model)
    encoder = pretrained(encoding, seed) if neural else None
    predictors = {}
    for metric in metrics:
        values_by_result = [(result.metrics or {}).get(metric, np.nan) for result in observations]
        measured = [index for index, value in enumerate(values_by_result) if np.isfinite(value)]
        values = np.array([values_by_result[index] for index in measured])  # (n,)
        matrix = space.to_matrix([observations[index].candidate for index in measured])  # (n, d)
        with below(f"/{metric}"):
            predictors[metric] = Predictor.fit(encoding, matrix, values, seed=seed, encoder=encoder)
    return predictors


def pretrained(encoding: Encoding, seed: int) -> Encoder:
    """An encoder for the neural ensemble, pretrained on the costs of random architectures."""
    from searchsvc.predictors import neural  # late: torch takes seconds to import

    return neural.pretrain(encoding, seed)


def most_informative(values: Matrix, count: int) -> NDArray[np.intp]:
    """Indices of the `count` most informative of the results (n,), ascending; all if there are at most `count`.

    A quarter of `count` are the lowest values and a quarter the highest, as a metric may be minimised or maximised. The
    others are chosen evenly.
    """
    n = len(values)
    if n <= count:
        return np.arange(n)
    order = np.argsort(values, kind="stable")  # (n,)
    ends = np.concatenate([order[: count // 4], order[-(count // 4) :]])  # (<= count / 2,)
    others = np.setdiff1d(np.arange(n), ends)  # ascending
    even = others[np.linspace(0, len(others) - 1, count - len(ends)).astype(np.intp)]
    return np.sort(np.concatenate([ends, even]))


def _weight(process: Matrix, ensemble: Matrix, targets: Matrix) -> float:
    """The weight of the ensemble that minimises the squared error of the average on held-out results, shrunk towards 0.
    """
    valid = ~np.isnan(ensemble)  # (n,)
    if valid.sum() < 2 * LEAST_RESULTS:
        return 0.0
    difference = process[valid] - ensemble[valid]  # (valid,)
    gain = difference @ (process[valid] - targets[valid])
    return float(np.clip(gain / (difference @ difference + _SHRINKAGE * valid.sum()), 0.0, 1.0))
