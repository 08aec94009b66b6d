"""ASHA: asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning",
algorithm 2), in the form that stops trials instead of pausing them (syne-tune and Ray call it "stopping").

Rung k lies at min_epochs * reduction^k steps, below the fidelity. A trial that reaches a rung is recorded there with
its objectives, and goes on if it is among the best max(1, floor(n / reduction)) of the n recorded so far, itself
included; equals do not count as better. With several objectives, the order is that of non-dominated ranks, ties by
crowding distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.ranking import RankedValues, ranked_values, signed_values
from searchsvc.domain.metrics import Measurement, Objective
from searchsvc.domain.spec import Fidelity
from searchsvc.domain.states import Decision


class AshaOptions(MethodOptions):
    """Li et al. reduce by 4; 3, near the optimum that Hyperband derives (Li et al. 2018), is the habit of the field."""

    reduction: Annotated[int, Field(ge=2, le=100, description="One in so many goes on at each rung.")] = 3
    min_epochs: Annotated[int, Field(ge=1, le=100_000, description="Where the first rung lies.")] = 1


class Asha:
    """Asynchronous successive halving."""

    def __init__(self, objectives: Sequence[Objective], fidelity: Fidelity, options: AshaOptions) -> None:
        self._objectives = tuple(objectives)
        self._reduction = options.reduction
        self._epochs = fidelity.epochs
        self.rungs: list[int] = []
        """Steps at which trials are compared, ascending."""
        rung = options.min_epochs
        while rung < fidelity.epochs:
            self.rungs.append(rung)
            rung *= options.reduction
        self._recorded: list[RankedValues] = [ranked_values(len(self._objectives)) for _ in self.rungs]
        self._reached: dict[int, int] = {}
        self.saved_steps = 0

    def report(self, trial: int, measurement: Measurement) -> Decision:
        values = signed_values(measurement.metrics, self._objectives)
        rung = self._reached.get(trial, 0)
        if values is None or rung == len(self.rungs) or measurement.step < self.rungs[rung]:
            return Decision.CONTINUE
        # A trial that reports less often than every epoch may pass several rungs at once: it counts at the highest.
        while rung + 1 < len(self.rungs) and measurement.step >= self.rungs[rung + 1]:
            rung += 1
        self._reached[trial] = rung + 1
        recorded = self._recorded[rung]
        recorded.add(values)
        if measurement.step >= self._epochs or recorded.better(values) < max(1, len(recorded) // self._reduction):
            return Decision.CONTINUE
        self.saved_steps += self._epochs - measurement.step
        return Decision.STOP
