"""The contract of a stopping rule.

A rule receives the measurements of all trials of a job in the order in which they were stored, and is a function of
that order alone. After a kill it is rebuilt from the stored measurements, and makes the same decisions again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from searchsvc.algorithms.ranking import signed_values
from searchsvc.domain.metrics import Measurement, Objective
from searchsvc.domain.spec import Fidelity
from searchsvc.domain.states import Decision


class StoppingRule(ABC):
    """Ends hopeless trials early.

    ::

        report(trial, measurement) -> CONTINUE      the trial continues
        report(trial, measurement) -> STOP          the trial ends here; its measurements count

    A measurement that lacks an objective is ignored: CONTINUE. A subclass implements `_stops`.
    """

    needs_measurements = True
    """False if the rule stops no trial, so that a replay may leave it without measurements."""

    def __init__(self, objectives: Sequence[Objective], fidelity: Fidelity) -> None:
        """`fidelity`: the fidelity of a whole trial."""
        self._objectives = tuple(objectives)
        self._epochs = fidelity.epochs
        self.saved_steps = 0
        """Steps of training saved so far: the remaining steps of the stopped trials."""

    def report(self, trial: int, measurement: Measurement) -> Decision:
        """Decide whether trial number `trial` continues after this measurement."""
        values = signed_values(measurement.metrics, self._objectives)
        if values is None or not self._stops(trial, measurement.step, values):
            return Decision.CONTINUE
        self.saved_steps += self._epochs - measurement.step
        return Decision.STOP

    def wants(self, trial: int, step: int) -> bool:  # noqa: ARG002 - overridden where it matters
        """False if a measurement of the trial at this step, or an earlier step, leaves the rule as it is: CONTINUE."""
        return True

    @abstractmethod
    def _stops(self, trial: int, step: int, values: tuple[float, ...]) -> bool:
        """Record the objectives (m,) of a trial at `step`, larger is better. Return whether the trial ends there."""
