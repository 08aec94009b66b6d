"""The stopping rule `none`: every trial trains to its fidelity."""

from __future__ import annotations

from collections.abc import Sequence

from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain.metrics import Objective
from searchsvc.domain.spec import Fidelity


class NeverStopOptions(MethodOptions):
    """The rule has no options."""


class NeverStop(StoppingRule):
    """Lets every trial train to its fidelity."""

    needs_measurements = False

    def __init__(self, objectives: Sequence[Objective], fidelity: Fidelity, options: NeverStopOptions) -> None:  # noqa: ARG002 - every factory takes options
        super().__init__(objectives, fidelity)

    def _stops(self, trial: int, step: int, values: tuple[float, ...]) -> bool:  # noqa: ARG002 - the contract names them
        return False
