"""ASHA: asynchronous successive halving (Li et al.

2020, "A System for Massively Parallel Hyperparameter Tuning", alg. 2).

This is the variant that stops trials instead of pausing them (syne-tune and Ray call it "stopping"). Rung k lies at
min_epochs * reduction^k steps, below the fidelity. A trial that reaches a rung is recorded there with its objectives.
It continues if it is among the best max(1, floor(n / reduction)) of the n trials recorded so far, itself included;
equal trials do not count as better. With several objectives, trials are ordered by non-dominated rank, then by crowding
distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.ranking import RankedValues, ranked_values
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain.metrics import Objective
from searchsvc.domain.spec import Fidelity


class AshaOptions(MethodOptions):
    """Options of ASHA.

    Li et al. reduce by 4; the customary 3 is near the optimum derived for Hyperband (Li et al. 2018).
    """

    example: ClassVar[Mapping[str, Any]] = {"min_epochs": 2}

    reduction: Annotated[
        int, Field(ge=2, le=100, description="Inverse of the fraction of trials that continues at each rung.")
    ] = 3
    min_epochs: Annotated[int, Field(ge=1, le=100_000, description="Epoch of the first rung.")] = 1


class Asha(StoppingRule):
    """Asynchronous successive halving."""

    def __init__(self, objectives: Sequence[Objective], fidelity: Fidelity, options: AshaOptions) -> None:
        super().__init__(objectives, fidelity)
        self._reduction = options.reduction
        self.rungs: list[int] = []
        """Steps at which trials are compared, ascending."""
        rung = options.min_epochs
        while rung < fidelity.epochs:
            self.rungs.append(rung)
            rung *= options.reduction
        self._recorded: list[RankedValues] = [ranked_values(len(self._objectives)) for _ in self.rungs]
        """Values of the trials that reached each rung."""
        self._rungs_passed: dict[int, int] = {}
        """trial -> number of rungs that it has passed."""

    def wants(self, trial: int, step: int) -> bool:
        rung = self._rungs_passed.get(trial, 0)
        return rung < len(self.rungs) and step >= self.rungs[rung]

    def _stops(self, trial: int, step: int, values: tuple[float, ...]) -> bool:
        rung = self._rungs_passed.get(trial, 0)
        if rung == len(self.rungs) or step < self.rungs[rung]:
            return False
        # A trial that reports less often than every epoch may pass several rungs at once: it counts at the highest.
        while rung + 1 < len(self.rungs) and step >= self.rungs[rung + 1]:
            rung += 1
        self._rungs_passed[trial] = rung + 1
        recorded = self._recorded[rung]
        recorded.add(values)
        return step < self._epochs and recorded.count_better(values) >= max(1, len(recorded) // self._reduction)
