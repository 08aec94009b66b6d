"""The median rule (Golovin et al. 2017, "Google Vizier", section 3.2.2), as Katib's `medianstop` applies it.

A running trial is stopped at step s if its best objective so far is worse than the median of the running averages, up
to step s, of the other trials that reached s.

With several objectives there is no best value: the running averages themselves are compared, and a trial is stopped if
more than half of the others are better by non-dominated rank, ties by crowding distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.ranking import RankedValues, ranked_values
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain.metrics import Objective
from searchsvc.domain.spec import Fidelity


class MedianOptions(MethodOptions):
    """Options of the median rule, with Katib's defaults."""

    example: ClassVar[Mapping[str, Any]] = {"min_trials": 2, "min_epochs": 2}

    min_trials: Annotated[
        int, Field(ge=1, le=100_000, description="Other trials that must have reached the epoch.")
    ] = 3
    min_epochs: Annotated[int, Field(ge=1, le=100_000, description="The first epoch at which trials are compared.")] = 4


@dataclass(slots=True)
class _Course:
    """The reports of a trial so far, signed so that larger is better."""

    count: int
    total: tuple[float, ...]
    best: tuple[float, ...]
    step: int


class MedianRule(StoppingRule):
    """Stops trials that are worse than the median of the others at the same step."""

    def __init__(self, objectives: Sequence[Objective], fidelity: Fidelity, options: MedianOptions) -> None:
        super().__init__(objectives, fidelity)
        self._options = options
        self._courses: dict[int, _Course] = {}
        """trial -> its reports so far."""
        self._averages: dict[int, RankedValues] = {}
        """step -> running averages of the trials that reached it."""

    def _stops(self, trial: int, step: int, values: tuple[float, ...]) -> bool:
        if not self._advance(trial, step, values):
            return False
        course = self._courses[trial]
        average = tuple(total / course.count for total in course.total)
        others = self._averages.setdefault(step, ranked_values(len(values)))
        hopeless = self._is_hopeless(step, course.best if len(values) == 1 else average, others)
        others.add(average)
        return hopeless

    def _advance(self, trial: int, step: int, values: tuple[float, ...]) -> bool:
        """Add the values to the trial's course. Return False if this step was reported before."""
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
        return 2 * others.count_better(values) > len(others)
