"""The surrogate model of FBNetV3: the results and values it is fitted to, and how well earlier fits predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.fbnetv3.fidelity import metrics_by, shared_epoch
from searchsvc.algorithms.fbnetv3.posterior import Posterior
from searchsvc.domain.candidates import Observation
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.predictor import LEAST_FOR_NEURAL, LEAST_RESULTS, Predictor, pretrained
from searchsvc.predictors.quality import quality
from searchsvc.predictors.threads import one_thread
from searchsvc.spaces.space import Matrix

_EVERY = 32
_LONGEST = 256


@dataclass(frozen=True, slots=True)
class Result:
    """One trial that measured all objectives."""

    row: Matrix
    """(d,) of the candidate."""
    key: bytes
    observation: Observation
    asks: int
    """The ask that gave it, from 1; 0 where it was never asked for."""


def fitted_results(results: int) -> int:
    """How many of so many results the fit in use has seen: all of up to 64; later it lags by a 32nd part at most."""
    step = 1 << max(0, (results // _EVERY).bit_length() - 1)
    return results - results % min(step, _LONGEST)


class Surrogate:
    """Fits predictors for one problem. A posterior is a function of the results that it is fitted to."""

    def __init__(self, problem: Problem, *, batch: int, threshold: float, neural: bool) -> None:
        self._problem = problem
        self._batch = batch
        self._threshold = threshold
        self._neural = neural
        known = problem.cost_model.metrics
        self.measured_objectives = tuple(one for one in problem.objectives if one.metric not in known)
        limits = [one.metric for one in problem.constraints]
        self.metrics = tuple(dict.fromkeys([*(one.metric for one in self.measured_objectives), *limits]))
        """What is predicted."""

    @cached_property
    def encoding(self) -> Encoding:
        return Encoding(self._problem.space, self._problem.cost_model)

    def posterior(self, results: Sequence[Result]) -> Posterior:
        matrix, measured = np.array([one.row for one in results]), self._measured(results)
        predictors = {}
        for metric, values in measured.items():
            known = np.isfinite(values)
            if known.sum() >= LEAST_RESULTS:
                encoder = self._encoder if known.sum() >= LEAST_FOR_NEURAL else None
                predictors[metric] = Predictor.fit(
                    self.encoding, matrix[known], values[known], seed=self._problem.seed, encoder=encoder
                )
        return Posterior(self._problem, self.encoding, predictors, matrix, measured)

    def quality(self, earlier: Sequence[Result], later: Sequence[Result]) -> dict[str, Any]:
        """How well the fit to `earlier` predicted `later`; `predictions`: pairs of what was predicted and measured."""
        posterior = self.posterior(earlier)
        matrix, measured = np.array([one.row for one in later]), self._measured([*earlier, *later])
        qualities = {}
        for metric, predictor in posterior.predictors.items():
            values = measured[metric][len(earlier) :]
            known = np.isfinite(values)
            if known.any():
                with one_thread():
                    means, deviations = predictor.predict(matrix[known])
                found = quality(values[known], means, deviations, self._problem.seed)
                pairs = np.stack([means, values[known]], axis=1).tolist()
                predictions = [[float(f"{one:.5g}") for one in pair] for pair in pairs]
                weight = predictor.weight
                qualities[metric] = {**found.document(), "neural_weight": weight, "predictions": predictions}
        return qualities

    def early_stop_epoch(self, results: Sequence[Result]) -> int | None:
        observations = [one.observation for one in results]
        return shared_epoch(observations, self.measured_objectives, self._batch, self._threshold)

    def _measured(self, results: Sequence[Result]) -> Mapping[str, Matrix]:
        """metric -> (r,) values that can be compared; NaN where it was not measured."""
        epoch, first = self.early_stop_epoch(results), self._problem.objectives[0]
        told = [metrics_by(one.observation, epoch, first) for one in results]
        return {metric: np.array([one.get(metric, np.nan) for one in told]) for metric in self.metrics}

    @cached_property
    def _encoder(self) -> Any:
        return pretrained(self.encoding, self._problem.seed) if self._neural else None
