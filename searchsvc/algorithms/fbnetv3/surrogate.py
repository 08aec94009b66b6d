"""The surrogate model of FBNetV3: its training data, and the quality of the predictions of earlier fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.fbnetv3.fidelity import best_until, metrics_by, shared_epoch
from searchsvc.algorithms.fbnetv3.history import Result
from searchsvc.algorithms.fbnetv3.posterior import Posterior
from searchsvc.domain.candidates import Observation
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.predictor import LEAST_FOR_NEURAL, LEAST_RESULTS, Predictor, pretrained
from searchsvc.predictors.quality import quality
from searchsvc.predictors.threads import one_thread
from searchsvc.spaces.space import Matrix

_EVERY = 32
"""A fit lags by at most a 32nd of the results."""
_LONGEST = 256
"""Maximum number of results between two fits."""


def fitted_results(results: int) -> int:
    """Number of results that the current fit uses, of `results`: all of up to 64, later all but a 32nd at most."""
    step = 1 << max(0, (results // _EVERY).bit_length() - 1)
    return results - results % min(step, _LONGEST)


class Surrogate:
    """Fits the predictors of a problem. A posterior depends only on the results that it is fitted to."""

    def __init__(self, problem: Problem, *, batch: int, threshold: float, neural: bool) -> None:
        self._problem = problem
        self._batch = batch
        self._threshold = threshold
        self._neural = neural
        self._epoch: int | None = None
        """The early-stop epoch, once known."""
        self._checked = 0
        """Number of results among which the early-stop epoch was last looked for."""
        costs = problem.cost_model.metrics
        self.measured_objectives = tuple(goal for goal in problem.objectives if goal.metric not in costs)
        limits = [constraint.metric for constraint in problem.constraints]
        self.metrics = tuple(dict.fromkeys([*(goal.metric for goal in self.measured_objectives), *limits]))
        """Metrics to predict: measured objectives and outcome constraints."""

    @cached_property
    def encoding(self) -> Encoding:
        return Encoding(self._problem.space, self._problem.cost_model)

    def posterior(self, results: Sequence[Result]) -> Posterior:
        """Fit a predictor for each metric that enough results measured."""
        matrix, measured = np.array([result.row for result in results]), self._measured(results)  # (r, d), (r,) each
        predictors = {}
        for metric, values in measured.items():
            finite = np.isfinite(values)  # (r,)
            if finite.sum() >= LEAST_RESULTS:
                encoder = self._encoder if finite.sum() >= LEAST_FOR_NEURAL else None
                predictors[metric] = Predictor.fit(
                    self.encoding, matrix[finite], values[finite], seed=self._problem.seed, encoder=encoder
                )
        return Posterior(self._problem, self.encoding, predictors, matrix, measured)

    def quality(self, earlier: Sequence[Result], later: Sequence[Result]) -> dict[str, Any]:
        """Report by metric how well a fit to `earlier` predicts `later`; `predictions`: pairs (predicted, measured)."""
        posterior = self.posterior(earlier)
        matrix, measured = np.array([result.row for result in later]), self._measured([*earlier, *later])
        qualities = {}
        for metric, predictor in posterior.predictors.items():
            values = measured[metric][len(earlier) :]  # (later,)
            finite = np.isfinite(values)  # (later,)
            if finite.any():
                with one_thread():
                    means, deviations = predictor.predict(matrix[finite])  # (finite,) each
                scores = quality(values[finite], means, deviations, self._problem.seed)
                pairs = np.stack([means, values[finite]], axis=1).tolist()  # (finite, 2)
                predictions = [[float(f"{number:.5g}") for number in pair] for pair in pairs]
                weight = predictor.weight
                qualities[metric] = {**scores.document(), "neural_weight": weight, "predictions": predictions}
        return qualities

    def early_stop_epoch(self, results: Sequence[Result]) -> int | None:
        """The epoch at which trials are compared; None if too few trained to the end."""
        observations = [result.observation for result in results]
        return shared_epoch(observations, self.measured_objectives, self._batch, self._threshold)

    def compacted(self, observation: Observation, earlier: Sequence[Result]) -> Observation:
        """Reduce the history of a new result to the measurement that its comparable values come from.

        That measurement is certain once the first trials have chosen the early-stop epoch, which stays. It bounds the
        memory of a search with many epochs.
        """
        if self._epoch is None and len(earlier) >= max(self._batch, 2 * self._checked):
            self._checked, self._epoch = len(earlier), self.early_stop_epoch(earlier)
        if self._epoch is None or not observation.history:
            return observation
        best = best_until(observation, self._epoch, self._problem.objectives[0])
        return replace(observation, history=() if best is None else (best,))

    def _measured(self, results: Sequence[Result]) -> Mapping[str, Matrix]:
        """metric -> (r,) comparable values; NaN if a trial did not measure it."""
        epoch, first = self.early_stop_epoch(results), self._problem.objectives[0]
        rows = [metrics_by(result.observation, epoch, first) for result in results]
        return {metric: np.array([metrics.get(metric, np.nan) for metrics in rows]) for metric in self.metrics}

    @cached_property
    def _encoder(self) -> Any:
        return pretrained(self.encoding, self._problem.seed) if self._neural else None
