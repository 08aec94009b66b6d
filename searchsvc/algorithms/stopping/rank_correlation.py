"""The early-stop epoch of FBNetV3 as a stopping rule.

The first trials train to the end. Later trials stop at the epoch from which on the first trials rank much as they do at
the end. Trials that are running when the epoch is chosen stop at their next report. The rule does not wait for
stragglers: the first `trials` trials to reach the last epoch decide. With several measured objectives, the latest of
their epochs counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain.metrics import Objective
from searchsvc.domain.spec import Fidelity
from searchsvc.predictors.early_stop import LEAST_TRIALS, early_stop_epoch


class RankCorrelationOptions(MethodOptions):
    """Options of the early-stop epoch. The threshold is the paper's; the paper's first batch has 48 trials."""

    example: ClassVar[Mapping[str, Any]] = {"trials": 6}

    trials: Annotated[
        int,
        Field(
            ge=LEAST_TRIALS,
            le=100_000,
            description="Number of trials that train to the end before the epoch is chosen.",
        ),
    ] = 12
    threshold: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Minimum rank correlation (Spearman) with the last epoch, at this and all later epochs.",
        ),
    ] = 0.92


class RankCorrelation(StoppingRule):
    """Stops trials at the first epoch from which on the ranks of the first trials hardly change."""

    def __init__(self, objectives: Sequence[Objective], fidelity: Fidelity, options: RankCorrelationOptions) -> None:
        super().__init__(objectives, fidelity)
        self._options = options
        self._courses: dict[int, list[tuple[float, ...]]] = {}
        """trial -> the best objectives (m,) so far after each epoch."""
        self._complete: list[list[tuple[float, ...]]] = []
        """Courses of the trials that trained to the end."""
        self.epoch: int | None = None
        """Epoch at which later trials stop; None until enough trials have trained to the end."""

    def wants(self, trial: int, step: int) -> bool:  # noqa: ARG002 - the contract names it
        return self.epoch is None or step >= self.epoch

    def _stops(self, trial: int, step: int, values: tuple[float, ...]) -> bool:
        if self.epoch is None:
            self._learn(trial, step, values)
            return False
        return self.epoch <= step < self._epochs

    def _learn(self, trial: int, step: int, values: tuple[float, ...]) -> None:
        """Extend the trial's course. Only trials that report every epoch can be compared epoch by epoch."""
        course = self._courses.setdefault(trial, [])
        if step != len(course) + 1:
            return
        course.append(tuple(map(max, course[-1], values)) if course else values)
        if step == self._epochs:
            self._complete.append(self._courses.pop(trial))
        if len(self._complete) == self._options.trials:
            curves = np.moveaxis(np.array(self._complete), 2, 0)  # (m, n, E)
            self.epoch = max(early_stop_epoch(curve, self._options.threshold) for curve in curves)
            self._courses.clear()
