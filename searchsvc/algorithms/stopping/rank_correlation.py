"""The early-stop epoch of FBNetV3 as a stopping rule: the first trials train to the end; the epoch from which on they
rank as they do at the end is where all later ones stop.

Trials that are under way when the epoch becomes known stop at their next report. Nobody waits for stragglers: the
`trials` that reach the last epoch first decide. With several measured objectives the latest of their epochs counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.ranking import signed_values
from searchsvc.domain.metrics import Measurement, Objective
from searchsvc.domain.spec import Fidelity
from searchsvc.domain.states import Decision
from searchsvc.predictors.early_stop import LEAST_TRIALS, early_stop_epoch


class RankCorrelationOptions(MethodOptions):
    """The paper's threshold; its first batch has 48 trials."""

    trials: Annotated[
        int, Field(ge=LEAST_TRIALS, le=100_000, description="Trials that train to the end before the epoch is chosen.")
    ] = 12
    threshold: Annotated[
        float, Field(gt=0, le=1, description="Rank correlation (Spearman) with the last epoch that is enough.")
    ] = 0.92


class RankCorrelation:
    """Stops trials at the epoch from which on the first ones ranked as at their end."""

    def __init__(self, objectives: Sequence[Objective], fidelity: Fidelity, options: RankCorrelationOptions) -> None:
        self._objectives = tuple(objectives)
        self._epochs = fidelity.epochs
        self._options = options
        self._courses: dict[int, list[tuple[float, ...]]] = {}
        self._complete: list[list[tuple[float, ...]]] = []
        self.epoch: int | None = None
        """Where later trials stop; None until enough have trained to the end."""
        self.saved_steps = 0

    def report(self, trial: int, measurement: Measurement) -> Decision:
        values = signed_values(measurement.metrics, self._objectives)
        if values is None:
            return Decision.CONTINUE
        if self.epoch is None:
            self._learn(trial, measurement.step, values)
            return Decision.CONTINUE
        if not self.epoch <= measurement.step < self._epochs:
            return Decision.CONTINUE
        self.saved_steps += self._epochs - measurement.step
        return Decision.STOP

    def _learn(self, trial: int, step: int, values: tuple[float, ...]) -> None:
        """Only trials that report every epoch can be compared epoch by epoch."""
        course = self._courses.setdefault(trial, [])
        if step != len(course) + 1:
            return
        course.append(tuple(map(max, course[-1], values)) if course else values)
        if step == self._epochs:
            self._complete.append(self._courses.pop(trial))
        if len(self._complete) == self._options.trials:
            curves = np.array(self._complete)  # (n, E, m), the best so far
            self.epoch = max(early_stop_epoch(one, self._options.threshold) for one in np.moveaxis(curves, 2, 0))
            self._courses.clear()
