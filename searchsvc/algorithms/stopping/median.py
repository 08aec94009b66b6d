"""The median rule (Golovin et al. 2017, "Google Vizier", section 3.2.2), as Katib's `medianstop` applies it to running
trials: a trial is stopped at step s if its best objective so far is worse than the median of the running averages, up
to step s, of the other trials that reached s.

With several objectives there is no best value: the running averages themselves are compared, and a trial is stopped if
more than half of the others are better by non-dominated rank, ties by crowding distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.ranking import RankedValues, ranked_values, signed_values
from searchsvc.domain.metrics import Measurement, Objective
from searchsvc.domain.spec import Fidelity
from searchsvc.domain.states import Decision


class MedianOptions(MethodOptions):
    """Katib's defaults."""

    min_trials: Annotated[int, Field(ge=1, le=100_000, description="Other trials that must have reached the step.")] = 3
    min_epochs: Annotated[int, Field(ge=1, le=100_000, description="The first step at which trials are compared.")] = 4


@dataclass(slots=True)
class _Course:
    """What a trial has reported so far, signed so that larger is better."""

    count: int
    total: tuple[float, ...]
    best: tuple[float, ...]
    step: int


class MedianRule:
    """Stops what is worse than the median of the others at the same step."""

    def __init__(self, objectives: Sequence[Objective], fidelity: Fidelity, options: MedianOptions) -> None:
        self._objectives = tuple(objectives)
        self._epochs = fidelity.epochs
        self._options = options
        self._courses: dict[int, _Course] = {}
        self._averages: dict[int, RankedValues] = {}
        self.saved_steps = 0

    def report(self, trial: int, measurement: Measurement) -> Decision:
        values = signed_values(measurement.metrics, self._objectives)
        if values is None or not self._advance(trial, measurement.step, values):
            return Decision.CONTINUE
        course = self._courses[trial]
        average = tuple(total / course.count for total in course.total)
        others = self._averages.setdefault(measurement.step, ranked_values(len(values)))
        stop = self._is_hopeless(measurement.step, course.best if len(values) == 1 else average, others)
        others.add(average)
        if not stop:
            return Decision.CONTINUE
        self.saved_steps += self._epochs - measurement.step
        return Decision.STOP

    def _advance(self, trial: int, step: int, values: tuple[float, ...]) -> bool:
        """Take the values into the trial's course; False where this step has been reported before."""
        course = self._courses.setdefault(trial, _Course(0, (0.0,) * len(values), values, 0))
        if step <= course.step:
            return False
        course.count, course.step = course.count + 1, step
        course.total = tuple(total + value for total, value in zip(course.total, values, strict=True))
        course.best = tuple(map(max, course.best, values))
        return True

    def _is_hopeless(self, step: int, values: tuple[float, ...], others: RankedValues) -> bool:
        options = self._options
        if not options.min_epochs <= step < self._epochs or len(others) < options.min_trials:
            return False
        return 2 * others.better(values) > len(others)
