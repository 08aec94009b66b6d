"""The stopping rule `none`: every trial trains to its fidelity."""

from __future__ import annotations

from collections.abc import Sequence

from searchsvc.algorithms.options import MethodOptions
from searchsvc.domain.metrics import Measurement, Objective
from searchsvc.domain.spec import Fidelity
from searchsvc.domain.states import Decision


class NeverStopOptions(MethodOptions):
    """There is nothing to set."""


class NeverStop:
    """Stops nothing."""

    saved_steps = 0

    def __init__(self, objectives: Sequence[Objective], fidelity: Fidelity, options: NeverStopOptions) -> None:
        """Takes what every rule takes and needs none of it."""

    def report(self, trial: int, measurement: Measurement) -> Decision:  # noqa: ARG002 - the contract names them
        return Decision.CONTINUE
