"""The tally of candidates that broke hard constraints since the last proposal."""

from __future__ import annotations

import numpy as np

from searchsvc.algorithms.hard_constraints import HardConstraints, Judgement
from searchsvc.errors import NothingFeasible


class Rejections:
    """Counts rejected candidates by the constraints that they broke, and describes the closest candidate."""

    def __init__(self, constraints: HardConstraints) -> None:
        self._hard = constraints.hard
        self.in_a_row = 0
        """Candidates rejected one after another."""
        self.by_constraint: dict[str, int] = {}
        """Rejected candidates by constraint; a candidate that breaks several counts for each."""
        self._least_excess = np.inf
        """Sum of relative excesses of the closest candidate."""
        self._closest = ""
        """Costs of the closest candidate that break a limit."""

    def add(self, judgement: Judgement, rows: slice) -> None:
        """Count the candidates among `rows` that broke a constraint."""
        broken = judgement.broken[:, rows]  # (c, n)
        self.in_a_row += int(broken.any(axis=0).sum())
        for constraint, flags in zip(self._hard, broken, strict=True):
            if flags.any():
                self.by_constraint[str(constraint)] = self.by_constraint.get(str(constraint), 0) + int(flags.sum())
        self._keep_closest(judgement, rows)

    def error(self) -> NothingFeasible:
        """The error with the number of rejections, their reasons and the closest candidate. Resets `in_a_row`."""
        rejected, self.in_a_row = self.in_a_row, 0
        counts = ", ".join(f"{count} broke {constraint}" for constraint, count in self.by_constraint.items())
        closest = f"; the closest had {self._closest}" if self._closest else ""
        return NothingFeasible(
            f"none of {rejected} candidates in a row met the hard constraints: {counts}{closest}. "
            "Widen the limits, or narrow the space to where they hold"
        )

    def _keep_closest(self, judgement: Judgement, rows: slice) -> None:
        broken = judgement.broken[:, rows]  # (c, n)
        excess = np.zeros(broken.shape[1])  # (n,) relative to the limits, summed over constraints
        for constraint in self._hard:
            limits = [abs(limit) for limit in (constraint.max, constraint.min) if limit]
            excess += constraint.excess(judgement.costs[constraint.metric][rows]) / (min(limits) if limits else 1.0)
        excess[~broken.any(axis=0) | np.isnan(excess)] = np.inf
        if excess.size and excess.min() < self._least_excess:
            row = int(excess.argmin())
            self._least_excess = float(excess[row])
            self._closest = ", ".join(
                f"{constraint.metric} {float(judgement.costs[constraint.metric][rows][row]):.6g} (must be {constraint})"
                for constraint, flags in zip(self._hard, broken, strict=True)
                if flags[row]
            )
